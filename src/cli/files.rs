//! `gristmill files`: every file and its state.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, FileStatus, UNMATCHED};

use super::context::Context;
use super::{JsonArg, SettingsArg, held, output};
use crate::overview::{self, ListedFile, Unmatched};
use crate::usage::Usage;

/// List files and their states
///
/// Lists the files of the sources: the jobs that take them, the status of their newest submission, and the line counts
/// of the version that the status is about. Each line is a row, ignored (a code that is not asked for), skipped (blank,
/// comment, header) or a reject.
#[derive(Debug, Args)]
pub(super) struct FilesArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
    /// Only files of this feed
    #[arg(long)]
    feed: Option<String>,
    /// Only files with this status: validated, held, rejected, failed, withdrawn, submitted. With held: also files with
    /// single days that are held
    #[arg(long)]
    status: Option<String>,
    /// Only files that this job takes
    #[arg(long, conflicts_with = "no_job")]
    job: Option<String>,
    /// Only files to aggregate that no job takes
    #[arg(long)]
    no_job: bool,
    /// Only files with this store in their names
    #[arg(long)]
    store: Option<String>,
    /// Instead, list the files in the sources that no feed matches, with the pattern that each nearly matches
    #[arg(long, conflicts_with_all = ["feed", "status", "job", "no_job", "store"])]
    unmatched: bool,
}

pub(super) async fn run(args: FilesArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    if args.unmatched {
        return unmatched(&context, args.json).await;
    }
    let status = args.status.map(|word| parse_status(&word)).transpose()?;
    let filter = FileFilter {
        feed: args.feed,
        status,
    };
    if let Some(job) = &args.job
        && context.state.job(job).await?.is_none()
    {
        return Err(gristmill_state::StateError::UnknownJob { job_id: job.clone() }.into());
    }
    let mut files = overview::files(&context.state, &context.jobs().await?, &filter).await?;
    // A feed that was removed from the settings may still have files.
    if let Some(feed) = filter.feed.as_ref().filter(|_| files.is_empty())
        && context.settings.feeds.get(feed).is_none()
    {
        let known: Vec<_> = context
            .settings
            .feeds
            .iter()
            .map(|feed| feed.name.as_str())
            .collect();
        return Err(Usage::new(format!("--feed {feed:?} is not one of {}", known.join(", "))).into());
    }
    let is_any = !files.is_empty();
    files.retain(|listed| {
        args.job.as_ref().is_none_or(|job| listed.jobs.contains(job))
            && (!args.no_job || listed.is_stray)
            && (args.store.is_none() || args.store == listed.store)
    });
    if args.json.json {
        output::json(&files)?;
    } else if files.is_empty() && (is_any || !context.state.files(&FileFilter::default()).await?.is_empty()) {
        output::line(match (filter.status, args.no_job) {
            (Some(status), _) => format!("No file is {status}."),
            (None, true) => "Every file to aggregate belongs to a job.".to_owned(),
            (None, false) => "No file is like that.".to_owned(),
        })?;
    } else {
        print(&files)?;
        held::print(files.iter().flat_map(|listed| &listed.held))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the files that no feed matches.
async fn unmatched(context: &Context, as_json: JsonArg) -> anyhow::Result<ExitCode> {
    let files = overview::unmatched(&context.state, &context.settings.feeds).await?;
    if as_json.json {
        output::json(&files)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = files.iter().map(|Unmatched { file, nearest }| {
        [
            output::path(&file.file_url),
            file.bytes.to_string(),
            output::moment(file.modified),
            output::moment(file.noticed),
            nearest.as_deref().map_or_else(|| "–".to_owned(), output::path),
        ]
    });
    let headings = ["file", "bytes", "written", "noticed", "pattern"];
    output::table(headings, rows, "Every file that was found matches a feed.")?;
    if files.len() as u64 >= u64::from(UNMATCHED) {
        output::line(format!("These are the newest {UNMATCHED}; there may be more."))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_status(word: &str) -> Result<FileStatus, Usage> {
    let known = "validated, held, rejected, failed, withdrawn, submitted";
    word.to_uppercase()
        .parse()
        .map_err(|_| Usage::new(format!("--status {word:?} is not one of {known}")))
}

/// Prints files as a table.
pub(super) fn print(files: &[ListedFile]) -> std::io::Result<()> {
    let rows = files.iter().map(|listed| {
        let file = &listed.file;
        let version = file.newest_version().map(|row| &row.version);
        let count = |value: fn(&gristmill_state::VersionRecord) -> u64| output::or_dash(version.map(value));
        [
            output::path(&file.file_url),
            file.feed.clone(),
            match listed.is_stray {
                true => "none".to_owned(),
                false => listed.jobs.join(", "),
            },
            file.status.to_string(),
            output::moment(file.submitted),
            count(|v| v.lines),
            count(|v| v.rows),
            count(|v| v.ignored),
            count(|v| v.skipped),
            count(|v| v.rejects),
            note(listed),
        ]
    });
    let headings = [
        "file",
        "feed",
        "job",
        "status",
        "submitted",
        "lines",
        "rows",
        "ignored",
        "skipped",
        "rejects",
        "note",
    ];
    output::table(headings, rows, "No file so far.")
}

/// Says why the newest submission was rejected or failed, or what is odd about the version in force.
fn note(listed: &ListedFile) -> String {
    let cut = listed
        .may_be_cut
        .then_some("its last line does not end: it may have been cut");
    let file = &listed.file;
    let notes = file.last_error.as_deref().or(file.last_note.as_deref());
    let notes = notes.into_iter().chain(cut);
    notes.collect::<Vec<_>>().join("; ")
}
