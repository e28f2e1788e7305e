//! Charts, drawn on the server as SVG. Colours come from the style sheet; every value is told in words, too.

use gristmill_state::{RunRow, RunState};
use jiff::Timestamp;
use maud::{Markup, html};

use super::parts;
use crate::overview::took;
use crate::shown;

/// The size of a chart, in its own units.
const WIDTH: f64 = 800.0;
const BAR: f64 = 26.0;
const GAP: f64 = 10.0;
const NAMES: f64 = 130.0;
const HEIGHT: f64 = 120.0;

/// The steps of a run in time: what it waited for, and what it did.
pub(super) fn steps(run: &RunRow, last_input: Option<Timestamp>) -> Markup {
    let end = run.finished;
    // A run that was started again was summarized before it started.
    let summarized = run
        .summarized
        .filter(|at| run.started.is_none_or(|started| *at >= started));
    let spans = [
        (
            "arrival → queue",
            "wait",
            last_input.filter(|at| *at <= run.queued),
            Some(run.queued),
        ),
        ("in the queue", "wait", Some(run.queued), run.started),
        ("merges", "merge", run.started, summarized.or(end)),
        ("loads", "load", summarized, end),
    ];
    let spans: Vec<_> = spans
        .into_iter()
        .filter_map(|(name, class, from, to)| Some((name, class, from?, to?)))
        .collect();
    let (Some(first), Some(last)) = (
        spans.iter().map(|(_, _, from, _)| *from).min(),
        spans.iter().map(|(_, _, _, to)| *to).max(),
    ) else {
        return html! {};
    };
    let whole = seconds(first, last).max(0.001);
    let height = spans.len() as f64 * (BAR + GAP);
    let x = |at: Timestamp| NAMES + (WIDTH - NAMES) * seconds(first, at) / whole;
    html! {
        h2 { "Steps" }
        svg.chart viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="The steps of the run in time; the list below tells the same" {
            @for (row, (name, class, from, to)) in spans.iter().enumerate() {
                @let top = row as f64 * (BAR + GAP);
                text x="0" y=(top + BAR * 0.7) { (name) }
                rect class=(class) x=(round(x(*from))) y=(top) width=(round((x(*to) - x(*from)).max(2.0))) height=(BAR) rx="3" {
                    title { (name) ": " (duration(*from, *to)) }
                }
            }
        }
        dl {
            @for (name, _, from, to) in &spans {
                dt { (name) } dd { (duration(*from, *to)) ", from " (parts::moment(*from)) " to " (parts::moment(*to)) }
            }
        }
        @if run.state == RunState::Running { p.dim { "It is in progress." } }
    }
}

/// How long runs took, and how long after the wave was complete they ended: the oldest on the left.
pub(super) fn durations(runs: &[RunRow]) -> Markup {
    let bars: Vec<_> = runs
        .iter()
        .rev()
        .filter_map(|run| Some((run, took(run)?.as_secs_f64().max(0.0))))
        .collect();
    let Some(longest) = bars.iter().map(|(_, took)| *took).reduce(f64::max) else {
        return html! {};
    };
    let step = WIDTH / bars.len().max(20) as f64;
    let longest = longest.max(0.001);
    html! {
        figure {
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="How long each run took; the table below tells the same" {
                @for (number, (run, took)) in bars.iter().enumerate() {
                    @let height = (HEIGHT * took / longest).max(2.0);
                    @let class = match run.state { RunState::Failed => "failed", _ if run.incomplete => "wait", _ => "load" };
                    rect class=(class) x=(round(number as f64 * step)) y=(round(HEIGHT - height)) width=(round((step - 2.0).max(1.0))) height=(round(height)) {
                        title { (run.run_id) ": " (shown::or_dash(crate::overview::took(run).map(shown::duration))) }
                    }
                }
            }
            figcaption { "How long each run took, the oldest on the left; the longest took " (shown::duration(jiff::SignedDuration::from_millis((longest * 1000.0) as i64))) "." }
        }
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn duration(from: Timestamp, to: Timestamp) -> String {
    shown::duration(to.duration_since(from))
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
