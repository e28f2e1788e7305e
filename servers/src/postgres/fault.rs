//! Errors of Postgres, and of the connection to it.
//!
//! Messages never contain a password or a row's values; for that reason they leave out the server's DETAIL line.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use tokio_postgres::error::SqlState;

use crate::silence::Unheard;
use crate::tls;

/// An error of Postgres, or of the connection to it, without the server's DETAIL line.
#[derive(Debug)]
pub struct PostgresFault(Fault);

#[derive(Debug)]
enum Fault {
    Driver(tokio_postgres::Error),
    /// The server did not answer for this long.
    Silent(Duration),
}

impl From<tokio_postgres::Error> for PostgresFault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(Fault::Driver(error))
    }
}

impl From<Unheard<tokio_postgres::Error>> for PostgresFault {
    fn from(unheard: Unheard<tokio_postgres::Error>) -> Self {
        match unheard {
            Unheard::Failed(error) => error.into(),
            Unheard::Silent(time) => Self::silent(time),
        }
    }
}

impl PostgresFault {
    /// The server accepted a connection and then did not answer.
    pub fn silent(time: Duration) -> Self {
        Self(Fault::Silent(time))
    }

    /// The server's SQLSTATE, if the error came from the server.
    pub fn code(&self) -> Option<&SqlState> {
        match &self.0 {
            Fault::Driver(error) => error.code(),
            Fault::Silent(_) => None,
        }
    }

    /// The server's message, if the error came from the server.
    pub fn message(&self) -> Option<&str> {
        match &self.0 {
            Fault::Driver(error) => Some(error.as_db_error()?.message()),
            Fault::Silent(_) => None,
        }
    }

    /// The server's DETAIL line, which may hold values: never to be shown as it is.
    pub fn detail(&self) -> Option<&str> {
        match &self.0 {
            Fault::Driver(error) => error.as_db_error()?.detail(),
            Fault::Silent(_) => None,
        }
    }

    /// The error's cause, if the driver gives one.
    fn cause(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Fault::Driver(error) => error.source(),
            Fault::Silent(_) => None,
        }
    }

    /// The TLS error, raised here or at the server.
    fn tls(&self) -> Option<&rustls::Error> {
        let io: &io::Error = self.cause()?.downcast_ref()?;
        io.get_ref()?.downcast_ref()
    }

    /// Whether a server was reached, but it or TLS rejected the session.
    pub fn is_of_session(&self) -> bool {
        let Fault::Driver(error) = &self.0 else {
            return false;
        };
        error.code().is_some() || self.tls().is_some() || error.to_string().contains("TLS handshake")
    }

    /// Whether the server rejects such sessions: pg_hba.conf has no line for them, or a certificate is missing.
    pub fn is_of_entry(&self) -> bool {
        self.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    }

    /// Whether the same call may succeed a little later without anyone fixing anything.
    pub fn is_transient(&self) -> bool {
        let error = match &self.0 {
            Fault::Driver(error) => error,
            Fault::Silent(_) => return true,
        };
        let Some(code) = error.code() else {
            // Without a SQLSTATE, it is the connection (I/O or closed), or a mistake in the request.
            let is_io = self.cause().is_some_and(|cause| cause.is::<io::Error>());
            return error.is_closed() || is_io && self.tls().is_none();
        };
        const LATER: [SqlState; 14] = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_SESSION_TIMEOUT,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::INSUFFICIENT_RESOURCES,
            SqlState::DISK_FULL,
            SqlState::OUT_OF_MEMORY,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IO_ERROR,
            // After a failover, a server may accept connections but no writes.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ];
        // Class 08 is "connection exception".
        LATER.contains(code) || code.code().starts_with("08")
    }

    /// Advice for the operator where there is no SQLSTATE.
    fn advice_on_the_way(&self) -> &'static str {
        match self.tls() {
            Some(error) => tls::advice(error),
            None if self.is_transient() => {
                "; it may pass by itself; otherwise check the host and port in the URL, and whether the server is up"
            }
            None => match self.cause().map(ToString::to_string).as_deref() {
                // These two texts are tokio_postgres's.
                Some("server does not support TLS") => {
                    "; set up TLS on the server, or write sslmode=disable on a network that you trust"
                }
                Some("password missing") => "; put the password into the URL, PGPASSWORD or ~/.pgpass",
                _ => "",
            },
        }
    }

    /// Advice for the operator, as the end of a message.
    pub fn advice(&self) -> &'static str {
        match self.code() {
            None => self.advice_on_the_way(),
            Some(code) if *code == SqlState::DISK_FULL => "; the server's disk is full: make room",
            Some(code)
                if [
                    SqlState::INSUFFICIENT_RESOURCES,
                    SqlState::OUT_OF_MEMORY,
                    SqlState::TOO_MANY_CONNECTIONS,
                ]
                .contains(code) =>
            {
                "; the server is short of memory or connections: it may pass by itself; otherwise give it more"
            }
            Some(code) if *code == SqlState::IO_ERROR => {
                "; it may pass by itself; otherwise check the server's log and its disks"
            }
            Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
                "; the database takes no writes: after a failover it may pass by itself; otherwise put the primary \
                 server into the URL"
            }
            Some(code) if *code == SqlState::QUERY_CANCELED => {
                "; it may pass by itself; otherwise raise statement_timeout for the user or in the URL's options"
            }
            _ if self.is_transient() => "; it may pass by itself; otherwise check whether the server is up",
            Some(code) if *code == SqlState::INVALID_PASSWORD => {
                "; put the right password into the URL, PGPASSWORD or ~/.pgpass"
            }
            Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "; check the user in the URL and the server's pg_hba.conf"
            }
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                "; create the database with CREATE DATABASE"
            }
            Some(code)
                if [
                    SqlState::DUPLICATE_PSTATEMENT,
                    SqlState::INVALID_SQL_STATEMENT_NAME,
                ]
                .contains(code) =>
            {
                "; a pooler gives each transaction another session: have it lend out whole sessions (in PgBouncer: \
                 pool_mode = session), or put the server itself into the URL"
            }
            Some(code) if *code == SqlState::CONFIGURATION_LIMIT_EXCEEDED => {
                "; raise that limit on the server, such as temp_file_limit"
            }
            _ => "",
        }
    }
}

impl fmt::Display for PostgresFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match &self.0 {
            Fault::Driver(error) => error,
            Fault::Silent(time) => return write!(f, "no answer within {} s", time.as_secs()),
        };
        match (error.as_db_error(), error.source()) {
            (Some(answer), _) => write!(f, "{} (SQLSTATE {})", answer.message(), answer.code().code()),
            (None, Some(cause)) => write!(f, "{error}: {cause}"),
            (None, None) => error.fmt(f),
        }
    }
}

impl Error for PostgresFault {}
