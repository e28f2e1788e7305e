//! What the state database promises, one module a subject. Every test works on a database file of its own.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code that is no test"
)]

mod criterion;
mod database;
mod files;
mod jobs;
mod lake;
mod queue;
mod runs;
mod support;
