//! Addresses of pages, and how they are made.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a part of an address.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns an address with a query. What is empty is left out.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let pairs = query.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<_> = pairs
        .map(|(key, value)| format!("{key}={}", part(value)))
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

/// Returns a text as it may stand in one segment of a path, or as a value of a query.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// Returns the address of a file's page.
pub(super) fn of_file(path: &str) -> String {
    address("/file", &[("path", path)])
}

/// Returns the address of a store's page.
pub(super) fn of_store(store: &str) -> String {
    address("/store", &[("store", store)])
}

/// Returns the address of a job's page.
pub(super) fn of_job(job: &str) -> String {
    format!("/jobs/{}", part(job))
}

/// Returns the address of a run's page.
pub(super) fn of_run(run: &str) -> String {
    format!("/runs/{}", part(run))
}
