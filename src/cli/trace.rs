//! `gristmill trace`: the origin of a row of the warehouse.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use gristmill_engine::{
    DayEffect as Effect, FeedLayout, Row, Supersede, covers_day, format_cents, rows_of_key,
};
use gristmill_loader::LoadMode;
use gristmill_state::{DayEffect, InputFile, LedgerNews, RunFilter, RunOutcome, RunRow};
use jiff::civil::Date;
use serde::Serialize;

use super::context::Context;
use super::held::{self, Held};
use super::{JsonArg, SettingsArg, failure, output};
use crate::lake::Lake;
use crate::ledger::{lost_load, unknown_run};
use crate::pipeline;

/// Show which run, files and lines a row of the warehouse comes from
///
/// Finds the run that made a row, the file versions (path, hash, time of submission) whose lines went into it, and
/// those lines. Recomputes the row from the converted files and compares it with the warehouse. The exit status is 1 if
/// they differ.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// The store_id
    store: String,
    /// The item_id
    item: String,
    /// The trans_date, such as 2016-06-01
    date: Date,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

/// Where a row comes from.
#[derive(Debug, Serialize)]
struct Trace {
    run: Option<RunRow>,
    files: Vec<TracedFile>,
    columns: Vec<String>,
    /// As decimal text, in the order of `columns`; `None` if there should be no row.
    derived: Option<Vec<Option<String>>>,
    warehouse: Option<Vec<Option<String>>>,
    agrees: bool,
    /// Why the state database may not know what the warehouse holds.
    warning: Option<String>,
    /// What is held of the store's day, or of the run's files as a whole.
    held: Vec<Held>,
}

#[derive(Debug, Serialize)]
struct TracedFile {
    path: String,
    content_hash: String,
    submitted: jiff::Timestamp,
    lines: Vec<Row>,
}

pub(super) async fn run(args: TraceArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let trace = find(&context, &args).await?;
    if args.json.json {
        output::json(&trace)?;
    } else {
        print(&args, &trace)?;
    }
    Ok(if trace.agrees {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::FAILED)
    })
}

async fn find(context: &Context, args: &TraceArgs) -> anyhow::Result<Trace> {
    let warehouse = context.settings.open_warehouse().await?;
    let held = warehouse.row(&args.store, &args.item, args.date).await?;
    let warehouse = held.map(|row| amounts_as_text(&row.amounts));
    let columns = context.settings.target.measures.clone();
    let lake = Lake::open(&context.settings.lake).await?;
    let runs = match context.settings.target.mode {
        // The last load alone decides what the whole table holds.
        LoadMode::Reload => last_load(context).await?,
        LoadMode::ReplaceDays | LoadMode::Upsert => {
            context.state.loads_of_day(&args.store, args.date).await?
        }
    };
    for run in runs {
        let Some((files, derived)) = derive(context, &lake, args, &run).await? else {
            continue;
        };
        let agrees = derived == warehouse;
        let news = context.state.ledger_news(Some(&run.job_id)).await?;
        let held = held_of(context, args, &files).await?;
        return Ok(Trace {
            warning: warning(&news, run.wave),
            run: Some(run),
            files,
            columns,
            derived,
            warehouse,
            agrees,
            held,
        });
    }
    let agrees = warehouse.is_none();
    Ok(Trace {
        run: None,
        files: Vec::new(),
        columns,
        derived: None,
        warehouse,
        agrees,
        warning: None,
        held: held_of(context, args, &[]).await?,
    })
}

/// Returns the newest load of all.
async fn last_load(context: &Context) -> anyhow::Result<Vec<RunRow>> {
    let loaded = RunFilter {
        outcome: Some(RunOutcome::Loaded),
        limit: Some(1),
        ..RunFilter::default()
    };
    Ok(context.state.runs(&loaded).await?)
}

/// Says what the warehouse's ledger disagrees about, if it does.
fn warning(news: &LedgerNews, wave: Option<Date>) -> Option<String> {
    let unknown = news
        .unknown
        .iter()
        .find(|load| load.wave == wave)
        .map(unknown_run);
    let lost = || news.lost.iter().find(|run| run.wave == wave).map(lost_load);
    unknown.or_else(lost)
}

/// Finds what is held of the store's day, and which of the files that gave it have a newer version that is held.
async fn held_of(context: &Context, args: &TraceArgs, files: &[TracedFile]) -> anyhow::Result<Vec<Held>> {
    let held = context.state.held().await?.into_iter();
    let concerns = held.filter(|held| match (&held.store_id, held.trans_date) {
        (Some(store), Some(date)) => *store == args.store && date == args.date,
        _ => files
            .iter()
            .any(|file| file.path == held.file_url || held.other_file.as_ref() == Some(&file.path)),
    });
    Ok(concerns.map(Held::new).collect())
}

type Derived = (Vec<TracedFile>, Option<Vec<Option<String>>>);

/// Recomputes a row from the run's converted files. Returns `None` if the run did not touch the key, so the warehouse
/// still holds what an older run left there.
async fn derive(
    context: &Context,
    lake: &Lake,
    args: &TraceArgs,
    run: &RunRow,
) -> anyhow::Result<Option<Derived>> {
    let inputs = context.state.run_inputs(&run.run_id).await?;
    let Some(feed) = inputs
        .first()
        .and_then(|input| context.settings.feeds.get(&input.feed))
    else {
        return Ok(None);
    };
    let effect = |input: &InputFile| pipeline::selection(&input.days).effect(&args.store, args.date);
    let is_emptied = inputs.iter().flat_map(|input| &input.days.named).any(|day| {
        day.effect == DayEffect::Emptied && day.store_id == args.store && day.trans_date == args.date
    });
    let may_cover = |input: &InputFile| {
        let version = &input.version;
        let counts = effect(input) != Effect::LeftOut;
        counts
            && version.first_date.is_some_and(|first| first <= args.date)
            && version.last_date.is_some_and(|last| args.date <= last)
    };
    let candidates: Vec<_> = inputs.into_iter().filter(may_cover).collect();
    let mut objects = Vec::with_capacity(candidates.len());
    for input in &candidates {
        objects.push(input.version.partial.as_deref().with_context(|| {
            let path = output::path(&input.file_url);
            format!(
                "run {} cannot be traced any further: the partial of {path} was removed from the lake by its retention",
                run.run_id
            )
        })?);
    }
    let partials = lake.fetch_all(&objects).await?;
    let mut covering = Vec::new();
    for (input, partial) in candidates.into_iter().zip(partials) {
        if covers_day(partial.path(), &args.store, args.date)? {
            covering.push(input);
        }
    }
    keep_newest(feed, &mut covering, effect);
    let covers = is_emptied || !covering.is_empty();
    let mut found = Vec::new();
    for input in covering {
        let converted = input.version.converted.as_deref().with_context(|| {
            let path = output::path(&input.file_url);
            format!("the rows of {path} are not in the lake: see convert.keep and lake.retention")
        })?;
        let lines = rows_of_key(
            lake.fetch(converted).await?.path(),
            &args.store,
            &args.item,
            args.date,
        )?;
        if !lines.is_empty() {
            found.push((input, lines));
        }
    }
    let decides = match context.settings.target.mode {
        LoadMode::ReplaceDays => covers,
        LoadMode::Upsert => !found.is_empty(),
        LoadMode::Reload => true,
    };
    if !decides {
        return Ok(None);
    }
    let derived = (!found.is_empty()).then(|| sums(feed, found.iter().flat_map(|(_, lines)| lines)));
    let files = found.into_iter().map(|(input, lines)| TracedFile {
        path: input.file_url,
        content_hash: input.version.content_hash,
        submitted: input.submitted,
        lines,
    });
    Ok(Some((files.collect(), derived)))
}

/// Keeps only the newest file, and what is added to it, if the feed's newest file of a store and day replaces the older
/// ones.
fn keep_newest(feed: &FeedLayout, covering: &mut Vec<InputFile>, effect: impl Fn(&InputFile) -> Effect) {
    if feed
        .sales()
        .is_some_and(|sales| sales.supersede == Supersede::StoreDay)
    {
        let is_added = |input: &InputFile| effect(input) == Effect::Added;
        let others = covering.iter().filter(|input| !is_added(input));
        let newest = others.map(|input| input.age).max();
        covering.retain(|input| is_added(input) || Some(input.age) == newest);
    }
}

fn sums<'r>(feed: &FeedLayout, lines: impl Iterator<Item = &'r Row> + Clone) -> Vec<Option<String>> {
    let measures = feed.sales().map_or(&[][..], |sales| &sales.measures);
    measures
        .iter()
        .map(|measure| {
            let amounts = lines
                .clone()
                .filter(|line| line.code == measure.code)
                .map(|line| line.amount);
            amounts.reduce(|sum, amount| sum + amount).map(format_cents)
        })
        .collect()
}

fn amounts_as_text(amounts: &[Option<i64>]) -> Vec<Option<String>> {
    amounts.iter().map(|amount| amount.map(format_cents)).collect()
}

fn print(args: &TraceArgs, trace: &Trace) -> std::io::Result<()> {
    let TraceArgs {
        store, item, date, ..
    } = args;
    let Some(run) = &trace.run else {
        let held = if trace.warehouse.is_some() {
            ", yet the warehouse has that row"
        } else {
            ""
        };
        return output::line(format!(
            "No run has a line of store {store}, item {item}, {date}{held}."
        ));
    };
    let finished = output::or_dash(run.finished.map(output::moment));
    let made = match trace.derived {
        Some(_) => "made by",
        None => "no row since",
    };
    output::line(format!(
        "store {store}, item {item}, {date}: {made} run {}, finished {finished}",
        run.run_id
    ))?;
    let lines = trace.files.iter().flat_map(|file| {
        file.lines.iter().map(|line| {
            [
                output::path(&file.path),
                file.content_hash[..16].to_owned(),
                output::moment(file.submitted),
                line.line_number.to_string(),
                line.code.to_string(),
                format_cents(line.amount),
            ]
        })
    });
    output::table(
        ["file", "version", "submitted", "line", "code", "amount"],
        lines,
        "No line of the run's files has this key.",
    )?;
    let row = |amounts: &Option<Vec<Option<String>>>| match amounts {
        None => "no row".to_owned(),
        Some(amounts) => {
            let named = trace.columns.iter().zip(amounts);
            let cells: Vec<_> = named
                .map(|(name, amount)| format!("{name} {}", output::or_dash(amount.as_ref())))
                .collect();
            cells.join(", ")
        }
    };
    held::print(&trace.held)?;
    output::line(format!("recomputed:   {}", row(&trace.derived)))?;
    output::line(format!("warehouse:    {}", row(&trace.warehouse)))?;
    output::line(match (&trace.warning, trace.agrees) {
        (_, true) => "They agree.".to_owned(),
        (Some(warning), false) => format!("THEY DIFFER: {warning}."),
        (None, false) => format!(
            "THEY DIFFER: `gristmill jobs run {}` loads the job again.",
            run.job_id
        ),
    })
}
