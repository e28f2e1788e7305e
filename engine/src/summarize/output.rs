//! Writing summary and coverage, batch by batch.

use std::path::Path;

use arrow_schema::{DataType, Field, Schema};
use rayon::prelude::*;

use crate::error::EngineError;
use crate::key::Key;
use crate::layout::Measure;
use crate::merge::{Batch, Segment};
use crate::parquet_form::{Chunk, Column, Form, ROW_GROUP_ROWS, TypedFile};
use crate::rows::decimal;

/// Where the outputs of [`summarize`](super::summarize) go.
#[derive(Clone, Copy, Debug)]
pub struct SummaryOutputs<'p> {
    /// `store_id`, `item_id`, `trans_date` and one decimal(18,2) a measure, sorted by the three keys.
    pub summary: &'p Path,
    /// `store_id`, `trans_date`, sorted, each pair once.
    pub coverage: &'p Path,
}

/// The two files of a run.
pub(super) struct Output<'p> {
    outputs: SummaryOutputs<'p>,
    summary_form: Form,
    summary: TypedFile,
    coverage_form: Form,
    coverage: TypedFile,
    measures: usize,
    rows: u64,
    covered: u64,
}

impl<'p> Output<'p> {
    pub(super) fn create(outputs: SummaryOutputs<'p>, measures: &[Measure]) -> Result<Self, EngineError> {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let date = Field::new("trans_date", DataType::Date32, false);
        let mut fields = vec![text("store_id"), text("item_id"), date.clone()];
        fields.extend(
            measures
                .iter()
                .map(|measure| Field::new(&measure.name, decimal(), true)),
        );
        let summary_form = Form::new(&Schema::new(fields))?;
        let coverage_form = Form::new(&Schema::new(vec![text("store_id"), date]))?;
        Ok(Self {
            summary: summary_form.create(outputs.summary)?,
            coverage: coverage_form.create(outputs.coverage)?,
            outputs,
            summary_form,
            coverage_form,
            measures: measures.len(),
            rows: 0,
            covered: 0,
        })
    }

    /// Appends a batch, whose stores come after those of the batches before.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), EngineError> {
        let groups = row_groups(&batch.segments);
        // Encoded side by side, and no more at a time than there are threads.
        for groups in groups.chunks(rayon::current_num_threads()) {
            let encoded = groups.par_iter().map(|group| self.encode(group, batch));
            for chunks in encoded.collect::<Result<Vec<_>, _>>()? {
                self.summary.append(chunks)?;
            }
        }
        for days in batch.days.chunks(ROW_GROUP_ROWS) {
            let stores: Vec<u32> = days.iter().map(|day| day.store()).collect();
            let dates: Vec<i32> = days.iter().map(|day| day.day()).collect();
            let columns = [
                Column::Texts {
                    texts: &batch.stores,
                    numbers: &stores,
                },
                Column::Few(&dates),
            ];
            let chunks = self.coverage_form.encode(0, &columns, self.outputs.coverage)?;
            self.coverage.append(chunks)?;
        }
        self.rows += batch
            .segments
            .iter()
            .map(|segment| segment.rows.len() as u64)
            .sum::<u64>();
        self.covered += batch.days.len() as u64;
        Ok(())
    }

    /// Ends both files, and tells how many rows each has.
    pub(super) fn finish(self) -> Result<(u64, u64), EngineError> {
        self.summary.finish()?;
        self.coverage.finish()?;
        Ok((self.rows, self.covered))
    }

    /// Encodes a row group, its columns side by side. The calling thread takes other work of the pool meanwhile.
    fn encode(&self, group: &[Segment], batch: &Batch) -> Result<Vec<Chunk>, EngineError> {
        let count: usize = group.iter().map(|segment| segment.rows.len()).sum();
        let (form, path) = (&self.summary_form, self.outputs.summary);
        let columns = (0..KEY_COLUMNS + self.measures).into_par_iter().with_max_len(1);
        let encoded = columns.map(|number| match number {
            0 => {
                let numbers = &of_keys(group, batch, count, |key| key.store());
                let texts = &batch.stores;
                form.encode(number, &[Column::Texts { texts, numbers }], path)
            }
            1 => {
                let numbers = &of_keys(group, batch, count, |key| key.item());
                let texts = &batch.items;
                form.encode(number, &[Column::Texts { texts, numbers }], path)
            }
            2 => {
                let dates = of_keys(group, batch, count, |key| key.day());
                form.encode(number, &[Column::Few(&dates)], path)
            }
            _ => {
                let sums = group.iter().map(|Segment { input, rows, .. }| {
                    let of_input = &batch.rows[*input].sums[number - KEY_COLUMNS];
                    &of_input[rows.clone()]
                });
                let sums: Vec<&[i64]> = sums.collect();
                form.encode(number, &[Column::Sums(&sums)], path)
            }
        });
        encoded.try_reduce(Vec::new, |mut chunks, more| {
            chunks.extend(more);
            Ok(chunks)
        })
    }
}

/// The columns before the measures: store, item and date.
const KEY_COLUMNS: usize = 3;

/// One part of the keys of some rows.
fn of_keys<T>(group: &[Segment], batch: &Batch, count: usize, part: impl Fn(&Key) -> T) -> Vec<T> {
    let mut parts = Vec::with_capacity(count);
    for Segment { input, rows, .. } in group {
        parts.extend(batch.rows[*input].keys[rows.clone()].iter().map(&part));
    }
    parts
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
                    ..segment.clone()
                });
            }
        }
    }
    groups
}
