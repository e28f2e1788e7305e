//! What opens a warehouse and does not stand in its URL.

use aws_config::SdkConfig;
use gristmill_servers::Passwords;

/// What clients of Postgres and of AWS take from their surroundings, for a URL that has none. This crate reads no
/// environment: whoever opens the warehouse does.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The passwords for servers of Postgres.
    pub passwords: Passwords,
    /// AWS's region and credentials, for Redshift's bucket and its temporary users.
    pub aws: Option<SdkConfig>,
}
