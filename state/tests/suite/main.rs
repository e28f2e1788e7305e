//! What the state database guarantees, one module for each subject. Every test has its own database file.

#![allow(
    clippy::unwrap_used,
    reason = "clippy does not recognise the helpers of an integration test as test code"
)]

mod alerts;
mod archives;
mod criterion;
mod criterion_of_file;
mod damage;
mod database;
mod edits;
mod files;
mod guards;
mod jobs;
mod lake;
mod ledger;
mod measures;
mod members;
mod order;
mod others;
mod pages;
mod place;
mod query;
mod query_of_file;
mod queue;
mod reading;
mod runs;
mod sharing;
mod shell;
mod stores;
mod support;
mod transfer;
mod upgrade;
mod upgrade_order;
mod waiting;
