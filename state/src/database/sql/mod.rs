//! The SQL, kept apart from the code that runs it.
//!
//! All databases read the same statements, in a notation for where they differ ([`crate::dialect::notation`]).
//!
//! Rows are read by column name. Where a statement selects all columns of two tables, the columns of the table named
//! last win.

pub(super) mod alerts;
pub(super) mod days;
pub(super) mod edits;
pub(super) mod facts;
pub(super) mod files;
pub(super) mod interventions;
pub(super) mod jobs;
pub(super) mod lake;
pub(super) mod ledger;
pub(super) mod lineage;
pub(super) mod matching;
pub(super) mod measures;
pub(super) mod others;
pub(super) mod overview;
pub(super) mod pages;
pub(super) mod runs;
pub(super) mod stores;
pub(super) mod unmatched;
pub(super) mod waiting;
pub(super) mod waves;

#[cfg(test)]
pub(in crate::database) mod listed;
#[cfg(test)]
mod tests;
