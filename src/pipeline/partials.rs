//! Partials that the lake has lost: they are made anew from the source or from converted rows, and runs that need them wait
//! for that.
//!
//! A partial is lost if its object is gone or cannot be read. Where the source still has the file, the file is marked to
//! be read again: its bytes no longer count as known, so they are converted once more. Where the source no longer has
//! it, the partial is made of the converted rows that the lake has of its version ([`from_rows`]). So is one that retention
//! has removed and that a run asks for: the source may have other bytes by now. Where there are no such rows either, only a
//! person can help.

mod from_rows;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::anyhow;
use gristmill_engine::{EngineError, covers_day};
use gristmill_state::{ClaimedRun, MemberPlace};
use jiff::civil::Date;

use self::from_rows::{Lacking, Outcome};
use super::Components;
use super::conversion::content;
use super::retry::StepError;
use super::sources::Sources;
use crate::lake::LocalFile;
use crate::preconditions::some_of;

/// How many versions whose partials are lost are held in memory at a time.
const LOOKED_UP: usize = 1_000;

/// A run cannot go on without these partials.
#[derive(Debug, thiserror::Error)]
#[error("the lake has lost partials: {}", some_of(.0))]
pub(super) struct LostPartials(Vec<String>);

/// What becomes of a run whose partials were lost.
pub(super) enum Fate {
    /// It is in the queue again, until these files have been read: none if all partials are in the lake again.
    Waits { files: Vec<String> },
    /// It has to fail, with this reason.
    Fails(String),
}

/// Says that neither the source nor converted rows give what a run needs, and what to do. Each file comes with the reason.
fn out_of_reach(impossible: &[(String, String)]) -> String {
    let files: Vec<&str> = impossible.iter().map(|(file, _)| file.as_str()).collect();
    let reasons = impossible
        .iter()
        .map(|(file, reason)| format!("{file}: {reason}"));
    format!(
        "the lake has lost the partials of {}, and the source no longer has these files; nor can converted rows take their \
         place ({}): restore the lake from its backup, then run `gristmill retry`; or send the files again",
        some_of(&files),
        some_of(&reasons.collect::<Vec<_>>())
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
    let mut gone: Vec<String> = gone.into_iter().map(|(file, _)| file).collect();
    gone.extend(no_longer_awaited(components).await?);
    let mut impossible = Vec::new();
    for files in gone.chunks(LOOKED_UP) {
        let mut lacking = Vec::with_capacity(files.len());
        for file in files {
            let row = components.state.file(file).await?;
            lacking.extend(row.and_then(Lacking::in_force));
        }
        let outcome = from_rows::make(components, &lacking).await?;
        impossible.extend(outcome.impossible);
    }
    if !impossible.is_empty() {
        tracing::error!(files = impossible.len(), "{}", out_of_reach(&impossible));
    }
    Ok(())
}

/// Returns the files that were to be read again for their partials, and that have left the source since.
async fn no_longer_awaited(components: &Components) -> Result<Vec<String>, StepError> {
    let files = components.state.files_without_partials().await?;
    let lost = files.into_iter().map(|file| (file, String::new()));
    let Sorted { gone, .. } = sort(components, lost.collect()).await?;
    Ok(gone.into_iter().map(|(file, _)| file).collect())
}

/// Files whose partials were lost.
struct Sorted {
    /// Those that the source has, with their partials.
    there: Vec<(String, String)>,
    /// What has to be read for them: the files, or the archives that they are in.
    to_read: BTreeSet<String>,
    /// Those that it lacks, with their partials.
    gone: Vec<(String, String)>,
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
            sorted.gone.push((file, object));
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

/// Makes lost partials anew, or has them made anew from the source, and puts the run back into the queue until then.
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
    let lacking = run.inputs.iter().filter(|input| {
        let object = input.version.partial.as_ref();
        gone.iter()
            .any(|(file, lost)| *file == input.file_url && Some(lost) == object)
    });
    let lacking: Vec<Lacking> = lacking.map(Lacking::of_input).collect();
    let Outcome { impossible, .. } = from_rows::make(components, &lacking).await?;
    let waits = impossible.is_empty();
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
        false => Fate::Fails(out_of_reach(&impossible)),
    })
}

/// Makes the partials anew that a run reads and that are known to be missing, because retention has removed them, or because
/// they were lost and their files were not read again as they were. A version of other settings is left to the merge.
pub(super) async fn bring_back(components: &Components, run: &mut ClaimedRun) -> Result<(), StepError> {
    let missing = run.inputs.iter().filter(|input| {
        let feed = components.settings.feeds.get(&input.feed);
        !input.days.is_unread()
            && input.version.partial.is_none()
            && feed.is_some_and(|feed| Lacking::of_input(input).is_read_with(feed))
    });
    let lacking: Vec<Lacking> = missing.map(Lacking::of_input).collect();
    let Outcome { made, impossible } = from_rows::make(components, &lacking).await?;
    if let Some((file, reason)) = impossible.first() {
        return Err(StepError::permanent(anyhow!(
            "the partial of {file} was removed from the lake by its retention, and converted rows cannot take its place \
             ({reason}): send the file again"
        )));
    }
    for (version_id, object) in made {
        let of_version = run.inputs.iter_mut();
        for input in of_version.filter(|input| input.version_id == version_id) {
            input.version.partial = Some(object.clone());
        }
    }
    Ok(())
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
        let inputs = components.state.run_inputs(&run_id).await?.into_iter();
        let lacking = inputs.filter(|input| input.file_url == file && input.version.partial.is_none());
        let lacking: Vec<Lacking> = lacking.map(|input| Lacking::of_input(&input)).collect();
        let Outcome { impossible, .. } = from_rows::make(components, &lacking).await?;
        let Some((_, reason)) = impossible.first() else {
            continue;
        };
        let error = format!(
            "the lake has lost the partial of {file}, and the source no longer has this file; nor can converted rows take \
             its place ({reason}): send it again"
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
