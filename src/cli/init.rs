//! `gristmill init`: a commented settings file to begin with.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::failure::Usage;
use super::output;
use crate::settings::DEFAULT_FILE;

/// The settings file, with every key that a newcomer may want to change. docs/configuration.md has them all.
const SETTINGS: &str = include_str!("init.toml");

/// Write a commented settings file to begin with
///
/// Writes a settings file with every common key and a comment on each, and makes the source folder that it names.
/// A file that is there already is left as it is.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The file to write
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
}

pub(super) fn run(args: InitArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    let mut settings = match std::fs::File::create_new(&args.file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Usage::new(format!(
                "{file} is there already: name another file, or edit that one"
            ))
            .into());
        }
        created => created.with_context(|| format!("cannot write {file}"))?,
    };
    settings
        .write_all(SETTINGS.as_bytes())
        .with_context(|| format!("cannot write {file}"))?;
    let folder = args
        .file
        .parent()
        .unwrap_or_else(|| std::path::Path::new("."))
        .join("data/incoming");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the source folder {}", folder.display()))?;
    output::line(format!(
        "Wrote {file}. Files are taken from {}.",
        folder.display()
    ))?;
    output::line(
        "Next: adapt the feed and the job in it, then `gristmill check FILE…` and `gristmill run`.",
    )?;
    Ok(ExitCode::SUCCESS)
}
