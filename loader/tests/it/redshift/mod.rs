//! What only Redshift has: staging in a bucket, its own statements, temporary users, and the faults of all these.

mod aws;
mod faults;
mod layout;
pub mod statements;
mod tamper;

use std::error::Error;

use gristmill_loader::LoadError;

/// An error as the binary shows it, with its causes.
fn with_causes(error: &LoadError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
