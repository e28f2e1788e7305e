//! `gristmill check`: what files would do, without doing it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use gristmill_engine::{
    ConversionReport, FeedLayout, Header, Outputs, Reject, Scratch, convert, read_rejects,
};
use serde::Serialize;

use super::failure::{FAILED, Usage};
use super::{JsonArg, SettingsArg, output, rejects};
use crate::memory::MemoryLimit;
use crate::settings::Settings;

/// Say what files would do, without doing it
///
/// Converts each file as `run` would, and tells which feed it belongs to, its counts, whether it would be accepted and
/// the first of its rejects. Nothing is recorded, kept or loaded. The exit status is 1 if a file would be rejected.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The files; a file outside the source folder is judged by its name alone
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Checked {
    file: String,
    feed: String,
    lines: u64,
    rows: u64,
    ignored: u64,
    skipped: u64,
    rejects: u64,
    drift_lines: u64,
    header: &'static str,
    rejected_because: Option<String>,
    reasons: BTreeMap<&'static str, u64>,
    first_rejects: Vec<Reject>,
}

pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(&args.settings.config)?;
    let mut all = Vec::new();
    for file in &args.files {
        let name = name_in_source(file, &settings.source)?;
        let Some((feed, _)) = settings.feeds.of_file(&name) else {
            let patterns: Vec<_> = settings.feeds.iter().map(|feed| feed.files.as_str()).collect();
            let patterns = patterns.join(", ");
            return Err(Usage::new(format!(
                "{name}: no feed matches it; the feeds' patterns are {patterns}"
            ))
            .into());
        };
        all.push(check(file, name, feed, settings.convert.memory_limit)?);
    }
    if args.json.json {
        output::json(&all)?;
    } else {
        all.iter().try_for_each(print)?;
    }
    let is_fine = all.iter().all(|checked| checked.rejected_because.is_none());
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// The path that the watcher would give the file.
fn name_in_source(file: &Path, source: &Path) -> anyhow::Result<String> {
    let absolute = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("cannot find {}", path.display()))
    };
    let (file, source) = (absolute(file)?, absolute(source)?);
    let relative = file
        .strip_prefix(&source)
        .ok()
        .or_else(|| file.file_name().map(Path::new));
    let name = relative.and_then(Path::to_str);
    name.map(ToOwned::to_owned)
        .ok_or_else(|| Usage::new(format!("{}: its name is not UTF-8: rename it", file.display())).into())
}

fn check(path: &Path, file: String, feed: &FeedLayout, memory: MemoryLimit) -> anyhow::Result<Checked> {
    const SHOWN: usize = 10;
    let failed = || format!("cannot check {}", path.display());
    let folder = tempfile::TempDir::new().context("cannot make a temporary folder")?;
    let spool = folder.path().join("rejects");
    let outputs = Outputs {
        converted: None,
        rejects: Some(&spool),
    };
    let scratch = Scratch {
        folder: folder.path(),
        memory: memory.for_a_thread(),
    };
    let report = File::open(path)
        .map_err(anyhow::Error::new)
        .and_then(|input| Ok(convert(input, feed, outputs, scratch, |_| ())?.report));
    let first_rejects = match &report {
        Ok(report) if report.rejects > 0 => read_rejects(&spool, SHOWN),
        _ => Ok(Vec::new()),
    };
    let ConversionReport {
        lines,
        rows,
        ignored,
        skipped,
        rejects,
        drift_lines,
        header,
        reasons,
        rejected_because,
        ..
    } = report.with_context(failed)?;
    Ok(Checked {
        file,
        feed: feed.name.clone(),
        lines,
        rows,
        ignored,
        skipped,
        rejects,
        drift_lines,
        header: match header {
            Header::None => "none",
            Header::ByName => "columns by name",
            Header::ByPosition => "columns by position",
        },
        rejected_because,
        reasons: reasons
            .into_iter()
            .map(|(reason, count)| (reason.text(), count))
            .collect(),
        first_rejects: first_rejects.with_context(failed)?,
    })
}

fn print(checked: &Checked) -> std::io::Result<()> {
    let Checked {
        file,
        feed,
        lines,
        rows,
        ignored,
        skipped,
        rejects,
        drift_lines,
        header,
        ..
    } = checked;
    let verdict = match &checked.rejected_because {
        None => "would be validated".to_owned(),
        Some(reason) => format!("would be rejected: {reason}"),
    };
    output::line(format!("{}: feed {feed}; {verdict}", output::path(file)))?;
    output::line(format!(
        "  {lines} lines = {rows} rows + {ignored} ignored + {skipped} skipped + {rejects} rejects; \
         {drift_lines} with extra columns; header: {header}"
    ))?;
    for (reason, count) in &checked.reasons {
        output::line(format!("  {count} × {reason}"))?;
    }
    if checked.first_rejects.is_empty() {
        Ok(())
    } else {
        rejects::print(file, &checked.first_rejects)
    }
}
