//! Connects to a Postgres server: reads the URL, and opens the connection.
//!
//! The warehouse and the state database are reached by this one way.
//!
//! `sslmode` and the certificates are read here and not by `tokio_postgres`, which supports three of the five modes
//! and no files.

mod fault;
mod line;

use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::mpsc;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket};

use crate::Passwords;
use crate::tls::{self, Encryption, Identity};
use crate::url::{self, redacted};
pub use fault::PostgresFault;
pub use line::Line;

/// How long a server may take to answer a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged, or a call unanswered, before the server counts as gone, and a connection
/// idle before it is probed, unless the URL says otherwise. The system's defaults are hours.
const SILENCE: Duration = Duration::from_secs(60);

const FORM: &str = "write postgres://user:password@host:5432/database";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file that the URL names cannot be used. The text continues a sentence about the URL.
    #[error("{0}")]
    Url(String),
    /// The server or the network reported this.
    #[error(transparent)]
    Server(#[from] PostgresFault),
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
    config: Config,
    encryption: Encryption,
    identity: Option<Identity>,
    passwords: Passwords,
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
    /// Reads a URL, without contacting the server or reading a file. `passwords` supply what the URL lacks; the server's
    /// own lists of sessions show `name`, unless the URL gives another. Error texts continue a sentence about the URL.
    pub fn new(url: &str, passwords: &Passwords, name: &str) -> Result<Self, String> {
        url::check_password(url)?;
        let (rest, [mode, roots, certificate, key]) =
            url::take(url, ["sslmode", "sslrootcert", "sslcert", "sslkey"])?;
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(" ({cause})"))
                .unwrap_or_default();
            format!("it cannot be parsed{cause}; {FORM}")
        })?;
        if config.get_hosts().is_empty() {
            // TLS needs a server name.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if config.get_hosts().is_empty() {
            return Err(format!("it names no host; {FORM}"));
        }
        let mut encryption = tls::encryption(mode.as_deref(), roots)?;
        if config
            .get_hosts()
            .iter()
            .all(|host| matches!(host, Host::Unix(_)))
        {
            // Postgres has no TLS over a Unix socket, and libpq ignores `sslmode` there.
            encryption = Encryption::Off;
        }
        let identity = Identity::named(certificate, key)?;
        config.ssl_mode(match encryption {
            Encryption::Off => SslMode::Disable,
            Encryption::Preferred(_) => SslMode::Prefer,
            Encryption::Required(_) => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
            config.keepalives_idle(SILENCE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(SILENCE / 4);
        }
        if config.get_application_name().is_none() {
            config.application_name(name);
        }
        Ok(Self {
            config,
            encryption,
            identity,
            passwords: passwords.clone(),
            url: redacted(url),
        })
    }

    /// The URL without its password, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How long a session may be silent before the server is asked what it does.
    pub fn silence(&self) -> Duration {
        self.config.get_tcp_user_timeout().copied().unwrap_or(SILENCE)
    }

    /// Waits for a call that waits for nobody itself, as long as a session may be silent.
    pub async fn in_time<T, E: From<PostgresFault>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let limit = self.silence();
        let done = tokio::time::timeout(limit, call).await;
        done.unwrap_or_else(|_| Err(PostgresFault::silent(limit).into()))
    }

    /// Connects. The connection ends when the client is dropped; an open transaction is then rolled back by the server.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        self.connect_to_hear(None).await
    }

    /// Listens to a channel over a connection of its own, until that ends. `heard` is called once the server listens, and
    /// whenever the channel was notified since.
    pub async fn listen(&self, channel: &str, mut heard: impl FnMut()) -> Result<(), ConnectError> {
        let (notified, mut notifications) = mpsc::channel(1);
        let client = self.connect_to_hear(Some(notified)).await?;
        let listen = format!("LISTEN {channel}");
        let listening = async { client.batch_execute(&listen).await.map_err(PostgresFault::from) };
        self.in_time(listening).await?;
        heard();
        while notifications.recv().await.is_some() {
            heard();
        }
        Ok(())
    }

    /// Connects. What the server notifies the client of goes to `notified`, where one that waits stands for any number.
    async fn connect_to_hear(&self, notified: Option<mpsc::Sender<()>>) -> Result<Client, ConnectError> {
        let mut config = self.config.clone();
        if config.get_password().is_none()
            && let Some(password) = self.passwords.password_for(&config)
        {
            config.password(password);
        }
        let tls = match &self.encryption {
            Encryption::Off => None,
            Encryption::Preferred(check) | Encryption::Required(check) => {
                let connector = tls::connector(check, self.identity.as_ref());
                Some(connector.map_err(ConnectError::Url)?)
            }
        };
        let attempts = async {
            match tls {
                None => self.start(&config, NoTls, notified).await,
                Some(tls) => match self.start(&config, tls, notified.clone()).await {
                    Err(refused) if matches!(self.encryption, Encryption::Preferred(_)) => {
                        self.in_the_clear(config.clone(), refused, notified).await
                    }
                    done => done,
                },
            }
        };
        // tokio_postgres limits the time to reach each address, but not what follows.
        let time = self
            .config
            .get_connect_timeout()
            .copied()
            .unwrap_or(CONNECT_TIMEOUT);
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX);
        let limit = time.saturating_mul(hosts.saturating_add(1));
        let answer = tokio::time::timeout(limit, attempts).await;
        let answer = answer.unwrap_or_else(|_| Err(PostgresFault::silent(limit)));
        answer.map_err(ConnectError::Server)
    }

    /// The second try of `prefer`, as in libpq: the server may have rejected the first one because of the encryption.
    /// Returns the first try's error if the second one is rejected for lack of encryption.
    async fn in_the_clear(
        &self,
        mut config: Config,
        refused: PostgresFault,
        notified: Option<mpsc::Sender<()>>,
    ) -> Result<Client, PostgresFault> {
        if !refused.is_of_session() {
            return Err(refused);
        }
        config.ssl_mode(SslMode::Disable);
        self.start(&config, NoTls, notified)
            .await
            .map_err(|error| match error.is_of_entry() {
                true => refused,
                false => error,
            })
    }

    /// Connects, and runs the connection in its own task.
    async fn start<T>(
        &self,
        config: &Config,
        tls: T,
        notified: Option<mpsc::Sender<()>>,
    ) -> Result<Client, PostgresFault>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, mut connection) = config.connect(tls).await?;
        let server = self.url.clone();
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match (message, &notified) {
                    (Ok(AsyncMessage::Notification(_)), Some(notified)) => {
                        // If it is full, somebody is about to look.
                        let _ = notified.try_send(());
                    }
                    (Ok(_), _) => {}
                    (Err(error), _) => {
                        // The operation in progress fails too, and its caller reports that.
                        tracing::debug!(server, error = %PostgresFault::from(error), "a connection ended");
                        break;
                    }
                }
            }
        });
        Ok(client)
    }
}

#[cfg(test)]
mod tests;
