//! The same guarantees where the state database is on a server of Postgres. What is about files of SQLite is left out.

#![allow(
    clippy::unwrap_used,
    reason = "clippy does not recognise the helpers of an integration test as test code"
)]

#[path = "../suite/alerts.rs"]
mod alerts;
#[path = "../suite/archives.rs"]
mod archives;
#[path = "../suite/criterion.rs"]
mod criterion;
#[path = "../suite/damage.rs"]
mod damage;
#[path = "../suite/edits.rs"]
mod edits;
#[path = "../suite/files.rs"]
mod files;
#[path = "../suite/guards.rs"]
mod guards;
#[path = "../suite/jobs.rs"]
mod jobs;
#[path = "../suite/lake.rs"]
mod lake;
#[path = "../suite/ledger.rs"]
mod ledger;
#[path = "../suite/measures.rs"]
mod measures;
#[path = "../suite/members.rs"]
mod members;
#[path = "../suite/order.rs"]
mod order;
#[path = "../suite/others.rs"]
mod others;
#[path = "../suite/pages.rs"]
mod pages;
mod place;
#[path = "../suite/query.rs"]
mod query;
#[path = "../suite/queue.rs"]
mod queue;
mod references;
mod role;
#[path = "../suite/runs.rs"]
mod runs;
mod server;
#[path = "../suite/sharing.rs"]
mod sharing;
#[path = "../suite/shell.rs"]
mod shell;
#[path = "../suite/stores.rs"]
mod stores;
#[path = "../suite/support.rs"]
mod support;
mod to_server;
#[path = "../suite/transfer.rs"]
mod transfer;
#[path = "../suite/triggers.rs"]
mod triggers;
#[path = "../suite/waiting.rs"]
mod waiting;
