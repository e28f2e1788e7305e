//! By which file each row changed that a run changed: what it was after the load before, what it became, and the versions
//! of files behind that.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::Context as _;
use gristmill_engine::{DayEffect as Effect, Row, format_cents, rows_of_key};
use gristmill_loader::{ChangedRow, Loaded, RowChange, changed_rows};
use gristmill_state::{InputFile, RunOutcome, RunRow, StateDb};
use jiff::civil::Date;
use serde::Serialize;

use super::Amounts;
use super::trace::keep_newest;
use crate::lake::{Lake, LocalFile};
use crate::pipeline::{self, summary_files};
use crate::settings::Settings;

/// How many converted files are read for one answer to tell which of several files changed a row.
const READ: usize = 40;

/// Some of the rows that a run changed.
#[derive(Debug, Serialize)]
pub(crate) struct ChangedRows {
    pub(crate) run_id: String,
    /// The run that loaded the same scope before; none if this was the first.
    pub(crate) before: Option<String>,
    /// The names of the amounts.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<RowOfRun>,
    /// Whether there are more after these.
    pub(crate) has_more: bool,
}

/// A row that a run changed.
#[derive(Debug, Serialize)]
pub(crate) struct RowOfRun {
    pub(crate) store_id: String,
    pub(crate) item_id: String,
    pub(crate) trans_date: Date,
    /// Decimal texts in the order of the columns; none if there was no row.
    pub(crate) before: Option<Amounts>,
    /// Likewise, what it became.
    pub(crate) after: Option<Amounts>,
    /// The files of which the two runs read different versions of the row's day.
    pub(crate) files: Vec<FileBehind>,
}

/// A file behind a change.
#[derive(Debug, Serialize)]
pub(crate) struct FileBehind {
    pub(crate) file: String,
    /// The hashes of the versions that the run before read of the day; empty if none.
    pub(crate) before: Vec<String>,
    /// Those that this run read.
    pub(crate) after: Vec<String>,
}

/// Which of the changed rows to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangedSlice {
    /// Only those that changed so.
    pub(crate) only: Option<RowChange>,
    /// How many to pass over.
    pub(crate) skipped: usize,
    /// How many to tell at most.
    pub(crate) limit: usize,
}

/// Tells some of the rows that a run changed in the warehouse, in the order of their keys. Opens the lake.
pub(crate) async fn changed(
    settings: &Settings,
    state: &StateDb,
    run: &RunRow,
    slice: ChangedSlice,
) -> anyhow::Result<ChangedRows> {
    let mut changed = ChangedRows {
        run_id: run.run_id.clone(),
        before: None,
        columns: settings.target.measures.clone(),
        rows: Vec::new(),
        has_more: false,
    };
    if run.outcome != Some(RunOutcome::Loaded) {
        return Ok(changed);
    }
    let lake = Lake::open(&settings.lake).await?;
    let after = files_of(&lake, run).await?;
    let base = state.loaded_before(&run.job_id, run.wave, run.sequence).await?;
    let before = match &base {
        Some(base) => Some(files_of(&lake, base).await?),
        None => None,
    };
    let rows = changed_rows(
        before.as_ref().map(loaded),
        loaded(&after),
        (&settings.target.measures, settings.target.mode),
        slice.only,
        (slice.skipped, slice.limit + 1),
    );
    let mut rows = rows.await?;
    changed.has_more = rows.len() > slice.limit;
    rows.truncate(slice.limit);
    let days = rows.iter().map(|row| (row.store_id.clone(), row.trans_date));
    let days: BTreeSet<_> = days.collect();
    let sides = Sides {
        before: match &base {
            Some(base) => Side::read(settings, state, base, &days).await?,
            None => Side::default(),
        },
        after: Side::read(settings, state, run, &days).await?,
    };
    let mut reads = READ;
    for row in rows {
        let mut behind = sides.of(&row);
        if behind.len() > 1 {
            keep_those_with_it(&lake, &row, &mut behind, &mut reads).await?;
        }
        let text = |amounts: Vec<Option<i64>>| -> Amounts {
            amounts
                .into_iter()
                .map(|amount| amount.map(format_cents))
                .collect()
        };
        changed.rows.push(RowOfRun {
            files: behind.into_iter().map(Behind::into_file).collect(),
            before: row.before.map(text),
            after: row.after.map(text),
            store_id: row.store_id,
            item_id: row.item_id,
            trans_date: row.trans_date,
        });
    }
    changed.before = base.map(|base| base.run_id);
    Ok(changed)
}

async fn files_of(lake: &Lake, run: &RunRow) -> anyhow::Result<[LocalFile; 2]> {
    let files = match &run.summary {
        Some(summary) => summary_files(lake, summary).await?,
        None => None,
    };
    files.with_context(|| {
        format!(
            "the rows of run {} can no longer be compared: its summary was removed from the lake by its retention",
            run.run_id
        )
    })
}

fn loaded([summary, coverage]: &[LocalFile; 2]) -> Loaded<'_> {
    Loaded {
        summary: summary.path(),
        coverage: coverage.path(),
    }
}

/// What two runs read of some days.
struct Sides {
    before: Side,
    after: Side,
}

/// The versions that a run read of some days.
#[derive(Default)]
struct Side(BTreeMap<(String, Date), Vec<InputFile>>);

impl Side {
    async fn read(
        settings: &Settings,
        state: &StateDb,
        run: &RunRow,
        days: &BTreeSet<(String, Date)>,
    ) -> anyhow::Result<Self> {
        let inputs = state.run_inputs(&run.run_id).await?;
        let with_days: HashSet<_> = state
            .inputs_with_days(&run.run_id, days)
            .await?
            .into_iter()
            .collect();
        let feed = inputs.first().and_then(|input| settings.feeds.get(&input.feed));
        let mut of_days = BTreeMap::new();
        for (store, date) in days {
            let effect = |input: &InputFile| pipeline::selection(&input.days).effect(store, *date);
            let reads = |input: &&InputFile| {
                with_days.contains(&(store.clone(), *date, input.version_id))
                    && matches!(effect(input), Effect::Counts | Effect::Added)
            };
            let mut read: Vec<_> = inputs.iter().filter(reads).cloned().collect();
            if let Some(feed) = feed {
                keep_newest(feed, &mut read, effect);
            }
            of_days.insert((store.clone(), *date), read);
        }
        Ok(Self(of_days))
    }

    fn of(&self, day: &(String, Date)) -> &[InputFile] {
        self.0.get(day).map_or(&[], Vec::as_slice)
    }
}

/// The versions of one file that two runs read of a day.
#[derive(Default)]
struct Behind<'s> {
    before: Vec<&'s InputFile>,
    after: Vec<&'s InputFile>,
}

impl Sides {
    /// Returns the files of which the two runs read different versions of a row's day.
    fn of(&self, row: &ChangedRow) -> Vec<Behind<'_>> {
        let day = (row.store_id.clone(), row.trans_date);
        let mut by_file: BTreeMap<&str, Behind<'_>> = BTreeMap::new();
        for input in self.before.of(&day) {
            by_file.entry(&input.file_url).or_default().before.push(input);
        }
        for input in self.after.of(&day) {
            by_file.entry(&input.file_url).or_default().after.push(input);
        }
        by_file.into_values().filter(Behind::differs).collect()
    }
}

impl Behind<'_> {
    fn differs(&self) -> bool {
        let ids = |inputs: &[&InputFile]| -> BTreeSet<i64> {
            inputs.iter().map(|input| input.version_id).collect()
        };
        ids(&self.before) != ids(&self.after)
    }

    fn into_file(self) -> FileBehind {
        let hashes = |inputs: &[&InputFile]| {
            let hashes = inputs.iter().map(|input| input.version.content_hash.clone());
            hashes.collect()
        };
        let one = self.after.first().or(self.before.first());
        FileBehind {
            file: one.map(|input| input.file_url.clone()).unwrap_or_default(),
            before: hashes(&self.before),
            after: hashes(&self.after),
        }
    }
}

/// Leaves out the files whose versions hold the same of a row, as far as the lake has their rows and not too many have
/// been read.
async fn keep_those_with_it(
    lake: &Lake,
    row: &ChangedRow,
    behind: &mut Vec<Behind<'_>>,
    reads: &mut usize,
) -> anyhow::Result<()> {
    let mut differing = Vec::new();
    for (at, file) in behind.iter().enumerate() {
        let needed = file.before.len() + file.after.len();
        if *reads < needed {
            return Ok(());
        }
        *reads -= needed;
        let before = lines(lake, row, &file.before).await?;
        let after = lines(lake, row, &file.after).await?;
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(());
        };
        if before != after {
            differing.push(at);
        }
    }
    if !differing.is_empty() {
        let mut at = 0;
        behind.retain(|_| {
            at += 1;
            differing.contains(&(at - 1))
        });
    }
    Ok(())
}

/// Returns the codes and amounts that versions hold of a row; `None` if the lake no longer has their rows.
async fn lines(
    lake: &Lake,
    row: &ChangedRow,
    inputs: &[&InputFile],
) -> anyhow::Result<Option<Vec<(i32, i64)>>> {
    let mut found = Vec::new();
    for input in inputs {
        let object = match &input.version.converted {
            Some(object) => lake.find(object).await?,
            None => None,
        };
        let Some(object) = object else { return Ok(None) };
        let rows = rows_of_key(object.path(), &row.store_id, &row.item_id, row.trans_date)?;
        found.extend(rows.iter().map(|Row { code, amount, .. }| (*code, *amount)));
    }
    found.sort_unstable();
    Ok(Some(found))
}
