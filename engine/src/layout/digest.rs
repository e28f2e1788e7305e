//! The digests that say which settings a file was converted with.
//!
//! A digest has two halves. The first one stands for what changes the meaning of sums: files are summed only if theirs
//! are what the settings say. The second one stands for how files are decoded: a file whose second half is not that of
//! its feed or profile is read again, and summed all the same meanwhile.

use std::collections::BTreeMap;

use super::{FeedSpec, Measure, MeasureSpec};
use crate::pattern::Captures;
use crate::records::{Empty, FinalNewline, LineEnds, RecordsSpec};
use crate::values::ValuesSpec;

/// Increment this when conversion would yield different rows for the same bytes: every file is then converted again.
const CONVERSION_FORM: u32 = 3;

/// Hexadecimal digits in each half of a digest.
pub(super) const HALF: usize = 16;

/// Returns a digest of every key that conversion depends on.
pub(super) fn digest(spec: &FeedSpec) -> String {
    let FeedSpec {
        name: _,
        files: _,
        format,
        columns,
        fields,
        measures,
        reference,
        delimiter,
        quote,
        escape,
        quoted_newlines,
        record_length,
        explode,
        sheet,
        header,
        header_line,
        header_names,
        records,
        values,
        encoding,
        id_chars,
        max_reject_percent,
        supersede: _,
        late: _,
        shrink_percent: _,
        same_day: _,
        check_store: _,
        profiles: _,
    } = spec;
    // The reading of the measures, not their names, is part of how a file is decoded, too.
    let decoding = format!(
        "{CONVERSION_FORM}|{format:?}|{columns:?}|{fields:?}|{measures:?}|{reference}|{delimiter:?}|{quote:?}|{escape:?}|\
         {quoted_newlines}|{record_length:?}|{explode:?}|{header:?}|{header_line:?}|{header_names:?}|{records:?}|{values:?}|\
         {encoding:?}|{id_chars}|{max_reject_percent}"
    );
    // Settings that are older than this key keep their digests.
    let sheet = sheet
        .as_ref()
        .map_or_else(String::new, |sheet| format!("|{sheet:?}"));
    format!("{}{}", meaning(spec), hashed(&format!("{decoding}{sheet}")))
}

/// Returns the first half of the digest.
fn meaning(spec: &FeedSpec) -> String {
    let FeedSpec {
        columns,
        measures,
        reference,
        values,
        ..
    } = spec;
    hashed(&match reference {
        true => format!("{columns:?}"),
        false => format!("{measures:?}|{:?}", values.ids.clone().unwrap_or_default()),
    })
}

/// Returns the digest of a file that takes values from its name.
pub(super) fn of_name(digest: &str, Captures { store, date }: &Captures) -> String {
    let (meaning, _) = digest.split_at(HALF);
    format!("{meaning}{}", hashed(&format!("{digest}|{store:?}|{date:?}")))
}

/// Returns the digest of a layout whose measures were put into this order. Partials know their columns by position, so
/// those of another order mean something else.
pub(super) fn with_order(digest: &str, measures: &[Measure]) -> String {
    let (meaning, decoding) = digest.split_at(HALF);
    let names: Vec<&str> = measures.iter().map(|measure| measure.name.as_str()).collect();
    format!("{}{decoding}", hashed(&format!("{meaning}|{names:?}")))
}

/// Returns the digests that the conversion forms before gave these settings. They had fewer keys: there are none if
/// others are set.
pub(super) fn digests_before(spec: &FeedSpec) -> Vec<String> {
    let usual = FeedSpec::default();
    let dates = spec.values.dates.as_deref();
    let RecordsSpec {
        ends,
        skip: _,
        final_newline,
        empty,
        kind,
        trailer,
    } = &spec.records;
    let only_dates = ValuesSpec {
        dates: spec.values.dates.clone(),
        ..ValuesSpec::default()
    };
    let is_old = spec.format == usual.format
        && spec.fields.is_empty()
        && spec.quote == usual.quote
        && spec.escape.is_none()
        && !spec.quoted_newlines
        && spec.record_length.is_none()
        && spec.explode.is_none()
        && spec.values == only_dates
        && dates.is_none_or(|dates| dates.len() == 1)
        && kind.is_none()
        && trailer.is_none();
    let codes = spec.measures.iter().map(|(name, measure)| match measure {
        MeasureSpec::Code(code) => Some((name, *code)),
        MeasureSpec::Field { .. } => None,
    });
    let Some(measures) = codes.collect::<Option<BTreeMap<_, _>>>().filter(|_| is_old) else {
        return Vec::new();
    };
    let date_format = dates.map_or("%Y-%m-%d", |dates| dates[0].as_str());
    let FeedSpec {
        columns,
        reference,
        delimiter,
        header,
        header_line,
        header_names,
        encoding,
        id_chars,
        max_reject_percent,
        records,
        ..
    } = spec;
    let first = format!(
        "{columns:?}|{measures:?}|{reference}|{delimiter:?}|{header:?}|{encoding:?}|{date_format:?}|{id_chars}|\
         {max_reject_percent}"
    );
    let (ends, final_newline, empty): (LineEnds, FinalNewline, Empty) = (
        ends.unwrap_or_default(),
        final_newline.unwrap_or_default(),
        empty.unwrap_or_default(),
    );
    let second = format!(
        "2|{first}|{header_line:?}|{header_names:?}|RecordsSpec {{ ends: {ends:?}, skip: {:?}, final_newline: \
         {final_newline:?}, empty: {empty:?} }}",
        records.skip()
    );
    let is_of_first_form = header_line.is_none()
        && *header_names == usual.header_names
        && records.over(&RecordsSpec::default()) == usual.records;
    let first = is_of_first_form.then(|| format!("1|{first}"));
    first
        .into_iter()
        .chain([second])
        .map(|text| hashed(&text))
        .collect()
}

fn hashed(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..HALF].to_owned()
}
