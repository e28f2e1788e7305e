//! Partials that the lake has lost: they are made anew from the source, and runs that need them wait for that.
//!
//! A partial is lost if its object is gone or cannot be read. Where the source still has the file, the file is marked to
//! be read again: its bytes no longer count as known, so they are converted once more. Where the source no longer has
//! it, only a person can help.

use std::collections::BTreeSet;
use std::path::PathBuf;

use gristmill_engine::{EngineError, covers_day};
use gristmill_state::{ClaimedRun, MemberPlace};
use jiff::civil::Date;

use super::Components;
use super::conversion::content;
use super::retry::StepError;
use super::sources::Sources;
use crate::lake::LocalFile;
use crate::preconditions::some_of;

/// A run cannot go on without these partials.
#[derive(Debug, thiserror::Error)]
#[error("the lake has lost partials: {}", some_of(.0))]
pub(super) struct LostPartials(Vec<String>);

/// What becomes of a run whose partials were lost.
pub(super) enum Fate {
    /// It is in the queue again, until its files have been read.
    Waits { files: Vec<String> },
    /// It has to fail, with this reason.
    Fails(String),
}

/// Says that neither the lake nor the source has what a run needs, and what to do.
fn out_of_reach(files: &[String]) -> String {
    format!(
        "the lake has lost the partials of {}, and the source no longer has these files: restore the lake from its \
         backup, then run `gristmill retry`; or send the files again",
        some_of(files)
    )
}

/// Finds the partials in force that the lake has lost, before anything is read.
pub(super) async fn find_lost(components: &Components) -> Result<(), StepError> {
    let inventory = components.lake.inventory().await.map_err(StepError::transient)?;
    let (mut lost, mut after) = (Vec::new(), String::new());
    loop {
        let page = components.state.partials_in_force(&after).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        lost.extend(inventory.missing(page).await.map_err(StepError::transient)?);
    }
    if lost.is_empty() {
        return Ok(());
    }
    let Sorted { there, gone, .. } = sort(components, lost).await?;
    if !there.is_empty() {
        components.state.lose_partials(&there, None).await?;
        let files: Vec<String> = there.into_iter().map(|(file, _)| file).collect();
        tracing::warn!(
            files = files.len(),
            "the lake has lost the partials of {}; the files are read again",
            some_of(&files)
        );
    }
    if !gone.is_empty() {
        tracing::error!(files = gone.len(), "{}", out_of_reach(&gone));
    }
    Ok(())
}

/// Files whose partials were lost.
struct Sorted {
    /// Those that the source has, with their partials.
    there: Vec<(String, String)>,
    /// What has to be read for them: the files, or the archives that they are in.
    to_read: BTreeSet<String>,
    /// Those that it lacks.
    gone: Vec<String>,
}

async fn sort(components: &Components, lost: Vec<(String, String)>) -> Result<Sorted, StepError> {
    let mut sorted = Sorted {
        there: Vec::new(),
        to_read: BTreeSet::new(),
        gone: Vec::new(),
    };
    let files: Vec<String> = lost.iter().map(|(file, _)| file.clone()).collect();
    let places = components.state.member_places(&files).await?;
    for (file, object) in lost {
        if exists(components, &file, places.get(&file)).await? {
            let path = places.get(&file).map_or(&file, |place| &place.archive);
            sorted.to_read.insert(path.clone());
            sorted.there.push((file, object));
        } else {
            sorted.gone.push(file);
        }
    }
    Ok(sorted)
}

/// Returns whether the source has a file, or the archive that has it.
async fn exists(components: &Components, file: &str, place: Option<&MemberPlace>) -> Result<bool, StepError> {
    let path = match place {
        Some(place) if !place.is_there => return Ok(false),
        Some(place) => &place.archive,
        None => file,
    };
    content(components, path)
        .exists()
        .await
        .map_err(StepError::transient)
}

/// Returns the local files of a run's partials, in their order. Fails with [`LostPartials`] if the lake lacks some.
pub(super) async fn fetch(components: &Components, objects: &[&str]) -> Result<Vec<LocalFile>, StepError> {
    let found = components
        .lake
        .find_all(objects)
        .await
        .map_err(StepError::transient)?;
    let missing: Vec<String> = objects
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(object, _)| (*object).to_owned())
        .collect();
    if !missing.is_empty() {
        return Err(StepError::permanent(LostPartials(missing)));
    }
    Ok(found.into_iter().flatten().collect())
}

/// Tells damaged partials from other failures to merge. `partials` are the objects of the run, and their local files.
pub(super) fn damaged(error: EngineError, partials: &[(String, PathBuf)]) -> StepError {
    let EngineError::Parquet { path, source, .. } = &error else {
        return error.into();
    };
    let is_partial = partials.iter().any(|(_, local)| local == path);
    if !is_partial || failed_to_read(&**source) {
        return error.into();
    }
    // Where one is damaged, others may be too: they are made anew at the same time.
    let damaged = partials.iter().filter(|(_, local)| {
        local == path || matches!(covers_day(local, "", Date::MIN), Err(EngineError::Parquet { .. }))
    });
    StepError::permanent(LostPartials(damaged.map(|(object, _)| object.clone()).collect()))
}

/// Returns whether the operating system could not read a file, which says nothing about what the file holds.
fn failed_to_read(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let error = error.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.raw_os_error().is_some())
    })
}

/// Has lost partials made anew from the source, and puts the run back into the queue until then.
pub(super) async fn make_anew(
    components: &Components,
    sources: &Sources,
    run: &ClaimedRun,
    LostPartials(objects): &LostPartials,
) -> Result<Fate, StepError> {
    let inputs = run.inputs.iter();
    let lost = inputs.filter_map(|input| {
        let object = input.version.partial.as_ref()?;
        objects
            .contains(object)
            .then(|| (input.file_url.clone(), object.clone()))
    });
    let Sorted { there, to_read, gone } = sort(components, lost.collect()).await?;
    let waits = gone.is_empty();
    components
        .state
        .lose_partials(&there, waits.then_some(run.run_id.as_str()))
        .await?;
    let there: Vec<String> = there.into_iter().map(|(file, _)| file).collect();
    for file in &to_read {
        sources.wait_for(file, &components.activity);
    }
    Ok(match waits {
        true => Fate::Waits { files: there },
        false => Fate::Fails(out_of_reach(&gone)),
    })
}

/// Gives up queued runs that wait for a file which has left the source meanwhile.
pub(super) async fn give_up_the_gone(components: &Components) -> Result<(), StepError> {
    let awaited = components.state.awaited_files().await?;
    let files: Vec<String> = awaited.iter().map(|(_, file)| file.clone()).collect();
    let places = components.state.member_places(&files).await?;
    for (run_id, file) in awaited {
        if exists(components, &file, places.get(&file)).await? {
            continue;
        }
        let error = format!(
            "the lake has lost the partial of {file}, and the source no longer has this file: send it again"
        );
        components.state.give_up(&run_id, &error).await?;
        components.activity.tally.count_run_failed();
        tracing::error!(run_id, path = file, "failed: {error}");
    }
    Ok(())
}

impl LostPartials {
    /// Makes the failure of a run that needs partials (lake paths) which are gone.
    #[cfg(feature = "cluster")]
    pub(super) fn new(objects: Vec<String>) -> Self {
        Self(objects)
    }

    /// Returns what a failure of a run says about lost partials, if that is why it failed.
    pub(super) fn of(error: &StepError) -> Option<&Self> {
        error.cause().downcast_ref()
    }
}
