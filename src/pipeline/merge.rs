//! Merges what counts of a run's inputs into its summary.

use anyhow::Context;
use gristmill_engine::{
    DayEffect as Effect, EmptiedDay, EngineError, Partial, RunPartial, Scratch, Selection, SummaryOutputs,
    SummaryReport, covers_day, summarize,
};
use gristmill_state::{ClaimedRun, DayEffect, InputDays, InputFile};
use jiff::civil::Date;
use object_store::path::Path as ObjectPath;

use super::retry::StepError;
use super::{Parts, crash_point, partials};
use crate::lake::Unsynced;

/// What came of merging.
pub(super) enum Merged {
    /// The summary and its coverage are in the lake, where they are not yet synced to disk.
    Done(SummaryReport, Unsynced),
    /// The sums of several files overflow together.
    Overflow(EngineError),
}

/// Merges the partials of a run, and puts the summary and coverage into the lake, where they are not yet synced to
/// disk.
pub(super) async fn merge(
    parts: &Parts,
    run: &ClaimedRun,
    summary: &ObjectPath,
    coverage: &ObjectPath,
) -> Result<Merged, StepError> {
    let feed = run
        .inputs
        .first()
        .and_then(|input| parts.settings.feeds.get(&input.feed))
        .filter(|feed| feed.sales().is_some())
        .cloned()
        .context("the run's files do not belong to an aggregated feed of the settings")
        .map_err(StepError::permanent)?;
    let (mut chosen, mut objects) = (Vec::new(), Vec::new());
    for input in run.inputs.iter().filter(|input| !input.days.is_unread()) {
        let stale = || {
            let path = &input.file_url;
            anyhow::anyhow!(
                "{path} is not yet converted with the current feed settings: if it is gone from its source, send it again"
            )
        };
        let removed = || {
            let path = &input.file_url;
            anyhow::anyhow!(
                "the partial of {path} was removed from the lake by its retention: send the file again"
            )
        };
        if !feed.sums_with(&input.version.layout_digest) {
            return Err(StepError::permanent(stale()));
        }
        let object = input
            .version
            .partial
            .as_deref()
            .ok_or_else(|| StepError::permanent(removed()))?;
        chosen.push((input.age, selection(&input.days)));
        objects.push(object);
    }
    warn_of_other_days(run);
    let fetched = partials::fetch(parts, &objects).await?;
    let local: Vec<_> = objects
        .iter()
        .zip(&fetched)
        .map(|(object, file)| ((*object).to_owned(), file.path().to_owned()))
        .collect();
    let mut ordered: Vec<_> = chosen.into_iter().zip(fetched).collect();
    ordered.sort_unstable_by_key(|((age, _), _)| *age);
    let emptied = emptied(run);
    let folder = parts.lake.scratch();
    let memory = parts.memory.merges.clone();
    let outputs = (parts.lake.spool(), parts.lake.spool());
    let (lake, names) = (parts.lake.clone(), (summary.clone(), coverage.clone()));
    let merged = tokio::task::spawn_blocking(move || {
        let sales = feed.sales().expect("reference feeds were sorted out above");
        let paths = SummaryOutputs {
            summary: outputs.0.path(),
            coverage: outputs.1.path(),
        };
        let stored = (0..)
            .zip(&ordered)
            .map(|(order, ((_, selection), file))| RunPartial {
                partial: Partial::stored(file.path().to_owned(), sales),
                order,
                selection: selection.clone(),
            });
        let scratch = Scratch {
            folder: &folder,
            memory: &memory,
        };
        let report = match summarize(stored.collect(), &emptied, sales, paths, scratch) {
            Err(error @ EngineError::Overflow { .. }) => return Ok(Merged::Overflow(error)),
            summarized => summarized.map_err(|error| partials::damaged(error, &local))?,
        };
        let objects = vec![(outputs.0, names.0.clone()), (outputs.1, names.1)];
        let unsynced = lake.publish_unsynced(objects, |object| {
            if *object == names.0 {
                crash_point("after-summary");
            }
        });
        Ok(Merged::Done(report, unsynced.map_err(StepError::transient)?))
    });
    merged.await.map_err(StepError::permanent)?
}

/// Warns if the files of a dated wave hold other days too: their rows replace those of the other days' own waves, and
/// are replaced by them.
fn warn_of_other_days(run: &ClaimedRun) {
    let Some(date) = run.wave else { return };
    let strays = |input: &&InputFile| {
        let days = [input.version.first_date, input.version.last_date];
        days.into_iter().flatten().any(|day| day != date)
    };
    if let Some(input) = run.inputs.iter().find(strays) {
        tracing::warn!(
            path = input.file_url,
            "holds days other than {date}, the date in its name; for such a day, only the last wave to load it counts"
        );
    }
}

/// Finds the newest of the inputs whose sums overflow together: the one that carried them over.
pub(super) async fn culprit<'r>(
    parts: &Parts,
    run: &'r ClaimedRun,
    store_id: &str,
    trans_date: Date,
) -> Result<Option<&'r InputFile>, StepError> {
    let counts = |input: &&InputFile| selection(&input.days).effect(store_id, trans_date) != Effect::LeftOut;
    let mut inputs: Vec<&InputFile> = run.inputs.iter().filter(counts).collect();
    inputs.sort_by_key(|input| std::cmp::Reverse(input.submission_id));
    for input in inputs {
        let Some(object) = &input.version.partial else {
            continue;
        };
        let file = parts.lake.fetch(object).await.map_err(StepError::transient)?;
        let store_id = store_id.to_owned();
        let covers = tokio::task::spawn_blocking(move || covers_day(file.path(), &store_id, trans_date));
        if covers.await.map_err(StepError::permanent)?? {
            return Ok(Some(input));
        }
    }
    Ok(None)
}

/// Converts what counts of an input to the form that the engine uses.
pub(crate) fn selection(days: &InputDays) -> Selection {
    let start = match days.others_count {
        true => Selection::all(),
        false => Selection::none(),
    };
    days.named.iter().fold(start, |selection, day| {
        let effect = match day.effect {
            DayEffect::LeftOut | DayEffect::Emptied => Effect::LeftOut,
            DayEffect::Counts => Effect::Counts,
            DayEffect::Added => Effect::Added,
        };
        selection.with(&day.store_id, day.trans_date, effect)
    })
}

/// Lists the days that a run covers without reading a row of them.
fn emptied(run: &ClaimedRun) -> Vec<EmptiedDay> {
    let named = run.inputs.iter().flat_map(|input| &input.days.named);
    let emptied = named.filter(|day| day.effect == DayEffect::Emptied);
    emptied
        .map(|day| (day.store_id.clone(), day.trans_date))
        .collect()
}
