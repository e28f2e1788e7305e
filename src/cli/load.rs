//! `gristmill load`: checks that the warehouse still holds what a job last loaded, and repairs it if it does not.

use std::process::ExitCode;

use clap::Args;
use gristmill_loader::{Difference, Load, LoadCounts, Verification, Warehouse};
use gristmill_state::{RunRow, StateError};
use jiff::civil::Date;
use serde::Serialize;

use super::context::Context;
use super::{JsonArg, SettingsArg, failure, output};
use crate::lake::Lake;
use crate::ledger::scope;
use crate::pipeline::summary_files;
use crate::usage::Usage;
use crate::warehouse;

/// Compare the warehouse with what jobs last loaded
///
/// Compares all rows of the days that a job was the last to load, and lists those that differ: the key, what the
/// warehouse holds, and what the summary says. A normal load sends only what changed since the load before, so it does
/// not notice rows that were changed by hand; this command does. Days that another job has loaded since are left to
/// that job. --repair makes the rows agree. The exit status is 1 if they differ and were not repaired.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// The job; without a name, every job that has loaded something
    #[arg(long, value_name = "JOB", num_args = 0..=1, required = true)]
    verify: Option<Option<String>>,
    /// Make the warehouse agree with the summary
    #[arg(long)]
    repair: bool,
    /// The maximum number of differences to list for each of the job's waves
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

/// The outcome for one wave.
#[derive(Debug, Serialize)]
struct Verified {
    run_id: String,
    wave: Option<Date>,
    /// Rows of the summary that were compared.
    rows: u64,
    missing: u64,
    different: u64,
    surplus: u64,
    /// Days of a store that another job or wave has loaded since.
    days_of_others: u64,
    agrees: bool,
    /// Why they count as different even if all rows are the same.
    problem: Option<String>,
    repaired: Option<Changes>,
    columns: Vec<String>,
    differences: Vec<ListedDifference>,
}

#[derive(Debug, Serialize)]
struct Changes {
    inserted: u64,
    updated: u64,
    deleted: u64,
}

/// A key with its amounts on both sides, in the order of the columns; none where there is no row.
#[derive(Debug, Serialize)]
struct ListedDifference {
    store_id: String,
    item_id: String,
    trans_date: String,
    warehouse: Option<Vec<Option<String>>>,
    summary: Option<Vec<Option<String>>>,
}

pub(super) async fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let context = match args.repair {
        true => Context::open(&args.settings).await?,
        false => Context::open_to_read(&args.settings).await?,
    };
    let mut runs = last_loads(&context, args.verify.as_ref().and_then(Option::as_deref)).await?;
    if args.repair {
        // Where two of them hold the same day, the newer one takes it, and the older one leaves it alone.
        runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.sequence));
    }
    let warehouse = warehouse::open(&context.settings).await?;
    // A warehouse that was lost or restored from a backup is made ready here, and then found to lack rows.
    warehouse.prepare().await?;
    let lake = Lake::open(&context.settings.lake).await?;
    let mut verified = Vec::with_capacity(runs.len());
    for run in runs {
        verified.push(verify(&context, &lake, &*warehouse, &args, run).await?);
    }
    if args.json.json {
        output::json(&verified)?;
    } else {
        for wave in &verified {
            print(wave)?;
        }
    }
    Ok(
        match verified.iter().all(|wave| wave.agrees || wave.repaired.is_some()) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(failure::FAILED),
        },
    )
}

/// Returns the last loads of one job, or of all.
async fn last_loads(context: &Context, job: Option<&str>) -> anyhow::Result<Vec<RunRow>> {
    let (mut runs, mut without) = (Vec::new(), Vec::new());
    for row in context.state.jobs().await? {
        let id = row.config.id;
        if job.is_none_or(|job| job == id) {
            let loads = context.state.last_loads(&id).await?;
            if loads.is_empty() {
                without.push(id);
            }
            runs.extend(loads);
        }
    }
    match (job, without.as_slice()) {
        (Some(job), []) if runs.is_empty() => Err(StateError::UnknownJob { job_id: job.into() }.into()),
        (Some(job), [_]) => Err(Usage::new(format!(
            "job {job} has not loaded anything yet: there is nothing to compare"
        ))
        .into()),
        (None, _) if runs.is_empty() => {
            Err(Usage::new("no job has loaded anything yet: there is nothing to compare").into())
        }
        _ => Ok(runs),
    }
}

async fn verify(
    context: &Context,
    lake: &Lake,
    warehouse: &dyn Warehouse,
    args: &LoadArgs,
    run: RunRow,
) -> anyhow::Result<Verified> {
    let summary = run.summary.as_ref();
    let files = match summary {
        Some(summary) => summary_files(lake, summary).await?,
        None => None,
    };
    let (Some(summary), Some([file, coverage])) = (summary, files) else {
        let gone = "its summary is no longer in the lake; `gristmill jobs run` loads the whole job again";
        return Ok(Verified::of(
            context,
            &run,
            Verification::default(),
            Some(gone.into()),
        ));
    };
    let load = Load {
        run_id: run.run_id.clone(),
        scope: scope(&run.job_id, run.wave),
        sequence: run.sequence,
        summary: file.path().to_owned(),
        coverage: coverage.path().to_owned(),
        rows: summary.rows,
        digest: summary.digest.clone(),
        base: None,
        is_safe: None,
    };
    let found = warehouse.verify(&load, args.repair, args.limit).await?;
    if found.mended.is_some() {
        context.state.found_in_warehouse(&run.run_id).await?;
    }
    let problem = match &found.newest {
        Some(newest) if newest.run_id == run.run_id => None,
        Some(newest) if newest.sequence > run.sequence => Some(format!(
            "the warehouse's ledger has the newer run {}, whose load the state database does not know; nothing was compared",
            newest.run_id
        )),
        // A repair enters the run in the ledger.
        Some(_) | None if found.mended.is_some() => None,
        Some(newest) => Some(format!(
            "the warehouse's ledger has {} as the last load",
            newest.run_id
        )),
        None => Some("the warehouse's ledger does not have this run".into()),
    };
    Ok(Verified::of(context, &run, found, problem))
}

impl Verified {
    fn of(context: &Context, run: &RunRow, found: Verification, problem: Option<String>) -> Self {
        Self {
            run_id: run.run_id.clone(),
            wave: run.wave,
            rows: found.rows,
            missing: found.missing,
            different: found.different,
            surplus: found.surplus,
            days_of_others: found.left_to_others,
            agrees: found.differences() == 0 && problem.is_none(),
            problem,
            repaired: found.mended.map(Changes::from),
            columns: context.settings.target.measures.clone(),
            differences: found.listed.into_iter().map(ListedDifference::from).collect(),
        }
    }
}

impl From<LoadCounts> for Changes {
    fn from(counts: LoadCounts) -> Self {
        Self {
            inserted: counts.inserted,
            updated: counts.updated,
            deleted: counts.deleted,
        }
    }
}

impl From<Difference> for ListedDifference {
    fn from(difference: Difference) -> Self {
        let Difference {
            store_id,
            item_id,
            trans_date,
            warehouse,
            summary,
        } = difference;
        Self {
            store_id,
            item_id,
            trans_date,
            warehouse,
            summary,
        }
    }
}

fn print(wave: &Verified) -> std::io::Result<()> {
    let Verified {
        run_id,
        rows,
        missing,
        different,
        surplus,
        ..
    } = wave;
    output::line(format!(
        "{run_id}: {rows} rows compared; the warehouse lacks {missing}, holds {different} with other amounts, and has \
         {surplus} extra."
    ))?;
    if wave.days_of_others > 0 {
        let days = wave.days_of_others;
        output::line(format!(
            "Left out: {days} store-days that another job or wave has loaded since."
        ))?;
    }
    if let Some(problem) = &wave.problem {
        output::line(format!("But {problem}."))?;
    }
    if wave.agrees {
        return output::line("They agree.");
    }
    let amounts = |side: &Option<Vec<Option<String>>>| match side {
        None => "no row".to_owned(),
        Some(amounts) => {
            let amounts = amounts.iter().map(|amount| output::or_dash(amount.as_deref()));
            amounts.collect::<Vec<_>>().join("  ")
        }
    };
    let differences = wave.differences.iter().map(|listed| {
        [
            listed.store_id.clone(),
            listed.item_id.clone(),
            listed.trans_date.clone(),
            amounts(&listed.warehouse),
            amounts(&listed.summary),
        ]
    });
    if !wave.differences.is_empty() {
        let columns = wave.columns.join(", ");
        let headings = ["store_id", "item_id", "trans_date", "warehouse", "summary"];
        output::line(format!("The amounts are {columns}."))?;
        output::table(headings, differences, "")?;
        let unlisted = (missing + different + surplus) - wave.differences.len() as u64;
        if unlisted > 0 {
            output::line(format!("… and {unlisted} more; a greater --limit lists more."))?;
        }
    }
    match &wave.repaired {
        Some(done) => output::line(format!(
            "Repaired: {} inserted, {} updated, {} deleted.",
            done.inserted, done.updated, done.deleted
        )),
        None => output::line("They differ. --repair makes the warehouse agree with the summary."),
    }
}
