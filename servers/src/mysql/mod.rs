//! Connects to a MySQL or MariaDB server: reads the URL, and opens the connection.
//!
//! The parameters for TLS and for the patience with the server are those of Postgres, and mean the same.

use std::path::PathBuf;
use std::time::Duration;

use gristmill_servers::tls::{self, Check, Encryption, Identity};
use gristmill_servers::url::{self, redacted};
use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, SslOpts};

use super::{MySqlFault, sql};
use crate::LoadError;

/// How long a server may take to answer a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call may stay unanswered before the server is asked what it does, unless the URL says otherwise; and how
/// long a connection may be idle before it is probed.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) const FORM: &str = "write mysql://user:password@host:3306/database";

const PARAMETERS: [&str; 7] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "socket",
    "connect_timeout",
    "tcp_user_timeout",
];

/// What mysql_async looks for in the text of the error that a certificate is for another name. rustls no longer writes
/// it; but the error tells the name that was expected, and so the check is left out, as told, if that is this one.
const ANY_NAME: &str = "NotValidForName.invalid";

/// A server, and how to talk to it.
pub(super) struct Server {
    options: OptsBuilder,
    database: Option<String>,
    encryption: Encryption,
    identity: Option<Identity>,
    connect_timeout: Duration,
    silence: Duration,
    /// For messages; without the password.
    url: String,
}

impl Server {
    /// Reads a URL, without contacting the server or reading a file.
    pub fn new(url: &str) -> Result<Self, LoadError> {
        Self::read(url).map_err(|reason| LoadError::BadUrl {
            url: redacted(url),
            reason,
        })
    }

    fn read(url: &str) -> Result<Self, String> {
        url::check_password(url)?;
        let (rest, [mode, roots, certificate, key, socket, connect_timeout, silence]) =
            url::take(url, PARAMETERS)?;
        let after_password = rest.rsplit_once('@').map_or(rest.as_str(), |(_, rest)| rest);
        if let Some((_, others)) = after_password.split_once('?') {
            return Err(format!(
                "its parameters contain {others}, which is not known; there are {}",
                PARAMETERS.join(", ")
            ));
        }
        let read = Opts::from_url(&rest).map_err(|error| format!("it cannot be parsed ({error}); {FORM}"))?;
        let host = read.ip_or_hostname().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(format!("it names no host; {FORM}"));
        }
        if read.user().is_none() {
            return Err(format!("it names no user; {FORM}"));
        }
        let mut encryption = tls::encryption(mode.as_deref(), roots)?;
        if socket.is_some() {
            // As with Postgres: what goes over a socket stays on this host.
            encryption = Encryption::Off;
        }
        let options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(read.tcp_port())
            .user(read.user())
            .pass(read.pass())
            .db_name(read.db_name())
            // It would go around proxies and tunnels.
            .prefer_socket(false)
            .socket(socket)
            .tcp_keepalive(Some(SILENCE));
        Ok(Self {
            options,
            database: read.db_name().map(String::from),
            encryption,
            identity: Identity::named(certificate, key)?,
            connect_timeout: seconds("connect_timeout", connect_timeout, CONNECT_TIMEOUT)?,
            silence: seconds("tcp_user_timeout", silence, SILENCE)?,
            url: redacted(url),
        })
    }

    /// The database that the URL names.
    pub fn database(&self) -> Option<String> {
        self.database.clone()
    }

    /// How long a session may be silent before the server is asked what it does.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Connects; returns the connection and which server it leads to. The connection ends when it is dropped; an open
    /// transaction is then rolled back by the server.
    pub async fn connect(&self) -> Result<(Conn, String), LoadError> {
        let tls = match &self.encryption {
            Encryption::Off => None,
            Encryption::Preferred(check) | Encryption::Required(check) => {
                let options = options(check, self.identity.as_ref());
                Some(options.map_err(|reason| LoadError::BadUrl {
                    url: self.url.clone(),
                    reason,
                })?)
            }
        };
        let attempts = async {
            match self.start(tls).await {
                // The second try of `prefer`, as in libpq: it is the encryption that failed.
                Err(refused)
                    if matches!(self.encryption, Encryption::Preferred(_)) && refused.is_of_encryption() =>
                {
                    self.start(None).await
                }
                done => done,
            }
        };
        let answer = tokio::time::timeout(self.connect_timeout, attempts).await;
        let answer = answer.unwrap_or_else(|_| Err(MySqlFault::silent(self.connect_timeout)));
        answer.map_err(|source| LoadError::MySql {
            action: "connect to",
            warehouse: self.url.clone(),
            source,
        })
    }

    async fn start(&self, tls: Option<SslOpts>) -> Result<(Conn, String), MySqlFault> {
        let mut conn = Conn::new(self.options.clone().ssl_opts(tls)).await?;
        let name: Option<String> = conn.query_first(sql::IDENTITY).await?;
        let name = name.ok_or(MySqlFault::odd("the server does not say its name"))?;
        Ok((conn, name))
    }
}

fn seconds(name: &str, written: Option<String>, default: Duration) -> Result<Duration, String> {
    match written.as_deref().map(str::parse) {
        None => Ok(default),
        Some(Ok(seconds)) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(format!("{name} must be a number of seconds, such as 60")),
    }
}

/// Reads the files, and returns what mysql_async makes its TLS of. Error texts continue a sentence about the URL.
fn options(check: &Check, identity: Option<&Identity>) -> Result<SslOpts, String> {
    let trusting = |roots: &tls::Roots| {
        let certificates = roots.certificates()?.into_iter();
        let certificates = certificates.map(|certificate| certificate.to_vec().into());
        Ok::<_, String>(
            SslOpts::default()
                .with_root_certs(certificates.collect())
                .with_disable_built_in_roots(true),
        )
    };
    let options = match check {
        Check::Nothing => SslOpts::default().with_danger_accept_invalid_certs(true),
        Check::Chain(roots) => trusting(roots)?
            .with_danger_skip_domain_validation(true)
            .with_danger_tls_hostname_override(Some(ANY_NAME)),
        Check::ChainAndName(roots) => trusting(roots)?,
    };
    let Some(identity) = identity else {
        return Ok(options);
    };
    // mysql_async reads them again, but not whether others may read the key.
    identity.load()?;
    let file = |path: &PathBuf| path.clone().into();
    let identity = ClientIdentity::new(file(&identity.certificate), file(&identity.key));
    Ok(options.with_client_identity(Some(identity)))
}

#[cfg(test)]
mod tests;
