//! Connects to a MySQL or MariaDB server: reads the URL, and opens the connection.
//!
//! The warehouse and the state database are reached by this one way. The parameters for TLS and for the patience with the
//! server are those of Postgres, and mean the same.

mod fault;
mod line;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, SslOpts};

use crate::tls::{self, Check, Encryption, Identity};
use crate::url::{self, redacted};
pub use fault::MySqlFault;
pub use line::{Line, close};

/// How long a server may take to answer a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call may stay unanswered before the server is asked what it does, unless the URL says otherwise; and how
/// long a connection may be idle before it is probed.
const SILENCE: Duration = Duration::from_secs(60);

/// What a URL looks like.
pub const FORM: &str = "write mysql://user:password@host:3306/database";

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

/// Which of several servers behind one address it is.
const IDENTITY: &str = "SELECT CONCAT(@@hostname, ':', @@port, ':', @@server_id)";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file that the URL names cannot be used. The text continues a sentence about the URL.
    #[error("{0}")]
    Url(String),
    /// The server or the network reported this.
    #[error(transparent)]
    Server(#[from] MySqlFault),
}

impl ConnectError {
    /// Whether the same call may succeed a little later without anyone fixing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Url(_) => false,
            Self::Server(fault) => fault.is_transient(),
        }
    }

    /// Advice for the operator, as the end of a message.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Url(_) => "",
            Self::Server(fault) => fault.advice(),
        }
    }
}

/// A server, and how to talk to it.
pub struct Server {
    options: OptsBuilder,
    database: Option<String>,
    encryption: Encryption,
    identity: Option<Identity>,
    connect_timeout: Duration,
    silence: Duration,
    /// For messages; without the password.
    url: String,
}

// Its fields hold passwords.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.url).finish()
    }
}

impl Server {
    /// Reads a URL, without contacting the server or reading a file. Error texts continue a sentence about the URL.
    pub fn new(url: &str) -> Result<Self, String> {
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

    /// Has an UPDATE count the rows that it finds, also those that it leaves as they were; and has the driver forget no
    /// statement that was prepared.
    pub fn for_state(self) -> Self {
        Self {
            options: self.options.client_found_rows(true).stmt_cache_size(0),
            ..self
        }
    }

    /// The URL without its password, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database that the URL names.
    pub fn database(&self) -> Option<String> {
        self.database.clone()
    }

    /// How long a session may be silent before the server is asked what it does.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Waits for a call that waits for nobody itself, as long as a session may be silent.
    pub async fn in_time<T, E: From<MySqlFault>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let done = tokio::time::timeout(self.silence, call).await;
        done.unwrap_or_else(|_| Err(MySqlFault::silent(self.silence).into()))
    }

    /// Connects; returns the connection and which server it leads to. The connection ends when it is dropped; an open
    /// transaction is then rolled back by the server.
    pub async fn connect(&self) -> Result<(Conn, String), ConnectError> {
        let tls = match &self.encryption {
            Encryption::Off => None,
            Encryption::Preferred(check) | Encryption::Required(check) => {
                let options = options(check, self.identity.as_ref());
                Some(options.map_err(ConnectError::Url)?)
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
        answer.map_err(ConnectError::Server)
    }

    async fn start(&self, tls: Option<SslOpts>) -> Result<(Conn, String), MySqlFault> {
        let mut conn = Conn::new(self.options.clone().ssl_opts(tls)).await?;
        let name: Option<String> = conn.query_first(IDENTITY).await?;
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
