//! Point-of-sale records whose values need no text of their own: members of JSON objects, read where they stand, and
//! columns of tables, read as the numbers, days and texts that they are.
//!
//! Both read only what is certain: of everything else, the record is made ([`crate::formats::Record`]), and read as any
//! other. So a reject, and its text, is the same whichever way a record came.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, PrimitiveArray, StringArray};
use arrow_schema::{DataType, TimeUnit};

use super::ids::IdColumn;
use super::{Code, Origin, SalesLines};
use crate::amount::{ABSENT, MAX_CENTS, parse_cents, short_cents};
use crate::date::DAYS;
use crate::feed_lines::LineOutcome;
use crate::formats::{Batch, Cell, CellKind};
use crate::key::Key;
use crate::layout::{AMOUNT, CODE, ITEM, STORE, SalesLayout, TRANS_DATE};
use crate::scan::Field;
use crate::short_text::{Memo, ShortText};
use crate::symbols::{Symbol, Symbols, UNKNOWN};
use crate::values::Amount;

/// Stands in place of a day that is not known.
const NO_DAY: i32 = i32::MIN;

/// Numbers up to this have at most 15 digits: a floating-point number then stands for one decimal number alone.
const MOST_EXACT: f64 = 1e15;

/// The values of some rows of a table, column by column. What is not certain is [`ABSENT`], `None`, [`NO_DAY`] or
/// [`UNKNOWN`].
#[derive(Default)]
pub(super) struct Lanes {
    amounts: Vec<i64>,
    codes: Vec<Option<Code>>,
    days: Vec<i32>,
    stores: Vec<Symbol>,
    items: Vec<Symbol>,
    /// What numbers mean as codes.
    code_numbers: HashMap<i64, Option<Code>>,
    store_texts: KnownTexts,
    item_texts: KnownTexts,
}

/// The texts of a dictionary, and the symbol of each that was looked up.
#[derive(Default)]
struct KnownTexts {
    texts: Option<StringArray>,
    symbols: Vec<Option<Symbol>>,
}

impl SalesLines<'_> {
    /// Reads an object of JSON whose fields stand at `cells`, if they are written in the simplest way.
    #[inline]
    pub(super) fn read_cells(&mut self, number: u32, text: &[u8], cells: &[Cell]) -> Option<LineOutcome> {
        if !self.has_short_amounts || self.columns.wanted > cells.len() {
            return None;
        }
        let needed = self.columns.needed;
        let cell = |input: usize| cells[needed[input]];
        let field = |input: usize| Field::of(text, cell(input).range());
        let cents = match cell(AMOUNT).kind {
            CellKind::Whole | CellKind::Decimal => parse_cents(field(AMOUNT).bytes())?,
            CellKind::Text => short_cents(field(AMOUNT))?,
            CellKind::Empty | CellKind::Word => return None,
        };
        // Of these, the text is what counts, and one without decimal places is written in one way only.
        let is_decimal = |input: &usize| cell(*input).kind == CellKind::Decimal;
        if [STORE, CODE, ITEM, TRANS_DATE].iter().any(is_decimal) {
            return None;
        }
        self.with_amount_of::<false>(number, 0, cents, field).ok()
    }

    /// Adds a row of the lanes.
    #[inline]
    pub(super) fn read_row(&mut self, number: u32, row: usize) -> Option<LineOutcome> {
        let lanes = &self.lanes;
        let (cents, day) = (*lanes.amounts.get(row)?, lanes.days[row]);
        let (store, item) = (lanes.stores[row], lanes.items[row]);
        let code = lanes.codes[row]?;
        if cents == ABSENT || day == NO_DAY || store == UNKNOWN || item == UNKNOWN {
            return None;
        }
        Some(self.count(number, code, cents, Key::new(store, item, day)))
    }

    /// Reads the columns of a batch. There are no lanes if amounts stand side by side.
    pub(super) fn read_lanes(&mut self, batch: &Batch<'_>) {
        let mut lanes = std::mem::take(&mut self.lanes);
        lanes.amounts.clear();
        if !self.layout.is_wide() {
            self.read_amounts(batch, &mut lanes);
            self.read_codes(batch, &mut lanes);
            self.read_days(batch, &mut lanes);
            self.read_ids(batch, &mut lanes);
        }
        self.lanes = lanes;
    }

    fn read_amounts(&self, batch: &Batch<'_>, lanes: &mut Lanes) {
        let rule = &self.layout.values.amounts;
        let amounts = &mut lanes.amounts;
        let read = |text: &[u8]| match rule.read(text) {
            Some(Amount::Cents {
                cents,
                is_rounded: false,
            }) => cents,
            _ => ABSENT,
        };
        let column = match &self.origins[AMOUNT] {
            Origin::Field(position) => batch.column(*position),
            Origin::Given(text) => return amounts.resize(batch.rows(), read(text)),
            Origin::Absent => None,
        };
        let Some(column) = column else {
            return amounts.resize(batch.rows(), ABSENT);
        };
        macro_rules! whole {
            ($type:ty) => {
                lane(column.as_primitive::<$type>(), amounts, ABSENT, |value| {
                    i128::from(value).checked_mul(100).map_or(ABSENT, in_range)
                })
            };
        }
        macro_rules! places {
            ($type:ty, $places:expr) => {
                lane(column.as_primitive::<$type>(), amounts, ABSENT, |value| {
                    cents_of(value.into(), *$places)
                })
            };
        }
        match column.data_type() {
            DataType::Int8 => whole!(Int8Type),
            DataType::Int16 => whole!(Int16Type),
            DataType::Int32 => whole!(Int32Type),
            DataType::Int64 => whole!(Int64Type),
            DataType::UInt8 => whole!(UInt8Type),
            DataType::UInt16 => whole!(UInt16Type),
            DataType::UInt32 => whole!(UInt32Type),
            DataType::UInt64 => whole!(UInt64Type),
            DataType::Decimal32(_, places) => places!(Decimal32Type, places),
            DataType::Decimal64(_, places) => places!(Decimal64Type, places),
            DataType::Decimal128(_, places) => places!(Decimal128Type, places),
            DataType::Float64 => lane(
                column.as_primitive::<Float64Type>(),
                amounts,
                ABSENT,
                cents_of_float,
            ),
            DataType::Utf8 => texts(column.as_string::<i32>(), amounts, ABSENT, |text| {
                read(text.as_bytes())
            }),
            _ => amounts.resize(batch.rows(), ABSENT),
        }
    }

    fn read_codes(&self, batch: &Batch<'_>, lanes: &mut Lanes) {
        let (layout, known) = (self.layout, &mut lanes.code_numbers);
        let codes = &mut lanes.codes;
        codes.clear();
        let column = match &self.origins[CODE] {
            Origin::Field(position) => batch.column(*position),
            Origin::Given(text) => return codes.resize(batch.rows(), Self::code(layout, text)),
            Origin::Absent => None,
        };
        let Some(column) = column else {
            return codes.resize(batch.rows(), None);
        };
        let mut last = None;
        let mut code = |number: i64| match last {
            Some((of, code)) if of == number => code,
            _ => {
                // Numbers that are no codes are not remembered without end.
                if known.len() > 1000 {
                    known.clear();
                }
                let meaning = || Self::code(layout, number.to_string().as_bytes());
                let code = *known.entry(number).or_insert_with(meaning);
                last = Some((number, code));
                code
            }
        };
        macro_rules! whole {
            ($type:ty) => {
                lane(column.as_primitive::<$type>(), codes, None, |value| {
                    code(value.into())
                })
            };
        }
        match column.data_type() {
            DataType::Int8 => whole!(Int8Type),
            DataType::Int16 => whole!(Int16Type),
            DataType::Int32 => whole!(Int32Type),
            DataType::Int64 => whole!(Int64Type),
            DataType::UInt8 => whole!(UInt8Type),
            DataType::UInt16 => whole!(UInt16Type),
            DataType::UInt32 => whole!(UInt32Type),
            DataType::Float64 => lane(column.as_primitive::<Float64Type>(), codes, None, |value| {
                let is_whole = value.fract() == 0.0
                    && value.abs() < MOST_EXACT
                    && value.to_bits() != (-0.0_f64).to_bits();
                if is_whole { code(value as i64) } else { None }
            }),
            DataType::Utf8 => texts(column.as_string::<i32>(), codes, None, |text| {
                Self::code(layout, text.as_bytes())
            }),
            _ => codes.resize(batch.rows(), None),
        }
    }

    fn read_days(&mut self, batch: &Batch<'_>, lanes: &mut Lanes) {
        let layout = self.layout;
        let (rule, memo) = (&layout.values.dates, &mut self.dates);
        let days = &mut lanes.days;
        days.clear();
        if let Some(day) = layout.day {
            return days.resize(batch.rows(), day);
        }
        let column = match &self.origins[TRANS_DATE] {
            Origin::Field(position) => batch.column(*position),
            Origin::Given(text) => {
                return days.resize(batch.rows(), Self::date(layout, text).unwrap_or(NO_DAY));
            }
            Origin::Absent => None,
        };
        let Some(column) = column else {
            return days.resize(batch.rows(), NO_DAY);
        };
        let moment = |value: i64, in_second: i64| {
            let second = value.div_euclid(in_second);
            let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
            let day = i32::try_from(day).ok().filter(|day| DAYS.contains(day));
            let minute = (second / 60) as u32;
            day.and_then(|day| rule.business_day(day, Some(minute)))
                .unwrap_or(NO_DAY)
        };
        macro_rules! moments {
            ($type:ty, $in_second:expr) => {
                lane(column.as_primitive::<$type>(), days, NO_DAY, |value| {
                    moment(value, $in_second)
                })
            };
        }
        match column.data_type() {
            DataType::Date32 => lane(column.as_primitive::<Date32Type>(), days, NO_DAY, |day| {
                if DAYS.contains(&day) { day } else { NO_DAY }
            }),
            DataType::Date64 => moments!(Date64Type, 1_000),
            DataType::Timestamp(TimeUnit::Second, _) => moments!(TimestampSecondType, 1),
            DataType::Timestamp(TimeUnit::Millisecond, _) => moments!(TimestampMillisecondType, 1_000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => moments!(TimestampMicrosecondType, 1_000_000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => moments!(TimestampNanosecondType, 1_000_000_000),
            DataType::Utf8 => texts(column.as_string::<i32>(), days, NO_DAY, |text| {
                day_of(layout, memo, text.as_bytes())
            }),
            _ => days.resize(batch.rows(), NO_DAY),
        }
    }

    /// Reads the ids of the rows whose other values are known.
    fn read_ids(&mut self, batch: &Batch<'_>, lanes: &mut Lanes) {
        let Lanes {
            amounts,
            codes,
            days,
            stores,
            items,
            store_texts,
            item_texts,
            ..
        } = lanes;
        let is_known = |row: usize| amounts[row] != ABSENT && codes[row].is_some() && days[row] != NO_DAY;
        let ids = |input: usize| match &self.origins[input] {
            Origin::Field(position) => Ids::Column(*position),
            Origin::Given(text) => Ids::Given(text),
            Origin::Absent => Ids::Given(&[]),
        };
        let (of_stores, of_items) = (ids(STORE), ids(ITEM));
        of_stores.read(
            &self.store_column,
            &mut self.sums.table.stores,
            batch,
            is_known,
            store_texts,
            stores,
        );
        let is_known = |row: usize| is_known(row) && stores[row] != UNKNOWN;
        of_items.read(
            &self.item_column,
            &mut self.sums.table.items,
            batch,
            is_known,
            item_texts,
            items,
        );
    }
}

/// Where the ids of some rows come from.
enum Ids<'i> {
    Column(usize),
    Given(&'i [u8]),
}

impl Ids<'_> {
    fn read(
        &self,
        rule: &IdColumn<'_>,
        symbols: &mut Symbols,
        batch: &Batch<'_>,
        is_known: impl Fn(usize) -> bool,
        known: &mut KnownTexts,
        found: &mut Vec<Symbol>,
    ) {
        found.clear();
        let mut symbol = |text: &[u8]| {
            let short = ShortText::of(text).and_then(|short| symbols.find_short(short));
            short.unwrap_or_else(|| rule.symbol(symbols, text).unwrap_or(UNKNOWN))
        };
        let column = match self {
            Self::Column(position) => batch.column(*position),
            Self::Given(text) => {
                let rows = 0..batch.rows();
                return found.extend(rows.map(|row| if is_known(row) { symbol(text) } else { UNKNOWN }));
            }
        };
        let Some(column) = column else {
            return found.resize(batch.rows(), UNKNOWN);
        };
        let is_known = |row: usize| is_known(row) && !column.is_null(row);
        macro_rules! whole {
            ($type:ty) => {{
                let values = column.as_primitive::<$type>().values();
                let id = |row: usize| match is_known(row) {
                    true => symbol(values[row].to_string().as_bytes()),
                    false => UNKNOWN,
                };
                found.extend((0..batch.rows()).map(id))
            }};
        }
        match column.data_type() {
            DataType::Dictionary(..) => {
                let dictionary = column.as_dictionary::<Int32Type>();
                let Some(texts) = dictionary.values().as_string_opt::<i32>() else {
                    return found.resize(batch.rows(), UNKNOWN);
                };
                known.take(texts);
                let keys = dictionary.keys().values();
                let id = |row: usize| {
                    if !is_known(row) {
                        return UNKNOWN;
                    }
                    let key = keys[row] as usize;
                    *known.symbols[key].get_or_insert_with(|| match texts.is_null(key) {
                        true => UNKNOWN,
                        false => symbol(texts.value(key).as_bytes()),
                    })
                };
                found.extend((0..batch.rows()).map(id));
            }
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                let id = |row: usize| match is_known(row) {
                    true => symbol(texts.value(row).as_bytes()),
                    false => UNKNOWN,
                };
                found.extend((0..batch.rows()).map(id));
            }
            DataType::Int16 => whole!(Int16Type),
            DataType::Int32 => whole!(Int32Type),
            DataType::Int64 => whole!(Int64Type),
            DataType::UInt16 => whole!(UInt16Type),
            DataType::UInt32 => whole!(UInt32Type),
            DataType::UInt64 => whole!(UInt64Type),
            _ => found.resize(batch.rows(), UNKNOWN),
        }
    }
}

impl KnownTexts {
    /// Takes the texts of a dictionary. Batches of one row group have the same.
    fn take(&mut self, texts: &StringArray) {
        let is_same = self.texts.as_ref().is_some_and(|known| {
            known.len() == texts.len()
                && known.value_data().as_ptr() == texts.value_data().as_ptr()
                && known.value_offsets().as_ptr() == texts.value_offsets().as_ptr()
        });
        if !is_same {
            self.symbols.clear();
            self.symbols.resize(texts.len(), None);
            // As long as it is held, no other texts can lie in its place.
            self.texts = Some(texts.clone());
        }
    }
}

/// Reads a column of numbers.
fn lane<T: ArrowPrimitiveType, V: Clone>(
    column: &PrimitiveArray<T>,
    lane: &mut Vec<V>,
    none: V,
    mut value: impl FnMut(T::Native) -> V,
) {
    match column.null_count() {
        0 => lane.extend(column.values().iter().map(|number| value(*number))),
        _ => lane.extend(
            column
                .iter()
                .map(|number| number.map_or(none.clone(), &mut value)),
        ),
    }
}

/// Reads a column of texts.
fn texts<V: Clone>(column: &StringArray, lane: &mut Vec<V>, none: V, mut value: impl FnMut(&str) -> V) {
    lane.extend(column.iter().map(|text| text.map_or(none.clone(), &mut value)));
}

fn in_range(cents: i128) -> i64 {
    let most = i128::from(MAX_CENTS);
    if (-most..=most).contains(&cents) {
        cents as i64
    } else {
        ABSENT
    }
}

/// Returns the cents of a number of parts with decimal places, if it has no more than two.
fn cents_of(parts: i128, places: i8) -> i64 {
    let ten = |power: i8| 10_i128.pow(power.unsigned_abs().into());
    let cents = match places {
        2 => Some(parts),
        0 | 1 => parts.checked_mul(ten(2 - places)),
        3..=20 => Some(parts / ten(places - 2)).filter(|_| parts % ten(places - 2) == 0),
        _ => None,
    };
    cents.map_or(ABSENT, in_range)
}

/// Returns the cents of a number whose shortest decimal text has two places or fewer.
fn cents_of_float(number: f64) -> i64 {
    let cents = (number * 100.0).round();
    // Decimal numbers of up to 15 digits are different floating-point numbers, so that it is this one's text.
    let is_exact = cents.abs() < MOST_EXACT && cents / 100.0 == number;
    if is_exact { cents as i64 } else { ABSENT }
}

fn day_of(layout: &SalesLayout, memo: &mut Memo<ShortText, Option<i32>>, text: &[u8]) -> i32 {
    let read = || SalesLines::date(layout, text);
    let day = match ShortText::of(text) {
        Some(short) => memo.get(short, read),
        None => read(),
    };
    day.unwrap_or(NO_DAY)
}

#[cfg(test)]
#[path = "typed/tests.rs"]
mod tests;
