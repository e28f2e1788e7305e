//! `gristmill aggregate`: the engine alone, from files to one Parquet.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use clap::Args;
use gristmill_engine::{
    Conversion, ConversionReport, FeedLayout, FeedSpec, Outputs, Partial, Reason, RunPartial, Scratch,
    SummaryOutputs, convert, summarize,
};
use rayon::prelude::*;
use tempfile::TempDir;
use walkdir::WalkDir;

use super::failure::{FAILED, Usage};
use super::output;
use crate::memory::MemoryLimit;
use crate::progress::Progress;
use crate::settings::{DEFAULT_FILE, Settings};

/// Sum files into one Parquet, with the engine alone
///
/// Sums sales, taxes and discounts by store, item and date over all files given, and writes one sorted Parquet. Keeps
/// no state and loads nothing. Without --feed, lines are tab-separated store_id, amount, code, item_id, trans_date,
/// with the codes 4 (sale), 5 (tax) and 6 (discount). The exit status is 1 if a file had to be rejected as a whole.
#[derive(Debug, Args)]
pub(super) struct AggregateArgs {
    /// Files, and folders whose files are taken with all below; hidden and unfinished ones are passed over
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// The Parquet to write
    #[arg(short, long, value_name = "OUT.parquet")]
    output: PathBuf,
    /// The settings file that describes the feed
    #[arg(short = 'c', long = "config", default_value = DEFAULT_FILE, requires = "feed", value_name = "FILE")]
    config: PathBuf,
    /// The feed of the settings file that says how the files are written; of folders, only its files are taken
    #[arg(long, value_name = "NAME")]
    feed: Option<String>,
}

pub(super) fn run(args: AggregateArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let (layout, limit) = layout(&args)?;
    let sales = layout.sales().ok_or_else(|| {
        Usage::new(format!(
            "feed {:?} is a reference feed, which is not aggregated",
            layout.name
        ))
    })?;
    let files = list_inputs(&args.inputs, &layout)?;
    let folder = args
        .output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Partials lie beside the output, and the output is renamed into place: it is whole or not there.
    let spool = TempDir::with_prefix_in(".gristmill-", folder)
        .with_context(|| format!("cannot write to the folder {}", folder.display()))?;

    let converted = convert_all(&files, &layout, spool.path(), limit, &progress)?;
    progress.finish();
    let rejected = converted
        .iter()
        .filter(|file| file.report.rejected_because.is_some())
        .count();
    tell_rejects(&converted)?;
    if rejected == files.len() {
        anyhow::bail!(
            "none of the {} files has a row that counts: {} was not written",
            files.len(),
            args.output.display()
        );
    }
    let (reports, partials): (Vec<_>, Vec<_>) = converted
        .into_iter()
        .map(|file| (file.report, file.partial))
        .unzip();
    let partials = (0..)
        .zip(partials.into_iter().flatten())
        .map(|(order, partial)| RunPartial { partial, order })
        .collect();
    let (summary, coverage) = (spool.path().join("summary"), spool.path().join("coverage"));
    let outputs = SummaryOutputs {
        summary: &summary,
        coverage: &coverage,
    };
    let scratch = Scratch {
        folder: spool.path(),
        memory: limit.for_partials(),
    };
    let report = summarize(partials, sales, outputs, scratch)?;
    std::fs::rename(&summary, &args.output)
        .with_context(|| format!("cannot write {}", args.output.display()))?;

    let total = |count: fn(&ConversionReport) -> u64| reports.iter().map(count).sum::<u64>();
    output::line(format!(
        "{} files, {} lines = {} rows + {} ignored + {} skipped + {} rejects → {} keys in {}",
        files.len(),
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

/// How the files are written, and how much memory their sums may take.
fn layout(args: &AggregateArgs) -> anyhow::Result<(FeedLayout, MemoryLimit)> {
    let Some(name) = &args.feed else {
        return Ok((FeedLayout::new(&FeedSpec::default())?, MemoryLimit::of_machine()));
    };
    let settings = Settings::read(&args.config)?;
    let feed = settings.feeds.get(name).ok_or_else(|| {
        let known: Vec<_> = settings.feeds.iter().map(|feed| feed.name.as_str()).collect();
        Usage::new(format!(
            "--feed {name:?} is none of the settings' feeds: {}",
            known.join(", ")
        ))
    })?;
    Ok((FeedLayout::clone(feed), settings.convert.memory_limit))
}

/// The files to read: each input that is a file, and the feed's files of each that is a folder, in order of their paths.
fn list_inputs(inputs: &[PathBuf], layout: &FeedLayout) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        let entries = WalkDir::new(input)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || gristmill_watcher::is_looked_at(entry.file_name()));
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list the folder {}", input.display()))?;
            let relative = entry.path().strip_prefix(input).unwrap_or(entry.path());
            let is_of_feed = relative.to_str().is_some_and(|path| layout.files.matches(path));
            if entry.file_type().is_file() && is_of_feed {
                files.push(entry.into_path());
            }
        }
    }
    if files.is_empty() {
        return Err(Usage::new("the inputs hold no file of the feed").into());
    }
    Ok(files)
}

struct Converted {
    path: PathBuf,
    report: ConversionReport,
    /// Of a file that counts.
    partial: Option<Partial>,
}

/// Converts all files, side by side. The first that cannot be read ends the command.
fn convert_all(
    files: &[PathBuf],
    layout: &FeedLayout,
    spool: &Path,
    limit: MemoryLimit,
    progress: &Progress,
) -> anyhow::Result<Vec<Converted>> {
    let held = AtomicUsize::new(0);
    let convert = |path: &PathBuf| {
        let scratch = Scratch {
            folder: spool,
            memory: limit.for_a_thread(),
        };
        let mut file = convert_one(path, layout, scratch, progress)?;
        if let Some(partial) = file.partial.take() {
            let memory = partial.memory();
            let is_too_much = held.fetch_add(memory, Ordering::Relaxed) + memory > limit.for_partials();
            file.partial = Some(if is_too_much {
                partial.spill(spool)?
            } else {
                partial
            });
        }
        Ok(file)
    };
    // A file at a time for each thread; threads that find none left help with the files in hand.
    files.par_iter().with_max_len(1).map(convert).collect()
}

fn convert_one(
    path: &Path,
    layout: &FeedLayout,
    scratch: Scratch<'_>,
    progress: &Progress,
) -> anyhow::Result<Converted> {
    let failed = || format!("cannot convert {}", path.display());
    let input = File::open(path).with_context(failed)?;
    progress.file_arrived(input.metadata().with_context(failed)?.len());
    let mut told = 0;
    let conversion = convert(input, layout, Outputs::default(), scratch, |bytes| {
        progress.bytes_read(bytes - told);
        told = bytes;
    });
    progress.file_done();
    let Conversion { report, partial } = conversion.with_context(failed)?;
    Ok(Converted {
        path: path.to_owned(),
        partial: partial.filter(|_| report.rejected_because.is_none()),
        report,
    })
}

/// Says which files were rejected, and how many lines of the others for which reasons.
fn tell_rejects(converted: &[Converted]) -> std::io::Result<()> {
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    for Converted { path, report, .. } in converted {
        if let Some(because) = &report.rejected_because {
            output::line(format!(
                "rejected, counts for nothing: {}: {because}",
                path.display()
            ))?;
        }
        for (reason, count) in &report.reasons {
            *reasons.entry(*reason).or_default() += count;
        }
    }
    for (reason, count) in reasons {
        output::line(format!("{count} rejects: {}", reason.text()))?;
    }
    Ok(())
}
