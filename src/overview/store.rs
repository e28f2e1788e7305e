//! One store: when its files came, which lines of them could not be read and what to do about that, which of its days
//! count, and what is held. The page, the API and `gristmill report` tell this.

use std::collections::BTreeMap;

use gristmill_engine::Reject;
use gristmill_state::{FileOfStore, FileStatus, StateDb, StoreDay};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::advice::advice;
use super::punctuality::{Punctuality, punctuality};
use super::{Held, rejects};
use crate::preconditions::JobIndex;
use crate::settings::Settings;

/// The most files of a span that are looked through.
const MOST_FILES: u32 = 10_000;

/// The most jobs of a store that are told of.
const MOST_JOBS: usize = 10;

/// How much of a store's rejects to read from the lake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Of how many files, those first that came last.
    pub(crate) files: usize,
    /// How many lines of each.
    pub(crate) lines: usize,
}

/// A store, from one day to another.
#[derive(Debug, Serialize)]
pub(crate) struct StoreReport {
    pub(crate) store: String,
    pub(crate) first: Date,
    pub(crate) last: Date,
    /// When its files came, for each job that takes them.
    pub(crate) punctuality: Vec<Punctuality>,
    /// Its files of this span that are not in force as they were sent, or of which lines could not be read.
    pub(crate) files: Vec<FileWithFaults>,
    /// Why lines could not be read, the most frequent first.
    pub(crate) reasons: Vec<OfReason>,
    /// What counts of each business day.
    pub(crate) days: Vec<StoreDay>,
    /// What is held.
    pub(crate) held: Vec<Held>,
    /// Whether files or lines were left out because there are more than are read.
    pub(crate) is_cut: bool,
}

/// A file with faults.
#[derive(Debug, Serialize)]
pub(crate) struct FileWithFaults {
    pub(crate) file: String,
    pub(crate) status: FileStatus,
    pub(crate) submitted: Timestamp,
    /// Why it is not in force, if it is not.
    pub(crate) error: Option<String>,
    /// How many of its lines could not be read, of how many.
    pub(crate) rejects: u64,
    pub(crate) lines: u64,
    /// Whether lines of other stores may be among them, so that they are not listed for this one.
    pub(crate) is_shared: bool,
}

/// The lines that could not be read for one reason.
#[derive(Debug, Serialize)]
pub(crate) struct OfReason {
    pub(crate) reason: String,
    /// What to change at the till.
    pub(crate) advice: &'static str,
    pub(crate) lines: Vec<LineOfFile>,
}

/// A line that could not be read.
#[derive(Debug, Serialize)]
pub(crate) struct LineOfFile {
    pub(crate) file: String,
    pub(crate) line_number: u64,
    pub(crate) text: String,
}

impl StoreReport {
    /// Returns whether anything at all is known of the store.
    pub(crate) fn is_known(&self) -> bool {
        !self.punctuality.is_empty() || !self.files.is_empty() || !self.days.is_empty()
    }
}

/// Tells of a store from one day to another. Opens the lake if it has rejects of the store.
pub(crate) async fn store_report(
    settings: &Settings,
    (state, jobs): (&StateDb, &JobIndex),
    store: &str,
    (first, last): (Date, Date),
    (depth, now): (Depth, Timestamp),
) -> anyhow::Result<StoreReport> {
    let mut taking = state.jobs_of_store(store).await?;
    let plans = jobs.jobs().filter_map(|job| job.plan().ok());
    let listing = plans.filter(|plan| plan.stores.contains(store));
    taking.extend(listing.map(|plan| plan.id.clone()));
    taking.sort_unstable();
    taking.dedup();
    let mut of_jobs = Vec::new();
    for job in taking.iter().take(MOST_JOBS) {
        if let Some(Ok(plan)) = jobs.job(job).map(|job| job.plan()) {
            of_jobs.push(punctuality(state, plan, store, (first, last), now).await?);
        }
    }
    // A file of the first day may have come before midnight elsewhere.
    let begin = first.saturating_sub(1.day()).to_zoned(TimeZone::UTC)?.timestamp();
    let came = state.files_of_store(store, Some(begin), (0, MOST_FILES)).await?;
    let is_whole = came.len() < MOST_FILES as usize;
    let faulty: Vec<_> = came.into_iter().filter(has_faults).collect();
    let (reasons, are_all) = reasons(settings, state, &faulty, depth).await?;
    Ok(StoreReport {
        store: store.to_owned(),
        first,
        last,
        punctuality: of_jobs,
        files: faulty.into_iter().map(FileWithFaults::new).collect(),
        reasons,
        days: state.days_of_store(store, (first, last)).await?,
        held: state
            .held_of_store(store)
            .await?
            .into_iter()
            .map(Held::new)
            .collect(),
        is_cut: !is_whole || !are_all || taking.len() > MOST_JOBS,
    })
}

/// Returns how many lines of a file could not be read, of how many: in the version that its status is about or, if its
/// newest submission could not be read, in the version in force.
fn counts(of_store: &FileOfStore) -> (u64, u64) {
    let file = &of_store.file;
    let version = file.newest_version().or(file.in_force.as_ref());
    version.map_or((0, 0), |row| (row.version.rejects, row.version.lines))
}

fn has_faults(of_store: &FileOfStore) -> bool {
    let is_well = matches!(
        of_store.file.status,
        FileStatus::Validated | FileStatus::Submitted | FileStatus::Withdrawn
    );
    !is_well || counts(of_store).0 > 0
}

impl FileWithFaults {
    fn new(of_store: FileOfStore) -> Self {
        let (rejects, lines) = counts(&of_store);
        let file = of_store.file;
        Self {
            file: file.file_url,
            status: file.status,
            submitted: file.submitted,
            error: file.last_error,
            rejects,
            lines,
            is_shared: of_store.is_shared,
        }
    }
}

/// Groups the lines that could not be read by reason, and returns whether they are all. Those of files that may hold lines
/// of other stores are not among them.
async fn reasons(
    settings: &Settings,
    state: &StateDb,
    files: &[FileOfStore],
    depth: Depth,
) -> anyhow::Result<(Vec<OfReason>, bool)> {
    let own = files.iter().filter(|of_store| !of_store.is_shared);
    let with_rejects: Vec<_> = own.filter(|of_store| counts(of_store).0 > 0).collect();
    let mut are_all = with_rejects.len() <= depth.files;
    let mut by_reason: BTreeMap<String, Vec<LineOfFile>> = BTreeMap::new();
    for of_store in with_rejects.into_iter().take(depth.files) {
        let file = &of_store.file.file_url;
        let found = rejects(settings, state, file, depth.lines).await?.lines;
        are_all &= (found.len() as u64) >= counts(of_store).0;
        for Reject {
            line_number,
            reason,
            text,
        } in found
        {
            by_reason.entry(reason).or_default().push(LineOfFile {
                file: file.clone(),
                line_number,
                text,
            });
        }
    }
    let of_reasons = by_reason.into_iter().map(|(reason, lines)| OfReason {
        advice: advice(&reason),
        reason,
        lines,
    });
    let mut of_reasons: Vec<_> = of_reasons.collect();
    of_reasons.sort_by_key(|of_reason| std::cmp::Reverse(of_reason.lines.len()));
    Ok((of_reasons, are_all))
}
