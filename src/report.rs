//! A report to send to a store: which days are missing, what came late, which lines could not be read, and what to change at
//! the till. It names no key of the settings file: those are the business of whoever runs gristmill.

use std::collections::HashSet;

use gristmill_state::FileStatus;
use jiff::civil::Date;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::csv::push_row;
use crate::overview::{Depth, Fate, FileWithFaults, Punctuality, StoreReport, time_of_day};
use crate::shown;

/// How much of a store's rejects a report has.
pub(crate) const DEPTH: Depth = Depth {
    files: 200,
    lines: 10_000,
};

/// How many lines of each reason stand in the HTML; the CSV has all.
const LISTED: usize = 200;

/// The most characters of a line that are shown.
const SHOWN: usize = 300;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// A page that stands for itself, and prints well
    Html,
    /// A table for a spreadsheet
    Csv,
}

impl Form {
    /// Returns the report in this form.
    pub(crate) fn of(self, report: &StoreReport) -> String {
        match self {
            Self::Html => page(report).into_string(),
            Self::Csv => table(report),
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
        }
    }
}

/// The look of the page: it must not depend on anything else.
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d1b18;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:1.5rem 0 .5rem;break-after:avoid}h3{font-size:1rem;margin:1rem 0 .25rem;break-after:avoid}\
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #d9d4cc;vertical-align:top}\
tr{break-inside:avoid}.num{text-align:right}code{font:.85em ui-monospace,monospace;overflow-wrap:anywhere}.advice{border-left:.3rem solid #7a4b12;padding-left:.75rem}\
.dim{color:#5d574f}@media print{body{margin:0;max-width:none}}";

/// A day of a store that needs a word, and of which job.
struct Odd<'r> {
    of: &'r Punctuality,
    day: Date,
    minutes: Option<i64>,
}

/// Returns the days that became so, the oldest first, each once even if several jobs expected it.
fn days(report: &StoreReport, fate: Fate) -> Vec<Odd<'_>> {
    let mut seen = HashSet::new();
    let all = report.punctuality.iter().flat_map(|of| {
        let days = of.days.iter().filter(move |day| day.fate == fate);
        days.map(move |day| Odd {
            of,
            day: day.day,
            minutes: day.minutes,
        })
    });
    let mut days: Vec<_> = all.filter(|odd| seen.insert(odd.day)).collect();
    days.sort_by_key(|odd| odd.day);
    days
}

/// Says when a day's first file came, and when it should have.
fn lateness(odd: &Odd<'_>) -> String {
    let came = odd
        .minutes
        .map_or_else(|| "not known when".to_owned(), time_of_day);
    match odd.of.deadline {
        Some(deadline) => format!("came {came}; due by {}", deadline.strftime("%H:%M")),
        None => format!("came {came}"),
    }
}

/// Says what happened to a file that is not in force as it was sent.
fn refused(file: &FileWithFaults) -> Option<&'static str> {
    match file.status {
        FileStatus::Rejected => Some(
            "not accepted: without what could not be read, your figures would be wrong, so none of it counts",
        ),
        FileStatus::Failed => Some("could not be opened or read: please send it again"),
        FileStatus::Held => {
            Some("held back: it would take away or double what was reported before; we will ask you")
        }
        FileStatus::Submitted | FileStatus::Validated | FileStatus::Withdrawn => None,
    }
}

fn page(report: &StoreReport) -> Markup {
    let (missing, late) = (days(report, Fate::Missing), days(report, Fate::Late));
    let refused: Vec<_> = report
        .files
        .iter()
        .filter_map(|file| Some((file, refused(file)?)))
        .collect();
    let is_well = missing.is_empty() && late.is_empty() && refused.is_empty() && report.reasons.is_empty();
    let store = shown::path(&report.store);
    let title = format!("Store {store}: files from {} to {}", report.first, report.last);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                @if is_well { p { "Every file came in time, and every line could be read. Thank you." } }
                @if !missing.is_empty() {
                    h2 { "Days without a file" }
                    p { "Please send the files of these days:" }
                    ul { @for odd in &missing { li { (odd.day) } } }
                }
                @if !late.is_empty() {
                    h2 { "Days whose file came late" }
                    table { tbody { @for odd in &late { tr { td { (odd.day) } td { (lateness(odd)) } } } } }
                }
                @if !refused.is_empty() {
                    h2 { "Files that do not count" }
                    table { tbody {
                        @for (file, why) in &refused {
                            tr { td { code { (shown::path(&file.file)) } } td { "sent " (shown::moment(file.submitted)) } td { (why) } }
                        }
                    } }
                }
                @if !report.reasons.is_empty() {
                    h2 { "Lines that could not be read" }
                    p { "These lines are missing from your figures. Correct them and send the whole file again under the same name." }
                    @for of_reason in &report.reasons {
                        h3 { (shown::shown(&of_reason.reason)) ": " (of_reason.lines.len()) @if of_reason.lines.len() == 1 { " line" } @else { " lines" } }
                        p.advice { strong { "What to change: " } (of_reason.advice) }
                        table {
                            thead { tr { th { "File" } th.num { "Line" } th { "Text" } } }
                            tbody {
                                @for line in of_reason.lines.iter().take(LISTED) {
                                    tr {
                                        td { code { (shown::path(&line.file)) } }
                                        td.num { (line.line_number) }
                                        td { code { (text(&line.text)) } }
                                    }
                                }
                            }
                        }
                        @if of_reason.lines.len() > LISTED { p.dim { "The first " (LISTED) " are listed." } }
                    }
                }
                @if report.is_cut { p.dim { "There is more than this report lists." } }
                p.dim {
                    "Times are UTC, except the times of day, which are those of "
                    (report.punctuality.iter().find_map(|of| of.time_zone.as_deref()).unwrap_or("UTC")) ". Made by gristmill."
                }
            }
        }
    }
}

/// Returns a line's text as it is shown: on one line, and not too long.
fn text(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => shown::path(&format!("{}…", &line[..end])),
        None => shown::path(line),
    }
}

fn table(report: &StoreReport) -> String {
    let mut csv = String::new();
    push_row(
        &mut csv,
        ["what", "day", "file", "line", "reason", "text", "what_to_change"],
    );
    for odd in days(report, Fate::Missing) {
        let day = odd.day.to_string();
        push_row(
            &mut csv,
            [
                "day without a file",
                &day,
                "",
                "",
                "",
                "",
                "Send the file of this day.",
            ],
        );
    }
    for odd in days(report, Fate::Late) {
        let (day, reason) = (odd.day.to_string(), lateness(&odd));
        push_row(
            &mut csv,
            ["late", &day, "", "", &reason, "", "Send the file earlier."],
        );
    }
    for file in &report.files {
        if let Some(why) = refused(file) {
            push_row(
                &mut csv,
                [
                    "file that does not count",
                    "",
                    &shown::path(&file.file),
                    "",
                    why,
                    "",
                    "",
                ],
            );
        }
    }
    for of_reason in &report.reasons {
        for line in &of_reason.lines {
            let number = line.line_number.to_string();
            let (file, text) = (shown::path(&line.file), shown::path(&line.text));
            let cells = [
                "line",
                "",
                &file,
                &number,
                &of_reason.reason,
                &text,
                of_reason.advice,
            ];
            push_row(&mut csv, cells);
        }
    }
    csv
}
