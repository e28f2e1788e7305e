//! The read model of jobs and files: where each job stands, which files no job takes, and which jobs no file belongs to.
//! The commands and the log tell the same, because both ask here.

mod edits;
mod jobs;
mod strays;

pub(crate) use edits::told as edited;
pub(crate) use jobs::{JobStatus, job_statuses};
pub(crate) use strays::{Stray, named, strays, told, without_files};
