//! The warehouse against real databases. Postgres is a private server that the testkit starts.

mod conformance;
mod postgres;
mod random;
mod sqlite;
mod support;
