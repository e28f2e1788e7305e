//! `gristmill history`: what a row of the warehouse was after each run.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use super::context::Context;
use super::{JsonArg, SettingsArg, output};
use crate::overview::{Key, history};

/// Show what a row of the warehouse was after each run
///
/// Recomputes the row of a store, item and date from the files that each of the newest 20 runs read, newest first, and names
/// the files that its lines came from. It tells which runs changed it. What the lake's retention has removed cannot be told.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
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

pub(super) async fn run(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let key = Key {
        store: args.store,
        item: args.item,
        date: args.date,
    };
    let moments = history(&context.settings, &context.state, &key).await?;
    if args.json.json {
        output::json(&moments)?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = &context.settings.target.measures;
    let rows = moments.iter().map(|moment| {
        let row = match &moment.row {
            None => "no row".to_owned(),
            Some(amounts) => {
                let named = columns.iter().zip(amounts);
                let cells =
                    named.map(|(name, amount)| format!("{name} {}", output::or_dash(amount.as_ref())));
                cells.collect::<Vec<_>>().join(", ")
            }
        };
        let files: Vec<_> = moment.files.iter().map(|file| output::path(file)).collect();
        [
            moment.run_id.clone(),
            output::or_dash(moment.finished.map(output::moment)),
            if moment.is_change { "changed" } else { "same" }.to_owned(),
            row,
            files.join(", "),
        ]
    });
    let headings = ["run", "finished", "row", "amounts", "files"];
    output::table(headings, rows, "No run has covered this day so far.")?;
    Ok(ExitCode::SUCCESS)
}
