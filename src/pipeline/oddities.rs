//! Warns of what is valid, and yet looks like settings that do not fit: a measure that no row has, dates far ahead, and
//! stores that were never seen. Nothing is held for it.

use std::path::{Path, PathBuf};

use gristmill_engine::absent_measures;
use gristmill_state::{ClaimedRun, VersionRecord};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Components;
use super::retry::StepError;
use crate::preconditions::{JobParams, some_of};

/// Warns of measures that are NULL in every row of a summary, and were not in the one before.
pub(super) async fn tell_of_measures(summary: &Path, before: Option<&Path>) -> Result<(), StepError> {
    let (summary, before) = (summary.to_owned(), before.map(Path::to_owned));
    let absent = tokio::task::spawn_blocking(move || newly_absent(&summary, before));
    for measure in absent.await.map_err(StepError::permanent)?? {
        tracing::warn!(
            measure,
            "every row has NULL there: no line has the code that `measures` of the feed asks for; `gristmill check FILE` \
             lists the codes that a file has"
        );
    }
    Ok(())
}

fn newly_absent(
    summary: &Path,
    before: Option<PathBuf>,
) -> Result<Vec<String>, gristmill_engine::EngineError> {
    let mut absent = absent_measures(summary)?;
    if let Some(before) = before.filter(|_| !absent.is_empty()) {
        // What a damaged summary had is not known. The load deals with that.
        let Ok(known) = absent_measures(&before) else {
            return Ok(Vec::new());
        };
        absent.retain(|measure| !known.contains(measure));
    }
    Ok(absent)
}

/// Warns of stores in a run's lines that its job does not list or, if it lists none, that no file had before the job's
/// last run.
pub(super) async fn tell_of_stores(components: &Components, run: &ClaimedRun) -> Result<(), StepError> {
    let stores = components.state.stores_of_run(&run.run_id).await?;
    let job = components.state.job(&run.job_id).await?;
    let params = job.and_then(|job| serde_json::from_str::<JobParams>(&job.config.params).ok());
    let listed = params.map(|params| params.stores).unwrap_or_default();
    let is_listed = |store: &String| listed.contains(store);
    // Names of files may write stores in another way than their lines do. Then the list says nothing of the lines.
    if stores.iter().any(|(store, _)| is_listed(store)) {
        let unlisted: Vec<_> = stores
            .iter()
            .map(|(store, _)| store)
            .filter(|store| !is_listed(store))
            .collect();
        if !unlisted.is_empty() {
            tracing::warn!(
                "lines are of stores that `stores` of the job does not list: {}",
                some_of(&unlisted)
            );
        }
        return Ok(());
    }
    let new: Vec<_> = stores
        .iter()
        .filter(|(_, is_new)| *is_new)
        .map(|(store, _)| store)
        .collect();
    if !new.is_empty() {
        tracing::warn!(
            "stores that no file had before: {}; if they are none, check `columns` of the feed",
            some_of(&new)
        );
    }
    Ok(())
}

/// Returns the latest day of a version if it lies more than a year ahead.
pub(super) fn far_ahead(version: &VersionRecord, now: Timestamp) -> Option<Date> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let in_a_year = today.saturating_add(1.year());
    version.last_date.filter(|last| *last > in_a_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_far_ahead_after_a_year() {
        let now: Timestamp = "2026-11-23T08:15:00Z".parse().unwrap();
        let version = |last: &str| VersionRecord {
            content_hash: String::new(),
            layout_digest: String::new(),
            bytes: 0,
            lines: 0,
            rows: 0,
            ignored: 0,
            skipped: 0,
            rejects: 0,
            drift_lines: 0,
            last_line_ended: None,
            first_date: None,
            last_date: Some(last.parse().unwrap()),
            rejected_because: None,
            days: Vec::new(),
            converted: None,
            partial: None,
            reject_lines: None,
        };
        assert_eq!(far_ahead(&version("2027-11-23"), now), None);
        assert!(far_ahead(&version("2027-11-24"), now).is_some());
    }
}
