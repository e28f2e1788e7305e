//! Point-of-sale lines: five typed values each, summed by key and measure.
//!
//! A plain line is read in place: no field is copied, and the meanings of its ids, code and day are looked up, because
//! there are few distinct ones. Any other line, such as one with quotes inside a field, is split by [`Fields`] first.
//! Both ways make the same checks in the same order, which tests verify.

mod columns;
mod fields;
mod ids;
mod plain;
mod rows;
mod typed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::columns::Columns;
use self::fields::trim;
use self::ids::IdColumn;
use self::plain::Ahead;
use self::rows::{UnitRow, UnitRows};
use self::typed::Lanes;
use crate::amount::ABSENT;
use crate::error::EngineError;
use crate::feed_lines::{FeedLines, Finished, LineOutcome};
use crate::fields::Fields;
use crate::formats::{Batch, Cell};
use crate::header::ColumnName;
use crate::key::Key;
use crate::layout::{AMOUNT, ITEM, Input, MEASURES, STORE, SalesLayout, Source, TRANS_DATE};
use crate::other_forms::Form as OtherForm;
use crate::parquet_form::{self, Form};
use crate::rejects::Reason;
use crate::rows::Row;
use crate::scan::{Line, Marked};
use crate::scratch::Scratch;
use crate::short_text::{Memo, ShortText, ShorterText};
use crate::summing::Summing;
use crate::symbols::Symbols;
use crate::values::{Amount, CodeText};

pub(crate) use self::rows::EncodedRows;

/// Reads point-of-sale lines on one thread.
pub(crate) struct SalesLines<'l> {
    layout: &'l SalesLayout,
    /// Where each input of the layout comes from in this file.
    origins: Vec<Origin>,
    /// How many leading fields of a record are read.
    wanted: usize,
    /// What a header must name, and the number of the input of each.
    needed: Vec<ColumnName>,
    needed_inputs: Vec<usize>,
    columns: Columns,
    /// Whether amounts in the short form mean what they usually do.
    has_short_amounts: bool,
    store_column: IdColumn<'l>,
    item_column: IdColumn<'l>,
    codes: Memo<ShorterText, Option<Code>>,
    dates: Memo<ShortText, Option<i32>>,
    sums: Summing<'l>,
    ahead: Ahead,
    /// The rows of a table that come next.
    lanes: Lanes,
    converted: Option<Converted>,
    doubt: Option<Doubt>,
    /// Rows whose amount was rounded.
    rounded: u64,
}

/// Where a value of a record comes from.
#[derive(Clone)]
enum Origin {
    Field(usize),
    Given(Box<[u8]>),
    Absent,
}

/// The store and item of a line that may be a header, and whether another line had one of them before sums were spilled.
#[derive(Clone)]
struct Doubt {
    store_id: Vec<u8>,
    item_id: Vec<u8>,
    is_settled: bool,
}

/// What a transaction code means.
#[derive(Clone, Copy)]
struct Code {
    /// The index of the measure that sums its amounts; 0 if none does.
    measure: u8,
    is_row: bool,
}

/// The converted file, and the rows for it.
struct Converted {
    path: PathBuf,
    form: Arc<Form>,
    rows: UnitRows,
}

impl<'l> SalesLines<'l> {
    pub(crate) fn new(
        layout: &'l SalesLayout,
        converted_path: Option<&Path>,
        scratch: Scratch<'l>,
        is_decoded: bool,
    ) -> Result<(Self, Option<parquet_form::TypedFile>), EngineError> {
        let column = |empty, too_long, text| IdColumn {
            rule: &layout.values.ids,
            is_decoded,
            empty,
            too_long,
            text,
        };
        let (mut converted, mut file) = (None, None);
        if let Some(path) = converted_path {
            let form = rows::form()?;
            file = Some(form.create(path)?);
            converted = Some(Converted {
                path: path.to_owned(),
                form: Arc::new(form),
                rows: UnitRows::default(),
            });
        }
        let origin = |(number, input): (usize, &Input)| match &input.source {
            // Where only a header says the position, any will do until the header was read.
            Source::Field { position, .. } => Origin::Field(position.unwrap_or(number)),
            Source::Given(text) => Origin::Given(text.clone()),
            Source::Carried => Origin::Given(Box::default()),
            Source::Capture(_) | Source::Absent => Origin::Absent,
        };
        let named = |(number, input): (usize, &Input)| {
            let is_named = matches!(input.source, Source::Field { name: Some(_), .. });
            is_named.then_some(number)
        };
        let mut lines = Self {
            layout,
            origins: layout.inputs.iter().enumerate().map(origin).collect(),
            wanted: 0,
            needed: layout.names(),
            needed_inputs: layout.inputs.iter().enumerate().filter_map(named).collect(),
            columns: Columns::none(),
            has_short_amounts: layout.values.amounts.is_short_usual(),
            store_column: column(Reason::StoreEmpty, Reason::StoreTooLong, Reason::StoreText),
            item_column: column(Reason::ItemEmpty, Reason::ItemTooLong, Reason::ItemText),
            codes: Memo::new(),
            dates: Memo::new(),
            sums: Summing::new(&layout.measures, scratch),
            ahead: Ahead::default(),
            lanes: Lanes::default(),
            converted,
            doubt: None,
            rounded: 0,
        };
        lines.find_columns();
        Ok((lines, file))
    }

    /// Keeps rows in memory, for a look at them.
    pub(crate) fn keep_rows(&mut self) -> Result<(), EngineError> {
        self.converted = Some(Converted {
            path: PathBuf::new(),
            form: Arc::new(rows::form()?),
            rows: UnitRows::default(),
        });
        Ok(())
    }

    /// Takes the rows that were kept since the last call.
    pub(crate) fn take_rows(&mut self) -> Vec<Row> {
        let texts = (self.sums.table.stores.texts(), self.sums.table.items.texts());
        self.converted.as_mut().map_or_else(Vec::new, |converted| {
            converted.rows.take(texts, &self.layout.measures)
        })
    }

    /// Finds out how many fields are read, and whether they can be read in place.
    fn find_columns(&mut self) {
        let positions = self.origins.iter().filter_map(|origin| match origin {
            Origin::Field(position) => Some(*position),
            _ => None,
        });
        let positions: Vec<usize> = positions.collect();
        self.wanted = positions
            .iter()
            .fold(0, |wanted, position| wanted.max(position + 1));
        let is_plain = self.origins.len() == MEASURES;
        let positions = positions.try_into().ok().filter(|_| is_plain);
        self.columns = positions.map_or_else(Columns::none, Columns::new);
    }

    fn code(layout: &SalesLayout, text: &[u8]) -> Option<Code> {
        let CodeText::Number(code) = layout.values.codes.read(trim(text))? else {
            return Some(Code {
                measure: 0,
                is_row: false,
            });
        };
        let measure = layout.measures.iter().position(|measure| measure.code == code);
        Some(Code {
            measure: measure.unwrap_or(0) as u8,
            is_row: measure.is_some(),
        })
    }

    fn date(layout: &SalesLayout, text: &[u8]) -> Option<i32> {
        layout.values.dates.read(text)
    }

    /// Counts a well-formed line whose amount may have been rounded, or be none.
    fn count_amount(&mut self, number: u32, code: Code, amount: Amount, key: Key) -> LineOutcome {
        let (cents, is_rounded) = match amount {
            Amount::Cents { cents, is_rounded } => (cents, is_rounded),
            Amount::None { .. } => (ABSENT, false),
        };
        self.rounded += u64::from(is_rounded && code.is_row);
        self.count(number, code, cents, key)
    }

    /// Counts a well-formed line.
    #[inline(always)]
    fn count(&mut self, number: u32, code: Code, cents: i64, key: Key) -> LineOutcome {
        let Code { measure, is_row } = code;
        self.sums.table.add(key, measure, cents, is_row);
        if let Some(converted) = &mut self.converted {
            let row = UnitRow {
                key,
                cents,
                line: number,
                measure: u32::from(measure),
            };
            converted.rows.push(row, is_row);
        }
        LineOutcome::WellFormed { is_row }
    }
}

/// Decides what a line with an amount, or without one, is: without one it is ignored, unless its code is asked for.
#[inline(always)]
fn with_amount(code: Code, amount: Amount) -> Result<(Code, Amount), Reason> {
    match amount {
        Amount::None { is_ignored } if code.is_row => match is_ignored {
            true => Ok((
                Code {
                    is_row: false,
                    ..code
                },
                amount,
            )),
            false => Err(Reason::Amount),
        },
        amount => Ok((code, amount)),
    }
}

impl FeedLines for SalesLines<'_> {
    type Written = EncodedRows;
    type File = parquet_form::TypedFile;

    fn another(&self) -> Self {
        Self {
            origins: self.origins.clone(),
            needed: self.needed.clone(),
            needed_inputs: self.needed_inputs.clone(),
            columns: self.columns.clone(),
            rounded: 0,
            codes: Memo::new(),
            dates: Memo::new(),
            sums: self.sums.another(),
            ahead: Ahead::default(),
            lanes: Lanes::default(),
            converted: self.converted.as_ref().map(|converted| Converted {
                path: converted.path.clone(),
                form: converted.form.clone(),
                rows: UnitRows::default(),
            }),
            doubt: self.doubt.clone(),
            ..*self
        }
    }

    fn wanted(&self) -> usize {
        self.wanted
    }

    fn needed(&self) -> &[ColumnName] {
        &self.needed
    }

    fn positions(&self) -> Vec<usize> {
        let position = |input: &usize| match self.origins[*input] {
            Origin::Field(position) => position,
            Origin::Given(_) | Origin::Absent => 0,
        };
        self.needed_inputs.iter().map(position).collect()
    }

    fn read_positions(&self) -> Vec<usize> {
        let positions = self.origins.iter().filter_map(|origin| match origin {
            Origin::Field(position) => Some(*position),
            Origin::Given(_) | Origin::Absent => None,
        });
        positions.collect()
    }

    fn move_columns(&mut self, positions: &[usize]) {
        for (input, position) in self.needed_inputs.iter().zip(positions) {
            self.origins[*input] = Origin::Field(*position);
        }
        self.find_columns();
        self.ahead.items.clear();
    }

    fn has_header_values(&self, fields: &Fields) -> bool {
        self.are_header_values(fields)
    }

    fn has_data_values(&self, fields: &Fields) -> bool {
        let date = self.text(TRANS_DATE, fields).unwrap_or_default();
        Self::date(self.layout, date).is_some()
    }

    fn reads_headers(&self) -> bool {
        false
    }

    fn doubt(&mut self, fields: &Fields) {
        // An id that the whole file has in common says nothing about one of its lines.
        let id = |input: usize| match self.origins[input] {
            Origin::Field(position) => fields.get(position).unwrap_or_default().to_vec(),
            Origin::Given(_) | Origin::Absent => Vec::new(),
        };
        self.doubt = Some(Doubt {
            store_id: id(STORE),
            item_id: id(ITEM),
            is_settled: false,
        });
    }

    fn settles_doubt(&self) -> bool {
        let is_known =
            |ids: &Symbols, text: &[u8]| ids.find(text).or_else(|| ids.find_spelling(text)).is_some();
        self.doubt.as_ref().is_some_and(|doubt| {
            doubt.is_settled
                || is_known(&self.sums.table.stores, &doubt.store_id)
                || is_known(&self.sums.table.items, &doubt.item_id)
        })
    }

    fn is_well_formed(&self, fields: &Fields) -> bool {
        self.is_good(fields)
    }

    fn carry(&mut self, input: usize, text: &[u8]) {
        self.origins[input] = Origin::Given(text.into());
    }

    fn cents(&self, fields: &Fields) -> Option<i64> {
        match self.amount(AMOUNT, fields).ok()? {
            Amount::Cents { cents, .. } => Some(cents),
            Amount::None { .. } => None,
        }
    }

    fn other_form<'f>(&self, reason: Reason, fields: &'f Fields) -> Option<(&'f [u8], Option<OtherForm>)> {
        self.form_of(reason, fields)
    }

    fn look_ahead<const MAY_BE_ODD: bool>(&mut self, lines: Marked<'_>) -> bool {
        self.look_up::<MAY_BE_ODD>(lines)
    }

    #[inline(always)]
    fn add_plain<const MAY_BE_ODD: bool, const IS_AHEAD: bool>(
        &mut self,
        number: u32,
        place: usize,
        line: Line<'_>,
    ) -> Option<LineOutcome> {
        self.read::<MAY_BE_ODD, IS_AHEAD>(number, place, line)
    }

    #[inline]
    fn add_cells(&mut self, number: u32, text: &[u8], cells: &[Cell]) -> Option<LineOutcome> {
        self.read_cells(number, text, cells)
    }

    fn read_batch(&mut self, batch: &Batch<'_>) {
        self.read_lanes(batch);
    }

    #[inline]
    fn add_row(&mut self, number: u32, row: usize) -> Option<LineOutcome> {
        self.read_row(number, row)
    }

    fn add(&mut self, number: u32, fields: &Fields) -> LineOutcome {
        self.check(number, fields).unwrap_or_else(LineOutcome::Reject)
    }

    fn end_unit(&mut self) -> Result<Option<EncodedRows>, EngineError> {
        let texts = (self.sums.table.stores.texts(), self.sums.table.items.texts());
        let written = match &mut self.converted {
            Some(converted) => {
                let measures = &self.layout.measures;
                converted
                    .rows
                    .encode(&converted.form, texts, measures, &converted.path)?
            }
            None => None,
        };
        if self.sums.is_too_large() {
            let is_settled = self.settles_doubt();
            if let Some(doubt) = &mut self.doubt {
                doubt.is_settled = is_settled;
            }
            self.sums.spill()?;
            // Their symbols were those of the table.
            self.lanes = Lanes::default();
        }
        Ok(written)
    }

    fn write(
        &self,
        written: EncodedRows,
        lines_before: u64,
        file: &mut parquet_form::TypedFile,
    ) -> Result<(), EngineError> {
        match &self.converted {
            Some(converted) => written.write(&converted.form, lines_before, file),
            None => Ok(()),
        }
    }

    fn finish(
        threads: Vec<Self>,
        file: Option<parquet_form::TypedFile>,
    ) -> Result<Option<Finished>, EngineError> {
        let rounded = threads.iter().map(|thread| thread.rounded).sum();
        let sums = threads.into_iter().map(|thread| thread.sums).collect();
        let Some((partial, days)) = Summing::finish(sums)? else {
            return Ok(None);
        };
        if let Some(file) = file {
            file.finish()?;
        }
        Ok(Some(Finished {
            partial,
            days,
            rounded,
        }))
    }
}
