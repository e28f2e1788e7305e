//! Pieces that several pages have in common.

use gristmill_state::{FileStatus, RunRow, RunState, VersionRecord};
use jiff::Timestamp;
use maud::{Markup, html};

use super::address::{of_file, of_run, of_store};
use super::viewer::Viewer;
use crate::overview::{Held, took};
use crate::preconditions::Check;
use crate::shown;

/// A moment, to the second, in UTC. Scripts add how long ago it was.
pub(super) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at.to_string()) { (shown::moment(at)) } }
}

pub(super) fn moment_or_dash(at: Option<Timestamp>) -> Markup {
    match at {
        Some(at) => moment(at),
        None => html! { "–" },
    }
}

/// A moment, and how long ago it was, which scripts keep up to date.
pub(super) fn ago(at: Timestamp) -> Markup {
    html! { (moment(at)) " " span.ago data-ago=(at.to_string()) {} }
}

/// A file's name, with a link to its story.
pub(super) fn file(path: &str) -> Markup {
    html! { a.path href=(of_file(path)) { (shown::path(path)) } }
}

/// A store, with a link to what is known of it.
pub(super) fn store(store: &str) -> Markup {
    html! { a href=(of_store(store)) { (shown::path(store)) } }
}

pub(super) fn run(run_id: &str) -> Markup {
    html! { a href=(of_run(run_id)) { (run_id) } }
}

/// A number with thin spaces between its thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A text of somebody's file on one line, cut if it is long.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 200;
    let cut = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    shown::path(&cut)
}

/// A word in a colour that says how it is. The word says the same, for those who see no colours.
pub(super) fn chip(tone: &str, word: &str) -> Markup {
    html! { span class={ "chip " (tone) } { (word) } }
}

pub(super) fn status(status: FileStatus) -> Markup {
    let tone = match status {
        FileStatus::Validated => "good",
        FileStatus::Submitted => "busy",
        FileStatus::Held => "warn",
        FileStatus::Rejected | FileStatus::Failed => "bad",
        FileStatus::Withdrawn => "calm",
    };
    chip(tone, status.as_str())
}

pub(super) fn run_state(run: &RunRow) -> Markup {
    let tone = match run.state {
        RunState::Queued | RunState::Running => "busy",
        RunState::Completed if run.incomplete || run.lost.is_some() => "warn",
        RunState::Completed => "good",
        RunState::Failed => "bad",
    };
    html! {
        (chip(tone, run.state.as_str()))
        @if run.incomplete { " " (chip("warn", "incomplete")) }
        @if run.lost.is_some() { " " (chip("bad", "not in the warehouse")) }
    }
}

/// What a load changed.
pub(super) fn changes(run: &RunRow) -> Markup {
    match (&run.changes, run.outcome) {
        (Some(c), _) => html! {
            span.changes title="rows inserted, updated, deleted, unchanged" {
                span.plus { "+" (number(c.inserted)) } " "
                span.tilde { "~" (number(c.updated)) } " "
                span.minus { "−" (number(c.deleted)) } " "
                span.same { "=" (number(c.unchanged)) }
            }
        },
        (None, Some(outcome)) => html! { (outcome) },
        (None, None) => html! { "–" },
    }
}

/// Runs as a table.
pub(super) fn runs(runs: &[RunRow], empty: &str, with_job: bool) -> Markup {
    if runs.is_empty() {
        return html! { p.empty { (empty) } };
    }
    html! {
        div.scroll role="region" aria-label="Runs" tabindex="0" {
            table {
                thead { tr {
                    th { "Run" } @if with_job { th { "Job" } } th { "State" } th { "Cause" } th.num { "Complete" } th { "Queued" }
                    th.num { "Took" } th.num { "Rows" } th { "Load (+ ~ − =)" }
                } }
                tbody {
                    @for one in runs {
                        tr {
                            td { (run(&one.run_id)) @if let Some(wave) = one.wave { br; span.dim { "of " (wave) } } }
                            @if with_job { td { a href=(super::address::of_job(&one.job_id)) { (one.job_id) } } }
                            td { (run_state(one)) @if let Some(error) = &one.error { br; span.dim { (shown::shown(error)) } } }
                            td { (one.cause) }
                            td.num { (shown::or_dash(one.completeness_percent.map(crate::preconditions::percent))) }
                            td { (moment(one.queued)) }
                            td.num { (shown::or_dash(took(one).map(shown::duration))) }
                            td.num { (shown::or_dash(one.summary.as_ref().map(|summary| number(summary.rows)))) }
                            td { (changes(one)) }
                        }
                    }
                }
            }
        }
    }
}

/// The columns of [`counts`].
pub(super) fn counts_head() -> Markup {
    html! {
        th.num { "Lines" } th.num { "= rows" } th.num { "+ ignored" } th.num { "+ skipped" } th.num { "+ rejects" }
        th { "Balances" }
    }
}

/// Whether the counts of a version balance: each line is one of the four.
pub(super) fn balances(version: &VersionRecord) -> bool {
    version.lines == version.rows + version.ignored + version.skipped + version.rejects
}

/// The counts of a version, and whether they balance.
pub(super) fn counts(version: &VersionRecord) -> Markup {
    html! {
        td.num { (number(version.lines)) }
        td.num { (number(version.rows)) }
        td.num { (number(version.ignored)) }
        td.num { (number(version.skipped)) }
        td.num { (number(version.rejects)) }
        td { @if balances(version) { "yes" } @else { (chip("bad", "no")) } }
    }
}

/// The bytes of a version by their hash, of which the beginning is shown.
pub(super) fn hash(version: &VersionRecord) -> Markup {
    let hash = &version.content_hash;
    html! { code title=(hash) { (hash.get(..16).unwrap_or(hash)) } }
}

/// Preconditions with their facts; beneath each, what it lacks. At rest, when a wave is complete and nothing of the next has
/// come, what does not hold is no reason to worry.
pub(super) fn checks(checks: &[Check], is_at_rest: bool, lacks: impl Fn(&Check) -> Markup) -> Markup {
    html! {
        ul.tree {
            @for check in checks {
                @let (tone, mark, word) = match (check.holds, check.waived) {
                    (true, _) => ("good", "✓", "holds"),
                    (false, true) => ("warn", "≈", "does not hold, but the deadline has passed"),
                    (false, false) if is_at_rest => ("calm", "·", "does not hold yet"),
                    (false, false) => ("bad", "✗", "does not hold"),
                };
                li class=(tone) {
                    span.mark role="img" aria-label=(word) { (mark) } " "
                    strong { (check.name) } " "
                    span.facts { (shown::shown(&check.facts)) }
                    (lacks(check))
                }
            }
        }
    }
}

/// What is held, and the ways to decide about it.
pub(super) fn held(held: &[Held], viewer: Viewer) -> Markup {
    html! {
        ul.held {
            @for one in held {
                li {
                    (file(&one.row.file_url))
                    @if let (Some(store), Some(day)) = (&one.row.store_id, one.row.trans_date) { ": store " (store) ", " (day) }
                    @if let Some(lines) = one.row.lines { span.dim { " (" (number(lines)) " lines)" } }
                    br;
                    span.reason { (shown::shown(&one.row.reason)) }
                    @if let Some(other) = &one.row.other_file { br; "the same day is in " (file(other)) }
                    @if !viewer.can_sign_in { br; span.dim { "Decide by: " code { (shown::path(&one.accept)) }
                        @if let Some(withdraw) = &one.withdraw_other { " or " code { (shown::path(withdraw)) } } } }
                }
            }
        }
    }
}

/// A form with one button that does something. Whoever has not presented the token is asked for it first.
pub(super) fn action(
    viewer: Viewer,
    action: &str,
    fields: &[(&str, &str)],
    label: &str,
    here: &str,
) -> Markup {
    if !viewer.can_sign_in {
        return html! {};
    }
    html! {
        form.inline method="post" action={ "/act/" (action) } {
            input type="hidden" name="next" value=(here);
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button type="submit" { (label) }
        }
    }
}

/// Links to the parts before and after this one of a long list.
pub(super) fn pager(before: Option<String>, after: Option<String>) -> Markup {
    html! {
        @if before.is_some() || after.is_some() {
            nav.pager aria-label="Pages" {
                @if let Some(before) = before { a rel="prev" href=(before) { "← Before" } }
                @if let Some(after) = after { a rel="next" href=(after) { "After →" } }
            }
        }
    }
}

/// Says that a list does not reach so far, and leads to its beginning.
pub(super) fn beyond(page: impl std::fmt::Display, first: String) -> Markup {
    html! { p.empty { "The list ends before page " (page) ". " a href=(first) { "Show the first page" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 1_234_567].map(number);
        assert_eq!(shown, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }

    #[test]
    fn names_of_files_cannot_become_markup() {
        let markup = file("<img src=x onerror=alert(1)>\"'\n\u{202e}.tdf").into_string();
        assert!(
            !markup.contains("<img") && !markup.contains('\n') && !markup.contains('\u{202e}'),
            "{markup}"
        );
    }
}
