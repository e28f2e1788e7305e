//! One row of the warehouse: the run, files and lines that it comes from, and what it was after each run.

use gristmill_engine::format_cents;
use maud::{Markup, html};

use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::overview::{Amounts, Key, Moment, Trace, history, trace};
use crate::shown;

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let ask = look.ask;
    let of = |key| ask.get(key).unwrap_or_default();
    let form = html! {
        form.filters method="get" action="/row" role="search" {
            span { label for="store" { "Store" } input id="store" name="store" value=(of("store")) required; }
            span { label for="item" { "Item" } input id="item" name="item" value=(of("item")) required; }
            span { label for="date" { "Day" } input id="date" name="date" value=(of("date")) placeholder="2016-06-01" size="11" required; }
            button type="submit" { "Trace" }
        }
    };
    let mut parts = vec![Part::Fixed(form)];
    match (ask.text("store"), ask.text("item"), ask.date("date")?) {
        (Some(store), Some(item), Some(date)) => {
            let key = Key { store, item, date };
            let state = look.desk.state().await?;
            let traced = trace(&look.desk.settings, state, &key).await?;
            let moments = history(&look.desk.settings, state, &key).await;
            // The warehouse is asked when somebody asks, and not each time that something changes.
            parts.push(Part::Fixed(origin(look, &key, &traced)));
            parts.push(Part::Fixed(past(&traced.columns, moments)));
        }
        _ => parts.push(Part::Fixed(html! {
            p.empty { "Name a store, an item and a day: this page shows the run, the files and the lines that the row of the warehouse comes from." }
        })),
    }
    Ok(Page {
        title: "Row".to_owned(),
        section: "/row",
        parts,
    })
}

/// Where the row comes from, and whether the warehouse agrees.
fn origin(look: &Look<'_>, key: &Key, trace: &Trace) -> Markup {
    let Key { store, item, date } = key;
    html! {
        h2 { "Store " (shown::path(store)) ", item " (shown::path(item)) ", " (date) }
        @match &trace.run {
            None => p.empty { "No run has a line of it." },
            Some(run) => {
                p { @if trace.derived.is_some() { "Made by run " } @else { "No row since run " } (parts::run(&run.run_id)) @if let Some(at) = run.finished { ", finished " (parts::moment(at)) } }
            },
        }
        p {
            @match (trace.agrees, &trace.warning) {
                (true, _) => { (parts::chip("good", "the warehouse agrees")) },
                (false, Some(warning)) => { (parts::chip("bad", "the warehouse differs")) " " (shown::shown(warning)) },
                (false, None) => { (parts::chip("bad", "the warehouse differs")) },
            }
        }
        div.scroll role="region" aria-label="Amounts" tabindex="0" {
            table {
                thead { tr { th { "Amounts" } @for column in &trace.columns { th.num { (column) } } } }
                tbody {
                    tr { th { "recomputed from the files" } (amounts(&trace.columns, trace.derived.as_ref())) }
                    tr { th { "in the warehouse" } (amounts(&trace.columns, trace.warehouse.as_ref())) }
                }
            }
        }
        @if !trace.files.is_empty() {
            h2 { "Lines" }
            div.scroll role="region" aria-label="Lines" tabindex="0" {
                table {
                    thead { tr { th { "File" } th { "Version" } th { "Submitted" } th.num { "Line" } th.num { "Code" } th.num { "Amount" } } }
                    tbody {
                        @for file in &trace.files {
                            @for line in &file.lines {
                                tr {
                                    td { (parts::file(&file.path)) }
                                    td { code { (file.content_hash.get(..16).unwrap_or(&file.content_hash)) } }
                                    td { (parts::moment(file.submitted)) }
                                    td.num { (line.line_number) }
                                    td.num { (line.code) }
                                    td.num { (format_cents(line.amount)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !trace.held.is_empty() { h2 { "Held" } (parts::held(&trace.held, look.viewer)) }
    }
}

fn amounts(columns: &[String], amounts: Option<&Amounts>) -> Markup {
    html! {
        @match amounts {
            None => td colspan=(columns.len().max(1)) { "no row" },
            Some(amounts) => { @for amount in amounts { td.num { (shown::or_dash(amount.as_ref())) } } },
        }
    }
}

/// What the row was after each run that covered its day.
fn past(columns: &[String], moments: anyhow::Result<Vec<Moment>>) -> Markup {
    html! {
        h2 { "History" }
        @match moments {
            Err(error) => p.dim { (shown::shown(&error.to_string())) },
            Ok(moments) if moments.is_empty() => p.empty { "No run has covered its day so far." },
            Ok(moments) => {
                div.scroll role="region" aria-label="History" tabindex="0" {
                    table {
                        thead { tr { th { "After run" } th { "Finished" } @for column in columns { th.num { (column) } } th { "From" } } }
                        tbody {
                            @for moment in &moments {
                                tr {
                                    td { (parts::run(&moment.run_id)) @if !moment.is_change { " " span.dim { "unchanged" } } }
                                    td { (parts::moment_or_dash(moment.finished)) }
                                    (amounts(columns, moment.row.as_ref()))
                                    td { @for file in &moment.files { (parts::file(file)) " " } }
                                }
                            }
                        }
                    }
                }
            },
        }
    }
}
