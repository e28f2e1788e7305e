//! The commands, one file each, and what they share. `main` parses, runs, and turns errors into exit statuses.

mod accept;
mod aggregate;
mod alert;
mod check;
mod context;
mod criterion;
mod demo;
mod difference;
mod doubts;
mod edits;
mod explain;
mod failure;
mod files;
mod held;
mod history;
mod infer;
mod init;
mod inputs;
mod jobs;
mod load;
mod outages;
mod output;
mod preview;
mod query;
mod rejects;
mod replay;
mod report;
mod retry;
mod run;
mod runs;
mod state;
mod status;
mod survey;
mod table;
mod times;
mod trace;
mod transfer;
mod withdraw;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use futures::FutureExt;
use tracing_subscriber::EnvFilter;

use crate::progress::Progress;
use crate::settings::DEFAULT_FILE;
use crate::usage::Usage;

/// Point-of-sale files in, one row for each store, item and day in the warehouse.
///
/// gristmill watches a folder or a bucket for the files of your stores, validates and converts each one, and waits
/// until a province is complete. Then it sums sales, taxes and discounts by store, item and date, and loads the result
/// into SQLite, Postgres, MySQL or Redshift. `gristmill demo` shows all of this in a new folder; `gristmill init` writes a
/// settings file to start from.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How much to log to standard error: error, warn, info (the default), debug, or a filter such as
    /// gristmill_loader=debug
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,

    /// Log as JSON, one object per line
    #[arg(long, global = true)]
    log_json: bool,
}

/// The option that names the settings file.
#[derive(Clone, Debug, Args)]
struct SettingsArg {
    /// The settings file
    #[arg(short = 'c', long = "config", default_value = DEFAULT_FILE, value_name = "FILE")]
    config: PathBuf,
}

/// The output option of commands that only read.
#[derive(Clone, Copy, Debug, Args)]
struct JsonArg {
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// The commands. The doc comment of each `Args` struct is its `--help` text: one line, then what it does.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Init(init::InitArgs),
    Infer(infer::InferArgs),
    Run(run::RunArgs),
    Aggregate(aggregate::AggregateArgs),
    Check(check::CheckArgs),
    Status(status::StatusArgs),
    Explain(explain::ExplainArgs),
    Files(files::FilesArgs),
    Jobs(jobs::JobsArgs),
    Runs(runs::RunsArgs),
    Rejects(rejects::RejectsArgs),
    Retry(retry::RetryArgs),
    Replay(replay::ReplayArgs),
    Load(load::LoadArgs),
    Trace(trace::TraceArgs),
    History(history::HistoryArgs),
    Report(report::ReportArgs),
    State(state::StateArgs),
    Accept(accept::AcceptArgs),
    Withdraw(withdraw::WithdrawArgs),
    Alert(alert::AlertArgs),
    #[command(name = crate::criterion::COMMAND, hide = true)]
    Criterion(criterion::CriterionArgs),
    #[command(name = crate::query::COMMAND, hide = true)]
    Query(query::QueryArgs),
}

/// Runs the command that the arguments name. Exit status: 0 success, 1 work failed, 2 wrong usage or settings.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let progress = Progress::new();
    if let Err(error) = start_log(&cli, &progress) {
        return failure::report(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    // Behind a pointer, its body, which holds that of every command, is compiled once (decision 49).
    let done = runtime.block_on(dispatch(cli.command, progress).boxed_local());
    // A blocking thread may hang on an unreachable network folder. Nothing is lost by abandoning it.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

async fn dispatch(command: Command, progress: Progress) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args, progress).await,
        Command::Init(args) => init::run(args),
        Command::Infer(args) => infer::run(args).await,
        Command::Run(args) => run::run(args, progress).await,
        Command::Aggregate(args) => aggregate::run(args, progress).await,
        Command::Check(args) => check::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Files(args) => files::run(args).await,
        Command::Jobs(args) => jobs::run(args, progress).await,
        Command::Runs(args) => runs::run(args).await,
        Command::Rejects(args) => rejects::run(args).await,
        Command::Retry(args) => retry::run(args, progress).await,
        Command::Replay(args) => replay::run(args, progress).await,
        Command::Load(args) => load::run(args).await,
        Command::Trace(args) => trace::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Report(args) => report::run(args).await,
        Command::State(args) => state::run(args, progress).await,
        Command::Accept(args) => accept::run(args, progress).await,
        Command::Withdraw(args) => withdraw::run(args, progress).await,
        Command::Alert(args) => alert::run(args).await,
        Command::Criterion(args) => criterion::run(args).await,
        Command::Query(args) => query::run(args).await,
    }
}

fn start_log(cli: &Cli, progress: &Progress) -> anyhow::Result<()> {
    // The demo prints its progress to standard output.
    let usual = if matches!(cli.command, Command::Demo(_)) {
        "warn"
    } else {
        "info,sqlx=warn"
    };
    let level = cli.log.as_deref().unwrap_or(usual);
    let filter =
        EnvFilter::try_new(level).map_err(|error| Usage::new(format!("--log {level:?}: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(progress.log_writer());
    if cli.log_json {
        log.json().init();
    } else {
        log.with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
    Ok(())
}
