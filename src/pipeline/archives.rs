//! Archives: each member becomes a file of its own, and the archive gets a row that says how many it had.
//!
//! Members are many small files, so they are converted and recorded in groups like others. The archive itself is
//! recorded behind all of its members: if the process dies meanwhile, the archive arrives again, and what was recorded
//! of it is passed over, because its row has the archive's stamp already.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::{Archive, ArchiveError, Batch, Captures, FeedLayout, MemberContent, has_archive_name};
use gristmill_state::{KnownMember, Role, SubmissionOutcome, VersionRecord};
use gristmill_watcher::{Arrival, is_looked_at};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Components;
use super::arrived::Arrived;
use super::conversion::{content, convert_members};
use super::doubted::{self, Doubted};
use super::reading::{Listed, Reading};
use super::recordable::{Recordable, submission};
use super::retry::{StepError, with_retries};
use super::sources::to_state;
use super::steps::{Outcome, Step, Unpacked, done_or};
use super::threads::in_parallel;
use super::{crash_point, stuck::Watch};

/// The most members that a note names.
const NAMED: usize = 3;

/// A member that a feed matches.
struct Wanted {
    /// Its position in the archive.
    number: usize,
    name: String,
    feed: Arc<FeedLayout>,
    captures: Captures,
}

/// Converts the members of an archive, and passes on their records. Returns the outcome for the archive itself.
pub(super) async fn unpack(
    components: &Arc<Components>,
    records: &mpsc::Sender<Recordable>,
    arrived: &Arrived,
) -> anyhow::Result<Result<Outcome, StepError>> {
    let Listed { archive, hash } = match list(components, arrived).await? {
        Ok(Ok(listed)) => listed,
        Ok(Err(outcome)) => return Ok(Ok(outcome)),
        Err(error) => return Ok(Err(error)),
    };
    if arrived.is_doubted {
        let doubted = Doubted {
            arrival: &arrived.arrival,
            content_hash: &hash,
            layout_digest: arrived.feed.digest(),
        };
        // The stamp that is kept is that of its members, too.
        if !doubted::for_nothing(components, &[doubted]).await?.is_empty() {
            return Ok(Ok(Outcome::Same));
        }
    }
    let made = |members, read, note, refused| {
        let version = version(arrived, hash.clone(), refused);
        let role = Role::Archive { members, read, note };
        Ok(Ok(Outcome::Unpacked(Box::new(Unpacked { version, role }))))
    };
    let path = arrived.arrival.path.as_str();
    let is_of_feed = components.settings.feeds.has_file(path);
    let archive = match archive {
        Ok(Some(archive)) => archive,
        Ok(None) => {
            // Only its name was that of an archive.
            return made(0, 0, "it is no archive, and no feed matches it".to_owned(), None);
        }
        Err(ArchiveError::Refused(reason)) => return made(0, 0, String::new(), Some(reason)),
        Err(ArchiveError::Io(error)) => return Ok(Err(StepError::transient(error))),
    };
    let names: Vec<&str> = archive
        .members()
        .iter()
        .map(|member| member.name.as_str())
        .collect();
    let (all, wanted, others) = sort(components, path, &names);
    if all == 0 {
        return made(0, 0, String::new(), Some("the archive holds no file".to_owned()));
    }
    if let Some(inner) = others.iter().find(|name| has_archive_name(name)) {
        let reason = format!("it holds another archive, {inner}: archives in archives are not read");
        return made(all, 0, String::new(), Some(reason));
    }
    let refusal = wanted
        .iter()
        .find_map(|member| Some((&member.name, components.state.place().refuses_path(&member.name)?)));
    if let Some((name, refusal)) = refusal {
        return made(all, 0, String::new(), Some(format!("{name}: {refusal}")));
    }
    let note = note(all, &others);
    if wanted.is_empty() {
        let reason = is_of_feed.then(|| format!("{note}; a feed's pattern sees `{}`", others[0]));
        return made(all, 0, note, reason);
    }
    let read = wanted.len() as u64;
    match convert_all(components, records, arrived, archive, wanted).await? {
        Ok(None) => made(all, read, note, None),
        Ok(Some(outcome)) => Ok(Ok(outcome)),
        Err(error) => Ok(Err(error)),
    }
}

/// Sorts the members of an archive: how many there are without those whose names are never looked at, those that a feed
/// matches, and the names of the others.
fn sort(components: &Components, archive: &str, members: &[&str]) -> (u64, Vec<Wanted>, Vec<String>) {
    let (mut all, mut wanted, mut others) = (0, Vec::new(), Vec::new());
    for (number, member) in members.iter().enumerate() {
        if !member.split('/').all(|part| is_looked_at(part.as_ref())) {
            continue;
        }
        all += 1;
        let name = format!("{archive}/{member}");
        match components.settings.feeds.of_file(&name) {
            Some((feed, captures)) => wanted.push(Wanted {
                number,
                name,
                feed,
                captures,
            }),
            None => others.push(name),
        }
    }
    (all, wanted, others)
}

/// Says how many members an archive has, and which of them no feed matches.
fn note(all: u64, others: &[String]) -> String {
    let members = if all == 1 {
        "1 member".to_owned()
    } else {
        format!("{all} members")
    };
    if others.is_empty() {
        return members;
    }
    let more = others.len().saturating_sub(NAMED);
    let named = others.iter().take(NAMED).map(String::as_str);
    let mut named = named.collect::<Vec<_>>().join(", ");
    if more > 0 {
        named = format!("{named} and {more} more");
    }
    match others.len() as u64 == all {
        true => format!("{members}, none of which a feed matches: {named}"),
        false => format!("{members}; no feed matches {named}"),
    }
}

/// Converts all that is wanted and not recorded yet. Returns an outcome for the archive if it could not be read to its
/// end.
async fn convert_all(
    components: &Arc<Components>,
    records: &mpsc::Sender<Recordable>,
    arrived: &Arrived,
    archive: Archive,
    mut wanted: Vec<Wanted>,
) -> anyhow::Result<Result<Option<Outcome>, StepError>> {
    let Arrival { path, stamp } = &arrived.arrival;
    let known = with_retries(&components.patience, "looking members up", || async {
        Ok(components.state.members_of(path).await?)
    });
    let known = known
        .await
        .context("cannot look members up in the state database")?;
    let there: Vec<String> = wanted.iter().map(|member| member.name.clone()).collect();
    wanted.retain(|member| {
        !known.get(&member.name).is_some_and(|known| {
            let KnownMember {
                stamp: before,
                layout_digest,
            } = known;
            *before == Some(to_state(*stamp))
                && layout_digest
                    .as_ref()
                    .is_none_or(|digest| digest == member.feed.digest())
        })
    });
    let numbers = wanted.iter().map(|member| member.number).collect();
    let mut batches = unpack_ahead(Arc::new(archive), numbers, components.lake.scratch())?;
    let mut wanted = wanted.into_iter();
    while let Some(batch) = batches.recv().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(ArchiveError::Io(error)) => return Ok(Err(StepError::transient(error))),
            // It was found to be sound before.
            Err(ArchiveError::Refused(_)) => return Ok(Ok(Some(Outcome::Changed))),
        };
        let members: Vec<Wanted> = wanted.by_ref().take(batch.len()).collect();
        let contents: Vec<MemberContent> = batch.into_iter().map(|(_, content)| content).collect();
        if let Err(early) = convert_batch(components, records, arrived, members, contents).await? {
            return Ok(early.map(Some));
        }
        crash_point("after-members");
    }
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    with_retries(
        &components.patience,
        "noting what is gone from an archive",
        || async { Ok(components.state.settle_members(path, &there).await?) },
    )
    .await
    .context("cannot note in the state database what is gone from an archive")?;
    Ok(Ok(None))
}

/// Converts some members and passes on their records. If some could not be read, `Err` has the outcome for the archive.
async fn convert_batch(
    components: &Arc<Components>,
    records: &mpsc::Sender<Recordable>,
    arrived: &Arrived,
    members: Vec<Wanted>,
    contents: Vec<MemberContent>,
) -> anyhow::Result<Result<(), Result<Outcome, StepError>>> {
    let member = |wanted: Wanted| {
        let arrival = Arrival {
            path: wanted.name,
            stamp: arrived.arrival.stamp,
        };
        Arrived::new(arrival, wanted.feed, wanted.captures, arrived.token.clone())
    };
    let group: Vec<Arrived> = members.into_iter().map(member).collect();
    for content in &contents {
        components.progress.file_arrived(content.bytes());
    }
    let archive = reading(components, arrived);
    let go_through = archive.through.is_none();
    let mut outcomes = convert_members(components, &group, contents.clone(), go_through).await?;
    let fails_as_group = |outcome: &Result<Outcome, StepError>| {
        let error = outcome.as_ref().err();
        error.is_some_and(|error| error.is_of_group() && !error.is_of_room())
    };
    if group.len() > 1 && outcomes.iter().any(fails_as_group) {
        outcomes.clear();
        for (member, content) in group.iter().zip(contents) {
            let member = std::slice::from_ref(member);
            outcomes.extend(convert_members(components, member, vec![content], go_through).await?);
        }
    }
    // What was read is of the archive that arrived only if that is still there.
    match archive.is_there().await {
        Ok(true) => {}
        Ok(false) => return Ok(Err(Ok(Outcome::Changed))),
        Err(error) => return Ok(Err(Err(error))),
    }
    let mut early = None;
    for (member, outcome) in group.into_iter().zip(outcomes) {
        components.progress.file_done();
        let outcome = match outcome {
            Ok(Outcome::Recorded(outcome)) => *outcome,
            Err(error) if !error.is_worth_another(arrived.failures + 1) => SubmissionOutcome::Failed {
                error: error.to_string(),
            },
            other => {
                early = Some(other);
                continue;
            }
        };
        let mut record = submission(&member.feed, member.captures, &member.arrival, outcome);
        record.role = Role::Member {
            archive: arrived.arrival.path.clone(),
        };
        let token = member.token;
        // The record stage ends only after this one, or with an error that ends the whole pipeline.
        let recordable = Recordable {
            record,
            doubted: None,
            token,
        };
        let _ = records.send(recordable).await;
    }
    Ok(early.map_or(Ok(()), Err))
}

/// Reads the list of members, on a thread that may be lost. `Err` has the outcome if the archive is not the one that
/// arrived.
async fn list(
    components: &Arc<Components>,
    arrived: &Arrived,
) -> anyhow::Result<Result<Result<Listed, Outcome>, StepError>> {
    let runtime = Handle::current();
    let folder = components.lake.scratch();
    let list = move |_: usize, reading: &Reading, _| {
        let listed = reading.list(&runtime, &folder)?;
        Ok(done_or(listed, |listed| Step::Listed(Box::new(listed))))
    };
    let mut steps = in_parallel(
        components,
        &[reading(components, arrived)],
        vec![Ok(Step::New)],
        list,
    )
    .await?;
    Ok(match steps.pop() {
        Some(Ok(Step::Listed(listed))) => Ok(Ok(*listed)),
        Some(Ok(Step::Done(outcome))) => Ok(Err(outcome)),
        Some(Err(error)) => Err(error),
        _ => Ok(Err(Outcome::Unanswered)),
    })
}

fn reading(components: &Components, arrived: &Arrived) -> Reading {
    let Arrival { path, stamp } = &arrived.arrival;
    let of_feed = components.settings.feeds.of_file(path);
    Reading {
        file: path.clone(),
        source: components.settings.source_of(path).map(|(source, _)| source),
        content: content(components, path),
        stamp: *stamp,
        feed: arrived.feed.clone(),
        through: of_feed.and_then(|(feed, _)| feed.through.clone()),
        watch: Watch::default(),
        abandoned: components.abandoned.clone(),
    }
}

/// Unpacks on a thread of its own, one batch ahead.
fn unpack_ahead(
    archive: Arc<Archive>,
    wanted: Vec<usize>,
    folder: PathBuf,
) -> anyhow::Result<mpsc::Receiver<Result<Batch, ArchiveError>>> {
    let (sender, batches) = mpsc::channel(1);
    let unpack = move || {
        for batch in archive.batches(&wanted, &folder) {
            let is_last = batch.is_err();
            // The receiver is gone if the rest is not needed.
            if sender.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("unpack".into()).spawn(unpack)?;
    Ok(batches)
}

/// Makes the version of the archive itself, which has no lines.
fn version(arrived: &Arrived, content_hash: String, rejected_because: Option<String>) -> VersionRecord {
    VersionRecord {
        content_hash,
        layout_digest: arrived.feed.digest().to_owned(),
        bytes: arrived.arrival.stamp.bytes,
        lines: 0,
        rows: 0,
        ignored: 0,
        skipped: 0,
        rejects: 0,
        drift_lines: 0,
        last_line_ended: None,
        first_date: None,
        last_date: None,
        rejected_because,
        days: Vec::new(),
        converted: None,
        partial: None,
        reject_lines: None,
    }
}
