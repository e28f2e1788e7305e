//! Records of several kinds in one file: rows, records that give fields to the rows behind them, and trailers that say
//! how many rows there are. They are read in their order, on one thread.

use crate::amount::format_cents;
use crate::fields::Fields;
use crate::layout::FeedLayout;
use crate::records::{KindRule, TrailerRule};
use crate::values::{Amount, without_blanks};

use crate::feed_lines::FeedLines;

/// Tells the records of a file apart.
pub(super) struct Controls<'l> {
    layout: &'l FeedLayout,
    kind: Option<&'l KindRule>,
    trailer: Option<&'l TrailerRule>,
    /// Rows since the last trailer, whether they are rejects or not.
    rows: u64,
    /// The sum of their amounts in cents.
    sum: i128,
    /// Those of them whose amount cannot be read.
    unread: u64,
    has_trailer: bool,
    /// Why the file is rejected.
    fault: Option<String>,
}

/// What a record is by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Row,
    Skipped,
    /// Of no kind that the settings name.
    Unknown,
}

impl<'l> Controls<'l> {
    /// Returns what the layout of a file says of kinds and trailers, if it says something.
    pub(super) fn of(layout: &'l FeedLayout) -> Option<Self> {
        let (kind, trailer) = (layout.kind_rule.as_ref(), layout.trailer.as_ref());
        (kind.is_some() || trailer.is_some()).then_some(Self {
            layout,
            kind,
            trailer,
            rows: 0,
            sum: 0,
            unread: 0,
            has_trailer: false,
            fault: None,
        })
    }

    /// Says what a record is, whose fields are given if they could be found.
    pub(super) fn classify(
        &mut self,
        line: u64,
        content: &[u8],
        fields: Option<&Fields>,
        feed: &mut impl FeedLines,
    ) -> Class {
        if let Some(trailer) = self.trailer
            && content.starts_with(&trailer.begins)
        {
            self.end(line, trailer, fields);
            return Class::Skipped;
        }
        let class = match self.kind {
            Some(kind) => Self::of_kind(kind, fields, feed),
            None => Class::Row,
        };
        if class == Class::Row && self.trailer.is_some() {
            self.rows += 1;
            match fields.and_then(|fields| feed.cents(fields)) {
                Some(cents) => self.sum += i128::from(cents),
                None => self.unread += 1,
            }
        }
        class
    }

    fn of_kind(kind: &KindRule, fields: Option<&Fields>, feed: &mut impl FeedLines) -> Class {
        let Some(fields) = fields else {
            // It cannot be split, whatever it is: as a row it is a reject that says so.
            return Class::Row;
        };
        let text = fields.get(kind.position).unwrap_or_default().trim_ascii();
        let is_in = |kinds: &[Box<[u8]>]| kinds.iter().any(|kind| **kind == *text);
        if is_in(&kind.rows) {
            return Class::Row;
        }
        let mut gives = false;
        for carried in kind.carried.iter().filter(|carried| *carried.kind == *text) {
            gives = true;
            feed.carry(carried.input, fields.get(carried.position).unwrap_or_default());
        }
        match gives || is_in(&kind.skip) {
            true => Class::Skipped,
            false => Class::Unknown,
        }
    }

    /// Compares the rows since the last trailer with what this one says.
    fn end(&mut self, line: u64, trailer: &TrailerRule, fields: Option<&Fields>) {
        self.has_trailer = true;
        let text = |position: usize| {
            let text = fields.and_then(|fields| fields.get(position)).unwrap_or_default();
            without_blanks(std::str::from_utf8(text).unwrap_or_default()).to_owned()
        };
        let Self {
            rows, sum, unread, ..
        } = *self;
        let faults = [
            trailer.lines.and_then(|position| {
                let stated = text(position);
                let is_right = stated.parse() == Ok(rows);
                (!is_right).then(|| format!("counts {stated:?} rows, but {rows} came"))
            }),
            trailer.sum.and_then(|position| {
                let stated = text(position);
                let is_right = match self.layout.values.amounts.read(stated.as_bytes()) {
                    Some(Amount::Cents { cents, .. }) => i128::from(cents) == sum,
                    _ => false,
                };
                let came = i64::try_from(sum).map_or_else(|_| sum.to_string(), format_cents);
                let besides = match unread {
                    0 => String::new(),
                    _ => format!(", besides {unread} that cannot be read"),
                };
                (!is_right)
                    .then(|| format!("says that the amounts sum up to {stated:?}, but {came} came{besides}"))
            }),
        ];
        if let Some(fault) = faults.into_iter().flatten().next() {
            self.fault.get_or_insert_with(|| {
                format!("its trailer in line {line} {fault}: the file was cut, or lines are missing")
            });
        }
        (self.rows, self.sum, self.unread) = (0, 0, 0);
    }

    /// Returns why the file is rejected, once all records were read.
    pub(super) fn fault(self) -> Option<String> {
        let begins = String::from_utf8_lossy(&self.trailer?.begins).into_owned();
        self.fault.or_else(|| match (self.has_trailer, self.rows) {
            (false, _) => Some(format!(
                "it has no trailer, a line that begins with {begins:?}, so the file was cut (records.trailer)"
            )),
            (true, 0) => None,
            (true, rows) => Some(format!(
                "{rows} rows stand behind its last trailer, so the file was cut (records.trailer)"
            )),
        })
    }
}
