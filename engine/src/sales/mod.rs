//! Point-of-sale lines: five typed values each, summed by key and measure.
//!
//! A plain line is read in place: no field is copied, and the meanings of its ids, code and day are looked up, because
//! there are few distinct ones. Any other line, such as one with quotes inside a field, is split by [`Fields`] first.
//! Both ways make the same checks in the same order, which tests verify.

mod columns;
mod ids;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::columns::{Columns, LineFields};
use self::ids::IdRule;
use self::rows::UnitRows;
use crate::amount::{has_number_form, parse_cents, parse_code, short_cents};
use crate::budget::Share;
use crate::convert::{FeedLines, Finished, LineOutcome};
use crate::error::EngineError;
use crate::fields::Fields;
use crate::layout::{NEEDED_COLUMNS, Needed, SalesLayout};
use crate::other_forms::{Form as OtherForm, amount_form, date_form, id_form};
use crate::parquet_form::{self, Form};
use crate::partial::{DayTotals, Key, Partial, SumTable};
use crate::rejects::Reason;
use crate::scan::{Line, Marked};
use crate::scratch::Scratch;
use crate::short_text::{Memo, ShortText, ShorterText};
use crate::symbols::{Symbol, Symbols, UNKNOWN};

pub(crate) use self::rows::EncodedRows;

/// Reads point-of-sale lines on one thread.
pub(crate) struct SalesLines<'l> {
    layout: &'l SalesLayout,
    columns: Columns,
    store_rule: IdRule,
    item_rule: IdRule,
    codes: Memo<ShorterText, Option<Code>>,
    dates: Memo<ShortText, Option<i32>>,
    table: SumTable,
    ahead: Ahead,
    /// Sums that were spilled to files because the table had become too large.
    spilled: Vec<Partial>,
    /// What these sums report of each store and day.
    days: DayTotals,
    scratch: Scratch<'l>,
    /// The memory that the table holds.
    share: Share,
    converted: Option<Converted>,
    doubt: Option<Doubt>,
}

/// The store and item of a line that may be a header, and whether another line had one of them before sums were spilled.
#[derive(Clone)]
struct Doubt {
    store_id: Vec<u8>,
    item_id: Vec<u8>,
    is_settled: bool,
}

/// The items of lines that will be read next, looked up together: see [`Symbols::find_many`]. Nothing is looked up while
/// there are few items.
#[derive(Default)]
struct Ahead {
    /// The item of each line; the default where a line cannot be read in place.
    ids: Vec<ShortText>,
    /// What was found of each.
    items: Vec<Symbol>,
}
/// At the end of a file, the sums of its threads are there twice: in their tables, and combined.
const COPIES: usize = 2;

/// Returns the known other form that a text is written in.
type FormOf = fn(&[u8]) -> Option<OtherForm>;

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
    ) -> Result<(Self, Option<parquet_form::Table>), EngineError> {
        let rule = |empty, too_long, text| IdRule {
            chars: layout.id_chars,
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
        let lines = Self {
            layout,
            columns: Columns::new(layout.positions),
            store_rule: rule(Reason::StoreEmpty, Reason::StoreTooLong, Reason::StoreText),
            item_rule: rule(Reason::ItemEmpty, Reason::ItemTooLong, Reason::ItemText),
            codes: Memo::new(),
            dates: Memo::new(),
            table: SumTable::new(layout.measures.len()),
            ahead: Ahead::default(),
            spilled: Vec::new(),
            days: DayTotals::default(),
            share: scratch.memory.share(),
            scratch,
            converted,
            doubt: None,
        };
        Ok((lines, file))
    }

    fn code(layout: &SalesLayout, text: &[u8]) -> Option<Code> {
        let code = parse_code(trim(text))?;
        let measure = layout.measures.iter().position(|measure| measure.code == code);
        Some(Code {
            measure: measure.unwrap_or(0) as u8,
            is_row: measure.is_some(),
        })
    }

    fn date(layout: &SalesLayout, text: &[u8]) -> Option<i32> {
        layout.date_format.parse_days(trim(text))
    }

    /// Reads a plain line in place.
    #[inline(always)]
    fn read(&mut self, number: u32, place: usize, fields: &LineFields<'_>) -> Result<LineOutcome, Reason> {
        let layout = self.layout;
        let LineFields {
            store_id,
            amount,
            code,
            item_id,
            trans_date,
        } = *fields;
        let cents = match short_cents(amount) {
            Some(cents) => cents,
            None => parse_cents(trim(amount.bytes())).ok_or(Reason::Amount)?,
        };
        let code = match ShorterText::in_text(code) {
            Some(short) => self.codes.get(short, || Self::code(layout, code.bytes())),
            None => Self::code(layout, code.bytes()),
        };
        let code = code.ok_or(Reason::Code)?;
        let date = match ShortText::in_text(trans_date) {
            Some(short) => self.dates.get(short, || Self::date(layout, trans_date.bytes())),
            None => Self::date(layout, trans_date.bytes()),
        };
        let date = date.ok_or(Reason::Date)?;
        let known =
            |symbols: &Symbols, field| ShortText::in_text(field).and_then(|id| symbols.find_short(id));
        let store = match known(&self.table.stores, store_id) {
            Some(store) => store,
            None => self.store_rule.symbol(&mut self.table.stores, store_id.bytes())?,
        };
        let item = match self.ahead.items.get(place) {
            Some(item) if *item != UNKNOWN => Some(*item),
            _ => known(&self.table.items, item_id),
        };
        let item = match item {
            Some(item) => item,
            None => self.item_rule.symbol(&mut self.table.items, item_id.bytes())?,
        };
        Ok(self.count(number, code, cents, Key::new(store, item, date)))
    }

    /// Reads a line that was split into fields.
    fn check(&mut self, number: u32, fields: &Fields) -> Result<LineOutcome, Reason> {
        let Needed {
            store_id,
            amount,
            code,
            item_id,
            trans_date,
        } = self.columns.needed;
        if fields.len() < self.columns.wanted {
            return Err(Reason::MissingColumn);
        }
        let field = |position| fields.get(position).unwrap_or_default();
        let cents = parse_cents(trim(field(amount))).ok_or(Reason::Amount)?;
        let code = Self::code(self.layout, field(code)).ok_or(Reason::Code)?;
        let date = Self::date(self.layout, field(trans_date)).ok_or(Reason::Date)?;
        let store = self.store_rule.symbol(&mut self.table.stores, field(store_id))?;
        let item = self.item_rule.symbol(&mut self.table.items, field(item_id))?;
        Ok(self.count(number, code, cents, Key::new(store, item, date)))
    }

    /// Counts a well-formed line.
    #[inline(always)]
    fn count(&mut self, number: u32, code: Code, cents: i64, key: Key) -> LineOutcome {
        let Code { measure, is_row } = code;
        self.table.add(key, measure, cents, is_row);
        if let Some(converted) = &mut self.converted
            && is_row
        {
            let code = self.layout.measures[usize::from(measure)].code;
            converted.rows.push(number, cents, code, key);
        }
        LineOutcome::WellFormed { is_row }
    }
}

impl FeedLines for SalesLines<'_> {
    type Written = EncodedRows;
    type File = parquet_form::Table;

    fn another(&self) -> Self {
        Self {
            columns: self.columns.clone(),
            codes: Memo::new(),
            dates: Memo::new(),
            table: SumTable::new(self.layout.measures.len()),
            ahead: Ahead::default(),
            spilled: Vec::new(),
            days: DayTotals::default(),
            converted: self.converted.as_ref().map(|converted| Converted {
                path: converted.path.clone(),
                form: converted.form.clone(),
                rows: UnitRows::default(),
            }),
            doubt: self.doubt.clone(),
            share: self.scratch.memory.share(),
            ..*self
        }
    }

    fn wanted(&self) -> usize {
        self.columns.wanted
    }

    fn needed(&self) -> &[impl AsRef<str>] {
        &NEEDED_COLUMNS
    }

    fn positions(&self) -> Vec<usize> {
        self.columns.needed.all().to_vec()
    }

    fn move_columns(&mut self, positions: &[usize]) {
        if let Ok(positions) = positions.try_into() {
            self.columns = Columns::new(Needed::at(positions));
            self.ahead.items.clear();
        }
    }

    fn has_header_values(&self, fields: &Fields) -> bool {
        let Needed { amount, code, .. } = self.columns.needed;
        let is_number = |position| {
            fields
                .get(position)
                .is_some_and(|text| has_number_form(trim(text)))
        };
        fields.len() >= self.columns.wanted && !is_number(amount) && !is_number(code)
    }

    fn has_data_values(&self, fields: &Fields) -> bool {
        let date = fields.get(self.columns.needed.trans_date).unwrap_or_default();
        Self::date(self.layout, date).is_some()
    }

    fn reads_headers(&self) -> bool {
        false
    }

    fn doubt(&mut self, fields: &Fields) {
        let id = |position| fields.get(position).unwrap_or_default().to_vec();
        self.doubt = Some(Doubt {
            store_id: id(self.columns.needed.store_id),
            item_id: id(self.columns.needed.item_id),
            is_settled: false,
        });
    }

    fn settles_doubt(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| {
            doubt.is_settled
                || self.table.stores.find(&doubt.store_id).is_some()
                || self.table.items.find(&doubt.item_id).is_some()
        })
    }

    fn is_well_formed(&self, fields: &Fields) -> bool {
        let [store_id, amount, code, item_id, trans_date] = self
            .columns
            .needed
            .all()
            .map(|position| fields.get(position).unwrap_or_default());
        fields.len() >= self.columns.wanted
            && parse_cents(trim(amount)).is_some()
            && Self::code(self.layout, code).is_some()
            && Self::date(self.layout, trans_date).is_some()
            && self.store_rule.check(store_id).is_ok()
            && self.item_rule.check(item_id).is_ok()
    }

    fn other_form<'f>(&self, reason: Reason, fields: &'f Fields) -> Option<(&'f [u8], Option<OtherForm>)> {
        let Needed {
            store_id,
            amount,
            item_id,
            trans_date,
            ..
        } = self.columns.needed;
        let (position, form): (usize, FormOf) = match reason {
            Reason::Amount => (amount, amount_form),
            Reason::Date => (trans_date, date_form),
            Reason::StoreText => (store_id, id_form),
            Reason::ItemText => (item_id, id_form),
            _ => return None,
        };
        let text = fields.get(position).unwrap_or_default();
        (!text.trim_ascii().is_empty()).then(|| (text, form(text)))
    }

    fn look_ahead<const MAY_BE_ODD: bool>(&mut self, lines: Marked<'_>) {
        let Ahead { ids, items } = &mut self.ahead;
        items.clear();
        if !self.table.items.are_many() {
            return;
        }
        let item = |line| ShortText::in_text(self.columns.fields::<MAY_BE_ODD>(line)?.item_id);
        ids.clear();
        ids.extend(lines.lines().map(|line| item(line).unwrap_or_default()));
        self.table.items.find_many(ids, items);
    }

    #[inline(always)]
    fn add_plain<const MAY_BE_ODD: bool>(
        &mut self,
        number: u32,
        place: usize,
        line: Line<'_>,
    ) -> Option<LineOutcome> {
        let fields = self.columns.fields::<MAY_BE_ODD>(line)?;
        let outcome = self.read(number, place, &fields);
        Some(outcome.unwrap_or_else(LineOutcome::Reject))
    }

    fn add(&mut self, number: u32, fields: &Fields) -> LineOutcome {
        self.check(number, fields).unwrap_or_else(LineOutcome::Reject)
    }

    fn end_unit(&mut self) -> Result<Option<EncodedRows>, EngineError> {
        let texts = (self.table.stores.texts(), self.table.items.texts());
        let written = match &mut self.converted {
            Some(converted) => converted.rows.encode(&converted.form, texts, &converted.path)?,
            None => None,
        };
        let needed = self.table.memory().saturating_mul(COPIES);
        if !self.share.hold(needed) || self.table.is_short_of_numbers() {
            let is_settled = self.settles_doubt();
            if let Some(doubt) = &mut self.doubt {
                doubt.is_settled = is_settled;
            }
            let table = std::mem::replace(&mut self.table, SumTable::new(self.layout.measures.len()));
            let sums = table.into_sums();
            self.days.add(&sums);
            let partial = Partial::of(vec![sums], &self.layout.measures, self.scratch.folder)?;
            self.spilled.push(partial.spill(self.scratch.folder)?);
            self.share.hold(0);
        }
        Ok(written)
    }

    fn write(
        &self,
        written: EncodedRows,
        lines_before: u64,
        file: &mut parquet_form::Table,
    ) -> Result<(), EngineError> {
        match &self.converted {
            Some(converted) => written.write(&converted.form, lines_before, file),
            None => Ok(()),
        }
    }

    fn finish(
        threads: Vec<Self>,
        file: Option<parquet_form::Table>,
    ) -> Result<Option<Finished>, EngineError> {
        let (mut sums, mut spilled) = (Vec::new(), Vec::new());
        let Some(SalesLines { layout, scratch, .. }) = threads.first() else {
            return Ok(None);
        };
        let (layout, scratch) = (*layout, *scratch);
        let mut days = DayTotals::default();
        let mut shares = Vec::new();
        for thread in threads {
            shares.push(thread.share);
            let of_thread = thread.table.into_sums();
            days.merge(thread.days);
            days.add(&of_thread);
            sums.push(of_thread);
            spilled.extend(thread.spilled);
        }
        let mut partial = Partial::of(sums, &layout.measures, scratch.folder)?.holding(shares);
        for earlier in spilled {
            partial = partial.with(earlier, scratch.folder)?;
        }
        if let Some(file) = file {
            file.finish()?;
        }
        let days = days.into_days();
        Ok(Some(Finished { partial, days }))
    }
}

/// Returns the text without the spaces around it.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}
