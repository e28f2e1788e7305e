//! What to tell people where the files of two jobs hold the same store and day.

use std::collections::BTreeMap;

use gristmill_state::{DayOfOther, NewRun, RunInput, StateDb, StateError};

use crate::preconditions::some_of;

/// Says what runs that may start have in common with other jobs, as [`describe`] does. Nothing is to be said where there is no
/// run.
pub(crate) async fn describe_runs(
    state: &StateDb,
    runs: &[Option<&NewRun>],
) -> Result<Vec<Vec<String>>, StateError> {
    let jobs: Vec<(&str, &[RunInput])> = runs
        .iter()
        .map(|run| run.map_or(("", &[][..]), |run| (run.job_id.as_str(), &run.inputs[..])))
        .collect();
    let days = state.days_of_others(&jobs).await?;
    Ok(days.iter().map(|days| describe(days)).collect())
}

/// Says which days a run leaves to other jobs, because their files are newer, and which it takes over from them: one
/// sentence for each of the two, and each pair of jobs.
pub(crate) fn describe(days: &[DayOfOther]) -> Vec<String> {
    let mut by_job: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
    for day in days {
        let DayOfOther {
            store_id,
            trans_date,
            file_url,
            other_job,
            other_file,
            is_newer,
        } = day;
        let named = format!("store {store_id} on {trans_date} ({file_url}, {other_file})");
        by_job.entry((*is_newer, other_job)).or_default().push(named);
    }
    let sentences = by_job.into_iter().map(|((is_newer, job), days)| {
        let days = some_of(&days);
        match is_newer {
            true => format!("leaves days to job {job}, whose files are newer: {days}"),
            false => format!("takes days over from job {job}, whose files are older: {days}"),
        }
    });
    sentences.collect()
}
