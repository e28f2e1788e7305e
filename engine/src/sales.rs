//! Point-of-sale lines: five typed values each, summed by key and measure.

use crate::amount::{has_number_form, parse_cents, parse_code};
use crate::convert::{FeedLines, Outputs, Taken};
use crate::error::EngineError;
use crate::fields::Fields;
use crate::layout::{Needed, SalesLayout};
use crate::partial::{Partial, Symbol, Symbols};
use crate::rejects::Reason;
use crate::report::Header;
use crate::rows::SalesWriter;

pub(crate) struct SalesLines<'l> {
    layout: &'l SalesLayout,
    /// Where the columns stand in this file.
    positions: Needed,
    wanted: usize,
    store_rule: IdRule,
    item_rule: IdRule,
    partial: Partial,
    partial_path: Option<std::path::PathBuf>,
    converted: Option<SalesWriter>,
    days: Option<(i32, i32)>,
}

impl<'l> SalesLines<'l> {
    pub(crate) fn new(
        layout: &'l SalesLayout,
        outputs: Outputs<'_>,
        is_decoded: bool,
    ) -> Result<Self, EngineError> {
        let chars = layout.id_chars;
        Ok(Self {
            layout,
            positions: layout.positions,
            wanted: layout.positions.last() + 1,
            store_rule: IdRule {
                chars,
                is_decoded,
                empty: Reason::StoreEmpty,
                too_long: Reason::StoreTooLong,
                text: Reason::StoreText,
            },
            item_rule: IdRule {
                chars,
                is_decoded,
                empty: Reason::ItemEmpty,
                too_long: Reason::ItemTooLong,
                text: Reason::ItemText,
            },
            partial: Partial::new(&layout.measures),
            partial_path: outputs.partial.map(ToOwned::to_owned),
            converted: outputs.converted.map(SalesWriter::create).transpose()?,
            days: None,
        })
    }
}

/// What an id column asks of its texts, and the reasons for those that do not meet it.
struct IdRule {
    chars: usize,
    /// Whether the text went through a decoder, which puts U+FFFD where it could not decode.
    is_decoded: bool,
    empty: Reason,
    too_long: Reason,
    text: Reason,
}

impl IdRule {
    /// The symbol of an id, which is checked when it is seen for the first time.
    fn symbol(&self, symbols: &mut Symbols, id: &[u8]) -> Result<Symbol, Reason> {
        if let Some(symbol) = symbols.find(id) {
            return Ok(symbol);
        }
        let text = std::str::from_utf8(id).map_err(|_| self.text)?;
        if text.contains('\0') || (self.is_decoded && text.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(self.text);
        }
        if id.trim_ascii().is_empty() {
            return Err(self.empty);
        }
        // Characters are never more than bytes.
        if id.len() > self.chars && text.chars().count() > self.chars {
            return Err(self.too_long);
        }
        Ok(symbols.insert(text))
    }
}

impl FeedLines for SalesLines<'_> {
    fn wanted(&self) -> usize {
        self.wanted
    }

    fn is_header(&self, fields: &Fields, block: &[u8]) -> bool {
        let Needed { amount, code, .. } = self.positions;
        let is_number = |position| {
            fields
                .get(block, position)
                .is_some_and(|text| has_number_form(trim(text)))
        };
        fields.len() >= self.wanted && !is_number(amount) && !is_number(code)
    }

    fn learn(&mut self, names: &[&[u8]]) -> Header {
        let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
        match Needed::among(&names) {
            Ok(positions) => {
                self.positions = positions;
                self.wanted = positions.last() + 1;
                Header::ByName
            }
            Err(_) => Header::ByPosition,
        }
    }

    fn take(&mut self, line_number: u64, fields: &Fields, block: &[u8]) -> Result<Taken, EngineError> {
        let Needed {
            store_id,
            amount,
            code,
            item_id,
            trans_date,
        } = self.positions;
        if fields.len() < self.wanted {
            return Ok(Taken::Reject(Reason::MissingColumn));
        }
        let field = |position| fields.get(block, position).unwrap_or_default();
        let values = (|| {
            let cents = parse_cents(trim(field(amount))).ok_or(Reason::Amount)?;
            let code = parse_code(trim(field(code))).ok_or(Reason::Code)?;
            let date = self
                .layout
                .date_format
                .parse_days(trim(field(trans_date)))
                .ok_or(Reason::Date)?;
            let store = self
                .store_rule
                .symbol(&mut self.partial.stores, field(store_id))?;
            let item = self.item_rule.symbol(&mut self.partial.items, field(item_id))?;
            Ok((cents, code, date, store, item))
        })();
        let (cents, code, date, store, item) = match values {
            Ok(values) => values,
            Err(reason) => return Ok(Taken::Reject(reason)),
        };
        self.days = Some(match self.days {
            Some((first, last)) => (first.min(date), last.max(date)),
            None => (date, date),
        });
        let Some(measure) = self
            .layout
            .measures
            .iter()
            .position(|measure| measure.code == code)
        else {
            self.partial.cover(store, date);
            return Ok(Taken::Ignored);
        };
        self.partial.add(store, item, date, measure, cents)?;
        if let Some(converted) = &mut self.converted {
            let (store, item) = (self.partial.stores.text(store), self.partial.items.text(item));
            converted.push(line_number, store, cents, code, item, date)?;
        }
        Ok(Taken::Row)
    }

    fn days(&self) -> Option<(i32, i32)> {
        self.days
    }

    fn finish(self) -> Result<(), EngineError> {
        if let Some(path) = &self.partial_path {
            self.partial.write(path)?;
        }
        match self.converted {
            Some(converted) => converted.finish(),
            None => Ok(()),
        }
    }
}

/// The text without the spaces around it.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}
