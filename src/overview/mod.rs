//! The read model: where the service, jobs, files, runs and rows stand, as types that are told in words, as JSON and as
//! pages. The commands, the API, the pages and the log tell the same, because all of them ask here.

mod advice;
mod alerts;
mod changed;
mod difference;
mod doubts;
mod edits;
mod explain;
mod files;
mod held;
mod jobs;
mod punctuality;
mod ready;
mod rejects;
mod runs;
mod status;
mod store;
mod strays;
mod today;
mod trace;

pub(crate) use alerts::firing;
pub(crate) use changed::{ChangedRows, ChangedSlice, FileBehind, changed};
pub(crate) use difference::{Days, Difference, OfDay, between, days_of, difference};
pub(crate) use doubts::{OPEN, WithRejects, is_odd, of_lines};
pub(crate) use edits::describe_edit;
pub(crate) use explain::{explain, explain_waves};
pub(crate) use files::{ListedFile, Unmatched, files, unmatched};
pub(crate) use held::Held;
pub(crate) use jobs::{JobStatus, job_statuses, judge_newest};
pub(crate) use punctuality::{Fate, Punctuality, beside_usual, by_store_and_day, moments, time_of_day};
pub(crate) use ready::not_ready;
pub(crate) use rejects::{Rejects, rejects};
pub(crate) use runs::{ListedRun, took};
pub(crate) use status::{Status, status};
pub(crate) use store::{Depth, FileWithFaults, StoreReport, store_report};
pub(crate) use strays::{Stray, describe_strays, named, strays, without_files};
pub(crate) use today::{Mood, Province, Provinces};
pub(crate) use trace::{Amounts, Key, Moment, Trace, history, trace};
