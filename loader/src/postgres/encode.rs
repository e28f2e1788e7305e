//! Encodes rows of a summary for a binary COPY.

use bytes::BytesMut;

use super::wire;
use crate::input::SummaryBatch;
use crate::target::KEYS;

/// The values of a target's audit columns.
pub(crate) struct Stamp<'a> {
    pub microseconds_since_2000: i64,
    pub run_id: &'a str,
}

/// The values that end each row, the same for many rows.
#[derive(Default)]
pub(crate) struct Ending {
    values: usize,
    bytes: BytesMut,
}

impl Ending {
    pub(crate) fn of_stamp(stamp: Option<Stamp<'_>>) -> Self {
        let mut ending = Self::default();
        if let Some(stamp) = stamp {
            ending.values = 2;
            wire::put_moment(&mut ending.bytes, stamp.microseconds_since_2000);
            wire::put_text(&mut ending.bytes, stamp.run_id);
        }
        ending
    }

    pub(crate) fn of_flag(is_gone: bool) -> Self {
        let mut bytes = BytesMut::new();
        wire::put_bool(&mut bytes, is_gone);
        Self { values: 1, bytes }
    }
}

/// Writes the rows of a batch, one after the other, without an allocation for each.
///
/// In the order of the keys, most rows have the same store and item as the row before. The bytes before the date are
/// then the same, and are encoded once.
pub(crate) struct Rows<'a> {
    batch: &'a SummaryBatch,
    ending: &'a Ending,
    next: usize,
    start: BytesMut,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(batch: &'a SummaryBatch, ending: &'a Ending) -> Self {
        Self {
            batch,
            ending,
            next: 0,
            start: BytesMut::new(),
        }
    }

    /// Writes the next row; false if there is none.
    pub(crate) fn put_next(&mut self, out: &mut BytesMut) -> bool {
        let (batch, row) = (self.batch, self.next);
        if row == batch.len() {
            return false;
        }
        self.next += 1;
        if row == 0 || !batch.same_texts(row, batch, row - 1) {
            self.start.clear();
            let values = KEYS.len() + batch.amounts.len() + self.ending.values;
            wire::put_row(&mut self.start, values);
            wire::put_text(&mut self.start, batch.stores.value(row));
            wire::put_text(&mut self.start, batch.items.value(row));
        }
        out.extend_from_slice(&self.start);
        wire::put_date(out, batch.dates.value(row));
        for cents in batch.amounts(row) {
            wire::put_amount(out, cents);
        }
        out.extend_from_slice(&self.ending.bytes);
        true
    }
}

#[cfg(test)]
mod tests;
