//! Errors of MySQL and MariaDB, and of the connection to them.
//!
//! The numbers are those of MySQL's and MariaDB's lists of error codes, which agree up to 1,999; above, each has its own.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use mysql_async::{DriverError, IoError, TlsError};

use crate::silence::Unheard;
use crate::tls;

/// An error of MySQL or MariaDB, or of the connection to it. It never contains a row's value or a secret.
pub struct MySqlFault(Kind);

enum Kind {
    Driver(mysql_async::Error),
    /// The server did not answer for this long.
    Silent(Duration),
    /// An unexpected result.
    Odd(&'static str),
}

/// What passes by itself: the server is going down, away or short of something, or another transaction was in the way.
const LATER: [u16; 39] = [
    1015, // the file cannot be locked
    1020, // the record has changed since it was read
    1021, // the disk is full
    1037, // out of memory
    1038, // out of memory for sorting
    1040, // too many connections
    1041, // out of resources
    1047, // not in the cluster yet (Galera)
    1053, // the server shuts down
    1062, // somebody else has inserted the same key meanwhile
    1077, // the server shuts down
    1079, // the server has shut down
    1080, // the server closes the connection
    1114, // the table, or the disk below it, is full
    1135, // no thread for the connection
    1152, // the connection was aborted
    1158, // the network, while reading
    1159, // the network: no answer in time
    1160, // the network, while writing
    1161, // the network: not sent in time
    1184, // the connection was aborted
    1203, // the user has too many connections
    1205, // waited too long for a lock
    1213, // deadlock
    1226, // the user has reached a limit
    1290, // the server runs with --read-only
    1317, // the statement was interrupted
    1412, // the table's definition has changed
    1461, // too many prepared statements
    1615, // the statement has to be prepared again
    1637, // too many transactions
    1792, // the transaction is read-only
    1836, // read-only mode
    1927, // the connection was killed (MariaDB)
    1969, // max_statement_time (MariaDB)
    3024, // max_execution_time (MySQL)
    3032, // the server is offline for users (MySQL)
    3101, // another server's transaction was in the way (group replication of MySQL)
    4031, // the client was idle for too long (MySQL)
];

/// Whose messages quote a value.
const QUOTES_VALUES: [u16; 11] = [1022, 1062, 1292, 1366, 1411, 1525, 1526, 1586, 1690, 1863, 3819];

/// What to do about a packet that is too large.
const TOO_LARGE: &str = "; raise max_allowed_packet on the server to 64M or more";

impl From<mysql_async::Error> for MySqlFault {
    fn from(error: mysql_async::Error) -> Self {
        Self(Kind::Driver(error))
    }
}

impl From<Unheard<mysql_async::Error>> for MySqlFault {
    fn from(unheard: Unheard<mysql_async::Error>) -> Self {
        match unheard {
            Unheard::Failed(error) => error.into(),
            Unheard::Silent(time) => Self::silent(time),
        }
    }
}

impl MySqlFault {
    /// The server accepted a connection and then did not answer.
    pub fn silent(time: Duration) -> Self {
        Self(Kind::Silent(time))
    }

    /// A result that should be impossible.
    pub fn odd(reason: &'static str) -> Self {
        Self(Kind::Odd(reason))
    }

    /// The server's number of the error, if it came from the server.
    pub fn code(&self) -> Option<u16> {
        match &self.0 {
            Kind::Driver(mysql_async::Error::Server(error)) => Some(error.code),
            _ => None,
        }
    }

    /// The server's message, if the error came from the server. It may quote values.
    pub fn message(&self) -> Option<&str> {
        match &self.0 {
            Kind::Driver(mysql_async::Error::Server(error)) => Some(&error.message),
            _ => None,
        }
    }

    /// Whether the server has answered, so that the connection can be used further.
    pub fn is_answer(&self) -> bool {
        matches!(&self.0, Kind::Driver(mysql_async::Error::Server(_)))
    }

    fn driver(&self) -> Option<&DriverError> {
        match &self.0 {
            Kind::Driver(mysql_async::Error::Driver(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the driver refused to send a packet that the server would not take. It says so in a text only.
    fn is_too_large(&self) -> bool {
        match &self.0 {
            Kind::Driver(mysql_async::Error::Driver(DriverError::PacketTooLarge)) => true,
            Kind::Driver(mysql_async::Error::Io(IoError::Io(error))) => {
                error.to_string().contains("max_allowed_packet")
            }
            _ => false,
        }
    }

    /// The TLS error, raised here or at the server.
    fn tls(&self) -> Option<&rustls::Error> {
        match &self.0 {
            Kind::Driver(mysql_async::Error::Io(IoError::Tls(TlsError::Tls(error)))) => Some(error),
            Kind::Driver(mysql_async::Error::Io(IoError::Io(error))) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// Whether it is the encryption that failed, or that the server does not offer.
    pub(super) fn is_of_encryption(&self) -> bool {
        self.tls().is_some() || matches!(self.driver(), Some(DriverError::NoClientSslFlagFromServer))
    }

    /// Whether the same call may succeed a little later without anyone fixing anything.
    pub fn is_transient(&self) -> bool {
        match &self.0 {
            Kind::Silent(_) => true,
            Kind::Odd(_) => false,
            Kind::Driver(mysql_async::Error::Server(error)) => {
                // Class 08 is "connection exception".
                LATER.contains(&error.code) || error.state.starts_with("08") && !is_of_size(error.code)
            }
            Kind::Driver(mysql_async::Error::Io(IoError::Io(_))) => {
                self.tls().is_none() && !self.is_too_large()
            }
            Kind::Driver(mysql_async::Error::Driver(DriverError::ConnectionClosed)) => true,
            Kind::Driver(_) => false,
        }
    }

    /// Whether a fault that may pass by itself may also come again for ever: a statement that was cancelled, or a key that
    /// is there already because the target has another unique key.
    pub fn may_recur(&self) -> bool {
        matches!(self.code(), Some(1062 | 1317 | 1969 | 3024))
    }

    /// Advice for the operator, as the end of a message.
    pub fn advice(&self) -> &'static str {
        match self.code() {
            None => self.advice_on_the_way(),
            Some(1021 | 1114) => "; the server's disk, or its tablespace, is full: make room",
            Some(1037 | 1038 | 1040 | 1041 | 1135 | 1203 | 1226 | 1461 | 1637) => {
                "; the server is short of memory or connections: it may pass by itself; otherwise give it more"
            }
            Some(1062) => {
                "; somebody else may have inserted the row meanwhile, then it passes by itself; otherwise the target has a \
                 unique key besides that of a summary: remove it"
            }
            Some(1290 | 1792 | 1836) => {
                "; the server takes no writes: after a failover it may pass by itself; otherwise put the primary server \
                 into the URL"
            }
            Some(1317 | 1969 | 3024) => {
                "; it may pass by itself; otherwise raise max_statement_time for the user (in MySQL: max_execution_time)"
            }
            _ if self.is_transient() => "; it may pass by itself; otherwise check whether the server is up",
            Some(1045 | 1698) => {
                "; put the right user and password into the URL; a user that must use TLS needs sslmode=require, and one \
                 that must show a certificate sslcert and sslkey"
            }
            Some(1048) => "; an amount may be NULL: ALTER TABLE … MODIFY COLUMN … decimal(18,2) NULL",
            Some(1526) => "; ALTER TABLE … ADD PARTITION for the dates of the summary",
            Some(1130) => "; CREATE USER for the host that gristmill runs on",
            Some(1129) => "; FLUSH HOSTS on the server, which had too many failed connections from this host",
            Some(1820 | 1862) => "; the password has expired: ALTER USER … IDENTIFIED BY …",
            Some(1049) => "; create the database with CREATE DATABASE",
            Some(1044 | 1142 | 1143 | 1227 | 1370) => {
                "; GRANT the user CREATE TEMPORARY TABLES on the database, SELECT, INSERT, UPDATE and DELETE on the target \
                 and on gristmill_ledger, gristmill_days, gristmill_standing and gristmill_locks next to it, and CREATE on \
                 the database if they do not exist yet"
            }
            Some(3159 | 4152) => "; the server wants encryption: write sslmode=require",
            Some(code) if is_of_size(code) => TOO_LARGE,
            // What it says of parameters that are sent in pieces.
            Some(1105)
                if self
                    .message()
                    .is_some_and(|said| said.contains("max_allowed_packet")) =>
            {
                TOO_LARGE
            }
            Some(1197) => "; raise max_binlog_cache_size on the server: a load is one transaction",
            Some(1206) => "; raise innodb_buffer_pool_size on the server: a load is one transaction",
            Some(1598 | 1662 | 1663 | 1664 | 1665 | 1666) => {
                "; set binlog_format=ROW (or MIXED) on the server: loads read what is committed, which \
                 binlog_format=STATEMENT cannot log"
            }
            Some(1273) => {
                "; the server is too old: gristmill needs MariaDB 10.2, or MySQL 8.0.17, or later, to tell keys apart by \
                 their bytes"
            }
            Some(1406) => {
                "; a store_id or item_id is longer than its column (ALTER TABLE … MODIFY COLUMN …), or it or the name of a \
                 job has more than 191 characters"
            }
            Some(1071 | 1118) => {
                "; the server's pages are too small for the table: innodb_page_size must be 8k or more"
            }
            Some(_) => "",
        }
    }

    /// Advice for the operator where the server gave no error.
    fn advice_on_the_way(&self) -> &'static str {
        if let Some(error) = self.tls() {
            return tls::advice(error);
        }
        match self.driver() {
            Some(DriverError::NoClientSslFlagFromServer) => {
                "; set up TLS on the server, or write sslmode=disable on a network that you trust"
            }
            Some(
                DriverError::UnknownAuthPlugin { .. }
                | DriverError::MysqlOldPasswordDisabled
                | DriverError::CleartextPluginDisabled,
            ) => "; give the user a password of the plugin caching_sha2_password or mysql_native_password",
            _ if self.is_too_large() => TOO_LARGE,
            _ if self.is_transient() => {
                "; it may pass by itself; otherwise check the host and port in the URL, and whether the server is up"
            }
            _ => "",
        }
    }
}

/// Whether the server says that a packet is too large.
fn is_of_size(code: u16) -> bool {
    matches!(code, 1153 | 1162 | 1301)
}

impl fmt::Display for MySqlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Silent(time) => write!(f, "no answer within {} s", time.as_secs()),
            Kind::Odd(reason) => f.write_str(reason),
            Kind::Driver(mysql_async::Error::Server(error)) => {
                let message = match error.code {
                    1022 | 1062 | 1586 => "a key is there already",
                    1526 | 1863 => "the target has no partition for a row",
                    code if QUOTES_VALUES.contains(&code) => "a value does not fit its column",
                    _ => error.message.as_str(),
                };
                write!(f, "{message} (error {}, SQLSTATE {})", error.code, error.state)
            }
            Kind::Driver(mysql_async::Error::Io(IoError::Io(error))) => error.fmt(f),
            Kind::Driver(mysql_async::Error::Io(IoError::Tls(error))) => error.fmt(f),
            Kind::Driver(mysql_async::Error::Driver(error)) => match error {
                // These hold what came.
                DriverError::FromValue { .. } | DriverError::FromRow { .. } => {
                    f.write_str("it returned a value of another type than expected")
                }
                DriverError::UnexpectedPacket { .. } => f.write_str("it sent a packet that was not expected"),
                error => error.fmt(f),
            },
            Kind::Driver(_) => f.write_str("the client failed"),
        }
    }
}

/// As [`Display`](fmt::Display): what the driver keeps may hold values.
impl fmt::Debug for MySqlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySqlFault({self})")
    }
}

impl Error for MySqlFault {}

#[cfg(test)]
mod tests {
    use std::io;

    use mysql_async::ServerError;

    use super::*;

    fn server(code: u16, state: &str) -> MySqlFault {
        let error = ServerError {
            code,
            message: "Duplicate entry 'secret-7' for key".into(),
            state: state.into(),
        };
        mysql_async::Error::from(error).into()
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_a_person_has_to_mend() {
        for (code, state, is_transient, advice) in [
            (1213, "40001", true, "may pass by itself"),
            (3101, "HY000", true, "may pass by itself"),
            (1048, "23000", false, "may be NULL"),
            (1526, "HY000", false, "ADD PARTITION"),
            (1205, "HY000", true, "may pass by itself"),
            (1020, "HY000", true, "may pass by itself"),
            (1040, "08004", true, "give it more"),
            (1047, "08S01", true, "may pass by itself"),
            (1290, "HY000", true, "primary server"),
            (1021, "HY000", true, "make room"),
            (1969, "70100", true, "max_statement_time"),
            (1045, "28000", false, "right user and password"),
            (1142, "42000", false, "GRANT"),
            (1049, "42000", false, "CREATE DATABASE"),
            (1153, "08S01", false, "max_allowed_packet"),
            (1665, "HY000", false, "binlog_format=ROW"),
            (1197, "HY000", false, "max_binlog_cache_size"),
            (1273, "HY000", false, "MariaDB 10.2"),
            (1406, "22001", false, "longer than its column"),
            (1064, "42000", false, ""),
        ] {
            let fault = server(code, state);
            assert_eq!(fault.is_transient(), is_transient, "{fault}");
            assert!(fault.advice().contains(advice), "{fault}");
        }
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let fault = |error: mysql_async::Error| MySqlFault::from(error);
        assert!(fault(refused.into()).is_transient());
        assert!(fault(DriverError::ConnectionClosed.into()).is_transient());
        assert!(!fault(DriverError::PacketTooLarge.into()).is_transient());
    }

    #[test]
    fn a_key_that_is_there_may_be_there_for_ever() {
        let fault = server(1062, "23000");
        assert!(fault.is_transient() && fault.may_recur());
        assert!(!server(1213, "40001").may_recur());
        assert!(server(1317, "70100").may_recur());
    }

    #[test]
    fn values_are_never_shown() {
        for code in QUOTES_VALUES {
            let fault = server(code, "23000");
            let shown = format!("{fault} {fault:?}");
            assert!(
                !shown.contains("secret") && shown.contains(&code.to_string()),
                "{shown}"
            );
        }
    }
}
