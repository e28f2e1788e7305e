//! Converts a group of files, with one query to the state database and one sync to disk for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use gristmill_engine::{ConversionReport, DayLines, EngineError, MemberContent, Scratch};
use gristmill_state::{SubmissionOutcome, VersionDay, VersionRecord};
use gristmill_watcher::Arrival;
use object_store::path::Path as ObjectPath;
use tokio::runtime::Handle;

use super::arrived::Arrived;
use super::doubted::{self, Doubted};
use super::panics::panic_point;
use super::reading::{Content, Files, Read, Reading};
use super::retry::{StepError, with_retries};
use super::sources::Origin;
use super::steps::{Attempt, Converted, Outcome, Step, done_or};
use super::stuck::Watch;
use super::threads::in_parallel;
use super::{Components, FETCHED_KIB, crash_point};
use crate::lake::{Spooled, VersionObject};

/// The most objects of a group that are fetched at the same time.
const FETCHES: usize = 32;

/// Converts files, and returns the outcome of each in their order. Everything to be recorded is then in the lake, on
/// disk. A file's failure is its own outcome; the call fails only if the state database stays unavailable.
pub(super) async fn convert_files(
    components: &Arc<Components>,
    group: &[Arrived],
) -> anyhow::Result<Vec<Result<Outcome, StepError>>> {
    let contents = group
        .iter()
        .map(|arrived| content(components, &arrived.arrival.path));
    convert(components, group, contents.collect(), true).await
}

/// Converts members of an archive, like [`convert_files`]. If the archive came out of a program, they go through none.
pub(super) async fn convert_members(
    components: &Arc<Components>,
    group: &[Arrived],
    contents: Vec<MemberContent>,
    go_through: bool,
) -> anyhow::Result<Vec<Result<Outcome, StepError>>> {
    let contents = contents.into_iter().map(Content::Member);
    convert(components, group, contents.collect(), go_through).await
}

async fn convert(
    components: &Arc<Components>,
    group: &[Arrived],
    contents: Vec<Content>,
    go_through: bool,
) -> anyhow::Result<Vec<Result<Outcome, StepError>>> {
    let known = in_force(components, group).await?;
    let mut readings: Vec<Reading> = group
        .iter()
        .zip(contents)
        .map(|(arrived, content)| Reading {
            file: arrived.arrival.path.clone(),
            source: components
                .settings
                .source_of(&arrived.arrival.path)
                .map(|(source, _)| source),
            content,
            stamp: arrived.arrival.stamp,
            feed: arrived.feed.clone(),
            through: arrived.feed.through.clone().filter(|_| go_through),
            watch: Watch::default(),
            abandoned: components.abandoned.clone(),
        })
        .collect();
    let mut steps: Vec<Attempt> = (0..group.len()).map(|_| Ok(Step::New)).collect();
    let to_fetch = readings.iter().filter(|reading| reading.is_to_fetch());
    let kib: u64 = to_fetch.map(|reading| reading.stamp.bytes.div_ceil(1024)).sum();
    // A group may exceed all the memory for fetched objects. Then it gets all of it.
    let kib = kib.min(FETCHED_KIB as u64) as u32;
    let fetched = components.fetched_kib.acquire_many(kib).await?;
    fetch(&mut readings, &mut steps).await?;
    let runtime = Handle::current();

    // A file with the same size as the version in force often has the same bytes. Hashing is cheaper than converting.
    let is_hashed = |(arrived, reading): (&Arrived, &Reading)| {
        let in_force = known.get(&arrived.arrival.path).and_then(Option::as_ref);
        arrived.is_doubted
            || in_force
                .is_some_and(|(bytes, layout)| *bytes == reading.bytes() && layout == arrived.feed.digest())
    };
    let hashed: Vec<bool> = group.iter().zip(&readings).map(is_hashed).collect();
    if hashed.contains(&true) {
        let hashing_runtime = runtime.clone();
        let work = move |number: usize, reading: &Reading, step| match step {
            Ok(Step::New) if hashed[number] => {
                match reading.hash(&hashing_runtime) {
                    // What is damaged in an archive is found out again, and told, by its conversion.
                    Err(_) if matches!(reading.content, Content::Member(_)) => Ok(Step::New),
                    hash => hash.map(|read| done_or(read, Step::Hashed)),
                }
            }
            other => other,
        };
        steps = in_parallel(components, &readings, steps, work).await?;
        leave_out_same(components, group, &mut steps).await?;
        leave_out_known(components, group, &known, &mut steps).await?;
    }

    let of_conversion = components.clone();
    let convert_one = move |_: usize, reading: &Reading, step| match step {
        Ok(Step::New | Step::Hashed(_)) => convert_file(&of_conversion, &runtime, reading),
        done => done,
    };
    steps = in_parallel(components, &readings, steps, convert_one).await?;
    drop(fetched);
    leave_out_known(components, group, &known, &mut steps).await?;
    publish(components, group, steps).await
}

/// Finds where a file's bytes are, by the source that its name belongs to.
pub(super) fn content(components: &Components, file: &str) -> Content {
    let found = components.sources.iter().find_map(|open| {
        let path = open.source.path_of(file)?;
        Some(match &open.origin {
            Origin::Folder(folder) => Content::File {
                folder: folder.clone(),
                path: path.to_owned(),
            },
            Origin::Bucket(bucket, _) => Content::Object {
                bucket: bucket.clone(),
                path: path.to_owned(),
            },
        })
    });
    found.unwrap_or(Content::Nowhere)
}

/// Fetches the objects among the files, many at a time: one by one, they would mostly wait for the network. Large
/// objects are read in parts while they are converted.
async fn fetch(readings: &mut [Reading], steps: &mut [Attempt]) -> anyhow::Result<()> {
    let to_fetch = readings.iter().enumerate();
    let to_fetch = to_fetch.filter(|(_, reading)| reading.is_to_fetch());
    let runtime = Handle::current();
    let fetches: Vec<_> = to_fetch
        .map(|(number, reading)| {
            let (reading, runtime) = (reading.clone(), runtime.clone());
            let fetch =
                async move { tokio::task::spawn_blocking(move || (number, reading.fetch(&runtime))).await };
            fetch.boxed()
        })
        .collect();
    let mut fetched = stream::iter(fetches).buffer_unordered(FETCHES);
    while let Some((number, fetched)) = fetched.try_next().await? {
        match fetched {
            Ok(Read::Whole(bytes)) => readings[number].content = Content::Bytes(bytes),
            Ok(Read::Gone) => steps[number] = Ok(Step::Done(Outcome::Gone)),
            Ok(Read::Changed) => steps[number] = Ok(Step::Done(Outcome::Changed)),
            Ok(Read::Unanswered) => steps[number] = Ok(Step::Done(Outcome::Unanswered)),
            Ok(Read::Stopped) => steps[number] = Ok(Step::Done(Outcome::Stopped)),
            Err(error) => steps[number] = Err(error),
        }
    }
    Ok(())
}

/// Looks up the size and layout of the version in force of each known file.
async fn in_force(
    components: &Components,
    group: &[Arrived],
) -> anyhow::Result<HashMap<String, Option<(u64, String)>>> {
    let paths: Vec<&str> = group
        .iter()
        .map(|arrived| arrived.arrival.path.as_str())
        .collect();
    let known = with_retries(&components.patience, "looking files up", || async {
        Ok(components.state.in_force(&paths).await?)
    });
    known.await.context("cannot look files up in the state database")
}

/// Returns whether a file was not converted because it is an archive.
fn is_archive(error: &StepError) -> bool {
    matches!(error.cause().downcast_ref(), Some(EngineError::Archive))
}

fn convert_file(components: &Components, runtime: &Handle, reading: &Reading) -> Attempt {
    panic_point("convert-file", &reading.file);
    let files = Files {
        converted: components.lake.spool(),
        partial: components.lake.spool(),
        rejects: components.lake.spool(),
    };
    let folder = components.lake.scratch();
    let scratch = Scratch {
        folder: &folder,
        memory: &components.memory.conversions,
    };
    let mut counted = 0;
    let began = Instant::now();
    let read = reading.convert(
        runtime,
        &files,
        components.settings.convert.keep,
        scratch,
        |bytes| {
            components.progress.bytes_read(bytes - counted);
            counted = bytes;
        },
    );
    let converted = |(report, content_hash)| {
        components.activity.gauges.converted_in(began.elapsed());
        Step::Converted(Box::new(Converted {
            report,
            content_hash,
            files,
        }))
    };
    match read {
        Err(error) if is_archive(&error) => match reading.content {
            Content::Member(_) => Err(StepError::permanent(anyhow::anyhow!(
                "it is an archive in an archive, which is not read: have the store send it by itself"
            ))),
            _ => Ok(Step::Done(Outcome::Archive)),
        },
        read => read.map(|read| done_or(read, converted)),
    }
}

/// Ends the work on files that were doubted for nothing.
async fn leave_out_same(
    components: &Arc<Components>,
    group: &[Arrived],
    steps: &mut [Attempt],
) -> anyhow::Result<()> {
    let doubted: Vec<_> = group
        .iter()
        .zip(&*steps)
        .filter(|(arrived, _)| arrived.is_doubted)
        .filter_map(|(arrived, step)| {
            Some(Doubted {
                arrival: &arrived.arrival,
                content_hash: content_hash(step)?,
                layout_digest: arrived.feed.digest(),
            })
        })
        .collect();
    let same = doubted::for_nothing(components, &doubted).await?;
    for (arrived, step) in group.iter().zip(steps) {
        let Arrival { path, stamp } = &arrived.arrival;
        if arrived.is_doubted && same.contains(path) {
            components.progress.bytes_read(stamp.bytes);
            *step = Ok(Step::Done(Outcome::Same));
        }
    }
    Ok(())
}

/// Ends the work on files whose bytes are those of a known version.
async fn leave_out_known(
    components: &Components,
    group: &[Arrived],
    known: &HashMap<String, Option<(u64, String)>>,
    steps: &mut [Attempt],
) -> anyhow::Result<()> {
    let versions: Vec<(&str, &str, &str)> = group
        .iter()
        .zip(&*steps)
        .filter_map(|(arrived, step)| {
            let path = arrived.arrival.path.as_str();
            // A file that was never recorded has no versions.
            known.get(path)?;
            Some((path, content_hash(step)?, arrived.feed.digest()))
        })
        .collect();
    if versions.is_empty() {
        return Ok(());
    }
    let ask = || async { Ok(components.state.known_versions(&versions).await?) };
    let found: HashSet<String> = with_retries(&components.patience, "looking for versions", ask)
        .await
        .context("cannot look for versions in the state database")?;
    for (arrived, step) in group.iter().zip(steps) {
        let path = &arrived.arrival.path;
        if let Some(hash) = content_hash(step).filter(|_| found.contains(path)) {
            if matches!(step, Ok(Step::Hashed(_))) {
                components.progress.bytes_read(arrived.arrival.stamp.bytes);
            }
            *step = Ok(Step::Done(Outcome::Recorded(Box::new(
                SubmissionOutcome::Unchanged {
                    content_hash: hash.to_owned(),
                    layout_digest: arrived.feed.digest().to_owned(),
                },
            ))));
        }
    }
    Ok(())
}

fn content_hash(step: &Attempt) -> Option<&str> {
    match step {
        Ok(Step::Hashed(hash)) => Some(hash),
        Ok(Step::Converted(converted)) => Some(&converted.content_hash),
        _ => None,
    }
}

/// Puts the outputs of the conversions into the lake. If that fails, it fails for all of them; the caller retries each
/// by itself.
async fn publish(
    components: &Arc<Components>,
    group: &[Arrived],
    steps: Vec<Attempt>,
) -> anyhow::Result<Vec<Result<Outcome, StepError>>> {
    let mut outputs = Outputs::default();
    let mut outcomes = Vec::with_capacity(group.len());
    for (arrived, step) in group.iter().zip(steps) {
        outcomes.push(match step {
            Err(error) => Err(error),
            Ok(Step::Done(outcome)) => Ok(outcome),
            Ok(Step::Converted(converted)) => {
                let version = outputs.add(arrived, *converted);
                Ok(Outcome::Recorded(Box::new(SubmissionOutcome::Converted(version))))
            }
            Ok(Step::New | Step::Hashed(_) | Step::Listed(_)) => unreachable!("every file was converted"),
        });
    }
    let lake = components.lake.clone();
    let published = tokio::task::spawn_blocking(move || {
        let Outputs {
            converted,
            partials,
            rejects,
        } = outputs;
        let (of_converted, of_partials) = (converted.len(), converted.len() + partials.len());
        let all = converted.into_iter().chain(partials).chain(rejects).collect();
        let mut published = 0;
        lake.publish_each(all, |_| {
            published += 1;
            if published == of_converted {
                crash_point("after-converted");
            } else if published == of_partials {
                crash_point("after-partial");
            }
        })
    });
    let published = match published.await {
        Ok(published) => published.map_err(StepError::transient),
        Err(panicked) => Err(StepError::permanent(panicked)),
    };
    if let Err(error) = published {
        for outcome in &mut outcomes {
            if let Ok(Outcome::Recorded(recorded)) = outcome
                && let SubmissionOutcome::Converted(_) = **recorded
            {
                *outcome = Err(error.of_group());
            }
        }
    }
    Ok(outcomes)
}

/// Converts what the engine counted of a store and day to the form that the state database keeps.
pub(super) fn version_day(day: DayLines) -> VersionDay {
    let DayLines {
        store_id,
        trans_date,
        lines,
        turnover,
    } = day;
    VersionDay {
        store_id,
        trans_date,
        lines,
        turnover,
    }
}

/// The files to put into the lake.
#[derive(Default)]
struct Outputs {
    converted: Vec<(Spooled, ObjectPath)>,
    partials: Vec<(Spooled, ObjectPath)>,
    rejects: Vec<(Spooled, ObjectPath)>,
}

impl Outputs {
    /// Adds the outputs of one conversion. A rejected file leaves only its rejects.
    fn add(&mut self, arrived: &Arrived, conversion: Converted) -> VersionRecord {
        let Converted {
            report,
            content_hash,
            files,
        } = conversion;
        let feed = &arrived.feed;
        warn_of_unread(&arrived.arrival.path, &report);
        let name = |kind: VersionObject| kind.name(feed, &arrived.arrival.path, &content_hash);
        let put = |list: &mut Vec<_>, file: Spooled, kind| {
            let object: ObjectPath = name(kind);
            let recorded = object.to_string();
            list.push((file, object));
            Some(recorded)
        };
        let (mut converted, mut partial, mut reject_lines) = (None, None, None);
        if report.rejected_because.is_none() {
            if files.converted.path().exists() {
                converted = put(&mut self.converted, files.converted, VersionObject::Converted);
            }
            if feed.sales().is_some() {
                partial = put(&mut self.partials, files.partial, VersionObject::Partial);
            }
        }
        if report.rejects > 0 {
            reject_lines = put(&mut self.rejects, files.rejects, VersionObject::Rejects);
        }
        VersionRecord {
            content_hash,
            layout_digest: feed.digest().to_owned(),
            bytes: report.bytes,
            lines: report.lines,
            rows: report.rows,
            ignored: report.ignored,
            skipped: report.skipped,
            rejects: report.rejects,
            drift_lines: report.drift_lines,
            last_line_ended: Some(report.last_line_ended),
            first_date: report.first_date,
            last_date: report.last_date,
            rejected_because: report.rejected_because,
            days: report.days.into_iter().map(version_day).collect(),
            converted,
            partial,
            reject_lines,
        }
    }
}

/// Warns of lines that look like data and were not read.
fn warn_of_unread(path: &str, report: &ConversionReport) {
    let (rows, behind) = (report.skipped_rows, report.lines_behind_end);
    if rows > 0 {
        tracing::warn!(
            path,
            rows,
            "has skipped lines that would be rows: see records.skip and header_line of its feed"
        );
    }
    if behind > 0 {
        tracing::warn!(
            path,
            lines = behind,
            "has text behind the Ctrl-Z that ends it; it is not read"
        );
    }
}
