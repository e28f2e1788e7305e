//! The warehouse's ledger beside the state database: the ledger's entries as the state database compares them, and what
//! to tell people where the two disagree.

use gristmill_loader::{LedgerEntry, LoadError, Warehouse};
use gristmill_state::{LedgerLoad, LedgerNews, RunRow, StateDb, StateError};
use jiff::civil::Date;

/// Returns the scope of a run, within which loads are ordered: its job, or its job and day.
pub(crate) fn scope(job_id: &str, wave: Option<Date>) -> String {
    match wave {
        Some(date) => format!("{job_id}/{date}"),
        None => job_id.to_owned(),
    }
}

/// Reads the newest load of each job and wave from the ledger; with `scope`, that of one.
pub(crate) async fn newest_loads(
    warehouse: &dyn Warehouse,
    scope: Option<&str>,
) -> Result<Vec<LedgerLoad>, LoadError> {
    let entries = warehouse.newest_loads(scope).await?;
    Ok(entries.into_iter().filter_map(load).collect())
}

/// Compares the state database with the ledger, and returns where they disagree.
pub(crate) async fn compare<E>(state: &StateDb, warehouse: &dyn Warehouse) -> Result<LedgerNews, E>
where
    E: From<LoadError> + From<StateError>,
{
    let loads = newest_loads(warehouse, None).await?;
    let news = state.compare_with_ledger(&loads).await?;
    let mut is_found = false;
    for run in &news.lost {
        // It may have been loaded since the ledger was read.
        if warehouse.ledger_entry(&run.run_id).await?.is_some() {
            state.found_in_warehouse(&run.run_id).await?;
            is_found = true;
        }
    }
    match is_found {
        true => Ok(state.ledger_news(None).await?),
        false => Ok(news),
    }
}

/// Returns the load that an entry stands for; `None` if its scope was not made here.
fn load(entry: LedgerEntry) -> Option<LedgerLoad> {
    let (job_id, wave) = match entry.scope.split_once('/') {
        Some((job_id, day)) => (job_id.to_owned(), Some(day.parse().ok()?)),
        None => (entry.scope, None),
    };
    Some(LedgerLoad {
        target: entry.target,
        run_id: entry.run_id,
        job_id,
        wave,
        sequence: entry.sequence,
        rows: entry.rows,
        loaded: entry.loaded_at,
    })
}

/// Says that the ledger has a run which the state database does not know, and what to do.
pub(crate) fn unknown_run(load: &LedgerLoad) -> String {
    let LedgerLoad {
        run_id, loaded, rows, ..
    } = load;
    format!(
        "the warehouse's ledger has run {run_id} ({rows} rows, loaded {loaded}), which the state database does not know: \
         the state database was lost, or is an older copy. To protect newer rows, the job loads nothing. Stop gristmill, \
         then run `gristmill state check --repair`"
    )
}

/// Says that the warehouse lacks what a run loaded, and what to do.
pub(crate) fn lost_load(run: &RunRow) -> String {
    let (run_id, job) = (&run.run_id, &run.job_id);
    let rows = run.summary.as_ref().map_or(0, |summary| summary.rows);
    let date = run
        .wave
        .map_or_else(String::new, |date| format!(" --date {date}"));
    format!(
        "the warehouse does not have the {rows} rows that run {run_id} loaded: it was lost or set back. `gristmill load \
         --verify {job} --repair` loads the summary again, or, where the lake no longer has it, `gristmill jobs run \
         {job}{date}` the files in force"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_a_load_names_its_job_and_day() {
        let of = |scope: &str| {
            let load = load(LedgerEntry {
                run_id: "r".into(),
                target: "t".into(),
                scope: scope.into(),
                sequence: 1,
                rows: 2,
                digest: String::new(),
                loaded_at: String::new(),
            });
            load.map(|load| (load.job_id, load.wave))
        };
        let day = jiff::civil::date(2026, 3, 8);
        for (job, wave) in [("a job", None), ("J", Some(day))] {
            assert_eq!(of(&scope(job, wave)), Some((job.to_owned(), wave)));
        }
        assert_eq!(of("J/no day"), None);
    }
}
