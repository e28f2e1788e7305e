//! `gristmill files`: every file and its state.

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, FileRow, FileStatus};

use super::context::Context;
use super::failure::Usage;
use super::{JsonArg, SettingsArg, doubts, output};

/// List files and their states
///
/// Lists the files of the sources with the status of their newest submission and the line counts of the version in
/// force. Each line is a row, ignored (a code that is not asked for), skipped (blank, comment, header) or a reject.
#[derive(Debug, Args)]
pub(super) struct FilesArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
    /// Only files of this feed
    #[arg(long)]
    feed: Option<String>,
    /// Only files with this status: validated, rejected, failed, submitted
    #[arg(long)]
    status: Option<String>,
}

pub(super) async fn run(args: FilesArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let status = args.status.map(|word| parse_status(&word)).transpose()?;
    let filter = FileFilter {
        feed: args.feed,
        status: None,
    };
    // Whether a file may have been cut shows in comparison with all others of its feed.
    let known = context.state.files(&filter).await?;
    let cut = doubts::may_be_cut(&known);
    let has_status = |file: &&FileRow| status.is_none_or(|status| file.status == status);
    let files: Vec<&FileRow> = known.iter().filter(has_status).collect();
    // A feed that was removed from the settings may still have files.
    if let Some(feed) = filter.feed.filter(|_| files.is_empty())
        && context.settings.feeds.get(&feed).is_none()
    {
        let known: Vec<_> = context
            .settings
            .feeds
            .iter()
            .map(|feed| feed.name.as_str())
            .collect();
        return Err(Usage::new(format!("--feed {feed:?} is not one of {}", known.join(", "))).into());
    }
    if args.json.json {
        output::json(&files)?;
    } else {
        print(&files, &cut)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_status(word: &str) -> Result<FileStatus, Usage> {
    let known = "validated, rejected, failed, submitted";
    word.to_uppercase()
        .parse()
        .map_err(|_| Usage::new(format!("--status {word:?} is not one of {known}")))
}

/// Prints files as a table.
pub(super) fn print(files: &[&FileRow], cut: &HashSet<&str>) -> std::io::Result<()> {
    let rows = files.iter().map(|file| {
        let version = file.in_force.as_ref().map(|row| &row.version);
        let count = |value: fn(&gristmill_state::VersionRecord) -> u64| output::or_dash(version.map(value));
        [
            output::path(&file.file_url),
            file.feed.clone(),
            file.status.to_string(),
            output::moment(file.submitted),
            count(|v| v.lines),
            count(|v| v.rows),
            count(|v| v.ignored),
            count(|v| v.skipped),
            count(|v| v.rejects),
            note(file, cut),
        ]
    });
    let headings = [
        "file",
        "feed",
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
fn note(file: &FileRow, cut: &HashSet<&str>) -> String {
    let is_cut = cut.contains(file.file_url.as_str());
    let cut = is_cut.then_some("its last line does not end: it may have been cut");
    let notes = file.last_error.as_deref().into_iter().chain(cut);
    notes.collect::<Vec<_>>().join("; ")
}
