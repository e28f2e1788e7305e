//! The warehouse against real databases. Postgres is a private server that the testkit starts; Redshift is a stand-in,
//! in front of a Postgres and an S3 server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod audit;
mod bases;
mod conformance;
mod connections;
mod cuts;
mod faults;
mod first;
mod ledger;
mod postgres;
mod random;
mod redshift;
mod sqlite;
mod support;
