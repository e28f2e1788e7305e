//! `gristmill demo`: the real pipeline on a sample feed, with no setup.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use gristmill_engine::format_cents;
use gristmill_fixtures::sample::{self, SampleFile};
use gristmill_state::{FileFilter, RunFilter, SystemClock};

use super::context::Context;
use super::{SettingsArg, files, output, run, runs, status};
use crate::overview::{self, job_statuses};
use crate::pipeline::{self, Until, Vitals};
use crate::progress::Progress;
use crate::settings::{DEFAULT_FILE, Settings};
use crate::warehouse;

const SETTINGS: &str = include_str!("demo.toml");

/// Run the whole pipeline on a sample feed, in a new folder and without settings
///
/// Writes a sample feed to a new folder: a complete Illinois, a California with missing stores and an item master. The
/// files include a header, Windows line endings, noise lines and a bad line. Runs the real pipeline until it is idle,
/// submits one store's correction, runs again, and shows the result.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The folder to create [default: gristmill-demo, or that name with the next free number]
    folder: Option<PathBuf>,
    /// Go on watching, and serve the status page, until Ctrl-C [default address: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:8080")]
    serve: Option<SocketAddr>,
}

pub(super) async fn run(args: DemoArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let folder = make_folder(args.folder)?;
    let config = folder.join(DEFAULT_FILE);
    let incoming = folder.join("incoming");
    std::fs::create_dir(&incoming).with_context(|| format!("cannot create {}", incoming.display()))?;
    std::fs::write(&config, SETTINGS).with_context(|| format!("cannot write {}", config.display()))?;

    for (what, wave) in [
        ("The stores send their files", sample::first_wave()),
        ("A store sends a correction", sample::corrections()),
    ] {
        submit(&incoming, wave)?;
        output::line(format!(
            "{what}: {} into {}",
            counted(wave.len()),
            incoming.display()
        ))?;
        let settings = Settings::read(&config)?;
        pipeline::run(
            settings,
            Arc::new(SystemClock),
            Until::Idle,
            progress.clone(),
            &Vitals::default(),
            run::stop_signal(),
        )
        .await?;
    }
    show(&folder, &config).await?;
    let Some(listen) = args.serve else {
        return Ok(ExitCode::SUCCESS);
    };
    output::line(format!(
        "\nThe status page is at http://{listen}; put files into {} and see them come in. Ctrl-C ends it.",
        incoming.display()
    ))?;
    let settings = Settings::read(&config)?;
    let tally = run::serve_while(settings, Some(listen), Until::Stopped, progress).await?;
    run::conclude(&tally)
}

fn counted(files: usize) -> String {
    if files == 1 {
        "1 file".into()
    } else {
        format!("{files} files")
    }
}

/// Creates the named folder, or else the first one that is free. An earlier demo is left alone.
fn make_folder(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = named {
        std::fs::create_dir(&folder).with_context(|| {
            format!(
                "cannot create the folder {}: name one that does not exist yet",
                folder.display()
            )
        })?;
        return Ok(folder);
    }
    let mut number = 1;
    loop {
        let folder = PathBuf::from(if number == 1 {
            "gristmill-demo".into()
        } else {
            format!("gristmill-demo-{number}")
        });
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            made => {
                made.with_context(|| format!("cannot create the folder {}", folder.display()))?;
                return Ok(folder);
            }
        }
    }
}

/// Submits files as a careful store does: writes each under a hidden name, then renames it.
fn submit(incoming: &Path, files: &[SampleFile]) -> anyhow::Result<()> {
    for file in files {
        let (hidden, name) = (incoming.join(format!(".{}", file.name)), incoming.join(file.name));
        std::fs::write(&hidden, file.bytes)
            .and_then(|()| std::fs::rename(&hidden, &name))
            .with_context(|| format!("cannot write {}", name.display()))?;
    }
    Ok(())
}

async fn show(folder: &Path, config: &Path) -> anyhow::Result<()> {
    let arg = SettingsArg {
        config: config.to_owned(),
    };
    let context = Context::open_to_read(&arg).await?;
    output::line(
        "\nFiles: every line is a row, ignored (a code that is not asked for), skipped or a reject",
    )?;
    let jobs = context.jobs().await?;
    files::print(&overview::files(&context.state, &jobs, &FileFilter::default()).await?)?;
    output::line("\nJobs: Illinois is complete, California waits")?;
    let now = context.clock.now();
    status::print_jobs(&job_statuses(&context.state, &jobs, now).await?)?;
    output::line("\nRuns: the newest brought the correction, and touched only what changed")?;
    let runs = context.state.runs(&RunFilter::default()).await?;
    runs::print(&runs, &context.state.waiting().await?)?;
    output::line("\nWarehouse: one row for each store, item and date")?;
    show_rows(&context).await?;

    let settings = &context.settings;
    output::line("\nWhere everything is:")?;
    for (what, path) in [
        ("source", folder.join("incoming").display().to_string()),
        ("settings", config.display().to_string()),
        ("lake", settings.lake.to_string()),
        ("state", settings.state.to_string()),
        ("warehouse", folder.join("warehouse.db").display().to_string()),
    ] {
        output::line(format!("  {what:<10} {path}"))?;
    }
    let binary = std::env::args().next().unwrap_or_else(|| "gristmill".into());
    output::line("\nTry next:")?;
    for command in [
        "explain california",
        "rejects IL-1026.tdf",
        "trace IL-1003 SODA-M 2026-03-08",
    ] {
        output::line(format!("  {binary} {command} -c {}", config.display()))?;
    }
    Ok(())
}

async fn show_rows(context: &Context) -> anyhow::Result<()> {
    let warehouse = warehouse::open(&context.settings).await?;
    let mut rows = Vec::new();
    for row in warehouse.first_rows(8).await? {
        let mut amounts = row
            .amounts
            .iter()
            .map(|amount| output::or_dash(amount.map(format_cents)));
        let mut amount = || amounts.next().unwrap_or_default();
        rows.push([
            row.store_id,
            row.item_id,
            row.trans_date.to_string(),
            amount(),
            amount(),
            amount(),
        ]);
    }
    let headings = [
        "store_id",
        "item_id",
        "trans_date",
        "sale_amount",
        "tax_amount",
        "discount_amount",
    ];
    output::table(headings, rows, "It is empty.")?;
    output::line(format!("… {} rows in all", warehouse.row_count().await?))?;
    Ok(())
}
