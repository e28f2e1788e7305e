//! A look at a file's fields as they are written: what a person compares with the settings when a file reads as garbage.
//!
//! It shares no code with conversion beyond the records themselves, so that it also shows what conversion would not accept.
//! It takes the same memory for any file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use crate::containers;
use crate::convert::{self, Opened};
use crate::error::EngineError;
use crate::fields::Fields;
use crate::formats::{self, Record, Records};
use crate::header::{ColumnName, Names};
use crate::layout::{
    CODE, FeedKind, FeedLayout, Format, HeaderNames, HeaderRule, ITEM, STORE, SalesLayout, Source,
};
use crate::values::trimmed;

/// The most values of a column that are told apart.
const MOST_DISTINCT: usize = 1_000;
/// The most codes that are told apart.
const MOST_CODES: usize = 100;
/// The most columns that are looked at.
const MOST_COLUMNS: usize = 64;
/// The first values of a column that are shown.
const SAMPLES: usize = 3;
/// The longest text of a value that is kept, in characters.
const LONGEST_VALUE: usize = 40;
/// The lines that decide which character separates fields.
const LINES_TO_SEPARATE: usize = 100;
/// What separates fields in other feeds.
const SEPARATORS: [u8; 4] = *b"\t;,|";
/// A file with one item and more stores than this looks exchanged: it is one store that has many items.
const MANY_STORES: usize = 10;

/// What was seen of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Its columns in order, up to 64.
    pub columns: Vec<ColumnSurvey>,
    /// How often each code occurs, up to 100 of them.
    pub codes: BTreeMap<String, u64>,
    /// Lines with a code beyond those.
    pub other_codes: u64,
    /// What looks wrong about the settings, and what to write.
    pub suggestions: Vec<String>,
}

/// What was seen of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ColumnSurvey {
    /// Its name by the header or the settings; otherwise its number, from 1.
    pub name: String,
    /// How many lines have a value there.
    pub filled: u64,
    /// Its first values, each once.
    pub samples: Vec<String>,
    /// The least value: by number if all of them are numbers, otherwise by its bytes.
    pub least: Option<String>,
    /// The greatest.
    pub most: Option<String>,
    /// How many values differ, up to 1,000.
    pub distinct: usize,
    /// Whether there are more than those.
    pub has_more: bool,
}

/// Looks at a file. `store` is the store in its name, if its pattern has one. A table may be copied to `folder`.
pub fn survey(
    input: impl Read + Send,
    layout: &FeedLayout,
    store: Option<&str>,
    folder: &Path,
) -> Result<Survey, EngineError> {
    let mut looking = Looking::new(layout);
    match look_at_all(input, layout, folder, &mut looking) {
        // What cannot be read is shown as far as it goes; conversion says why.
        Err(EngineError::Read(error)) if containers::unreadable(&error).is_some() => {
            Ok(looking.finish(store))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(looking.finish(store)),
    }
}

fn look_at_all(
    input: impl Read + Send,
    layout: &FeedLayout,
    folder: &Path,
    looking: &mut Looking<'_>,
) -> Result<(), EngineError> {
    match (
        convert::open(input, layout).map_err(EngineError::Read)?,
        &layout.format,
    ) {
        (Opened::Text { text, .. }, _) => looking.look_at_records(formats::open(text, layout)),
        (Opened::Table(bytes), Format::Table(table)) => {
            formats::open_table(bytes, (table, layout), folder, looking)
        }
        _ => Ok(()),
    }
}

impl formats::Reading<()> for &mut Looking<'_> {
    fn read(self, records: Box<dyn Records + '_>) -> Result<(), EngineError> {
        self.look_at_records(records)
    }
}

struct Looking<'l> {
    layout: &'l FeedLayout,
    /// Where the inputs of a sales feed are, in their order; `None` for those that are no fields.
    inputs: Vec<Option<usize>>,
    /// What a header must name.
    needed: Vec<ColumnName>,
    names: Vec<String>,
    columns: Vec<Column>,
    codes: BTreeMap<String, u64>,
    other_codes: u64,
    lines: u64,
    /// Lines that have as many fields as are needed, if this character separates them.
    separated: [usize; SEPARATORS.len()],
    first_lines: usize,
}

impl<'l> Looking<'l> {
    fn new(layout: &'l FeedLayout) -> Self {
        let (inputs, needed) = match &layout.kind {
            FeedKind::Sales(sales) => (positions(sales), sales.names()),
            FeedKind::Reference(reference) => (Vec::new(), reference.names.clone()),
        };
        Self {
            layout,
            names: named(layout, &inputs),
            inputs,
            needed,
            columns: Vec::new(),
            codes: BTreeMap::new(),
            other_codes: 0,
            lines: 0,
            separated: [0; SEPARATORS.len()],
            first_lines: 0,
        }
    }

    fn look_at_records(&mut self, mut records: Box<dyn Records + '_>) -> Result<(), EngineError> {
        if let Some(names) = records.names() {
            let mut fields = Fields::default();
            for name in &names {
                fields.extend(name.as_bytes());
                fields.end_field();
            }
            self.learn(&fields);
        }
        records.select(None).map_err(EngineError::Read)?;
        let mut record = Record::default();
        while records.next(&mut record).map_err(EngineError::Read)? {
            self.look_at(&record);
        }
        Ok(())
    }

    fn look_at(&mut self, record: &Record) {
        self.lines += 1;
        if record.text.trim_ascii().is_empty() || self.layout.records.skips(&record.text) {
            return;
        }
        if self.layout.plain_delimiter().is_some() {
            self.count_separators(&record.text);
        }
        let fields = &record.fields;
        if record.fault.is_some() || record.too_long.is_some() || self.is_header(fields) {
            return;
        }
        for (position, field) in fields.iter().take(MOST_COLUMNS).enumerate() {
            if position == self.columns.len() {
                self.columns.push(Column::default());
            }
            self.columns[position].add(field);
        }
        if let Some(code) = self.input(CODE).and_then(|position| fields.get(position)) {
            let code = kept(code);
            if self.codes.len() < MOST_CODES || self.codes.contains_key(&code) {
                *self.codes.entry(code).or_default() += 1;
            } else {
                self.other_codes += 1;
            }
        }
    }

    /// Returns the position of an input of a sales feed, if it is a field.
    fn input(&self, input: usize) -> Option<usize> {
        self.inputs.get(input).copied().flatten()
    }

    fn count_separators(&mut self, line: &[u8]) {
        if self.first_lines == LINES_TO_SEPARATE {
            return;
        }
        self.first_lines += 1;
        let needed = self.least_fields();
        for (count, separator) in self.separated.iter_mut().zip(SEPARATORS) {
            *count += usize::from(memchr::memchr_iter(separator, line).count() + 1 >= needed);
        }
    }

    fn least_fields(&self) -> usize {
        let inputs = self.inputs.iter().flatten();
        inputs.max().map_or(self.names.len(), |last| last + 1)
    }

    /// Takes the record for a header if it names columns, or stands where one is.
    fn is_header(&mut self, fields: &Fields) -> bool {
        let by_name = Names::among(&self.needed, fields.iter());
        let is_first = self.lines == u64::from(self.layout.header_line.unwrap_or(1));
        let is_certain = by_name.are_certain() && self.layout.header != HeaderRule::Never;
        let is_told = is_first && self.layout.header == HeaderRule::Always;
        if !is_certain && !is_told {
            return false;
        }
        self.learn(fields);
        true
    }

    /// Learns from a header where the columns are.
    fn learn(&mut self, fields: &Fields) {
        let by_name = Names::among(&self.needed, fields.iter());
        if self.layout.header_names != HeaderNames::Ignore
            && let Ok(positions) = by_name.positions(&self.needed, fields.iter())
        {
            if let FeedKind::Sales(sales) = &self.layout.kind {
                let is_named = |input: &Source| matches!(input, Source::Field { name: Some(_), .. });
                let inputs = sales.inputs.iter().zip(&mut self.inputs);
                let named = inputs.filter(|(input, _)| is_named(&input.source));
                for ((_, at), position) in named.zip(positions) {
                    *at = Some(position);
                }
            }
            let text = |field: &[u8]| String::from_utf8_lossy(field).trim().to_owned();
            self.names = fields.iter().map(text).collect();
        }
    }

    fn finish(self, store: Option<&str>) -> Survey {
        let suggestions = [
            self.separator(),
            self.exchanged(store),
            self.merged(),
            self.absent_codes(),
        ];
        let suggestions = suggestions.into_iter().flatten().collect();
        let names = self.names;
        let columns = self.columns.into_iter().enumerate();
        let name = |position: usize| {
            let name = names.get(position).filter(|name| !name.is_empty());
            name.map_or_else(|| (position + 1).to_string(), |name| kept(name.as_bytes()))
        };
        Survey {
            columns: columns
                .map(|(position, column)| column.finish(name(position)))
                .collect(),
            codes: self.codes,
            other_codes: self.other_codes,
            suggestions,
        }
    }

    /// Suggests another separator, if it gives nearly all lines enough fields and the settings' gives few of them.
    fn separator(&self) -> Option<String> {
        let now = self.layout.plain_delimiter()?;
        let now = SEPARATORS.iter().position(|known| *known == now);
        let now = now.map_or(0, |at| self.separated[at]);
        if self.first_lines == 0 || now * 2 > self.first_lines {
            return None;
        }
        let (count, separator) = self
            .separated
            .iter()
            .zip(SEPARATORS)
            .max_by_key(|(count, _)| **count)?;
        let name = char::from(separator).escape_default();
        (count * 10 >= self.first_lines * 9)
            .then(|| format!("the lines look `{name}`-separated: write delimiter = \"{name}\""))
    }

    /// Tells of stores where items should be: the store in the file's name is the only item, or there are many stores
    /// that all have one item.
    fn exchanged(&self, store: Option<&str>) -> Option<String> {
        let (stores, items) = (
            self.columns.get(self.input(STORE)?)?,
            self.columns.get(self.input(ITEM)?)?,
        );
        let only_item = items.only_value()?;
        let is_named = store.is_some_and(|store| names_store(only_item, store));
        let names_it_too = store.is_some_and(|store| stores.distinct.iter().any(|id| names_store(id, store)));
        let is_odd = stores.distinct.len() > MANY_STORES;
        ((is_named && !names_it_too) || is_odd).then(|| {
            let proof = match is_named {
                true => format!("every item_id is {only_item:?}, the store in the file's name"),
                false => format!(
                    "every item_id is {only_item:?}, and there are {}{} store_ids",
                    stores.distinct.len(),
                    if stores.has_more { " or more" } else { "" }
                ),
            };
            format!("store_id and item_id look exchanged ({proof}): exchange them in columns")
        })
    }

    /// Tells of stores that are written in several ways, which the rules for ids make one.
    fn merged(&self) -> Option<String> {
        let stores = self.columns.get(self.input(STORE)?)?;
        let texts: Vec<String> = stores.distinct.iter().cloned().collect();
        let merged = self.layout.merged_stores(&texts);
        let of_ids = merged.into_iter().find(|stores| {
            let bare = |store: &String| trimmed(store).to_owned();
            stores.iter().any(|store| bare(store) != bare(&stores[0]))
        })?;
        Some(format!("{} are one store by values.ids", of_ids.join(" and ")))
    }

    /// Tells which codes are asked for and occur in no line.
    fn absent_codes(&self) -> Option<String> {
        let sales = self.layout.sales()?;
        if self.columns.is_empty() || self.other_codes > 0 || self.input(CODE).is_none() {
            return None;
        }
        let found = self.codes.keys().filter_map(|code| sales.measure_of(code));
        let found: BTreeSet<i32> = found.map(|measure| measure.code).collect();
        let absent: Vec<_> = sales
            .measures
            .iter()
            .filter(|measure| !found.contains(&measure.code))
            .map(|measure| format!("{} ({})", measure.code, measure.name))
            .collect();
        let known: Vec<_> = self.codes.keys().take(10).map(String::as_str).collect();
        (!absent.is_empty()).then(|| {
            format!(
                "no line has code {}: that measure stays NULL; the codes found are {}",
                absent.join(" or "),
                known.join(", ")
            )
        })
    }
}

/// Returns where the inputs of a feed are before a header says otherwise.
fn positions(sales: &SalesLayout) -> Vec<Option<usize>> {
    let position = |source: &Source| match source {
        Source::Field { position, .. } => *position,
        _ => None,
    };
    let inputs = sales.inputs.iter();
    inputs.map(|input| position(&input.source)).collect()
}

/// Returns the names of a feed's columns in order, empty for those that it does not need.
fn named(layout: &FeedLayout, inputs: &[Option<usize>]) -> Vec<String> {
    match &layout.kind {
        FeedKind::Reference(reference) => reference.columns.clone(),
        FeedKind::Sales(sales) => {
            let last = inputs.iter().flatten().max();
            let mut names = vec![String::new(); last.map_or(0, |last| last + 1)];
            for (input, position) in sales.inputs.iter().zip(inputs) {
                if let Some(position) = position {
                    names[*position].clone_from(&input.name);
                }
            }
            names
        }
    }
}

/// Returns whether an id is the store in a file's name: it ends as that does, zeros before it apart.
fn names_store(id: &str, store: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches('0').to_lowercase();
    !bare(store).is_empty() && bare(id) == bare(store)
}

/// Returns a value as it is kept: without what is too long.
fn kept(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(&field[..field.len().min(LONGEST_VALUE * 4)]);
    text.trim().chars().take(LONGEST_VALUE).collect()
}

#[derive(Default)]
struct Column {
    filled: u64,
    samples: Vec<String>,
    distinct: BTreeSet<String>,
    has_more: bool,
    by_text: Option<(String, String)>,
    /// While all values are numbers.
    by_number: Option<((f64, String), (f64, String))>,
    is_text: bool,
}

impl Column {
    fn add(&mut self, field: &[u8]) {
        let value = kept(field);
        if value.is_empty() {
            return;
        }
        self.filled += 1;
        let is_new = !self.distinct.contains(&value);
        if !is_new {
            return;
        }
        match self.distinct.len() < MOST_DISTINCT {
            true => {
                self.distinct.insert(value.clone());
            }
            false => self.has_more = true,
        }
        if self.samples.len() < SAMPLES {
            self.samples.push(value.clone());
        }
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() && !self.is_text => {
                let ends = self
                    .by_number
                    .get_or_insert_with(|| ((number, value.clone()), (number, value.clone())));
                if number < ends.0.0 {
                    ends.0 = (number, value.clone());
                }
                if number > ends.1.0 {
                    ends.1 = (number, value.clone());
                }
            }
            _ => self.is_text = true,
        }
        let ends = self.by_text.get_or_insert_with(|| (value.clone(), value.clone()));
        if value < ends.0 {
            ends.0.clone_from(&value);
        }
        if value > ends.1 {
            ends.1 = value;
        }
    }

    /// Returns the value that all lines have, if there is just one.
    fn only_value(&self) -> Option<&str> {
        match self.distinct.len() {
            1 => self.distinct.first().map(String::as_str),
            _ => None,
        }
    }

    fn finish(self, name: String) -> ColumnSurvey {
        let numbers = self.by_number.filter(|_| !self.is_text);
        let ends = numbers
            .map(|((_, least), (_, most))| (least, most))
            .or(self.by_text);
        let (least, most) = ends.unzip();
        ColumnSurvey {
            name,
            filled: self.filled,
            samples: self.samples,
            least,
            most,
            distinct: self.distinct.len(),
            has_more: self.has_more,
        }
    }
}

#[cfg(test)]
mod tests;
