//! `gristmill infer`: the settings that read samples of a store.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use gristmill_engine::{
    Budget, Conversion, ConversionReport, EngineError, FeedLayout, Outputs, Scratch, convert,
    convert_in_order,
};
use gristmill_infer::{Inferred, Sample, Wanted, infer};
use gristmill_state::{Clock, SystemClock};
use gristmill_watcher::OwnFiles;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::failure::FAILED;
use super::inputs::{self, Input};
use super::{JsonArg, SettingsArg, output};
use crate::memory::MemoryLimit;
use crate::settings::{Feeds, Settings, check_feed, feed_in, read_feed, read_profile};
use crate::usage::Usage;

/// Find the settings that read samples of a store
///
/// Looks at the beginning of each file and prints the [[feed]] that reads them all, to be pasted into the settings file.
/// Each key comes with what speaks for it. What the samples cannot decide, such as whether 1/6/2016 is in January or in
/// June, is a comment with the alternatives. Then the samples are read with these settings, and comments say what became
/// of their records. Nothing is recorded or loaded. The exit status is 1 if something is open, or if a sample would be
/// rejected.
#[derive(Debug, Args)]
pub(super) struct InferArgs {
    /// Files of one till, archives of such, or objects as s3://, gs:// or az://BUCKET/KEY. Several show more than one does
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print a [[feed.profile]] of this name, for a feed of the settings file
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The feed's name; with --profile, the feed that it is for
    #[arg(long, value_name = "NAME")]
    feed: Option<String>,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

/// The most bytes of one file, and of all files, that are looked at.
const MOST: usize = 16 << 20;
const MOST_OF_ALL: usize = 24 << 20;

/// The most members of an archive that are looked at.
const MOST_MEMBERS: usize = 50;

#[derive(Serialize)]
struct Found {
    /// The settings to paste. What is open are comments.
    settings: String,
    /// The same with the first of all alternatives.
    trial: String,
    /// Whether nothing is open, and all samples are read.
    certain: bool,
    questions: Vec<String>,
    notes: Vec<String>,
    files: Vec<ReadFile>,
}

/// What became of a sample.
#[derive(Serialize)]
struct ReadFile {
    file: String,
    records: u64,
    rows: u64,
    ignored: u64,
    skipped: u64,
    rejects: u64,
    rejected_because: Option<String>,
}

pub(super) async fn run(args: InferArgs) -> anyhow::Result<ExitCode> {
    let profile = match &args.profile {
        Some(profile) => Some((
            profile.clone(),
            feed_in(&args.settings.config, args.feed.as_deref())?,
        )),
        None => None,
    };
    let wanted = Wanted {
        feed: args.feed.clone().unwrap_or_else(|| "sales".to_owned()),
        profile,
    };
    // What gristmill keeps for itself is no sample, as far as there are settings that say where it is.
    let own = Settings::read(&args.settings.config).map(|settings| settings.own_files());
    let own =
        Arc::new(own.unwrap_or_else(|_| {
            OwnFiles::new(Vec::new(), Vec::new(), Vec::new(), || SystemClock.now().into())
        }));
    let most = MOST.min(MOST_OF_ALL / args.files.len());
    let mut samples = Vec::new();
    for file in &args.files {
        samples.extend(read_samples(file, own.clone(), most).await?);
    }
    let found = spawn_blocking(move || look(&samples, &wanted)).await??;
    if args.json.json {
        output::json(&found)?;
    } else {
        print(&found)?;
    }
    Ok(match found.certain {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

/// Reads the beginning of a file or an object, or of the members of an archive.
async fn read_samples(file: &Path, own: Arc<OwnFiles>, most: usize) -> anyhow::Result<Vec<Sample>> {
    let input = match inputs::url(file) {
        Some(url) => {
            let place = inputs::place(url, &[])?;
            let object = inputs::object(url, &place).await?;
            object.ok_or_else(|| Usage::new(format!("{url}: there is no such object")))?
        }
        None => Input::File {
            path: file.to_owned(),
            own,
        },
    };
    let name = file
        .to_str()
        .and_then(|path| path.rsplit('/').next())
        .map(ToOwned::to_owned);
    let name =
        name.ok_or_else(|| Usage::new(format!("{}: the name is not UTF-8: rename it", file.display())))?;
    let runtime = Handle::current();
    spawn_blocking(move || {
        let failed = || format!("cannot read {input}");
        let sample =
            Sample::read(&name, input.open(&runtime).with_context(failed)?, most).with_context(failed)?;
        if !sample.is_archive() {
            return Ok(vec![sample]);
        }
        let members = match input.members(&runtime, None).with_context(failed)? {
            Ok(members) => members,
            Err(reason) => return Ok(vec![Sample::unreadable(&name, reason)]),
        };
        if members.members.is_empty() {
            return Ok(vec![Sample::unreadable(
                &name,
                "the archive holds no file".to_owned(),
            )]);
        }
        let count = members.members.len().min(MOST_MEMBERS);
        let members = members.members.iter().take(count).map(|(member, input)| {
            let failed = || format!("cannot read {input}");
            let opened = input.open(&runtime).with_context(failed)?;
            Sample::read_member(member, opened, most / count).with_context(failed)
        });
        members.collect()
    })
    .await?
}

/// Finds settings, and reads the samples with them.
fn look(samples: &[Sample], wanted: &Wanted) -> anyhow::Result<Found> {
    let inferred = infer(samples, wanted);
    let Inferred {
        settings,
        trial,
        mut questions,
        notes,
        record_length,
    } = inferred;
    let mut files = Vec::new();
    if !trial.is_empty() {
        match feeds(&trial, wanted) {
            Ok(feeds) => {
                for sample in samples {
                    files.push(read(sample, &feeds, record_length)?);
                }
            }
            Err(problem) => questions.push(format!("these settings cannot be used: {problem}")),
        }
    }
    let is_read = |file: &ReadFile| file.rejected_because.is_none();
    if files.iter().all(is_read)
        && files.iter().map(|file| file.rows).sum::<u64>() == 0
        && questions.is_empty()
    {
        questions.push("no record became a row".to_owned());
    }
    Ok(Found {
        certain: questions.is_empty() && files.iter().all(is_read),
        settings,
        trial,
        questions,
        notes,
        files,
    })
}

/// Checks settings as the settings file is checked.
fn feeds(fragment: &str, wanted: &Wanted) -> Result<Feeds, String> {
    match &wanted.profile {
        None => check_feed(&read_feed(fragment)?),
        Some((_, feed)) => {
            let mut feed = feed.clone();
            // The first profile whose pattern matches reads a file, so this one is asked first.
            feed.profiles
                .retain(|known| Some(&known.name) != wanted.profile.as_ref().map(|(name, _)| name));
            feed.profiles.insert(0, read_profile(fragment)?);
            check_feed(&feed)
        }
    }
}

fn read(sample: &Sample, feeds: &Feeds, record_length: Option<usize>) -> anyhow::Result<ReadFile> {
    let report = match feeds.of_file(&sample.name) {
        None => ConversionReport::rejected("the pattern does not match its name".to_owned()),
        Some((layout, _)) => {
            let text = sample.whole_records(record_length);
            let failed = || format!("cannot convert the beginning of {}", sample.name);
            match converted(&text, &layout).with_context(failed) {
                Ok(Conversion { report, .. }) => report,
                Err(error) => match error.downcast_ref() {
                    Some(EngineError::Overflow { .. } | EngineError::TooManyItems) => {
                        ConversionReport::rejected(error.root_cause().to_string())
                    }
                    _ => return Err(error),
                },
            }
        }
    };
    Ok(ReadFile {
        file: sample.name.clone(),
        records: report.lines,
        rows: report.rows,
        ignored: report.ignored,
        skipped: report.skipped,
        rejects: report.rejects,
        rejected_because: report.rejected_because,
    })
}

fn converted(text: &[u8], layout: &FeedLayout) -> anyhow::Result<Conversion> {
    let folder = tempfile::TempDir::new().context("cannot make a temporary folder")?;
    let memory: Budget = MemoryLimit::of_machine().memory().conversions;
    let scratch = Scratch {
        folder: folder.path(),
        memory: &memory,
    };
    Ok(match convert(text, layout, Outputs::default(), scratch, |_| ()) {
        Err(EngineError::ColumnsMoved) => {
            convert_in_order(text, layout, Outputs::default(), scratch, |_| ())?
        }
        done => done?,
    })
}

/// Prints the settings, and as comments behind them what they do.
fn print(found: &Found) -> std::io::Result<()> {
    let mut text = found.settings.clone();
    for note in &found.notes {
        let _ = writeln!(text, "# {note}.");
    }
    let with = if found.settings == found.trial {
        "With these settings"
    } else {
        "With the first of each alternative"
    };
    if !found.files.is_empty() {
        let _ = writeln!(text, "# {with}:");
    }
    for file in &found.files {
        let ReadFile {
            file,
            records,
            rows,
            ignored,
            skipped,
            rejects,
            rejected_because,
        } = file;
        let name = output::path(file);
        let _ = writeln!(
            text,
            "#   {name}: {records} records = {rows} rows + {ignored} ignored + {skipped} skipped + {rejects} rejects"
        );
        if let Some(because) = rejected_because {
            let _ = writeln!(
                text,
                "#   {name} would be rejected: {}",
                because.replace('\n', " ")
            );
        }
    }
    for question in &found.questions {
        let _ = writeln!(text, "# Open: {}", question.replace('\n', " "));
    }
    let verdict = match found.certain {
        true => "# They read all samples; `gristmill check FILE` shows the rows.",
        false => {
            "# These settings are not certain: decide what is open, and try them with `gristmill check FILE`."
        }
    };
    let _ = write!(text, "{verdict}");
    output::line(text)
}
