//! `gristmill files`: every file and its state.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, FileRow, FileStatus};

use super::context::Context;
use super::failure::Usage;
use super::held::{self, Held};
use super::{JsonArg, SettingsArg, output};

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
    /// Only files with this status: validated, held, rejected, failed, withdrawn, submitted. With held: also files with
    /// single days that are held
    #[arg(long)]
    status: Option<String>,
}

pub(super) async fn run(args: FilesArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let status = args.status.map(|word| parse_status(&word)).transpose()?;
    let filter = FileFilter {
        feed: args.feed,
        status,
    };
    let files = context.state.files(&filter).await?;
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
        print(&files)?;
        let held = context.state.held().await?;
        let held = held.into_iter().filter(|held| {
            status.is_none_or(|status| status == FileStatus::Held)
                || files.iter().any(|file| file.file_url == held.file_url)
        });
        held::print(&held.map(Held::new).collect::<Vec<_>>())?;
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
pub(super) fn print(files: &[FileRow]) -> std::io::Result<()> {
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
            file.last_error
                .clone()
                .or_else(|| file.last_note.as_ref().map(|note| format!("note: {note}")))
                .unwrap_or_default(),
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
        "error",
    ];
    output::table(headings, rows, "No file so far.")
}
