//! Where a row of the warehouse comes from: the run that made it, the file versions and the lines that went into it, and
//! whether the warehouse agrees.

use anyhow::Context as _;
use gristmill_engine::{
    DayEffect as Effect, FeedLayout, Row, Supersede, covers_day, format_cents, rows_of_key,
};
use gristmill_loader::LoadMode;
use gristmill_state::{DayEffect, InputFile, LedgerNews, RunFilter, RunOutcome, RunRow, StateDb};
use jiff::civil::Date;
use serde::Serialize;

use super::Held;
use crate::lake::Lake;
use crate::ledger::{lost_load, unknown_run};
use crate::pipeline;
use crate::settings::Settings;
use crate::{shown, warehouse};

/// A row of the warehouse.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) store: String,
    pub(crate) item: String,
    pub(crate) date: Date,
}

/// Where a row comes from.
#[derive(Debug, Serialize)]
pub(crate) struct Trace {
    pub(crate) run: Option<RunRow>,
    pub(crate) files: Vec<TracedFile>,
    pub(crate) columns: Vec<String>,
    /// As decimal text, in the order of `columns`; `None` if there should be no row.
    pub(crate) derived: Option<Amounts>,
    pub(crate) warehouse: Option<Amounts>,
    pub(crate) agrees: bool,
    /// Why the state database may not know what the warehouse holds.
    pub(crate) warning: Option<String>,
    /// What is held of the store's day, or of the run's files as a whole.
    pub(crate) held: Vec<Held>,
}

/// A file that a row comes from, and its lines.
#[derive(Debug, Serialize)]
pub(crate) struct TracedFile {
    pub(crate) path: String,
    pub(crate) content_hash: String,
    pub(crate) submitted: jiff::Timestamp,
    pub(crate) lines: Vec<Row>,
}

/// Finds where a row comes from. Opens the warehouse and the lake.
pub(crate) async fn trace(settings: &Settings, state: &StateDb, key: &Key) -> anyhow::Result<Trace> {
    let warehouse = warehouse::open(settings).await?;
    let row = warehouse.row(&key.store, &key.item, key.date).await?;
    let warehouse = row.map(|row| amounts_as_text(&row.amounts));
    let columns = settings.target.measures.clone();
    let lake = Lake::open(&settings.lake).await?;
    let runs = match settings.target.mode {
        // The last load alone decides what the whole table holds.
        LoadMode::Reload => loads(state, 1).await?,
        LoadMode::ReplaceDays | LoadMode::Upsert => state.loads_of_day(&key.store, key.date).await?,
    };
    for run in runs {
        let Some((files, derived)) = derive((settings, state), &lake, key, &run).await? else {
            continue;
        };
        let agrees = derived == warehouse;
        let news = state.ledger_news(Some(&run.job_id)).await?;
        let held = held_of(state, key, &files).await?;
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
        held: held_of(state, key, &[]).await?,
    })
}

/// What a row was after a run.
#[derive(Debug, Serialize)]
pub(crate) struct Moment {
    pub(crate) run_id: String,
    pub(crate) finished: Option<jiff::Timestamp>,
    /// Its amounts as decimal text, in the order of the warehouse's columns; `None` if there was no row.
    pub(crate) row: Option<Amounts>,
    /// The files that its lines came from.
    pub(crate) files: Vec<String>,
    /// Whether the run made it other than it was before.
    pub(crate) is_change: bool,
}

/// How many runs a history goes back.
const PAST: usize = 20;

/// Returns what a row was after each of the newest runs that covered it, newest first, as recomputed from the files that
/// each read.
pub(crate) async fn history(settings: &Settings, state: &StateDb, key: &Key) -> anyhow::Result<Vec<Moment>> {
    let lake = Lake::open(&settings.lake).await?;
    let runs = match settings.target.mode {
        LoadMode::Reload => loads(state, PAST as u32).await?,
        LoadMode::ReplaceDays | LoadMode::Upsert => state.loads_of_day(&key.store, key.date).await?,
    };
    let mut moments: Vec<Moment> = Vec::new();
    for run in runs.into_iter().take(PAST).rev() {
        let Some((files, row)) = derive((settings, state), &lake, key, &run).await? else {
            continue;
        };
        let before = moments.last().and_then(|moment| moment.row.as_ref());
        moments.push(Moment {
            is_change: before != row.as_ref(),
            run_id: run.run_id,
            finished: run.finished,
            row,
            files: files.into_iter().map(|file| file.path).collect(),
        });
    }
    moments.reverse();
    Ok(moments)
}

/// Returns the newest loads of all.
async fn loads(state: &StateDb, limit: u32) -> anyhow::Result<Vec<RunRow>> {
    let loaded = RunFilter {
        outcome: Some(RunOutcome::Loaded),
        limit: Some(limit),
        ..RunFilter::default()
    };
    Ok(state.runs(&loaded).await?)
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
async fn held_of(state: &StateDb, key: &Key, files: &[TracedFile]) -> anyhow::Result<Vec<Held>> {
    let held = state.held().await?.into_iter();
    let concerns = held.filter(|held| match (&held.store_id, held.trans_date) {
        (Some(store), Some(date)) => *store == key.store && date == key.date,
        _ => files
            .iter()
            .any(|file| file.path == held.file_url || held.other_file.as_ref() == Some(&file.path)),
    });
    Ok(concerns.map(Held::new).collect())
}

/// The amounts of a row as decimal text, in the order of the warehouse's columns.
pub(crate) type Amounts = Vec<Option<String>>;

type Derived = (Vec<TracedFile>, Option<Amounts>);

/// Recomputes a row from the run's converted files. Returns `None` if the run did not touch the key, so the warehouse
/// still holds what an older run left there.
async fn derive(
    (settings, state): (&Settings, &StateDb),
    lake: &Lake,
    key: &Key,
    run: &RunRow,
) -> anyhow::Result<Option<Derived>> {
    let inputs = state.run_inputs(&run.run_id).await?;
    let Some(feed) = inputs.first().and_then(|input| settings.feeds.get(&input.feed)) else {
        return Ok(None);
    };
    let effect = |input: &InputFile| pipeline::selection(&input.days).effect(&key.store, key.date);
    let is_emptied = inputs.iter().flat_map(|input| &input.days.named).any(|day| {
        day.effect == DayEffect::Emptied && day.store_id == key.store && day.trans_date == key.date
    });
    let may_cover = |input: &InputFile| {
        let version = &input.version;
        let counts = effect(input) != Effect::LeftOut;
        counts
            && version.first_date.is_some_and(|first| first <= key.date)
            && version.last_date.is_some_and(|last| key.date <= last)
    };
    let candidates: Vec<_> = inputs.into_iter().filter(may_cover).collect();
    let mut objects = Vec::with_capacity(candidates.len());
    for input in &candidates {
        objects.push(input.version.partial.as_deref().with_context(|| {
            let path = shown::path(&input.file_url);
            format!(
                "run {} cannot be traced any further: the partial of {path} was removed from the lake by its retention",
                run.run_id
            )
        })?);
    }
    let partials = lake.fetch_all(&objects).await?;
    let mut covering = Vec::new();
    for (input, partial) in candidates.into_iter().zip(partials) {
        if covers_day(partial.path(), &key.store, key.date)? {
            covering.push(input);
        }
    }
    keep_newest(feed, &mut covering, effect);
    let covers = is_emptied || !covering.is_empty();
    let mut found = Vec::new();
    for input in covering {
        let converted = input.version.converted.as_deref().with_context(|| {
            let path = shown::path(&input.file_url);
            format!("the rows of {path} are not in the lake: see convert.keep and lake.retention")
        })?;
        let lines = rows_of_key(
            lake.fetch(converted).await?.path(),
            &key.store,
            &key.item,
            key.date,
        )?;
        if !lines.is_empty() {
            found.push((input, lines));
        }
    }
    let decides = match settings.target.mode {
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
pub(super) fn keep_newest(
    feed: &FeedLayout,
    covering: &mut Vec<InputFile>,
    effect: impl Fn(&InputFile) -> Effect,
) {
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
