//! `gristmill aggregate`: the engine alone, from files to one Parquet file.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use futures::{StreamExt, stream};
use gristmill_engine::{
    Conversion, ConversionReport, FeedLayout, FeedSpec, Outputs, Partial, Reason, RunPartial, Scratch,
    Selection, SummaryOutputs, summarize,
};
use gristmill_state::{Clock, SystemClock};
use gristmill_watcher::OwnFiles;
use rayon::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::failure::FAILED;
use super::inputs::{self, Input};
use super::output;
use crate::memory::{Memory, MemoryLimit};
use crate::overview;
use crate::progress::Progress;
use crate::settings::{DEFAULT_FILE, Settings, Source};
use crate::usage::Usage;

/// Sum files into one Parquet file, with the engine alone
///
/// Sums sales, taxes and discounts by store, item and date over all given files, and writes one sorted Parquet file.
/// Keeps no state and loads nothing. Without --feed, lines are tab-separated store_id, amount, code, item_id,
/// trans_date, with the codes 4 (sale), 5 (tax) and 6 (discount). The exit status is 1 if a file was rejected as a
/// whole.
#[derive(Debug, Args)]
pub(super) struct AggregateArgs {
    /// Files, archives and folders; folders are read with all their subfolders, except hidden and unfinished files. Also
    /// objects and prefixes, as s3://, gs:// or az://BUCKET/PREFIX, with the provider's standard credentials; with --feed,
    /// those inside a source of the settings file are reached as that source is
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// The Parquet file to write
    #[arg(short, long, value_name = "OUT.parquet")]
    output: PathBuf,
    /// The settings file that describes the feed
    #[arg(short = 'c', long = "config", default_value = DEFAULT_FILE, requires = "feed", value_name = "FILE")]
    config: PathBuf,
    /// The feed in the settings file that describes the files; from folders and prefixes, only files of this feed are
    /// read
    #[arg(long, value_name = "NAME")]
    feed: Option<String>,
}

pub(super) async fn run(args: AggregateArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let (layout, limit, sources, own) = described(&args)?;
    let layout = Arc::new(layout);
    let sales = layout.sales().ok_or_else(|| {
        Usage::new(format!(
            "feed {:?} is a reference feed, which is not aggregated",
            layout.name
        ))
    })?;
    let files = inputs::list(&args.inputs, &layout.files, &sources, &own).await?;
    if files.is_empty() {
        return Err(Usage::new("the inputs hold no file of the feed").into());
    }
    let folder = args
        .output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Partials are written beside the output, and the output is renamed into place, so it is either whole or absent.
    let spool = TempDir::with_prefix_in(".gristmill-", folder)
        .with_context(|| format!("cannot write to the folder {}", folder.display()))?;

    let memory = limit.memory();
    let converted = convert_all(files, &layout, spool.path(), &memory, &progress)?;
    progress.finish();
    let count = converted.len();
    if count == 0 {
        return Err(Usage::new("the inputs hold no file of the feed").into());
    }
    let rejected = converted
        .iter()
        .filter(|file| file.report.rejected_because.is_some())
        .count();
    print_rejects(&converted)?;
    if rejected == count {
        anyhow::bail!(
            "all {count} files were rejected: {} was not written",
            args.output.display()
        );
    }
    let (reports, partials): (Vec<_>, Vec<_>) = converted
        .into_iter()
        .map(|file| (file.report, file.partial))
        .unzip();
    let partials = (0..)
        .zip(partials.into_iter().flatten())
        .map(|(order, partial)| RunPartial {
            partial,
            order,
            selection: Selection::all(),
        })
        .collect();
    let (summary, coverage) = (spool.path().join("summary"), spool.path().join("coverage"));
    let outputs = SummaryOutputs {
        summary: &summary,
        coverage: &coverage,
    };
    let scratch = Scratch {
        folder: spool.path(),
        memory: &memory.merges,
    };
    let report = summarize(partials, &[], sales, outputs, scratch)?;
    std::fs::rename(&summary, &args.output)
        .with_context(|| format!("cannot write {}", args.output.display()))?;

    let total = |count: fn(&ConversionReport) -> u64| reports.iter().map(count).sum::<u64>();
    output::line(format!(
        "{count} files, {} lines = {} rows + {} ignored + {} skipped + {} rejects → {} keys in {}",
        total(|r| r.lines),
        total(|r| r.rows),
        total(|r| r.ignored),
        total(|r| r.skipped),
        total(|r| r.rejects),
        report.rows,
        args.output.display()
    ))?;
    Ok(if rejected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Returns the layout of the files, how much memory their sums may take, the sources that they may lie in, and what
/// must not be read.
fn described(args: &AggregateArgs) -> anyhow::Result<(FeedLayout, MemoryLimit, Vec<Source>, Arc<OwnFiles>)> {
    let Some(name) = &args.feed else {
        let layout = FeedLayout::new(&FeedSpec::default())?;
        // Without settings, nothing is known to be gristmill's own, and no database is open that reading could harm.
        let nothing = OwnFiles::new(Vec::new(), Vec::new(), Vec::new(), || SystemClock.now().into());
        return Ok((layout, MemoryLimit::of_machine(), Vec::new(), Arc::new(nothing)));
    };
    let settings = Settings::read(&args.config)?;
    let feed = settings.feeds.get(name).ok_or_else(|| {
        let known: Vec<_> = settings.feeds.iter().map(|feed| feed.name.as_str()).collect();
        Usage::new(format!(
            "--feed {name:?} is not in the settings file; its feeds are {}",
            known.join(", ")
        ))
    })?;
    let layout = FeedLayout::clone(feed);
    let own = Arc::new(settings.own_files());
    Ok((layout, settings.convert.memory_limit, settings.sources, own))
}

struct Converted {
    input: Input,
    report: ConversionReport,
    /// `None` if the file was rejected.
    partial: Option<Partial>,
}

/// A file that is next to be converted. An object is already open, with some of its bytes fetched.
struct Ready {
    number: usize,
    input: Input,
    opened: Option<(anyhow::Result<Box<dyn Read + Send>>, OwnedSemaphorePermit)>,
}

/// Converts all files in parallel, and returns them in their order. The first one that cannot be read ends the command.
fn convert_all(
    files: Vec<Input>,
    layout: &Arc<FeedLayout>,
    spool: &Path,
    memory: &Memory,
    progress: &Progress,
) -> anyhow::Result<Vec<Converted>> {
    let runtime = Handle::current();
    let convert = |ready: anyhow::Result<Ready>| {
        let ready = ready?;
        let scratch = Scratch {
            folder: spool,
            memory: &memory.conversions,
        };
        let number = ready.number;
        let mut files = convert_one(ready, layout, scratch, &runtime, progress)?;
        for file in &mut files {
            if let Some(partial) = file.partial.take() {
                file.partial = Some(partial.kept_in(&memory.merges, spool)?);
            }
        }
        Ok((number, files))
    };
    let (local, objects): (Vec<_>, Vec<_>) = files
        .into_iter()
        .enumerate()
        .partition(|(_, input)| matches!(input, Input::File { .. }));
    let local = local.into_iter().map(|(number, input)| {
        Ok(Ready {
            number,
            input,
            opened: None,
        })
    });
    let mut opened = open_ahead(objects);
    let opened = std::iter::from_fn(move || opened.blocking_recv());
    // Each thread takes one file at a time. Threads that find none left help with the files in progress.
    let converted = local.chain(opened).par_bridge().map(convert);
    let mut converted = converted.collect::<anyhow::Result<Vec<_>>>()?;
    converted.sort_unstable_by_key(|(number, _)| *number);
    Ok(converted.into_iter().flat_map(|(_, files)| files).collect())
}

/// The most objects that are requested at the same time.
const REQUESTED_AT_ONCE: usize = 32;

/// The most KiB of objects that are open but not yet converted, whether fetched or in flight.
const OPEN_KIB: usize = 96 << 10;

/// The most KiB that one object takes while it is read.
const OBJECT_KIB: u64 = 40 << 10;

/// Opens objects in their order, ahead of the threads that convert them, so that no thread waits for the network.
fn open_ahead(objects: Vec<(usize, Input)>) -> mpsc::Receiver<anyhow::Result<Ready>> {
    let room = Arc::new(Semaphore::new(OPEN_KIB));
    let (send, ready) = mpsc::channel(REQUESTED_AT_ONCE);
    let open = move |(number, input): (usize, Input)| {
        let room = room.clone();
        async move {
            let kib = input.bytes()?.div_ceil(1024).clamp(1, OBJECT_KIB) as u32;
            let permit = room.acquire_many_owned(kib).await?;
            let runtime = Handle::current();
            let opened = tokio::task::spawn_blocking(move || {
                let reader = input.open(&runtime);
                Ready {
                    number,
                    input,
                    opened: Some((reader, permit)),
                }
            });
            anyhow::Ok(opened.await?)
        }
    };
    tokio::spawn(async move {
        let mut opened = stream::iter(objects).map(open).buffered(REQUESTED_AT_ONCE);
        while let Some(ready) = opened.next().await {
            if send.send(ready).await.is_err() {
                return;
            }
        }
    });
    ready
}

fn convert_one(
    ready: Ready,
    layout: &Arc<FeedLayout>,
    scratch: Scratch<'_>,
    runtime: &Handle,
    progress: &Progress,
) -> anyhow::Result<Vec<Converted>> {
    let Ready { input, opened, .. } = ready;
    let feed = layout;
    let layout = &reader(layout, &input);
    let failed = || format!("cannot convert {input}");
    let (reader, _permit) = match opened {
        Some((reader, permit)) => (reader, Some(permit)),
        None => (input.open(runtime), None),
    };
    progress.file_arrived(input.bytes().with_context(failed)?);
    let mut counted = 0;
    let conversion = input.convert(reader, runtime, layout, (Outputs::default(), scratch), |bytes| {
        progress.bytes_read(bytes - counted);
        counted = bytes;
    });
    progress.file_done();
    let Conversion { report, partial } = match conversion {
        Err(error) if inputs::is_archive(&error) => {
            return convert_members(input, feed, scratch, runtime, progress);
        }
        conversion => conversion.with_context(failed)?,
    };
    Ok(vec![Converted {
        partial: partial.filter(|_| report.rejected_because.is_none()),
        report,
        input,
    }])
}

/// Converts the members of an archive that the feed's pattern matches, with the archive as a folder or without it.
fn convert_members(
    input: Input,
    layout: &Arc<FeedLayout>,
    scratch: Scratch<'_>,
    runtime: &Handle,
    progress: &Progress,
) -> anyhow::Result<Vec<Converted>> {
    let members = input.members(runtime, Some(&*reader(layout, &input)));
    let members = match members.with_context(|| format!("cannot read {input}"))? {
        Ok(members) => members,
        Err(reason) => {
            let report = ConversionReport::rejected(reason);
            return Ok(vec![Converted {
                input,
                report,
                partial: None,
            }]);
        }
    };
    let archive = input.to_string();
    let archive = archive.rsplit('/').next().unwrap_or(&archive);
    let is_of_feed =
        |member: &str| layout.files.matches(member) || layout.files.matches(&format!("{archive}/{member}"));
    let wanted = members
        .members
        .into_iter()
        .filter(|(member, _)| is_of_feed(member));
    let converted = wanted.map(|(_, input)| {
        let ready = Ready {
            number: 0,
            input,
            opened: None,
        };
        convert_one(ready, layout, scratch, runtime, progress)
    });
    Ok(converted
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// Returns the layout that reads an input: that of a profile if its name, with folders or without, is one of the
/// profile's.
fn reader(feed: &Arc<FeedLayout>, input: &Input) -> Arc<FeedLayout> {
    let path = input.to_string();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let mut names = [path.as_str(), name].into_iter();
    let found = names.find_map(|name| feed.reader(name));
    found.map_or_else(|| feed.clone(), |(layout, _)| layout)
}

/// Prints which files were rejected or are odd, and how many lines were rejected for each reason.
fn print_rejects(converted: &[Converted]) -> std::io::Result<()> {
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    for Converted { input, report, .. } in converted {
        if let Some(because) = &report.rejected_because {
            output::line(format!("rejected as a whole: {input}: {because}"))?;
        }
        for note in overview::of_lines(report.skipped_rows, report.lines_behind_end) {
            output::line(format!("{input}: {note}"))?;
        }
        for (reason, count) in &report.reasons {
            *reasons.entry(*reason).or_default() += count;
        }
    }
    let open: Vec<_> = converted
        .iter()
        .filter(|file| !file.report.last_line_ended)
        .collect();
    if overview::is_odd(converted.len() - open.len(), open.len()) {
        for Converted { input, .. } in open {
            output::line(format!("{input}: {}", overview::OPEN))?;
        }
    }
    for (reason, count) in reasons {
        output::line(format!("{count} rejects: {}", reason.text()))?;
    }
    Ok(())
}
