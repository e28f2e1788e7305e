//! Reads units of lines that are objects of JSON, on one thread or several.

use super::lines::Lines;
use crate::feed_lines::FeedLines;
use crate::formats::{Objects, Record};
use crate::rejects::Reason;
use crate::text::Unit;

/// Reads the objects of a unit, of which each stands in a line.
pub(super) fn read_objects<L: FeedLines>(
    unit: &mut Unit,
    objects: &mut Objects<'_>,
    read: &mut Lines<'_, L>,
) {
    let (text, mut rest) = (unit.text.as_slice(), unit.lines.clone());
    let mut record = Record::default();
    read.number = 0;
    if unit.long_line.take().is_some() {
        record.fault = Some(Reason::LongObject);
        record.text.extend_from_slice(&text[rest.clone()]);
        read.record(&mut record, rest.clone());
        rest.start = rest.end;
    }
    let is_utf8 = std::str::from_utf8(&text[rest.clone()]).is_ok();
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', &text[rest.clone()]).map_or(rest.end, |at| rest.start + at);
        let object = rest.start..end;
        rest.start = rest.end.min(end + 1);
        if is_utf8 && let Some(cells) = objects.cells(text, &object) {
            if !read.cells(text, &object, cells) {
                objects.record(text, &object, &mut record);
                let kept = object.start..object.start + record.text.len();
                read.record(&mut record, kept);
            }
            continue;
        }
        let whole = &text[object.clone()];
        let mut kept = objects.first(whole, &mut record);
        loop {
            read.record(&mut record, object.start + kept.start..object.start + kept.end);
            match objects.give(whole, &mut record) {
                Some(next) => kept = next,
                None => break,
            }
        }
    }
    read.report.lines += u64::from(read.number);
}
