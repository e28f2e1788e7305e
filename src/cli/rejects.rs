//! `gristmill rejects`: the lines of a file that failed validation.

use std::process::ExitCode;

use clap::Args;
use gristmill_engine::Reject;
use gristmill_state::FileStatus;

use super::context::Context;
use super::{JsonArg, SettingsArg, output};
use crate::overview::{self, Rejects};

/// Show the rejected lines of a file, with reasons
///
/// Shows each rejected line of a file: its number, the reason, and the original text. They are those of the version
/// that the file's status is about: of the newest submission or, if that could not be read, of the version in force. To
/// get the lines accepted, correct them at their source and submit the file again.
#[derive(Debug, Args)]
pub(super) struct RejectsArgs {
    /// The file, by its path relative to the source
    file: String,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
    /// The maximum number of lines to show
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

pub(super) async fn run(args: RejectsArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let Rejects {
        file,
        version,
        lines: rejects,
    } = overview::rejects(&context.settings, &context.state, &args.file, args.limit).await?;
    let version = &version.version;
    if args.json.json {
        output::json(&rejects)?;
        return Ok(ExitCode::SUCCESS);
    }
    if file.status == FileStatus::Failed {
        output::line(format!(
            "{}: the newest submission could not be read; the rejects are those of the version in force",
            output::path(&args.file)
        ))?;
    }
    if let Some(reason) = &version.rejected_because {
        let file = output::path(&args.file);
        output::line(format!("{file} is rejected as a whole: {reason}"))?;
    }
    if version.reject_lines.is_none() && version.rejects > 0 {
        let removed = "its rejects were removed from the lake by its retention (lake.retention.rejects)";
        return output::line(format!("{}: {removed}", output::path(&args.file)))
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into);
    }
    print(&args.file, &rejects)?;
    if version.rejects > rejects.len() as u64 {
        output::line(format!(
            "{} of {} rejects; --limit shows more",
            rejects.len(),
            version.rejects
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints rejects as a table.
pub(super) fn print(file: &str, rejects: &[Reject]) -> std::io::Result<()> {
    let rows = rejects.iter().map(|reject| {
        [
            output::path(file),
            reject.line_number.to_string(),
            reject.reason.clone(),
            shortened(&reject.text),
        ]
    });
    output::table(["file", "line", "reason", "text"], rows, "No rejects.")
}

/// Cuts a text that is too long for a table; `--json` prints all of it.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
