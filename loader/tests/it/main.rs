//! The warehouse against real databases. Postgres and MariaDB are private servers that the testkit starts; Redshift is a
//! stand-in, in front of a Postgres and an S3 server. MySQL itself is not among them: MariaDB stands for it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod audit;
mod bases;
mod conformance;
mod connections;
mod cuts;
mod faults;
mod first;
mod ledger;
mod mysql;
mod mysql_cuts;
mod postgres;
mod random;
mod redshift;
mod sqlite;
mod support;
