//! `gristmill state`: whether the state database, the lake and the warehouse's ledger agree, what can be repaired, and the
//! whole state as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gristmill_state::{FileFilter, LedgerLoad, LedgerNews, Service, StateDb};
use serde::Serialize;

use super::context::Context;
use super::{JsonArg, SettingsArg, failure, output, transfer};
use crate::guards::who;
use crate::lake::{Inventory, Lake};
use crate::ledger::{compare, lost_load, unknown_run};
use crate::preconditions::JobPlan;
use crate::progress::Progress;
use crate::settings::LakeSettings;
use crate::warehouse;

/// Check the state database, or move it
///
/// State database, lake and warehouse belong together. After one of them was lost or restored from a backup, `check` says
/// where they disagree, and what to do. `export` and `import` move the state between a file and a server.
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say where the state database, the lake and the warehouse's ledger disagree
    ///
    /// Compares the last load of each job and day with the warehouse's ledger, and looks for the partials and summaries
    /// that coming runs and loads need. Reads no file of the sources, and no rows of the warehouse: `gristmill load
    /// --verify` compares rows. The exit status is 1 if something disagrees.
    ///
    /// --repair needs the service to be stopped. Runs that only the ledger knows are accepted: their jobs may load again,
    /// and the files of these jobs count for nothing until they have been read again, because what the state database
    /// knows of them may be older than the warehouse's rows. Files whose partials are gone are read again. The next
    /// `gristmill run` reads the files; one that is gone from its source must be sent again.
    Check {
        #[command(flatten)]
        settings: SettingsArg,
        /// Repair what can be repaired here
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Write the whole state to a new file
    ///
    /// The file is a state database of SQLite, wherever the state database of the settings is. It holds the state of one
    /// moment, also while the service works. To move the state, stop the service before.
    Export {
        #[command(flatten)]
        settings: SettingsArg,
        /// The file to write, which must not exist
        file: PathBuf,
    },
    /// Read the whole state from a file into the state database of the settings, which must be new
    ///
    /// The file is one that `state export` wrote, or the state database of a service that was stopped. It is not changed,
    /// also if it is of an earlier version. Either all of it is read or nothing.
    Import {
        #[command(flatten)]
        settings: SettingsArg,
        /// The file to read
        file: PathBuf,
    },
}

/// One disagreement.
#[derive(Debug, Serialize)]
struct Finding {
    /// What lacks something: the state database, the warehouse or the lake.
    place: &'static str,
    job: Option<String>,
    file: Option<String>,
    problem: String,
    /// What `--repair` did.
    repaired: Option<String>,
}

pub(super) async fn run(args: StateArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Check {
            settings,
            repair,
            json,
        } => check(&settings, repair, json).await,
        Action::Export { settings, file } => transfer::export(&settings, &file, &progress).await,
        Action::Import { settings, file } => transfer::import(&settings, file, &progress).await,
    }
}

async fn check(settings: &SettingsArg, repair: bool, json: JsonArg) -> anyhow::Result<ExitCode> {
    let mut context = Context::open(settings).await?;
    // A running service would use the files between two steps of a repair.
    let service = match repair {
        true => Some(Service::begin(&context.settings.state).await?),
        false => None,
    };
    if let Some(service) = &service {
        context.state = StateDb::open_for(service, context.clock.clone())
            .await?
            .on_behalf_of(who());
    }
    let found = find(&context, repair).await;
    // Whether or not it succeeded, the next one need not wait for the end of a lease.
    let ended = match service {
        Some(service) => service.end().await,
        None => Ok(()),
    };
    let findings = found?;
    ended?;
    if json.json {
        output::json(&findings)?;
    } else {
        print(&findings)?;
    }
    Ok(match findings.iter().all(|finding| finding.repaired.is_some()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(failure::FAILED),
    })
}

/// Compares the state database with the warehouse's ledger and with the lake.
async fn find(context: &Context, repair: bool) -> anyhow::Result<Vec<Finding>> {
    let mut findings = with_ledger(context, repair).await?;
    findings.extend(with_lake(context, repair).await?);
    Ok(findings)
}

/// Compares with the warehouse's ledger.
async fn with_ledger(context: &Context, repair: bool) -> anyhow::Result<Vec<Finding>> {
    let warehouse = warehouse::open(&context.settings).await?;
    let news: LedgerNews = compare::<anyhow::Error>(&context.state, &*warehouse).await?;
    let mut findings = Vec::new();
    for load in &news.unknown {
        let repaired = match repair {
            true => Some(accept(context, load).await?),
            false => None,
        };
        findings.push(Finding {
            place: "state database",
            job: Some(load.job_id.clone()),
            file: None,
            problem: unknown_run(load),
            repaired,
        });
    }
    let LedgerNews { lost, .. } = &news;
    findings.extend(lost.iter().map(|run| Finding {
        place: "warehouse",
        job: Some(run.job_id.clone()),
        file: None,
        problem: match context.settings.refill {
            true => format!(
                "{}. The next `gristmill run` loads the summary again",
                lost_load(run)
            ),
            false => lost_load(run),
        },
        repaired: None,
    }));
    Ok(findings)
}

/// Accepts a run that only the ledger knows, and says what that meant. Only its wave is concerned: of the job's others,
/// the ledger knows no more than the state database.
async fn accept(context: &Context, load: &LedgerLoad) -> anyhow::Result<String> {
    let mut files = Vec::new();
    if let Some(job) = context.state.job(&load.job_id).await? {
        let plan = JobPlan::new(&job.config, &context.settings.feeds)?;
        let filter = FileFilter {
            feed: Some(plan.feed.name.clone()),
            ..FileFilter::default()
        };
        let is_of_wave = |file_url: &str| {
            let captures = plan.files.captures(file_url);
            captures.is_some_and(|captures| captures.date == load.wave)
        };
        let all = context.state.files(&filter).await?.into_iter();
        files.extend(all.map(|file| file.file_url).filter(|file| is_of_wave(file)));
    }
    let (files, runs) = context.state.accept_ledger(load, &files).await?;
    Ok(format!(
        "accepted; {files} files are to be read again, {runs} waiting runs were given up"
    ))
}

/// Looks for the partials in force, and for the summaries of the last loads.
async fn with_lake(context: &Context, repair: bool) -> anyhow::Result<Vec<Finding>> {
    let inventory = match &context.settings.lake {
        LakeSettings::Folder(root) if !root.exists() => Inventory::default(),
        lake => Lake::open(lake).await?.inventory().await?,
    };
    let (mut partials, mut after) = (Vec::new(), String::new());
    loop {
        let page = context.state.partials_in_force(&after).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        partials.extend(inventory.missing(page).await?);
    }
    let mut loads = Vec::new();
    for job in context.state.jobs().await? {
        let of_job = context.state.last_loads(&job.config.id).await?.into_iter();
        let summaries = of_job.filter_map(|run| {
            let object = run.summary.as_ref()?.object.clone();
            Some((run, object))
        });
        loads.extend(inventory.missing(summaries.collect()).await?);
    }
    if repair {
        context.state.lose_partials(&partials, None).await?;
    }
    let mut findings: Vec<Finding> = partials
        .into_iter()
        .map(|(file, object)| Finding {
            place: "lake",
            job: None,
            problem: format!(
                "the lake has lost {object}, the partial of {}: the next `gristmill run` makes it anew, if the source \
                 still has the file or the lake its converted rows; otherwise send the file again, or restore the lake from \
                 its backup",
                output::path(&file)
            ),
            file: Some(file),
            repaired: repair.then(|| "the file is to be read again".to_owned()),
        })
        .collect();
    findings.extend(loads.iter().map(|(run, _)| {
        let (job, date) = (&run.job_id, run.wave);
        let date = date.map_or_else(String::new, |date| format!(" --date {date}"));
        Finding {
            place: "lake",
            job: Some(job.clone()),
            file: None,
            problem: format!(
                "the lake has lost the summary of run {}: the next load compares all rows, and nothing can verify this \
                 one or load it again; `gristmill jobs run {job}{date}` makes a new one from the files in force",
                run.run_id
            ),
            repaired: None,
        }
    }));
    Ok(findings)
}

fn print(findings: &[Finding]) -> std::io::Result<()> {
    if findings.is_empty() {
        return output::line("The state database, the lake and the warehouse's ledger agree.");
    }
    for finding in findings {
        let job = finding.job.as_ref();
        let subject = job.map_or_else(String::new, |job| format!(", job {job}"));
        output::line(format!("{}{subject}: {}.", finding.place, finding.problem))?;
        if let Some(repaired) = &finding.repaired {
            output::line(format!("  Repaired: {repaired}."))?;
        }
    }
    Ok(())
}
