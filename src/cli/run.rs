//! `gristmill run`: the service.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use gristmill_state::{SystemClock, WorkerRole};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{SettingsArg, failure, output};
use crate::http::Server;
use crate::pipeline::{self, Tally, Until, Vitals};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::usage::Usage;

/// Watch the sources, and run and load jobs as their files arrive
///
/// Watches the sources, converts each file once it is whole, evaluates the jobs it belongs to, and runs and loads the
/// jobs that are complete. It starts with the files that are already there. SIGTERM or Ctrl-C stops it cleanly: work in
/// progress is finished, and the next start continues from there. A second signal stops it at once. A kill loses
/// nothing either.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    settings: SettingsArg,
    /// Exit when nothing is left to do instead of waiting for more files
    #[arg(long)]
    until_idle: bool,
    /// Work for the service instead of being it: `convert` converts files, `load` merges and loads runs. It needs a state
    /// database on a server and the service's settings file, and serves no status page
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "all|convert|load"
    )]
    role: Role,
    /// Serve the status page at this address, such as 127.0.0.1:8080, whatever http.listen says
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Role {
    /// It is the service.
    #[default]
    All,
    /// It is a worker that converts.
    Convert,
    /// It is a worker that merges and loads.
    Load,
}

pub(super) async fn run(args: RunArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(&args.settings.config)?;
    let until = if args.until_idle {
        Until::Idle
    } else {
        Until::Stopped
    };
    let role = match args.role {
        Role::All => None,
        Role::Convert => Some(WorkerRole::Convert),
        Role::Load => Some(WorkerRole::Load),
    };
    if let Some(role) = role {
        if args.until_idle || args.http.is_some() {
            let problem = "--until-idle and --http are for the service: leave out --role";
            return Err(Usage::new(problem).into());
        }
        return help(settings, role, progress).await;
    }
    let listen = args.http.or(settings.http.listen);
    let tally = serve_while(settings, listen, until, progress).await?;
    conclude(&tally)
}

/// Works for the service until the process is asked to stop.
async fn help(settings: Settings, role: WorkerRole, progress: Progress) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock);
    let work = pipeline::work_for_services(settings, role, clock, progress, stop_signal()).await?;
    output::line(format!("tasks: {} done, {} in vain", work.done, work.in_vain))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the pipeline, and serves the status page for as long, if it is to be served.
pub(super) async fn serve_while(
    settings: Settings,
    listen: Option<SocketAddr>,
    until: Until,
    progress: Progress,
) -> anyhow::Result<Arc<Tally>> {
    let clock = Arc::new(SystemClock);
    let vitals = Arc::new(Vitals::default());
    let server = listen
        .map(|listen| Server::start(&settings, listen, clock.clone(), vitals.clone()))
        .transpose()?;
    let beating = tokio::spawn({
        let vitals = vitals.clone();
        async move { vitals.beat().await }
    });
    let done = pipeline::run(settings, clock, until, progress, &vitals, stop_signal()).await;
    beating.abort();
    // It answers until the work has ended.
    drop(server);
    done
}

/// Completes when the process is asked to stop. It listens from the call on, so no signal kills a process that is still
/// starting.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    asked_to_end(signals)
}

async fn asked_to_end(signals: io::Result<(Signal, Signal)>) {
    let Ok((mut terminate, mut interrupt)) = signals else {
        tracing::warn!("signals cannot be received: only a kill stops this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // A second signal means: do not wait for work in progress.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(i32::from(failure::FAILED));
    });
}

/// Prints what was done. The exit status is 1 if any work failed.
pub(super) fn conclude(tally: &Tally) -> anyhow::Result<ExitCode> {
    output::line(format!(
        "files: {} validated, {} unchanged, {} rejected, {} failed; runs: {} completed, {} failed",
        tally.validated(),
        tally.unchanged(),
        tally.rejected(),
        tally.failed(),
        tally.runs_completed(),
        tally.runs_failed()
    ))?;
    if tally.troubles() > 0 {
        output::line(format!(
            "{} folders of the source could not be read: see the log",
            tally.troubles()
        ))?;
    }
    if tally.not_put_away() > 0 {
        output::line(format!(
            "objects that were taken could not be tagged or moved ({} failures): see the log",
            tally.not_put_away()
        ))?;
    }
    if tally.unanswered() > 0 {
        output::line(format!(
            "files could not be read because their file system did not answer ({} times): see the log",
            tally.unanswered()
        ))?;
    }
    let waiting = [
        (tally.outages(), "the warehouse is not there"),
        (tally.runs_waiting(), "runs wait for an outage to end"),
        (
            tally.files_waiting(),
            "files cannot be converted before an outage ends",
        ),
    ];
    for (count, what) in waiting.iter().filter(|(count, _)| *count > 0) {
        output::line(format!(
            "{what} ({count}): the next call tries again; see `gristmill status`"
        ))?;
    }
    if tally.stopped_jobs() > 0 {
        output::line(format!(
            "{} jobs wait because the state database and the warehouse's ledger disagree: see `gristmill state check`",
            tally.stopped_jobs()
        ))?;
    }
    if tally.held() > 0 {
        output::line(format!(
            "{} submissions are held and do not count: `gristmill files --status held`",
            tally.held()
        ))?;
    }
    Ok(status(tally))
}

/// Returns the exit status for what was done.
pub(super) fn status(tally: &Tally) -> ExitCode {
    let failed = tally.unanswered()
        + tally.failed()
        + tally.runs_failed()
        + tally.troubles()
        + tally.not_put_away()
        + tally.outages()
        + tally.runs_waiting()
        + tally.files_waiting()
        + tally.stopped_jobs();
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(failure::FAILED),
    }
}
