//! All sources as one: a watcher for each, and one channel of events in which files have the names that the rest of the
//! pipeline uses.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gristmill_engine::has_archive_name;
use gristmill_state::{Clock, SystemClock};
use gristmill_watcher::{
    After, Arrival, Bucket, BucketSettings, Event, Handle, KnownFile, KnownFiles, OwnFiles, PutAway, Queue,
    Settings as FolderSettings, SourceFolder, Stamp, UnmatchedFile, Want, Wanted, watch, watch_bucket,
};
use jiff::ToSpan;
use jiff::civil::Date;
use tokio::sync::mpsc;

use super::Components;
use super::activity::Activity;
use super::panics::panic_point;
use super::retry::{RETRIES, StepError, pause_after, with_retries};
use crate::buckets;
use crate::settings::{self, BucketPlace, Feeds, Place, Source};

/// The most events of one watcher that may wait.
const EVENTS: usize = 1024;

/// A watcher that has worked for so long has not failed at its start.
const STEADY: Duration = Duration::from_secs(300);

/// How often every file of a folder is looked at where notices can be relied on. A change that nothing has told of is
/// found after so long at the latest.
const RELIST: Duration = Duration::from_secs(600);

/// If a pattern has a day after its literal start, a poll of a bucket lists this many days before today, today and
/// tomorrow.
const RECENT_DAYS: i64 = 7;

/// A source that can be watched and read.
#[derive(Clone)]
pub(super) struct OpenSource {
    pub(super) source: Source,
    pub(super) origin: Origin,
    /// What puts objects away after they were taken; `None` if they stay.
    pub(super) put_away: Option<PutAway>,
}

/// Where the files of a source are.
#[derive(Clone)]
pub(super) enum Origin {
    Folder(SourceFolder),
    Bucket(Bucket, Option<Queue>),
}

/// A source's watcher, which another one may replace.
type Watcher = Arc<Mutex<Handle>>;

/// The watchers of all sources.
pub(super) struct Sources {
    watched: Vec<(Source, Watcher)>,
}

/// What happened in a source. Files are called by their names, not by their paths in the source.
#[derive(Debug)]
pub(super) struct SourceEvent {
    /// The index of the source.
    pub(super) source: usize,
    /// The event, or why no more come.
    pub(super) event: Result<Event, String>,
}

impl OpenSource {
    /// Opens a source's bucket and queue, if it has them, without a request to either. `own` is what must not be read.
    pub(super) async fn open(source: &Source, own: &Arc<OwnFiles>) -> anyhow::Result<Self> {
        let (origin, put_away) = match &source.place {
            Place::Folder(root) => {
                let folder = SourceFolder {
                    root: root.clone(),
                    follow_links: source.follow_links,
                    own: own.clone(),
                };
                (Origin::Folder(folder), None)
            }
            Place::Bucket(place) => {
                let queue = match &source.queue {
                    Some(url) => Some(buckets::open_queue(url).await?),
                    None => None,
                };
                let bucket = buckets::open(place).await?;
                let put_away = putting_away(&source.after, &bucket, place).await?;
                (Origin::Bucket(bucket, queue), put_away)
            }
        };
        Ok(Self {
            source: source.clone(),
            origin,
            put_away,
        })
    }

    fn watch(&self, feeds: &Feeds, known: KnownFiles, events: mpsc::Sender<Event>) -> Handle {
        let (all, source) = (feeds.clone(), self.source.clone());
        let wanted: Wanted = Arc::new(move |path: &str| {
            panic_point("watch-file", path);
            let name = source.file_name(path);
            match (all.has_file(&name), all.of_archive(&name)) {
                (true, _) => Want::Yes,
                (false, Some(_)) => Want::Perhaps,
                (false, None) => Want::No,
            }
        });
        match &self.origin {
            Origin::Folder(folder) => {
                let settings = FolderSettings {
                    folder: folder.clone(),
                    settle: self.source.settle,
                    sweep: self.source.sweep,
                    relist: RELIST,
                    sweep_hash: self.source.sweep_hash,
                    now: || SystemClock.now().into(),
                };
                watch(settings, known, wanted, events)
            }
            Origin::Bucket(bucket, queue) => {
                let (feeds, source) = (feeds.clone(), self.source.clone());
                let settings = BucketSettings {
                    bucket: bucket.clone(),
                    starts: Arc::new(move || starts(&source, &feeds, today())),
                    poll: self.source.poll,
                    sweep: self.source.sweep,
                    queue: queue.clone(),
                };
                watch_bucket(settings, known, wanted, events)
            }
        }
    }
}

/// Makes what puts the objects of a bucket away, unless they stay where they are.
async fn putting_away(
    after: &settings::After,
    bucket: &Bucket,
    place: &BucketPlace,
) -> anyhow::Result<Option<PutAway>> {
    let after = match after {
        settings::After::Keep => return Ok(None),
        settings::After::Tag => After::Tag,
        settings::After::Move(to) => After::Move(buckets::open(to).await?),
    };
    let s3 = buckets::open_s3(bucket, &place.options).await?;
    Ok(Some(PutAway::new(bucket.clone(), s3, after)))
}

/// Returns the prefixes under which new objects of a bucket are expected: the literal starts of the feeds' patterns,
/// and if a day comes next, one prefix for each recent day.
fn starts(source: &Source, feeds: &Feeds, today: Date) -> Vec<String> {
    let days = (-RECENT_DAYS..=1).filter_map(|days| today.checked_add(days.days()).ok());
    let days: Vec<_> = days.collect();
    let mut starts = Vec::new();
    for feed in feeds.iter() {
        let pattern = feed.files.as_str();
        let (literal, rest) = pattern.split_at(feed.files.literal_prefix());
        // What looks like a folder may be an archive, which is found by its own name.
        let mut folders = literal.match_indices('/').map(|(at, _)| &literal[..at]);
        let (literal, rest) = match folders.find(|folder| has_archive_name(folder)) {
            Some(archive) => (archive, ""),
            None => (literal, rest),
        };
        // A pattern matches file names, which begin with the source's own name.
        let Some(literal) = source.path_of(literal) else {
            // Either a wildcard matches the source's name, or the pattern is for another source.
            if source.file_name("").starts_with(literal) {
                starts.push(String::new());
            }
            continue;
        };
        match rest.strip_prefix("{date").and_then(|rest| rest.split_once('}')) {
            Some((format, _)) => {
                let format = format.strip_prefix(':').unwrap_or("%Y-%m-%d");
                starts.extend(
                    days.iter()
                        .map(|day| format!("{literal}{}", day.strftime(format))),
                );
            }
            None => starts.push(literal.to_owned()),
        }
    }
    starts
}

fn today() -> Date {
    SystemClock.now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

impl Sources {
    /// Starts watching all sources. A watcher that ends by itself is started anew.
    pub(super) async fn watch(
        components: &Arc<Components>,
        events: mpsc::Sender<SourceEvent>,
    ) -> anyhow::Result<Self> {
        let mut known = known(components).await.map_err(StepError::into_cause)?;
        let mut watched = Vec::with_capacity(components.sources.len());
        for (number, open) in components.sources.iter().enumerate() {
            let (to_pass_on, received) = mpsc::channel(EVENTS);
            let known = std::mem::take(&mut known[number]);
            let watcher = open.watch(&components.settings.feeds, known, to_pass_on);
            let watcher = Arc::new(Mutex::new(watcher));
            tokio::spawn(supervise(
                components.clone(),
                number,
                watcher.clone(),
                received,
                events.clone(),
            ));
            watched.push((open.source.clone(), watcher));
        }
        Ok(Self { watched })
    }

    /// Has the watcher look at a file again, as if it had just arrived.
    pub(super) fn look_again(&self, file: &str) {
        if let Some((_, watcher, path)) = self.of_file(file) {
            watcher.look_again(path);
        }
    }

    /// Waits for a file to arrive again. Its source counts as swept only after another listing.
    pub(super) fn wait_for(&self, file: &str, activity: &Activity) {
        if let Some((number, watcher, path)) = self.of_file(file) {
            activity.swept(number, false);
            watcher.look_again(path);
            watcher.sweep_now();
        }
    }

    /// The same for a file that was reported with this stamp, and had changed when it was read. It may have been reported
    /// again already.
    pub(super) fn wait_for_changed(&self, file: &str, stamp: Stamp, is_doubted: bool, activity: &Activity) {
        if let Some((number, watcher, path)) = self.of_file(file) {
            activity.swept(number, false);
            watcher.changed(path, stamp, is_doubted);
            watcher.sweep_now();
        }
    }

    /// Says that a file could not be read now, so that the next sweep reports it again.
    pub(super) fn unread(&self, file: &str, is_doubted: bool) {
        if let Some((_, watcher, path)) = self.of_file(file) {
            watcher.unread(path, is_doubted);
        }
    }

    /// Says that the outcome for a file with this stamp is durable, so its messages may be deleted from the queue.
    pub(super) fn recorded(&self, file: &str, stamp: Stamp) {
        if let Some((_, watcher, path)) = self.of_file(file) {
            watcher.recorded(path, stamp);
        }
    }

    fn of_file<'s>(&'s self, file: &'s str) -> Option<(usize, MutexGuard<'s, Handle>, &'s str)> {
        let mut watched = self.watched.iter().enumerate();
        watched.find_map(|(number, (source, watcher))| {
            let path = source.path_of(file)?;
            Some((number, lock(watcher), path))
        })
    }
}

fn lock(watcher: &Watcher) -> MutexGuard<'_, Handle> {
    watcher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what was recorded of the files of each source.
async fn known(components: &Components) -> Result<Vec<KnownFiles>, StepError> {
    let digest_of = |feed: &str, file: &str| components.settings.feeds.digest_of(feed, file);
    with_retries(&components.patience, "reading the known stamps", || async {
        let mut known = vec![KnownFiles::default(); components.sources.len()];
        // An archive is read again if one of its members is to be.
        let to_read: HashSet<String> = components.state.files_to_look_at().await?.into_iter().collect();
        let take = |file: &str, stamp| {
            if to_read.contains(file) {
                return;
            }
            let mut places = components.sources.iter().zip(&mut known);
            let place = places.find_map(|(open, here)| Some((open.source.path_of(file)?, here)));
            if let Some((path, here)) = place {
                here.insert(path, known_file(stamp));
            }
        };
        components.state.each_known_stamp(digest_of, take).await?;
        Ok(known)
    })
    .await
}

/// Passes a watcher's events on until the receiver is gone, which ends the watcher too. A watcher that ends by itself
/// has failed: another takes its place, after pauses that grow to a minute.
async fn supervise(
    components: Arc<Components>,
    number: usize,
    watcher: Watcher,
    mut received: mpsc::Receiver<Event>,
    events: mpsc::Sender<SourceEvent>,
) {
    let open = &components.sources[number];
    let mut failures = 0;
    loop {
        let began = Instant::now();
        loop {
            let event = tokio::select! {
                event = received.recv() => event,
                () = events.closed() => return,
            };
            let Some(event) = event else { break };
            let passed = SourceEvent {
                source: number,
                event: Ok(named(&open.source, event)),
            };
            if events.send(passed).await.is_err() {
                return;
            }
        }
        if began.elapsed() > STEADY {
            failures = 0;
        }
        failures += 1;
        let error = "its watcher failed: this is a bug; please report it with the log".to_owned();
        let ended = match failures > RETRIES {
            true => Err(error),
            false => {
                let pause = pause_after(failures);
                tracing::error!(source = %open.source.place, ?pause, "{error}. It is started again");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = events.closed() => return,
                }
                known(&components).await.map_err(|error| error.to_string())
            }
        };
        match ended {
            Ok(mut known) => {
                let (to_pass_on, anew) = mpsc::channel(EVENTS);
                let known = std::mem::take(&mut known[number]);
                *lock(&watcher) = open.watch(&components.settings.feeds, known, to_pass_on);
                received = anew;
            }
            Err(error) => {
                let (source, event) = (number, Err(error));
                // Whoever receives this ends the pipeline; if nobody does, it has ended.
                let _ = events.send(SourceEvent { source, event }).await;
                return;
            }
        }
    }
}

/// Gives the files of an event the names that the rest of the pipeline uses.
fn named(source: &Source, event: Event) -> Event {
    let named = |Arrival { path, stamp }| Arrival {
        path: source.file_name(&path),
        stamp,
    };
    match event {
        Event::Arrived(arrival) => Event::Arrived(named(arrival)),
        Event::Doubted(arrival) => Event::Doubted(named(arrival)),
        Event::Restamped(arrival) => Event::Restamped(named(arrival)),
        Event::Unmatched { files, is_all } => Event::Unmatched {
            files: files
                .into_iter()
                .map(|file| UnmatchedFile {
                    path: source.file_name(&file.path),
                    ..file
                })
                .collect(),
            is_all,
        },
        Event::Refused { name, reason } => Event::Refused {
            name: source.file_name(&name),
            reason,
        },
        other => other,
    }
}

/// Converts a stamp to the form that the state database keeps.
pub(super) fn to_state(stamp: Stamp) -> gristmill_state::Stamp {
    let Stamp {
        bytes,
        modified_ns,
        identity,
        changed_ns,
    } = stamp;
    gristmill_state::Stamp {
        bytes,
        modified_ns,
        inode: identity,
        changed_ns,
    }
}

/// Converts a stamp that the state database kept.
pub(super) fn from_state(stamp: gristmill_state::Stamp) -> Stamp {
    let gristmill_state::Stamp {
        bytes,
        modified_ns,
        inode,
        changed_ns,
    } = stamp;
    Stamp {
        bytes,
        modified_ns,
        identity: inode,
        changed_ns,
    }
}

/// Converts a file that the state database knows.
fn known_file(file: gristmill_state::KnownStamp) -> KnownFile {
    KnownFile {
        stamp: from_state(file.stamp),
        read_at: file.read_at.into(),
    }
}

#[cfg(test)]
mod tests {
    use gristmill_engine::{FeedLayout, FeedSpec};

    use super::*;

    /// Returns the starts in a source with this name, on 2026-03-01, for feeds with these patterns.
    fn starts_of(name: Option<&str>, patterns: &[&str]) -> Vec<String> {
        let layouts = patterns.iter().enumerate().map(|(number, files)| {
            let spec = FeedSpec {
                name: format!("feed-{number}"),
                files: (*files).into(),
                ..FeedSpec::default()
            };
            FeedLayout::new(&spec).unwrap()
        });
        let source = Source {
            name: name.map(str::to_owned),
            place: Place::Folder(std::path::PathBuf::new()),
            queue: None,
            settle: Duration::ZERO,
            poll: Duration::ZERO,
            sweep: Duration::ZERO,
            sweep_hash: None,
            follow_links: false,
            after: settings::After::Keep,
        };
        let today = jiff::civil::date(2026, 3, 1);
        starts(&source, &Feeds::new(layouts.collect()), today)
    }

    #[test]
    fn a_poll_looks_where_a_pattern_has_new_files_come() {
        assert_eq!(starts_of(None, &["in/*.tdf", "Item*"]), ["in/", "Item"]);
        let dated = starts_of(None, &["in/{date:%Y/%m/%d}/*.tdf"]);
        assert_eq!(dated.len(), 9);
        assert_eq!(
            (dated[0].as_str(), dated[8].as_str()),
            ("in/2026/02/22", "in/2026/03/02")
        );
    }

    #[test]
    fn a_source_with_a_name_is_not_listed_for_the_feeds_of_others() {
        assert_eq!(
            starts_of(Some("north"), &["north/in/*.tdf", "south/*.tdf"]),
            ["in/"]
        );
        // Wildcards may match its name.
        for pattern in ["*/in/*.tdf", "no*/in/*.tdf", "**/*.tdf"] {
            assert_eq!(starts_of(Some("north"), &[pattern]), [""], "{pattern}");
        }
        assert!(starts_of(Some("north"), &["not*/in/*.tdf"]).is_empty());
    }
}
