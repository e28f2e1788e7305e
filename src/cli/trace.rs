//! `gristmill trace`: the origin of a row of the warehouse.

use std::process::ExitCode;

use clap::Args;
use gristmill_engine::format_cents;
use jiff::civil::Date;

use super::context::Context;
use super::{JsonArg, SettingsArg, failure, held, output};
use crate::overview::{Key, Trace, trace};

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

pub(super) async fn run(args: TraceArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let key = Key {
        store: args.store.clone(),
        item: args.item.clone(),
        date: args.date,
    };
    let trace = trace(&context.settings, &context.state, &key).await?;
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
