//! `gristmill files`: every file and its state.

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, FileRow, FileStatus, UNMATCHED, UnmatchedFile};
use serde::Serialize;

use super::context::Context;
use super::failure::Usage;
use super::held::{self, Held};
use super::{JsonArg, SettingsArg, doubts, output};
use crate::overview::named;
use crate::pipeline::Nearest;

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

/// A file, and the jobs that take it.
#[derive(Debug, Serialize)]
pub(super) struct ListedFile {
    #[serde(flatten)]
    file: FileRow,
    jobs: Vec<String>,
    /// What of it is held.
    held: Vec<Held>,
    #[serde(skip)]
    store: Option<String>,
    #[serde(skip)]
    is_stray: bool,
    /// Its last line does not end, although those of most other files of the feed do.
    may_be_cut: bool,
}

/// A file that no feed matches, as it is listed.
#[derive(Serialize)]
struct Unmatched {
    #[serde(flatten)]
    file: UnmatchedFile,
    nearest: Option<String>,
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
    let mut files = list(&context, &filter).await?;
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

/// Lists files with the jobs that take them.
pub(super) async fn list(context: &Context, filter: &FileFilter) -> anyhow::Result<Vec<ListedFile>> {
    let jobs = context.jobs().await?;
    let cut = doubts::may_be_cut(&context.state, filter.feed.as_deref()).await?;
    let cut: HashSet<String> = cut.into_iter().collect();
    let files = context.state.files(filter).await?;
    let mut held = held::by_file(context.state.held().await?);
    let listed = files.into_iter().map(|file| {
        let (taking, store) = jobs.taking(&file);
        let stray = jobs.stray(named(&file));
        ListedFile {
            jobs: taking,
            store,
            is_stray: stray.is_some(),
            may_be_cut: cut.contains(&file.file_url),
            held: held.remove(&file.file_url).unwrap_or_default(),
            file,
        }
    });
    Ok(listed.collect())
}

/// Lists the files that no feed matches.
async fn unmatched(context: &Context, as_json: JsonArg) -> anyhow::Result<ExitCode> {
    let nearest = Nearest::new(&context.settings.feeds);
    let files = context.state.unmatched_files().await?;
    let files: Vec<_> = files
        .into_iter()
        .map(|file| Unmatched {
            nearest: nearest.of(&file.file_url),
            file,
        })
        .collect();
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
        let version = file.judged().map(|row| &row.version);
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
