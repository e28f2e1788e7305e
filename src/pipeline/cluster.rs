//! Merges the partials of a run on the cluster of the settings, in place of this host.
//!
//! What counts is decided here, as for a merge on this host: the cluster gets a list of files, and for a file of which
//! only some days count, these days. It writes its result to a folder of the lake that only this operation has. Then that
//! is taken over ([`result`]): checked, compared with what the versions are recorded to hold ([`expected`]), and written
//! as the summary that everything else reads.
//!
//! The operation's id is recorded before it begins, so a restarted gristmill attaches to it. A process that dies leaves an
//! operation and a folder behind that nothing else ever reads.

mod expected;
mod result;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_cluster::{Cluster, ClusterError, Kept, Merge, MergeInput, OperationId};
use gristmill_engine::{EmptiedDay, FeedLayout, FileDays, SalesLayout, day_number, kept_days};
use gristmill_state::{ClaimedRun, VersionDay};
use jiff::civil::Date;
use object_store::path::Path as ObjectPath;

use self::expected::Expected;
use self::result::take_over;
use super::merge::{Chosen, Merged};
use super::partials::LostPartials;
use super::retry::StepError;
use super::{Components, crash_point, stopped};
use crate::lake::{copy_name, is_plain, result_folder, session_folder};
use crate::settings::ClusterSettings;

/// How long an operation may go on once the pipeline is stopped. It is then ended, in time for the stop.
const GRACE: Duration = Duration::from_secs(15);

/// The most files of which only some days count. Each is a branch of the plan, and engines plan slowly what has many.
const MOST_BRANCHES: usize = 1000;

/// How many partials are copied at once.
const COPIES: usize = 32;

/// Merges a run on a cluster, and puts the summary and the coverage into the lake, where they are not yet synced to
/// disk.
pub(super) async fn merge(
    components: &Components,
    run: &ClaimedRun,
    settings: &ClusterSettings,
    (feed, chosen): (&Arc<FeedLayout>, &[Chosen<'_>]),
    emptied: Vec<EmptiedDay>,
    names: (&ObjectPath, &ObjectPath),
) -> Result<Merged, StepError> {
    let client = settings.client.as_ref();
    let cluster = client.map_err(|problem| StepError::permanent(anyhow!("{problem}")))?;
    let sales = feed.sales().expect("reference feeds were sorted out before");
    let (merge, expected) = plan(components, sales, chosen).await?;
    let result = match merge.inputs.is_empty() {
        // All rows were left out: there is nothing to ask for.
        true => None,
        false => Some(operate(components, run, settings, cluster, &merge).await?),
    };
    let taken = take_over(
        components,
        feed,
        result.as_ref().map(|(_, folder)| folder),
        expected,
        emptied,
        names,
    )
    .await;
    if let Some((id, _)) = result {
        // A failure of the disk passes, and leaves a result that need not be computed again.
        let is_kept = taken.as_ref().is_err_and(StepError::is_outage);
        if !is_kept {
            forget(components, cluster, &id).await;
            crash_point("after-forget");
        }
    }
    taken
}

/// Decides what the cluster is to read, by lake paths, and what of it is expected.
async fn plan(
    components: &Components,
    sales: &SalesLayout,
    chosen: &[Chosen<'_>],
) -> Result<(Merge, Expected), StepError> {
    find_lost(components, chosen).await?;
    let ids: Vec<i64> = chosen.iter().map(|chosen| chosen.input.version_id).collect();
    let recorded = components.state.version_days(&ids).await?;
    let mut ordered: Vec<&Chosen<'_>> = chosen.iter().collect();
    ordered.sort_unstable_by_key(|chosen| chosen.input.age);
    let recorded: Vec<&[VersionDay]> = ordered
        .iter()
        .map(|chosen| {
            recorded
                .get(&chosen.input.version_id)
                .map_or(&[][..], Vec::as_slice)
        })
        .collect();
    let mut pairs = ordered.iter().zip(&recorded);
    if let Some((chosen, _)) = pairs.find(|(chosen, days)| chosen.input.version.rows > 0 && days.is_empty()) {
        let path = &chosen.input.file_url;
        return Err(StepError::permanent(anyhow!(
            "it is not recorded which days {path} holds: send it again"
        )));
    }
    // A day without sales is recorded, and has no row in the partial.
    let with_sales: Vec<Vec<&VersionDay>> = recorded
        .iter()
        .map(|days| days.iter().filter(|day| day.lines != Some(0)).collect())
        .collect();
    let days: Vec<Vec<(&str, Date)>> = with_sales
        .iter()
        .map(|days| {
            let days = days.iter();
            days.map(|day| (day.store_id.as_str(), day.trans_date)).collect()
        })
        .collect();
    let files: Vec<FileDays<'_>> = (0..)
        .zip(ordered.iter().zip(&days))
        .map(|(order, (chosen, days))| FileDays {
            order,
            selection: &chosen.selection,
            days,
        })
        .collect();
    let kept = kept_days(&files, sales.supersede);
    let mut expected = Expected::default();
    let (mut whole, mut inputs) = (Vec::new(), Vec::new());
    for ((chosen, days), kept) in ordered.iter().zip(&with_sales).zip(&kept) {
        let counting = days.iter().zip(kept).filter(|(_, is_kept)| **is_kept);
        let counting = counting.map(|(day, _)| (day.store_id.as_str(), day.trans_date, day.turnover));
        expected.add(chosen.partial, counting);
        let path = chosen.partial.to_owned();
        match kept.iter().filter(|is_kept| **is_kept).count() {
            0 => {}
            count if count == days.len() => whole.push(path),
            _ => inputs.push(MergeInput {
                paths: vec![path],
                kept: Some(some_of(days, kept)),
            }),
        }
    }
    if inputs.len() > MOST_BRANCHES {
        return Err(StepError::permanent(anyhow!(
            "of {} files only some days count, and a cluster can be given {MOST_BRANCHES} of these: have the job merged \
             on this host, `engine = \"local\"`",
            inputs.len()
        )));
    }
    if !whole.is_empty() {
        inputs.push(MergeInput {
            paths: whole,
            kept: None,
        });
    }
    let measures = sales
        .measures
        .iter()
        .map(|measure| measure.name.clone())
        .collect();
    Ok((Merge { inputs, measures }, expected))
}

/// Returns the days that are kept, or those that are not if these are fewer.
fn some_of(days: &[&VersionDay], kept: &[bool]) -> Kept {
    let count = kept.iter().filter(|is_kept| **is_kept).count();
    let are_named = 2 * count <= kept.len();
    let mut named: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (day, _) in days
        .iter()
        .zip(kept)
        .filter(|(_, is_kept)| **is_kept == are_named)
    {
        let of_store = named.entry(day.store_id.clone()).or_default();
        of_store.push(day_number(day.trans_date));
    }
    Kept {
        are_named,
        days: named,
    }
}

/// Fails if the lake lacks a partial: an engine might pass over it.
async fn find_lost(components: &Components, chosen: &[Chosen<'_>]) -> Result<(), StepError> {
    let partials: Vec<&str> = chosen.iter().map(|chosen| chosen.partial).collect();
    let inventory = components.lake.inventory_of(&partials).await;
    let partials = partials.into_iter().map(|partial| ((), partial.to_owned()));
    let lost = inventory
        .map_err(StepError::transient)?
        .missing(partials.collect())
        .await
        .map_err(StepError::transient)?;
    match lost.is_empty() {
        true => Ok(()),
        false => {
            let lost = lost.into_iter().map(|((), object)| object);
            Err(StepError::permanent(LostPartials::new(lost.collect())))
        }
    }
}

/// Has the cluster merge, and returns the operation once it is done, and the folder of its result.
async fn operate(
    components: &Components,
    run: &ClaimedRun,
    settings: &ClusterSettings,
    cluster: &Cluster,
    merge: &Merge,
) -> Result<(OperationId, ObjectPath), StepError> {
    let id = id_for(components, run, merge);
    let files: usize = merge.inputs.iter().map(|input| input.paths.len()).sum();
    if let Some(begun) = begun(components, run).await? {
        let folder = result_folder(&begun.session);
        if begun.operation == id.operation {
            tracing::info!(operation = %begun, "attaches to the operation that was begun on the cluster");
            match until_stopped(components, cluster, &begun, cluster.attach(&begun)).await? {
                Ok(()) if has_result(components, &folder).await? => return Ok((begun, folder)),
                // gristmill died after it had let go of it.
                Ok(()) => tracing::warn!(operation = %begun, "begun anew on the cluster: its result is gone"),
                // Its result may be half written, or it was given up because nobody asked for it.
                Err(error @ (ClusterError::Lost(_) | ClusterError::Failed(_))) => {
                    tracing::warn!(operation = %begun, "begun anew on the cluster: {error}");
                }
                // It may still go on.
                Err(error) => return Err(failed(error)),
            }
        }
        forget(components, cluster, &begun).await;
    }
    components
        .state
        .set_cluster_operation(&run.run_id, Some(&id.to_string()))
        .await?;
    let merge = reachable(components, settings, &id, merge).await?;
    tracing::info!(operation = %id, files, "merges on the cluster");
    crash_point("before-cluster");
    let folder = result_folder(&id.session);
    let output = format!("{}/{folder}", settings.lake);
    match until_stopped(components, cluster, &id, cluster.execute(&id, &merge, &output)).await? {
        Ok(()) => {
            crash_point("after-cluster");
            Ok((id, folder))
        }
        // It may go on, and the next attempt attaches to it.
        Err(error) if error.is_outage() => Err(failed(error)),
        Err(error) => {
            forget(components, cluster, &id).await;
            Err(failed(error))
        }
    }
}

async fn has_result(components: &Components, folder: &ObjectPath) -> Result<bool, StepError> {
    let rows = components
        .lake
        .rows_in(folder)
        .await
        .map_err(StepError::transient)?;
    Ok(!rows.is_empty())
}

/// Lets go of the operation that was begun for a run which this host merges now: a person changed the job since.
pub(super) async fn let_go(components: &Components, run: &ClaimedRun) -> Result<(), StepError> {
    let Some(begun) = begun(components, run).await? else {
        return Ok(());
    };
    let settings = components.settings.cluster.as_ref();
    match settings.and_then(|settings| settings.client.as_ref().ok()) {
        Some(cluster) => {
            tracing::info!(operation = %begun, "ends the operation on the cluster, because this host merges now");
            if let Err(error) = cluster.interrupt(&begun).await {
                tracing::warn!(operation = %begun, "the operation may go on, because it could not be ended: {error}");
            }
            forget(components, cluster, &begun).await;
        }
        None => tracing::warn!(
            operation = %begun,
            "forgets the operation that was begun on a cluster that the settings no longer have: it may go on"
        ),
    }
    components.state.set_cluster_operation(&run.run_id, None).await?;
    Ok(())
}

/// Returns what the cluster is to read by the URLs under which it reaches it. Partials whose names engines read
/// differently are copied first.
async fn reachable(
    components: &Components,
    settings: &ClusterSettings,
    id: &OperationId,
    merge: &Merge,
) -> Result<Merge, StepError> {
    let mut merge = merge.clone();
    let paths = merge.inputs.iter_mut().flat_map(|input| &mut input.paths);
    let mut copies = Vec::new();
    for (number, path) in paths.enumerate() {
        if !is_plain(path) {
            let copy = copy_name(&id.session, number);
            copies.push((std::mem::replace(path, copy.to_string()), copy));
        }
        *path = format!("{}/{path}", settings.lake);
    }
    stream::iter(copies)
        .map(|(path, copy)| async move { components.lake.copy_for_cluster(&path, &copy).await })
        .buffer_unordered(COPIES)
        .try_collect::<()>()
        .await
        .map_err(StepError::transient)?;
    Ok(merge)
}

/// Makes the id of a new operation, in a session of its own. The operation's own id is the same whenever the run has the
/// cluster do the same.
fn id_for(components: &Components, run: &ClaimedRun, merge: &Merge) -> OperationId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(components.settings.state.to_string().as_bytes());
    hasher.update(run.run_id.as_bytes());
    hasher.update(&merge.fingerprint());
    let operation = hasher.finalize();
    let now = components.clock.now().as_nanosecond();
    let session = hasher.update(&now.to_le_bytes()).finalize();
    OperationId::of(session.as_bytes(), operation.as_bytes())
}

/// Returns the operation that was recorded for a run.
async fn begun(components: &Components, run: &ClaimedRun) -> Result<Option<OperationId>, StepError> {
    let row = components.state.run(&run.run_id).await?;
    // What somebody garbled is none.
    Ok(row.and_then(|row| row.cluster_operation?.parse().ok()))
}

/// Waits for an operation. If the pipeline is stopped meanwhile and it does not end soon, it is ended.
async fn until_stopped(
    components: &Components,
    cluster: &Cluster,
    id: &OperationId,
    operation: impl Future<Output = Result<(), ClusterError>>,
) -> Result<Result<(), ClusterError>, StepError> {
    let mut stop = components.patience.stopped.clone();
    let out_of_time = async {
        stopped(&mut stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = operation => Ok(done),
        () = out_of_time => {
            Err(StepError::outage(match cluster.interrupt(id).await {
                Ok(()) => anyhow!(
                    "gristmill was stopped, so the cluster's operation was ended; the next start begins it anew"
                ),
                Err(error) => anyhow!(
                    "gristmill was stopped, and the cluster's operation {id} may go on, because it could not be ended \
                     ({error}); the next start attaches to it, or begins it anew"
                ),
            }))
        }
    }
}

/// Lets go of an operation and of what it wrote. What cannot be let go of harms nobody: nothing reads it, the cluster
/// forgets it by itself, and the next start removes the folder.
async fn forget(components: &Components, cluster: &Cluster, id: &OperationId) {
    if let Err(error) = cluster.release(id).await {
        tracing::debug!(operation = %id, "the operation could not be released: {error}");
    }
    let folder = session_folder(&id.session);
    if let Err(error) = components.lake.remove_folder(&folder).await {
        tracing::warn!("{error:#}; the next start removes it");
    }
}

/// Removes the folders of sessions that no run needs any more. Call it only while nothing is being merged.
pub(super) async fn remove_leftovers(components: &Components) -> Result<(), StepError> {
    let sessions = components.lake.sessions().await.map_err(StepError::transient)?;
    if sessions.is_empty() {
        return Ok(());
    }
    let active = components.state.cluster_operations().await?;
    let active: Vec<OperationId> = active
        .iter()
        .filter_map(|operation| operation.parse().ok())
        .collect();
    let is_active = |session: &String| active.iter().any(|operation| operation.session == *session);
    for session in sessions.iter().filter(|session| !is_active(session)) {
        let folder = session_folder(session);
        components
            .lake
            .remove_folder(&folder)
            .await
            .map_err(StepError::transient)?;
        tracing::info!("removed {folder} from the lake, which no run needs any more");
    }
    Ok(())
}

/// Makes the failure of a run from that of the cluster.
fn failed(error: ClusterError) -> StepError {
    match (error.is_outage(), error.is_permanent()) {
        (true, _) => StepError::outage(error),
        (_, true) => StepError::permanent(error),
        _ => StepError::transient(error),
    }
}
