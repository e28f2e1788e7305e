//! The way to a Postgres server.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use crate::{LoadError, redacted};

/// How long a server may take to answer a connection, if the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged, and an idle connection unproven, before the server counts as gone.
/// The system's defaults are hours.
const SILENCE: Duration = Duration::from_secs(60);

/// Reads a URL.
pub(crate) fn config(url: &str) -> Result<Config, LoadError> {
    let bad = |reason: String| LoadError::BadUrl {
        url: redacted(url),
        reason,
    };
    let no_tls = || {
        bad("it asks for TLS, which gristmill does not speak to Postgres yet; on a network that you trust, write \
             sslmode=disable"
            .into())
    };
    if url.contains("sslmode=verify-") {
        return Err(no_tls());
    }
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error)
            .map(|cause| format!(" ({cause})"))
            .unwrap_or_default();
        bad(format!(
            "it cannot be read{cause}; write postgres://user:password@host:5432/database"
        ))
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(no_tls());
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(bad(
            "it names no host; write postgres://user:password@host:5432/database".into(),
        ));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("gristmill");
    }
    config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 4);
    Ok(config)
}

/// Connects. The connection ends when the client is dropped; an open transaction is then rolled back by the server.
pub(crate) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // The operation that was under way fails too, and its caller reports that.
            tracing::debug!(error = %crate::PostgresFault::from(error), "a connection to the warehouse ended");
        }
    });
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::config;

    #[test]
    fn tls_that_cannot_be_had_is_refused() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let error = config(&format!("postgres://u:hunter2@db/mart?sslmode={mode}"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("sslmode=disable") && !error.contains("hunter2"),
                "{error}"
            );
        }
        assert!(config("postgres://u:hunter2@db/mart?sslmode=disable").is_ok());
    }

    #[test]
    fn a_url_that_cannot_be_read_is_told_without_its_password() {
        for url in [
            "postgres://u:hunter2@db:notaport/mart",
            "postgres://u:hunter2@db/mart?colour=red",
            "postgres:///mart",
        ] {
            let error = config(url).unwrap_err().to_string();
            assert!(
                error.contains("write postgres://") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
