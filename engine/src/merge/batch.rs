//! Merging the rows of some stores in memory.
//!
//! Partials are sorted, and a store mostly sends one file: then its rows are rows of the summary already, and are only
//! put in their place. Where several partials hold rows of one store, Polars adds these up ([`add_up`]).

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::add_up::add_up;
use super::kept::newest;
use super::selection::Selection;
use crate::date::from_days;
use crate::error::EngineError;
use crate::key::{Key, MOST_ITEMS, MOST_STORES, StoreDay};
use crate::layout::{Measure, Supersede};
use crate::sums::Rows;
use crate::symbols::{Texts, ranked};

/// Rows of one file.
pub(crate) struct Input {
    pub(crate) rows: Rows,
    /// See [`RunPartial::order`](crate::RunPartial::order).
    pub(crate) order: i64,
    /// See [`RunPartial::selection`](crate::RunPartial::selection).
    selection: Arc<Selection>,
    /// Days that are covered without a row, sorted.
    emptied: Vec<StoreDay>,
    /// Days whose rows are added to those of newer files, sorted.
    added: Vec<StoreDay>,
}

impl Input {
    fn adds(&self, day: StoreDay) -> bool {
        self.added.binary_search(&day).is_ok()
    }

    pub(crate) fn of(rows: Rows, order: i64, selection: Arc<Selection>) -> Self {
        Self {
            rows,
            order,
            selection,
            emptied: Vec::new(),
            added: Vec::new(),
        }
    }

    /// Makes an input of days that are to be emptied, if there are any. They must be sorted.
    pub(crate) fn of_emptied(emptied: &[(&str, i32)], measures: &[Measure]) -> Option<Self> {
        let mut rows = Rows {
            sums: vec![Vec::new(); measures.len()],
            ..Rows::default()
        };
        let mut days = Vec::with_capacity(emptied.len());
        let mut last = None;
        for (store, day) in emptied {
            if last != Some(*store) {
                rows.stores.push(store);
                last = Some(*store);
            }
            days.push(StoreDay::new(rows.stores.len() as u32 - 1, *day));
        }
        (!days.is_empty()).then(|| Self {
            emptied: days,
            // As old as can be: it replaces nothing.
            ..Self::of(rows, i64::MIN, Arc::default())
        })
    }
}

/// Some rows of one store in one of several [`Rows`].
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) store: u32,
    /// Which of the rows.
    pub(crate) input: usize,
    pub(crate) rows: Range<usize>,
}

/// The merged rows of some stores.
pub(crate) struct Batch {
    pub(crate) stores: Texts,
    pub(crate) items: Texts,
    pub(crate) rows: Vec<Rows>,
    /// What of the rows counts, in the order of the keys.
    pub(crate) segments: Vec<Segment>,
    /// The stores' days that the inputs cover, sorted.
    pub(crate) days: Vec<StoreDay>,
}

impl Batch {
    pub(crate) fn merge(
        mut inputs: Vec<Input>,
        supersede: Supersede,
        measures: &[Measure],
    ) -> Result<Self, EngineError> {
        let (stores, items) = number_alike(&mut inputs)?;
        inputs.par_iter_mut().for_each(|input| {
            input.added = input.selection.apply(&mut input.rows, &stores);
        });
        let mut days: Vec<Vec<StoreDay>> = inputs.par_iter().map(|input| input.rows.days()).collect();
        if supersede == Supersede::StoreDay {
            keep_newest(&mut inputs, &days);
        }
        days.extend(inputs.iter_mut().map(|input| std::mem::take(&mut input.emptied)));
        let mut days = days.concat();
        days.par_sort_unstable();
        days.dedup();
        let mut batch = Self {
            stores,
            items,
            segments: (0..)
                .zip(&inputs)
                .flat_map(|(number, input)| segments(number, &input.rows))
                .collect(),
            rows: inputs.into_iter().map(|input| input.rows).collect(),
            days,
        };
        batch.segments.sort_by_key(|segment| segment.store);
        batch.merge_shared(measures)?;
        Ok(batch)
    }

    /// Merges the rows of stores that several inputs hold.
    fn merge_shared(&mut self, measures: &[Measure]) -> Result<(), EngineError> {
        let of_store = || self.segments.chunk_by(|one, two| one.store == two.store);
        let with_count = |is_wanted: fn(usize) -> bool| {
            of_store()
                .filter(move |of_store| is_wanted(of_store.len()))
                .flatten()
                .cloned()
        };
        let shared: Vec<Segment> = with_count(|inputs| inputs > 1).collect();
        if shared.is_empty() {
            return Ok(());
        }
        let overflow = |key, measure: usize| self.overflow(key, &measures[measure]);
        let merged = add_up(&self.rows, &shared, measures.len(), overflow)?;
        let mut kept: Vec<Segment> = with_count(|inputs| inputs == 1).collect();
        self.forget_all_but(&kept);
        for (number, rows) in (self.rows.len()..).zip(&merged) {
            kept.extend(segments(number, rows));
        }
        // A store's pieces stay in the order of their keys.
        kept.sort_by_key(|segment| segment.store);
        self.segments = kept;
        self.rows.extend(merged);
        Ok(())
    }

    /// Frees the rows of inputs of which nothing is kept.
    fn forget_all_but(&mut self, kept: &[Segment]) {
        let mut is_kept = vec![false; self.rows.len()];
        for segment in kept {
            is_kept[segment.input] = true;
        }
        for (rows, _) in self.rows.iter_mut().zip(is_kept).filter(|(_, is_kept)| !is_kept) {
            *rows = Rows::default();
        }
    }

    fn overflow(&self, key: Key, measure: &Measure) -> EngineError {
        EngineError::Overflow {
            measure: measure.name.clone(),
            store_id: self.stores.get(key.store()).to_owned(),
            item_id: self.items.get(key.item()).to_owned(),
            trans_date: from_days(key.day()),
        }
    }

    /// All as one partial.
    pub(crate) fn into_rows(self) -> Rows {
        let mut whole = Rows {
            stores: self.stores,
            items: self.items,
            sums: vec![Vec::new(); self.rows.last().map_or(0, |rows| rows.sums.len())],
            ..Rows::default()
        };
        for Segment { input, rows, .. } in self.segments {
            let source = &self.rows[input];
            whole.keys.extend_from_slice(&source.keys[rows.clone()]);
            for (column, sums) in whole.sums.iter_mut().zip(&source.sums) {
                column.extend_from_slice(&sums[rows.clone()]);
            }
        }
        whole
    }
}

/// Gives all inputs the same numbers for the same stores and items: their ranks among those of all.
fn number_alike(inputs: &mut [Input]) -> Result<(Texts, Texts), EngineError> {
    let (stores, store_ranks) = ranked(&inputs.iter().map(|input| &input.rows.stores).collect::<Vec<_>>());
    let (items, item_ranks) = ranked(&inputs.iter().map(|input| &input.rows.items).collect::<Vec<_>>());
    if stores.len() > MOST_STORES || items.len() > MOST_ITEMS {
        return Err(EngineError::TooManyItems);
    }
    inputs
        .par_iter_mut()
        .zip(store_ranks.par_iter().zip(&item_ranks))
        .for_each(|(input, (stores, items))| {
            input.rows.renumber(stores, items);
            for day in &mut input.emptied {
                *day = StoreDay::new(stores[day.store() as usize], day.day());
            }
        });
    Ok((stores, items))
}

/// Leaves of each store's day only the rows of the newest input that holds it, and those that are added to it.
fn keep_newest(inputs: &mut [Input], days: &[Vec<StoreDay>]) {
    let newest = newest(inputs.iter().zip(days).map(|(input, days)| {
        let days = days.iter().copied();
        (input.order, days.filter(move |day| !input.adds(*day)))
    }));
    for (input, days) in inputs.iter_mut().zip(days) {
        let Input {
            rows, order, added, ..
        } = input;
        let is_kept = |day: StoreDay| added.binary_search(&day).is_ok() || newest[&day] == *order;
        if !days.iter().all(|day| is_kept(*day)) {
            rows.retain(|key| is_kept(key.store_day()));
        }
    }
}

/// The rows of an input, cut where the store changes.
pub(super) fn segments(input: usize, rows: &Rows) -> impl Iterator<Item = Segment> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let store = rows.keys.get(start)?.store();
        let length = rows.keys[start..].partition_point(|key| key.store() == store);
        start += length;
        Some(Segment {
            store,
            input,
            rows: start - length..start,
        })
    })
}
