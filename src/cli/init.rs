//! `gristmill init`: a commented settings file to start from.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::output;
use crate::settings::DEFAULT_FILE;
use crate::usage::Usage;

/// The settings file, with every key that a new user may want to change. docs/configuration.md lists them all.
const SETTINGS: &str = include_str!("init.toml");

/// Write a commented settings file to start from
///
/// Writes a settings file with every common key and a comment on each, and creates the source folder that it names.
/// An existing file is never overwritten.
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
                "{file} already exists: name another file, or edit that one"
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
        .with_context(|| format!("cannot create the source folder {}", folder.display()))?;
    output::line(format!("Wrote {file}. Files are read from {}.", folder.display()))?;
    output::line("Next: adapt its feed and its job, then try `gristmill check FILE…` and `gristmill run`.")?;
    Ok(ExitCode::SUCCESS)
}
