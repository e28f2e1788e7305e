//! Takes over what a cluster has merged: read, compared with what the files hold, and written as the summary.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_engine::{
    EmptiedDay, EngineError, ExactTotals, FeedLayout, SalesLayout, Scratch, StoreDays, SummaryOutputs,
    SummaryReport, add_exact_totals, summarize_parts,
};
use object_store::path::Path as ObjectPath;

use super::super::merge::Merged;
use super::super::retry::StepError;
use super::super::{Components, crash_point, partials};
use super::expected::{Expected, Open, differs, totals_differ};
use crate::lake::Spooled;

/// How many partials are fetched at once to be added up.
const PARTIALS: usize = 32;

/// What came of writing the summary and the coverage.
enum Written {
    Done(SummaryReport, Open),
    Overflow(EngineError),
}

/// Takes over the result in a folder, if there is one.
pub(super) async fn take_over(
    components: &Components,
    feed: &Arc<FeedLayout>,
    folder: Option<&ObjectPath>,
    expected: Expected,
    emptied: Vec<EmptiedDay>,
    names: (&ObjectPath, &ObjectPath),
) -> Result<Merged, StepError> {
    let outputs = (components.lake.spool(), components.lake.spool());
    let paths = (outputs.0.path().to_owned(), outputs.1.path().to_owned());
    let report = match write(components, feed, folder, expected, emptied, paths).await? {
        Written::Overflow(error) => return Ok(Merged::Overflow(error)),
        Written::Done(report, open) => {
            settle(components, feed, &outputs.0, open).await?;
            report
        }
    };
    let (lake, names) = (components.lake.clone(), (names.0.clone(), names.1.clone()));
    let published = tokio::task::spawn_blocking(move || {
        let objects = vec![(outputs.0, names.0.clone()), (outputs.1, names.1)];
        lake.publish_unsynced(objects, |object| {
            if *object == names.0 {
                crash_point("after-summary");
            }
        })
    });
    let unsynced = published.await.map_err(StepError::permanent)?;
    Ok(Merged::Done(report, unsynced.map_err(StepError::transient)?))
}

/// Writes the summary and the coverage to local files (`paths`), and compares them with what is recorded.
async fn write(
    components: &Components,
    feed: &Arc<FeedLayout>,
    folder: Option<&ObjectPath>,
    expected: Expected,
    emptied: Vec<EmptiedDay>,
    paths: (PathBuf, PathBuf),
) -> Result<Written, StepError> {
    let objects = match folder {
        Some(folder) => components
            .lake
            .rows_in(folder)
            .await
            .map_err(StepError::transient)?,
        None => Vec::new(),
    };
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let files = components
        .lake
        .fetch_all(&objects)
        .await
        .map_err(StepError::transient)?;
    let (scratch, memory) = (components.lake.scratch(), components.memory.merges.clone());
    let feed = feed.clone();
    let written = tokio::task::spawn_blocking(move || {
        let sales = sales(&feed);
        let outputs = SummaryOutputs {
            summary: &paths.0,
            coverage: &paths.1,
        };
        let scratch = Scratch {
            folder: &scratch,
            memory: &memory,
        };
        let merged: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
        let report = match summarize_parts(&merged, &emptied, sales, outputs, scratch) {
            Err(error @ EngineError::Overflow { .. }) => return Ok(Written::Overflow(error)),
            summarized => summarized?,
        };
        Ok(Written::Done(report, expected.compare(outputs.summary, sales)?))
    });
    written.await.map_err(StepError::permanent)?
}

/// Fails unless a summary has of each open day what the partials add up to, measure by measure.
async fn settle(
    components: &Components,
    feed: &Arc<FeedLayout>,
    summary: &Spooled,
    open: Open,
) -> Result<(), StepError> {
    if open.is_empty() {
        return Ok(());
    }
    let mut days = StoreDays::new();
    for (store_id, of_partial) in open.values().flatten() {
        days.entry(store_id.clone()).or_default().extend(of_partial);
    }
    tracing::info!(
        files = open.len(),
        days = days.values().map(|days| days.len()).sum::<usize>(),
        "adds up days of which files take off what others add"
    );
    let mut totals = ExactTotals::new();
    let open: Vec<(String, StoreDays)> = open.into_iter().collect();
    for group in open.chunks(PARTIALS) {
        let objects: Vec<&str> = group.iter().map(|(object, _)| object.as_str()).collect();
        let files = partials::fetch(components, &objects).await?;
        let (feed, group) = (feed.clone(), group.to_vec());
        let added = tokio::task::spawn_blocking(move || {
            let mut totals = totals;
            let local: Vec<_> = group
                .iter()
                .zip(&files)
                .map(|((object, _), file)| (object.clone(), file.path().to_owned()))
                .collect();
            for ((_, path), (_, days)) in local.iter().zip(&group) {
                add_exact_totals(path, sales(&feed), days, &mut totals)
                    .map_err(|error| partials::damaged(error, &local))?;
            }
            Ok::<_, StepError>(totals)
        });
        totals = added.await.map_err(StepError::permanent)??;
    }
    let (feed, path) = (feed.clone(), summary.path().to_owned());
    let compared = tokio::task::spawn_blocking(move || compare(&path, sales(&feed), &days, &totals));
    compared.await.map_err(StepError::permanent)?
}

fn compare(
    summary: &Path,
    sales: &SalesLayout,
    days: &StoreDays,
    totals: &ExactTotals,
) -> Result<(), StepError> {
    let mut found = ExactTotals::new();
    add_exact_totals(summary, sales, days, &mut found)?;
    // The summary has each of these days, and so has a partial.
    let different = found.iter().find(|(day, sums)| totals.get(*day) != Some(*sums));
    match different {
        None => Ok(()),
        Some(((store_id, day), _)) => Err(differs(&totals_differ(store_id, *day))),
    }
}

fn sales(feed: &FeedLayout) -> &SalesLayout {
    feed.sales().expect("reference feeds were sorted out before")
}
