//! How database servers are reached: URLs, TLS, passwords, and connections that fall silent.
//!
//! The warehouse and the state database may both be on a server of Postgres, MySQL or MariaDB, and operators expect the same
//! of both: the same URLs, the same places for a password, the same rules for certificates. So both are reached by this
//! code. What it has for Redshift is what that shares with Postgres.

pub mod mysql;
mod passwords;
pub mod postgres;
pub mod silence;
pub mod tls;
pub mod url;

pub use passwords::Passwords;
