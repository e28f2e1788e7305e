//! Merging the rows of some stores in memory.
//!
//! Partials are sorted, and a store mostly sends one file: then its rows are rows of the summary already, and are only
//! put in their place. Where several partials hold rows of one store, Polars adds these up.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;
use polars::prelude as pl;
use polars::prelude::{IntoColumn, IntoLazy, NewChunkedArray};
use rayon::prelude::*;

use crate::amount::{ABSENT, MAX_CENTS};
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::{Measure, Supersede};
use crate::partial::{Key, MOST_ITEMS, MOST_STORES, Rows, StoreDay};
use crate::symbols::{Texts, ranked};

/// Rows of one file.
pub(super) struct Input {
    pub(super) rows: Rows,
    /// See [`RunPartial::order`](super::RunPartial::order).
    pub(super) order: i64,
}

/// Some rows of one store in one of several [`Rows`].
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) store: u32,
    /// Which of the rows.
    pub(super) input: usize,
    pub(super) rows: Range<usize>,
}

/// The merged rows of some stores.
pub(super) struct Batch {
    pub(super) stores: Texts,
    pub(super) items: Texts,
    pub(super) rows: Vec<Rows>,
    /// What of the rows counts, in the order of the keys.
    pub(super) segments: Vec<Segment>,
    /// The stores' days that the inputs cover, sorted.
    pub(super) days: Vec<StoreDay>,
}

/// The name of the column of keys while Polars merges.
const KEY: &str = "key";

impl Batch {
    pub(super) fn merge(
        mut inputs: Vec<Input>,
        supersede: Supersede,
        measures: &[Measure],
    ) -> Result<Self, EngineError> {
        let (stores, items) = number_alike(&mut inputs)?;
        let days: Vec<Vec<StoreDay>> = inputs.par_iter().map(|input| input.rows.days()).collect();
        if supersede == Supersede::StoreDay {
            keep_newest(&mut inputs, &days);
        }
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
        let merged = self.add_up(&shared, measures)?;
        let alone = with_count(|inputs| inputs == 1);
        let mut segments: Vec<Segment> = alone.chain(segments(self.rows.len(), &merged)).collect();
        segments.sort_by_key(|segment| segment.store);
        self.segments = segments;
        self.rows.push(merged);
        Ok(())
    }

    /// Adds up rows of several inputs, key by key.
    fn add_up(&self, segments: &[Segment], measures: &[Measure]) -> Result<Rows, EngineError> {
        let count = segments.iter().map(|segment| segment.rows.len()).sum();
        let mut keys = Vec::with_capacity(count);
        for segment in segments {
            let rows = &self.rows[segment.input];
            keys.extend(rows.keys[segment.rows.clone()].iter().map(|key| key.0));
        }
        let mut columns = vec![pl::UInt64Chunked::from_vec(KEY.into(), keys).into_column()];
        let mut amounts = Vec::new();
        for (number, measure) in measures.iter().enumerate() {
            let sums = || segments.iter().flat_map(|segment| self.sums(segment, number));
            let there = sums().map(|sum| (*sum != ABSENT).then_some(*sum));
            let name = measure.name.as_str();
            columns.push(pl::Int64Chunked::from_iter_options(name.into(), there).into_column());
            let greatest = segments.iter().map(|segment| self.greatest(segment, number));
            let is_small = greatest.fold(0, u64::saturating_add) <= MAX_CENTS.unsigned_abs();
            let cents = pl::col(name);
            // Where a sum might not fit, 38 digits hold it until that is known.
            let cents = if is_small { cents } else { cents.cast(WIDE) };
            let sum = pl::when(pl::col(name).count().gt(pl::lit(0)))
                .then(cents.sum())
                .otherwise(pl::lit(pl::NULL));
            amounts.push(sum.cast(WIDE).alias(name));
        }
        let merged = pl::DataFrame::new(count, columns)?
            .lazy()
            .group_by([pl::col(KEY)])
            .agg(amounts)
            .sort([KEY], pl::SortMultipleOptions::default())
            .collect_with_engine(pl::Engine::Streaming)?
            .unwrap_single();
        let mut rows = Rows {
            keys: merged.column(KEY)?.u64()?.iter().flatten().map(Key).collect(),
            ..Rows::default()
        };
        for measure in measures {
            let sums = merged
                .column(&measure.name)?
                .decimal()?
                .physical()
                .iter()
                .enumerate();
            let sums = sums.map(|(row, sum)| match sum {
                None => Ok(ABSENT),
                Some(sum) if sum.unsigned_abs() > u128::from(MAX_CENTS.unsigned_abs()) => {
                    Err(self.overflow(rows.keys[row], measure))
                }
                // It was found to fit.
                Some(sum) => Ok(sum as i64),
            });
            let sums = sums.collect::<Result<_, _>>()?;
            rows.sums.push(sums);
        }
        Ok(rows)
    }

    fn sums(&self, segment: &Segment, measure: usize) -> &[i64] {
        &self.rows[segment.input].sums[measure][segment.rows.clone()]
    }

    /// The greatest absolute sum of a measure.
    fn greatest(&self, segment: &Segment, measure: usize) -> u64 {
        let there = self.sums(segment, measure).iter().filter(|sum| **sum != ABSENT);
        there.map(|sum| sum.unsigned_abs()).max().unwrap_or(0)
    }

    fn overflow(&self, key: Key, measure: &Measure) -> EngineError {
        EngineError::Overflow {
            measure: measure.name.clone(),
            store_id: self.stores.get(key.store()).to_owned(),
            item_id: self.items.get(key.item()).to_owned(),
            trans_date: from_days(key.day()),
        }
    }

    /// All as one: a partial that covers the same days.
    pub(super) fn into_rows(self) -> Rows {
        let mut whole = Rows {
            stores: self.stores,
            items: self.items,
            sums: vec![Vec::new(); self.rows.first().map_or(0, |rows| rows.sums.len())],
            ..Rows::default()
        };
        for Segment { input, rows, .. } in self.segments {
            let source = &self.rows[input];
            whole.keys.extend_from_slice(&source.keys[rows.clone()]);
            for (column, sums) in whole.sums.iter_mut().zip(&source.sums) {
                column.extend_from_slice(&sums[rows.clone()]);
            }
        }
        for rows in self.rows {
            whole.ignored_days.extend(rows.ignored_days);
        }
        whole.ignored_days.sort_unstable();
        whole.ignored_days.dedup();
        whole
    }
}

/// Whole cents, with room for every sum of sums.
const WIDE: pl::DataType = pl::DataType::Decimal(38, 0);

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
        .for_each(|(input, (stores, items))| input.rows.renumber(stores, items));
    Ok((stores, items))
}

/// Leaves of each store's day only the rows of the newest input that holds it.
fn keep_newest(inputs: &mut [Input], days: &[Vec<StoreDay>]) {
    let mut newest: HashMap<StoreDay, i64, FixedState> = HashMap::default();
    for (input, days) in inputs.iter().zip(days) {
        for day in days {
            let order = newest.entry(*day).or_insert(input.order);
            *order = input.order.max(*order);
        }
    }
    for (input, days) in inputs.iter_mut().zip(days) {
        if days.iter().any(|day| newest[day] != input.order) {
            let order = input.order;
            input.rows.retain(|key| newest[&key.store_day()] == order);
        }
    }
}

/// The rows of an input, cut where the store changes.
fn segments(input: usize, rows: &Rows) -> impl Iterator<Item = Segment> {
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
