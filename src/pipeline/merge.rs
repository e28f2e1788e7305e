//! Merges what counts of a run's inputs into its summary.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use gristmill_engine::{
    DayEffect as Effect, EmptiedDay, EngineError, FeedLayout, Partial, RunPartial, Scratch, Selection,
    SummaryOutputs, SummaryReport, covers_day, summarize,
};
use gristmill_state::{ClaimedRun, DayEffect, InputDays, InputFile};
use jiff::civil::Date;
use object_store::path::Path as ObjectPath;

#[cfg(feature = "cluster")]
use super::cluster;
use super::delegation::{By, Ending, Room, merge_by_worker};
use super::retry::StepError;
use super::{Components, crash_point, partials};
use crate::lake::Unsynced;
use crate::preconditions::JobParams;
use crate::settings::NO_CLUSTER;

/// What came of merging.
pub(super) enum Merged {
    /// The summary and its coverage are in the lake, where they are not yet synced to disk.
    Done(SummaryReport, Unsynced),
    /// The sums of several files overflow together.
    Overflow(EngineError),
}

/// Has the partials of a run merged, by whom it belongs to: a cluster, a worker, or this process. The summary and coverage
/// are in the lake then, where they may not yet be synced to disk.
pub(super) async fn merge(
    components: &Components,
    run: &ClaimedRun,
    room: &mut Room,
    summary: &ObjectPath,
    coverage: &ObjectPath,
) -> Result<Merged, StepError> {
    let (feed, chosen) = chosen(components, run)?;
    warn_of_other_days(run);
    if takes_cluster(components, run, &chosen).await? {
        let no_cluster = || StepError::permanent(anyhow!("job {}: engine: {NO_CLUSTER}", run.job_id));
        #[cfg(feature = "cluster")]
        {
            let cluster = components.settings.cluster.as_ref().ok_or_else(no_cluster)?;
            let (read, names) = ((&feed, chosen.as_slice()), (summary, coverage));
            return cluster::merge(components, run, cluster, read, emptied(run, &feed), names).await;
        }
        #[cfg(not(feature = "cluster"))]
        return Err(no_cluster());
    }
    #[cfg(feature = "cluster")]
    cluster::let_go(components, run).await?;
    if room.by() == By::Worker {
        if let Ending::Done(merged) = merge_by_worker(components, run).await {
            return Ok(merged);
        }
        room.come_home(&components.runs).await;
    }
    merge_partials(components, run, (&feed, chosen), summary, coverage, false).await
}

/// Merges a run as a worker. The summary and coverage are on disk before they have their names: if it was taken for dead, the
/// state database may refer to these already.
pub(super) async fn merge_for_service(
    components: &Components,
    run: &ClaimedRun,
    summary: &ObjectPath,
    coverage: &ObjectPath,
) -> Result<Merged, StepError> {
    let (feed, chosen) = chosen(components, run)?;
    merge_partials(components, run, (&feed, chosen), summary, coverage, true).await
}

/// Merges the partials of a run. With `syncs_first`, nothing has its name before it is on disk.
async fn merge_partials(
    components: &Components,
    run: &ClaimedRun,
    (feed, chosen): (&Arc<FeedLayout>, Vec<Chosen<'_>>),
    summary: &ObjectPath,
    coverage: &ObjectPath,
    syncs_first: bool,
) -> Result<Merged, StepError> {
    let objects: Vec<&str> = chosen.iter().map(|chosen| chosen.partial).collect();
    let fetched = partials::fetch(components, &objects).await?;
    let local: Vec<_> = objects
        .iter()
        .zip(&fetched)
        .map(|(object, file)| ((*object).to_owned(), file.path().to_owned()))
        .collect();
    let chosen = chosen
        .into_iter()
        .map(|chosen| (chosen.input.age, chosen.selection));
    let mut ordered: Vec<_> = chosen.zip(fetched).collect();
    ordered.sort_unstable_by_key(|((age, _), _)| *age);
    let emptied = emptied(run, feed);
    let feed = feed.clone();
    let folder = components.lake.scratch();
    let memory = components.memory.merges.clone();
    let outputs = (components.lake.spool(), components.lake.spool());
    let (lake, names) = (components.lake.clone(), (summary.clone(), coverage.clone()));
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
        let published = |object: &ObjectPath| {
            if *object == names.0 {
                crash_point("after-summary");
            }
        };
        let unsynced = match syncs_first {
            true => lake
                .publish_each(objects, published)
                .map(|()| Unsynced::default()),
            false => lake.publish_unsynced(objects, published),
        };
        Ok(Merged::Done(report, unsynced.map_err(StepError::transient)?))
    });
    merged.await.map_err(StepError::permanent)?
}

/// A version whose partial a run reads.
pub(super) struct Chosen<'r> {
    pub(super) input: &'r InputFile,
    /// What of it counts.
    pub(super) selection: Selection,
    /// Lake path of its partial.
    pub(super) partial: &'r str,
}

/// Returns the feed of a run's files, and what the run reads of them.
fn chosen<'r>(
    components: &Components,
    run: &'r ClaimedRun,
) -> Result<(Arc<FeedLayout>, Vec<Chosen<'r>>), StepError> {
    let feed = run
        .inputs
        .first()
        .and_then(|input| components.settings.feeds.get(&input.feed))
        .filter(|feed| feed.sales().is_some())
        .cloned()
        .context("the run's files do not belong to an aggregated feed of the settings")
        .map_err(StepError::permanent)?;
    let mut chosen = Vec::new();
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
        if !feed
            .of_file(&input.file_url)
            .sums_with(&input.version.layout_digest)
        {
            return Err(StepError::permanent(stale()));
        }
        let partial = input
            .version
            .partial
            .as_deref()
            .ok_or_else(|| StepError::permanent(removed()))?;
        chosen.push(Chosen {
            input,
            selection: selection(&input.days),
            partial,
        });
    }
    Ok((feed, chosen))
}

/// Returns whether a run's job has its cluster merge it.
async fn takes_cluster(
    components: &Components,
    run: &ClaimedRun,
    chosen: &[Chosen<'_>],
) -> Result<bool, StepError> {
    let job = components.state.job(&run.job_id).await?;
    // What cannot be read asks for nothing.
    let params = job.and_then(|job| serde_json::from_str::<JobParams>(&job.config.params).ok());
    let rows = chosen.iter().map(|chosen| chosen.input.version.rows).sum();
    let takes_it = params.is_some_and(|params| params.engine.takes_cluster(rows, params.cluster_rows));
    Ok(takes_it && !chosen.is_empty())
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
    components: &Components,
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
        let file = components
            .lake
            .fetch(object)
            .await
            .map_err(StepError::transient)?;
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

/// Lists the days that a run covers without reading a row of them: those that were taken out, and those of files that
/// say that nothing was sold.
fn emptied(run: &ClaimedRun, feed: &Arc<FeedLayout>) -> Vec<EmptiedDay> {
    let without_sales = run.inputs.iter().filter_map(|input| {
        let version = &input.version;
        let is_without_records = version.rows + version.ignored + version.rejects == 0;
        let (layout, _) = feed.reader(&input.file_url).filter(|_| is_without_records)?;
        let (store_id, day) = layout.day_without_sales()?;
        let counts = selection(&input.days).effect(&store_id, day) != Effect::LeftOut;
        counts.then_some((store_id, day))
    });
    let named = run.inputs.iter().flat_map(|input| &input.days.named);
    let emptied = named.filter(|day| day.effect == DayEffect::Emptied);
    let emptied = emptied.map(|day| (day.store_id.clone(), day.trans_date));
    emptied.chain(without_sales).collect()
}
