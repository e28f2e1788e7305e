//! What the tests of several crates share: the oracle, the real servers, and a folder to run the binary in.
//!
//! Nothing here returns errors: a test that lacks a server or a tool cannot go on, so each function panics and says
//! what is wrong and what to do about it. No function skips a test, either.

pub mod azurite;
pub mod google;
pub mod gristmill;
mod http_head;
pub mod http_receiver;
mod keeper;
pub mod mariadb;
pub mod moto;
pub mod mutations;
pub mod oracle;
pub mod pgbouncer;
pub mod postgres;
pub mod promtool;
pub mod proxy;
pub mod readers;
pub mod s3_faults;
pub mod seaweedfs;
mod server_user;
pub mod smtp_server;
pub mod spark_connect;
pub mod tls;
pub mod venv;
