//! How database servers are reached: URLs, TLS, passwords, and connections that fall silent.
//!
//! The warehouse and the state database may both be on a server of Postgres, and operators expect the same of both: the
//! same URLs, the same places for a password, the same rules for certificates. So both are reached by this code. What it
//! has for MySQL and Redshift is what they share with Postgres.

mod passwords;
pub mod postgres;
pub mod silence;
pub mod tls;
pub mod url;

pub use passwords::Passwords;
