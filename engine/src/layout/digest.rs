//! The digests that say which settings a file was converted with.

use super::{FeedSpec, HeaderNames};
use crate::records::RecordsSpec;

/// Increment this when conversion would yield different rows for the same bytes: every file is then converted again.
/// If [`digest_before`] is to go on knowing what was read before, it must follow.
const CONVERSION_FORM: u32 = 2;

/// Returns a digest of every key that conversion depends on.
pub(super) fn digest(spec: &FeedSpec) -> String {
    let FeedSpec {
        name: _,
        files: _,
        columns,
        measures,
        reference,
        delimiter,
        header,
        header_line,
        header_names,
        records,
        encoding,
        date_format,
        id_chars,
        max_reject_percent,
        supersede: _,
        late: _,
        shrink_percent: _,
        same_day: _,
        check_store: _,
    } = spec;
    hashed(&format!(
        "{CONVERSION_FORM}|{columns:?}|{measures:?}|{reference}|{delimiter:?}|{header:?}|{encoding:?}|{date_format:?}|\
         {id_chars}|{max_reject_percent}|{header_line:?}|{header_names:?}|{records:?}"
    ))
}

/// Returns the digest that conversion form 1 gave these settings. It had no keys but these: `None` if others are set.
pub(super) fn digest_before(spec: &FeedSpec) -> Option<String> {
    let has_newer = spec.header_line.is_some()
        || spec.header_names != HeaderNames::default()
        || spec.records != RecordsSpec::default();
    let FeedSpec {
        columns,
        measures,
        reference,
        delimiter,
        header,
        encoding,
        date_format,
        id_chars,
        max_reject_percent,
        ..
    } = spec;
    let text = format!(
        "1|{columns:?}|{measures:?}|{reference}|{delimiter:?}|{header:?}|{encoding:?}|{date_format:?}|{id_chars}|\
         {max_reject_percent}"
    );
    (!has_newer).then(|| hashed(&text))
}

fn hashed(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
