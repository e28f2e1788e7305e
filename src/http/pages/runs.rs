//! Runs: all of them, newest first, or some.

use gristmill_state::{RunFilter, RunState};
use maud::html;

use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;

/// How many runs the page shows at first, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 1000;

const STATES: [RunState; 4] = [
    RunState::Queued,
    RunState::Running,
    RunState::Completed,
    RunState::Failed,
];

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let ask = look.ask;
    let state = ask.get("state").map(|word| {
        word.to_uppercase()
            .parse()
            .map_err(|_| Problem::Bad(format!("{word:?} is no state of a run")))
    });
    let limit = ask.number("limit", USUAL, MOST)?;
    let filter = RunFilter {
        job_id: ask.text("job"),
        state: state.transpose()?,
        incomplete: ask.is_set("incomplete"),
        limit: Some(limit),
        ..RunFilter::default()
    };
    let runs = look.desk.state().await?.runs(&filter).await?;
    let is_any = filter.job_id.is_some() || filter.state.is_some() || filter.incomplete;
    let empty = match is_any {
        true => "No run is like that.",
        false => {
            "No run so far: a job runs as soon as all that it waits for is there. Today says what that is."
        }
    };
    let more =
        (runs.len() as u32 == limit && limit < MOST).then(|| ask.with("/runs", "limit", &MOST.to_string()));
    let of = |key| ask.get(key).unwrap_or_default();
    let filters = html! {
        form.filters method="get" action="/runs" role="search" {
            span { label for="job" { "Job" } input id="job" name="job" value=(of("job")); }
            span { label for="state" { "State" }
                select id="state" name="state" {
                    option value="" { "any" }
                    @for state in STATES {
                        @let word = state.as_str().to_lowercase();
                        option value=(word) selected[of("state") == word] { (word) }
                    }
                }
            }
            label { input type="checkbox" name="incomplete" value="true" checked[ask.is_set("incomplete")]; " only incomplete ones" }
            button type="submit" { "Show" }
        }
    };
    Ok(Page {
        title: "Runs".to_owned(),
        section: "/runs",
        parts: vec![
            Part::Fixed(filters),
            Part::Live(
                "runs",
                html! {
                    (parts::runs(&runs, empty, true))
                    @if let Some(more) = more { p { a href=(more) { "Show more" } } }
                },
            ),
        ],
    })
}
