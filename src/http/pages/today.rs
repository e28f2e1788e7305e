//! Today: what needs a person, and a card for each province, those in trouble first.

use std::collections::HashMap;

use gristmill_state::{FileStatus, LastSeen, RunRow, StateDb, UNMATCHED, WaitKind};
use maud::{Markup, html};

use super::super::address::{address, of_job};
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::ledger;
use crate::overview::{Held, Mood, Province, describe_strays, firing, strays};
use crate::shown;

/// How many cards stand on one page.
const CARDS: usize = 48;

/// How many of a list are named.
const NAMED: usize = 8;

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let desk = look.desk;
    let state = desk.state().await?;
    let text = look.ask.get("q").unwrap_or_default().to_lowercase();
    let mood = look.ask.get("mood");
    let number = look.ask.number("page", 1, 100_000)?.max(1) as usize;
    let from = (number - 1) * CARDS;
    let (count, shown, found, by_mood) = {
        let provinces = desk.provinces().await?;
        let sorted = provinces.sorted();
        let by_mood = Mood::ALL.map(|mood| sorted.iter().filter(|province| province.mood == mood).count());
        let is_chosen = |province: &&&Province| {
            mood.is_none_or(|mood| province.mood.word() == mood)
                && province.status.job.to_lowercase().contains(&text)
        };
        let found = sorted.iter().filter(is_chosen).count();
        let shown = sorted.iter().filter(is_chosen).skip(from).take(CARDS);
        let shown: Vec<Province> = shown.map(|province| (*province).clone()).collect();
        (provinces.len(), shown, found, by_mood)
    };
    let news = News::of(state, &shown).await?;
    let cards: Vec<_> = shown.iter().map(|province| card(look, &news, province)).collect();
    let before = (number > 1).then(|| look.ask.with("/", "page", &(number - 1).to_string()));
    let after = (from + CARDS < found).then(|| look.ask.with("/", "page", &(number + 1).to_string()));
    let summary = html! {
        p.moods {
            @for (mood, count) in Mood::ALL.into_iter().zip(by_mood) {
                @if count > 0 {
                    a href=(address("/", &[("mood", mood.word())])) { (parts::chip(tone(mood), mood.word())) " " (count) } " "
                }
            }
            @if mood.is_some() { a href="/" { "show all" } }
        }
    };
    let is_empty = count == 0;
    Ok(Page {
        title: "Today".to_owned(),
        section: "/",
        parts: vec![
            Part::Live("needs", needs(look, state).await?),
            Part::Fixed(search(look, count)),
            Part::Live(
                "provinces",
                html! {
                    (summary)
                    @if is_empty {
                        p.empty { "There is no job yet: add a " code { "[[job]]" } " table to the settings file, and start the service again." }
                    } @else if cards.is_empty() && number > 1 {
                        (parts::beyond(number, look.ask.with("/", "page", "")))
                    } @else if cards.is_empty() {
                        p.empty { "No province is like that. " a href="/" { "Show all" } }
                    }
                    div.cards { @for card in &cards { (card) } }
                    (parts::pager(before, after))
                },
            ),
        ],
    })
}

fn tone(mood: Mood) -> &'static str {
    match mood {
        Mood::Trouble => "bad",
        Mood::Waiting => "warn",
        Mood::Working => "busy",
        Mood::Complete => "good",
        Mood::Quiet | Mood::Paused => "calm",
    }
}

/// The form that looks for provinces, once there are so many that one has to look.
fn search(look: &Look<'_>, count: usize) -> Markup {
    html! {
        @if count > 6 {
            form.filters method="get" action="/" role="search" {
                label for="q" { "Province" }
                input id="q" type="search" name="q" value=(look.ask.get("q").unwrap_or_default());
                button type="submit" { "Show" }
            }
        }
    }
}

/// What cards tell of provinces besides how they were judged.
struct News {
    /// Their last runs, by name.
    runs: HashMap<String, RunRow>,
    /// Their last complete runs, by job.
    complete: HashMap<String, RunRow>,
    /// The last files of the stores that they lack, by job and store.
    seen: HashMap<(String, String), LastSeen>,
}

impl News {
    async fn of(state: &StateDb, provinces: &[Province]) -> Result<Self, Problem> {
        let jobs: Vec<_> = provinces
            .iter()
            .map(|province| province.status.job.as_str())
            .collect();
        let runs = provinces
            .iter()
            .filter_map(|province| province.status.last_run.as_deref());
        let missing = provinces.iter().flat_map(|province| {
            let job = province.status.job.as_str();
            named(province).iter().map(move |store| (job, store.as_str()))
        });
        let (runs, missing): (Vec<_>, Vec<_>) = (runs.collect(), missing.collect());
        let runs = state.runs_named(&runs).await?.into_iter();
        let complete = state.last_complete(&jobs).await?.into_iter();
        let seen = state.last_seen(&missing).await?.into_iter();
        Ok(Self {
            runs: runs.map(|run| (run.run_id.clone(), run)).collect(),
            complete: complete.map(|run| (run.job_id.clone(), run)).collect(),
            seen: seen
                .map(|seen| ((seen.job_id.clone(), seen.store_id.clone()), seen))
                .collect(),
        })
    }
}

/// Returns the stores that a card names of those that the province lacks.
fn named(province: &Province) -> &[String] {
    &province.missing_stores[..province.missing_stores.len().min(NAMED)]
}

/// A province: what has come, what it waits for, and its last run.
fn card(look: &Look<'_>, news: &News, province: &Province) -> Markup {
    let status = &province.status;
    let last = status.last_run.as_ref().and_then(|run| news.runs.get(run));
    let complete = news.complete.get(&status.job);
    let seen = |store: &String| news.seen.get(&(status.job.clone(), store.clone()));
    let lacks = |check: &crate::preconditions::Check| {
        let is_of_stores = check.data.get("missing_stores").is_some();
        let is_of_files = check.data.get("missing_files").is_some();
        html! {
            @if is_of_stores && !province.missing_stores.is_empty() && check.blocks() {
                ul {
                    @for store in named(province) {
                        li { "store " (parts::store(store)) ": "
                            @match seen(store) {
                                Some(seen) => { "last file " (parts::ago(seen.submitted)) },
                                None => "no file so far",
                            }
                        }
                    }
                    @if province.missing_stores.len() > NAMED { li { "and " (province.missing_stores.len() - NAMED) " more" } }
                }
            }
            @if is_of_files && !province.missing_files.is_empty() && check.blocks() {
                ul {
                    @for file in province.missing_files.iter().take(NAMED) { li { (parts::file(file)) } }
                    @if province.missing_files.len() > NAMED { li { "and " (province.missing_files.len() - NAMED) " more" } }
                }
            }
        }
    };
    let is_quiet = matches!(province.mood, Mood::Complete | Mood::Paused | Mood::Working);
    html! {
        article class={ "card " (tone(province.mood)) } {
            h2 { a href=(of_job(&status.job)) { (shown::path(&status.job)) } " " (parts::chip(tone(province.mood), province.mood.word())) }
            @if let Some(wave) = status.wave { p.dim { "the wave of " (wave) } }
            @if let Some((arrived, expected, unit)) = province.progress {
                p.progress {
                    progress max=(expected.max(1)) value=(arrived.min(expected)) aria-label=(format!("{arrived} of {expected} {unit}")) {}
                    " " (arrived) " of " (expected) " " (unit)
                }
            }
            @if let Some(done) = &status.done { p { (shown::shown(done)) } }
            @if province.checks.is_empty() {
                @for waits in &status.waits_for { p { "waits for " (shown::shown(waits)) } }
            } @else {
                details open[!is_quiet] {
                    summary { "Preconditions" }
                    (parts::checks(&province.checks, province.mood == Mood::Complete, lacks))
                }
            }
            @if let Some(ahead) = status.ahead.first() { p.dim { (status.ahead.len()) " waves lie ahead of today, from " (ahead) " on" } }
            @for sentence in &status.other_jobs { p.dim { (shown::shown(sentence)) } }
            (last_run(last, complete))
            @if province.mood == Mood::Trouble && last.is_some_and(|run| run.state == gristmill_state::RunState::Failed) {
                @if let Some(run) = last { (parts::action(look.viewer, "retry", &[("name", &run.run_id)], "Retry the run", look.here)) }
            }
        }
    }
}

fn last_run(last: Option<&RunRow>, complete: Option<&RunRow>) -> Markup {
    html! {
        dl {
            dt { "Last run" }
            dd {
                @match last {
                    Some(run) => {
                        (parts::run(&run.run_id)) " " (parts::run_state(run)) " " (parts::changes(run))
                        @if let Some(error) = &run.error { br; span.reason { (shown::shown(error)) } }
                    },
                    None => "none so far",
                }
            }
            dt { "Last complete" }
            dd { @match complete.and_then(|run| run.finished) { Some(at) => (parts::ago(at)), None => "never" } }
        }
    }
}

/// What needs a person: what is held, failed or waits, and what belongs to nothing.
async fn needs(look: &Look<'_>, state: &StateDb) -> Result<Markup, Problem> {
    let jobs = look.desk.jobs().await?;
    let counts = state.status_counts().await?;
    let count = |status| {
        counts
            .iter()
            .find(|(found, _)| *found == status)
            .map_or(0, |(_, count)| *count)
    };
    let held: Vec<_> = state.held().await?.into_iter().map(Held::new).collect();
    let waiting = state.waiting().await?;
    let (alerts, unsent) = (firing(state).await?, state.unsent_notices().await?);
    let unmatched = state.unmatched_count().await?;
    let workers = state.workers().await?;
    let strays = describe_strays(&strays(state, &jobs).await?);
    let news = state.ledger_news(None).await?;
    let damages = state.damages();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let lists = |status: FileStatus| address("/files", &[("status", &status.as_str().to_lowercase())]);
    let of_kind = |kind| waiting.iter().filter(move |waits| waits.kind == kind);
    let files_waiting = of_kind(WaitKind::File).count();
    Ok(html! {
        @if total == 0 && unmatched == 0 {
            p.empty {
                "No file has come so far. Put files where " code { "[source]" } " of the settings file looks; "
                code { "gristmill check FILE" } " says how they would be read."
            }
        } @else {
            p.counts {
                a href="/files" { (parts::number(total)) " files" }
                @for (status, files) in counts.iter().filter(|(status, _)| *status != FileStatus::Validated) {
                    " · " a href=(lists(*status)) { (parts::number(*files)) " " (status) }
                }
                @if unmatched > 0 {
                    " · " a href="/files/unmatched" {
                        (parts::number(unmatched)) @if unmatched >= u64::from(UNMATCHED) { " or more" } " match no feed"
                    }
                }
            }
        }
        @if !workers.is_empty() {
            p.counts {
                (workers.len()) @if workers.len() == 1 { " worker helps:" } @else { " workers help:" }
                @for (number, worker) in workers.iter().take(NAMED).enumerate() {
                    @if number > 0 { " ·" } " " (shown::path(&worker.role)) " on " (shown::path(&worker.host)) " (" (worker.tasks) " of " (worker.at_once) " tasks)"
                }
                @if workers.len() > NAMED { " and " (workers.len() - NAMED) " more" }
            }
        }
        @if !alerts.is_empty() || !unsent.is_empty() {
            section.needs aria-label="Alerts" {
                h2 { "Alerts" }
                @for firing in alerts.iter().take(NAMED) {
                    p { (parts::chip("bad", "alert")) " " b { (shown::path(&firing.alert)) } " · " (shown::path(&firing.subject)) " " (shown::shown(&firing.facts)) " · since " (parts::ago(firing.since)) }
                }
                @if alerts.len() > NAMED { p { "and " (alerts.len() - NAMED) " more: " code { "gristmill status" } " has all" } }
                @for unsent in &unsent {
                    p {
                        (parts::chip("bad", "not told")) " receiver " b { (shown::path(&unsent.receiver)) } " has not got " (parts::number(unsent.notices)) " notices since " (parts::ago(unsent.since))
                        @if let Some(error) = &unsent.error { ": " (shown::shown(error)) }
                    }
                }
            }
        }
        @let is_calm = held.is_empty() && count(FileStatus::Failed) == 0 && waiting.is_empty() && strays.is_empty()
            && news.unknown.is_empty() && news.lost.is_empty() && damages.is_empty();
        @if !is_calm {
            section.needs aria-label="Needs a person" {
                h2 { "Needs a person" }
                @for waits in of_kind(WaitKind::Service) {
                    p { (parts::chip("bad", "outage")) " " (shown::shown(&waits.subject)) " is waited for since " (parts::ago(waits.since)) ": " (shown::shown(&waits.reason)) }
                }
                @for waits in of_kind(WaitKind::Run).take(NAMED) {
                    p { (parts::chip("bad", "outage")) " run " (parts::run(&waits.subject)) " waits since " (parts::ago(waits.since)) ": " (shown::shown(&waits.reason)) }
                }
                @for waits in of_kind(WaitKind::File).take(NAMED) {
                    p { (parts::chip("bad", "outage")) " " (parts::file(&waits.subject)) " cannot be converted yet: " (shown::shown(&waits.reason)) }
                }
                @if files_waiting > NAMED { p { "and " (files_waiting - NAMED) " more files that wait" } }
                @for load in news.unknown.iter().take(NAMED) { p { (parts::chip("bad", "ledger")) " job " (load.job_id) ": " (ledger::unknown_run(load)) } }
                @for run in news.lost.iter().take(NAMED) { p { (parts::chip("bad", "ledger")) " job " (run.job_id) ": " (ledger::lost_load(run)) } }
                @for damage in damages.iter().take(NAMED) { p { (parts::chip("bad", "state")) " " (shown::shown(&damage.to_string())) } }
                @let unnamed = news.unknown.len().saturating_sub(NAMED) + news.lost.len().saturating_sub(NAMED) + damages.len().saturating_sub(NAMED);
                @if unnamed > 0 { p { "and " (unnamed) " more like that: " code { "gristmill status" } " has all" } }
                @if count(FileStatus::Failed) > 0 {
                    p {
                        (parts::chip("bad", "failed")) " " a href=(lists(FileStatus::Failed)) { (count(FileStatus::Failed)) " files could not be read" } " "
                        (parts::action(look.viewer, "retry-failed", &[], "Retry all that failed", look.here))
                    }
                }
                @if !held.is_empty() {
                    details open[held.len() <= NAMED] {
                        summary { (parts::chip("warn", "held")) " " (held.len()) " held: valid, and not counted before somebody decides" }
                        (parts::held(&held[..held.len().min(50)], look.viewer))
                    }
                }
                @for sentence in strays.iter().take(NAMED) { p { (parts::chip("warn", "no job")) " " (shown::shown(sentence)) } }
            }
        }
    })
}
