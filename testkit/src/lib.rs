//! What the tests of several crates share: the oracle, the real servers, and a place to run the binary in.
//!
//! Nothing here returns errors: a test whose help is missing cannot go on, so each function panics with what is wrong
//! and what to do about it. Nothing here skips, either.

pub mod azurite;
pub mod duckdb;
pub mod google;
pub mod gristmill;
mod http_head;
mod keeper;
pub mod moto;
pub mod oracle;
pub mod postgres;
pub mod proxy;
pub mod s3_faults;
pub mod seaweedfs;
pub mod venv;
