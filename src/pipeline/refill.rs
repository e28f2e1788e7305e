//! Fills a warehouse that was lost or set back from the summaries in the lake.
//!
//! The last summary of a job does not suffice: a store's file often holds the current day alone, and the days before were
//! loaded by earlier runs. So all lost loads are gone through from the newest to the oldest, and each is needed that
//! covers a day which no later one covers. Those are loaded in their order, as they were before.

use std::collections::HashSet;

use gristmill_loader::{GatheredDays, Load, LoadError, LoadMode, LoadOutcome};
use gristmill_state::{LedgerNews, RunRow};

use super::Components;
use super::retry::StepError;
use super::summaries::{digest_of, summary_files};
use crate::lake::LocalFile;
use crate::ledger::{lost_load, scope};

/// A lost load that has to be repeated, with its summary and coverage.
struct Needed {
    run: RunRow,
    files: [LocalFile; 2],
}

/// Loads again what the warehouse lost, except what belongs to jobs that are stopped. What cannot be loaded is told.
pub(super) async fn refill(components: &Components, news: &LedgerNews) -> Result<(), StepError> {
    if !components.settings.refill {
        for run in &news.lost {
            tracing::error!(
                job = run.job_id,
                "{}. It is not filled again by itself, because warehouse.refill is false",
                lost_load(run)
            );
        }
        return Ok(());
    }
    for needed in needed(components, news).await? {
        let run = &needed.run;
        match load_again(components, &needed).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => tell(news, run, &error.to_string()),
        }
    }
    Ok(())
}

/// Finds the lost loads whose rows would stand in the warehouse, in the order of loads.
async fn needed(components: &Components, news: &LedgerNews) -> Result<Vec<Needed>, StepError> {
    let lost = components.state.lost_loads().await?;
    let lost = lost.into_iter().rev().filter(|run| !news.stops(&run.job_id));
    let mode = components.settings.target.mode;
    let (mut days, mut needed) = (GatheredDays::default(), Vec::new());
    // Jobs and waves of which nobody knows any more which days a load covered: an older one could hold an older state.
    let mut unsure = HashSet::new();
    for run in lost {
        let wave = (run.job_id.clone(), run.wave);
        if unsure.contains(&wave) {
            tell(
                news,
                &run,
                "it is not known which of its days a later load replaced",
            );
            continue;
        }
        let files = match &run.summary {
            Some(summary) => summary_files(&components.lake, summary).await,
            None => Ok(None),
        };
        let Some(files) = files.map_err(StepError::transient)? else {
            tell(news, &run, "its summary is no longer in the lake");
            let coverage = run
                .summary
                .as_ref()
                .and_then(|summary| summary.coverage_object.as_ref());
            let coverage = match coverage {
                Some(object) => components.lake.find(object).await.map_err(StepError::transient)?,
                None => None,
            };
            match coverage {
                // An older load of these days is not what the warehouse held.
                Some(file) => {
                    days.add(file.path()).await?;
                }
                None => {
                    unsure.insert(wave);
                }
            }
            continue;
        };
        let has_more = match days.add(files[1].path()).await {
            Ok(has_more) => has_more,
            Err(error @ LoadError::Input { .. }) => {
                tell(news, &run, &StepError::permanent(error).to_string());
                unsure.insert(wave);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let is_needed = match mode {
            LoadMode::ReplaceDays => has_more || is_last(news, &run),
            // Rows that a later summary lacks stay.
            LoadMode::Upsert => true,
            // The last load replaces the whole table; the others count as loaded.
            LoadMode::Reload => is_last(news, &run),
        };
        if is_needed {
            needed.push(Needed { run, files });
        }
    }
    needed.reverse();
    Ok(needed)
}

/// Returns whether a run is the last load of its job and wave.
fn is_last(news: &LedgerNews, run: &RunRow) -> bool {
    news.lost.iter().any(|last| last.run_id == run.run_id)
}

/// Says that a lost load cannot be repeated, and what to do.
fn tell(news: &LedgerNews, run: &RunRow, reason: &str) {
    match is_last(news, run) {
        true => tracing::error!(
            job = run.job_id,
            run_id = run.run_id,
            "{}: {reason}",
            lost_load(run)
        ),
        false => tracing::error!(
            job = run.job_id,
            run_id = run.run_id,
            "the warehouse has lost an earlier load, which cannot be repeated: {reason}; the days that only this run \
             covered are missing: restore the warehouse from its backup, or use `gristmill replay {}`",
            run.job_id
        ),
    }
}

/// Loads the summary of a run into a warehouse that lost it.
async fn load_again(components: &Components, Needed { run, files }: &Needed) -> Result<(), StepError> {
    let refused = |reason: &str| Err(StepError::permanent(anyhow::anyhow!("{reason}")));
    let Some(record) = &run.summary else {
        return refused("its summary is no longer in the lake");
    };
    let [summary, coverage] = files;
    if digest_of(summary, &record.object).await? != record.digest {
        return refused("its summary in the lake is damaged");
    }
    let load = Load {
        run_id: run.run_id.clone(),
        scope: scope(&run.job_id, run.wave),
        sequence: run.sequence,
        summary: summary.path().to_owned(),
        coverage: coverage.path().to_owned(),
        rows: record.rows,
        digest: record.digest.clone(),
        base: None,
        is_safe: None,
    };
    let bar = components.progress.load(&run.run_id, load.rows);
    let outcome = components
        .warehouse
        .load(&load, &|rows| bar.set_position(rows))
        .await;
    bar.finish_and_clear();
    match outcome {
        Ok(LoadOutcome::Loaded(_) | LoadOutcome::AlreadyLoaded(_)) => {
            components.state.found_in_warehouse(&run.run_id).await?;
            tracing::warn!(
                job = run.job_id,
                run_id = run.run_id,
                rows = record.rows,
                "the warehouse had lost this run, which was loaded again from its summary"
            );
            Ok(())
        }
        Ok(LoadOutcome::Superseded { by }) => refused(&format!("run {} was loaded since", by.run_id)),
        // The file is whole, so the lake is not damaged: the settings ask for other columns than it has.
        Err(error @ LoadError::Input { .. }) => Err(StepError::permanent(error)),
        Err(error) => Err(error.into()),
    }
}
