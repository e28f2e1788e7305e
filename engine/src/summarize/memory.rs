//! Merging partials in memory.
//!
//! Partials are sorted, and a store mostly sends one file: then its rows are rows of the summary already, and are only
//! put in their place. Where several partials hold rows of one store, Polars merges these.

use std::collections::HashMap;
use std::ops::Range;

use arrow::datatypes::{DataType, Field, Schema};
use foldhash::fast::FixedState;
use polars::prelude as pl;
use polars::prelude::{IntoColumn, IntoLazy, NewChunkedArray};
use rayon::prelude::*;

use super::{SummaryOutputs, merged};
use crate::amount::ABSENT;
use crate::error::EngineError;
use crate::layout::{Measure, SalesLayout, Supersede};
use crate::parquet_form::{Chunk, Column, Form, ROW_GROUP_ROWS};
use crate::partial::{Key, MOST_ITEMS, MOST_STORES, Rows, StoreDay};
use crate::rows::decimal;
use crate::symbols::{Texts, ranked};

/// The rows of one file.
pub(super) struct Input {
    pub(super) rows: Rows,
    /// See [`RunPartial::order`](super::RunPartial::order).
    pub(super) order: i64,
}

/// Some rows of one store in one input.
#[derive(Clone)]
struct Segment {
    store: u32,
    /// The number of the input.
    input: usize,
    rows: Range<usize>,
}

/// The name of the column of keys while Polars merges.
const KEY: &str = "key";

/// Whether keys have numbers enough for all stores and items.
pub(super) fn can_be_numbered(inputs: &[Input]) -> bool {
    let count =
        |texts: fn(&Rows) -> &Texts| inputs.iter().map(|input| texts(&input.rows).len()).sum::<usize>();
    count(|rows| &rows.stores) <= MOST_STORES && count(|rows| &rows.items) <= MOST_ITEMS
}

/// Writes summary and coverage.
pub(super) fn summarize(
    mut inputs: Vec<Input>,
    layout: &SalesLayout,
    outputs: SummaryOutputs<'_>,
) -> Result<(), EngineError> {
    let (stores, items) = number_alike(&mut inputs);
    let mut days: Vec<Vec<StoreDay>> = inputs.par_iter().map(|input| input.rows.days()).collect();
    if layout.supersede == Supersede::StoreDay {
        keep_newest(&mut inputs, &days);
    }
    write_coverage(
        days.iter_mut().flat_map(std::mem::take).collect(),
        &stores,
        outputs,
    )?;

    let mut rows: Vec<Rows> = inputs.into_iter().map(|input| input.rows).collect();
    let mut segments: Vec<Segment> = (0..)
        .zip(&rows)
        .flat_map(|(input, rows)| segments(input, rows))
        .collect();
    segments.sort_by_key(|segment| segment.store);
    let of_store = || segments.chunk_by(|one, two| one.store == two.store);
    let shared: Vec<Segment> = of_store()
        .filter(|of_store| of_store.len() > 1)
        .flatten()
        .cloned()
        .collect();
    if !shared.is_empty() {
        let merged = merge(&shared, &rows, &layout.measures)?;
        let alone = of_store()
            .filter(|of_store| of_store.len() == 1)
            .flatten()
            .cloned();
        segments = alone.chain(self::segments(rows.len(), &merged)).collect();
        segments.sort_by_key(|segment| segment.store);
        rows.push(merged);
    }
    write_summary(&segments, &rows, (&stores, &items), &layout.measures, outputs)
}

/// Gives all inputs the same numbers for the same stores and items: their ranks among those of all.
fn number_alike(inputs: &mut [Input]) -> (Texts, Texts) {
    let (stores, store_ranks) = ranked(&inputs.iter().map(|input| &input.rows.stores).collect::<Vec<_>>());
    let (items, item_ranks) = ranked(&inputs.iter().map(|input| &input.rows.items).collect::<Vec<_>>());
    inputs
        .par_iter_mut()
        .zip(store_ranks.par_iter().zip(&item_ranks))
        .for_each(|(input, (stores, items))| input.rows.renumber(stores, items));
    (stores, items)
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

/// Adds up the rows of several inputs, key by key.
fn merge(segments: &[Segment], rows: &[Rows], measures: &[Measure]) -> Result<Rows, EngineError> {
    let count = segments.iter().map(|segment| segment.rows.len()).sum();
    let mut keys = Vec::with_capacity(count);
    for segment in segments {
        keys.extend(
            rows[segment.input].keys[segment.rows.clone()]
                .iter()
                .map(|key| key.0),
        );
    }
    let mut columns = vec![pl::UInt64Chunked::from_vec(KEY.into(), keys).into_column()];
    for (number, measure) in measures.iter().enumerate() {
        let sums = segments
            .iter()
            .flat_map(|segment| &rows[segment.input].sums[number][segment.rows.clone()]);
        let amounts = sums.map(|sum| (*sum != ABSENT).then_some(*sum));
        columns
            .push(pl::Int64Chunked::from_iter_options(measure.name.as_str().into(), amounts).into_column());
    }
    let frame = pl::DataFrame::new(count, columns)?;
    // Amounts are whole cents here: they have no places.
    let merged = merged(frame.lazy(), &[KEY], measures, 0).collect_with_engine(pl::Engine::Streaming)?;
    rows_of(&merged.unwrap_single(), measures).map_err(EngineError::Merge)
}

/// The rows that a merge gives.
fn rows_of(frame: &pl::DataFrame, measures: &[Measure]) -> pl::PolarsResult<Rows> {
    let mut rows = Rows {
        keys: frame.column(KEY)?.u64()?.iter().flatten().map(Key).collect(),
        ..Rows::default()
    };
    for measure in measures {
        let amounts = frame.column(&measure.name)?.decimal()?.physical();
        // The cast to 18 digits has made sure that each fits.
        let sums = amounts
            .iter()
            .map(|cents| cents.map_or(ABSENT, |cents| cents as i64));
        rows.sums.push(sums.collect());
    }
    Ok(rows)
}

fn write_coverage(
    mut days: Vec<StoreDay>,
    stores: &Texts,
    outputs: SummaryOutputs<'_>,
) -> Result<(), EngineError> {
    days.par_sort_unstable();
    days.dedup();
    let form = Form::new(&Schema::new(vec![
        Field::new("store_id", DataType::Utf8, false),
        Field::new("trans_date", DataType::Date32, false),
    ]))?;
    let mut table = form.create(outputs.coverage)?;
    for days in days.chunks(ROW_GROUP_ROWS) {
        let numbers: Vec<u32> = days.iter().map(|day| day.store()).collect();
        let dates: Vec<i32> = days.iter().map(|day| day.day()).collect();
        let columns = [
            Column::Texts {
                texts: stores,
                numbers: &numbers,
            },
            Column::Few(&dates),
        ];
        table.append(form.encode(0, &columns, outputs.coverage)?)?;
    }
    table.finish()
}

fn write_summary(
    segments: &[Segment],
    rows: &[Rows],
    texts: (&Texts, &Texts),
    measures: &[Measure],
    outputs: SummaryOutputs<'_>,
) -> Result<(), EngineError> {
    let mut fields = vec![
        Field::new("store_id", DataType::Utf8, false),
        Field::new("item_id", DataType::Utf8, false),
        Field::new("trans_date", DataType::Date32, false),
    ];
    fields.extend(
        measures
            .iter()
            .map(|measure| Field::new(&measure.name, decimal(), true)),
    );
    let form = Form::new(&Schema::new(fields))?;
    let mut table = form.create(outputs.summary)?;
    let groups = row_groups(segments);
    // Encoded side by side, and no more at a time than there are threads.
    for groups in groups.chunks(rayon::current_num_threads()) {
        let encoded = groups
            .par_iter()
            .map(|group| encode(group, rows, texts, &form, outputs));
        for chunks in encoded.collect::<Result<Vec<_>, _>>()? {
            table.append(chunks)?;
        }
    }
    table.finish()
}

/// The segments, cut into row groups.
fn row_groups(segments: &[Segment]) -> Vec<Vec<Segment>> {
    let mut groups: Vec<Vec<Segment>> = Vec::new();
    let mut room = 0;
    for segment in segments {
        let mut rest = segment.rows.clone();
        while !rest.is_empty() {
            if room == 0 {
                groups.push(Vec::new());
                room = ROW_GROUP_ROWS;
            }
            let taken = rest.start..rest.end.min(rest.start + room);
            rest.start = taken.end;
            room -= taken.len();
            if let Some(group) = groups.last_mut() {
                group.push(Segment {
                    rows: taken,
                    ..*segment
                });
            }
        }
    }
    groups
}

fn encode(
    group: &[Segment],
    rows: &[Rows],
    (stores, items): (&Texts, &Texts),
    form: &Form,
    outputs: SummaryOutputs<'_>,
) -> Result<Vec<Chunk>, EngineError> {
    let keys = || {
        group
            .iter()
            .flat_map(|segment| &rows[segment.input].keys[segment.rows.clone()])
    };
    let store_numbers: Vec<u32> = keys().map(|key| key.store()).collect();
    let item_numbers: Vec<u32> = keys().map(|key| key.item()).collect();
    let dates: Vec<i32> = keys().map(|key| key.day()).collect();
    let mut amounts = vec![Vec::with_capacity(dates.len()); rows.first().map_or(0, |rows| rows.sums.len())];
    for segment in group {
        let rows = &rows[segment.input];
        for (column, sums) in amounts.iter_mut().zip(&rows.sums) {
            column.extend_from_slice(&sums[segment.rows.clone()]);
        }
    }
    let mut columns = vec![
        Column::Texts {
            texts: stores,
            numbers: &store_numbers,
        },
        Column::Texts {
            texts: items,
            numbers: &item_numbers,
        },
        Column::Few(&dates),
    ];
    columns.extend(amounts.iter().map(|sums| Column::Sums(sums)));
    form.encode_side_by_side(&columns, outputs.summary)
}
