//! Errors of Redshift, and of the connection to it.

use std::fmt;

use gristmill_servers::postgres::PostgresFault;
use tokio_postgres::error::SqlState;

/// An error of Redshift or of the connection to it. It never contains a row's value or a secret.
#[derive(Debug)]
pub struct RedshiftFault(Kind);

#[derive(Debug)]
enum Kind {
    /// The server's error, or a broken connection.
    Answer(PostgresFault),
    /// The same for a COPY, with the details that the server recorded.
    Copy(PostgresFault, Option<String>),
    /// AWS gave no credentials.
    Credentials { reason: String, is_transient: bool },
    /// An unexpected result.
    Odd(String),
}

impl From<tokio_postgres::Error> for RedshiftFault {
    fn from(error: tokio_postgres::Error) -> Self {
        PostgresFault::from(error).into()
    }
}

impl From<PostgresFault> for RedshiftFault {
    fn from(fault: PostgresFault) -> Self {
        Self(Kind::Answer(fault))
    }
}

impl RedshiftFault {
    /// A COPY that failed. `noted` is its record in SYS_LOAD_ERROR_DETAIL.
    pub(super) fn copy(error: PostgresFault, noted: Option<String>) -> Self {
        // Errors while scanning files are described in the DETAIL line: the table, the column, the file, and no value.
        let noted = noted.or_else(|| error.detail().and_then(context));
        Self(Kind::Copy(error, noted))
    }

    /// AWS gave no temporary credentials.
    pub(super) fn credentials(reason: String, is_transient: bool) -> Self {
        Self(Kind::Credentials { reason, is_transient })
    }

    /// A result that should be impossible.
    pub(super) fn odd(reason: impl Into<String>) -> Self {
        Self(Kind::Odd(reason.into()))
    }

    pub(crate) fn is_transient(&self) -> bool {
        match &self.0 {
            Kind::Answer(fault) | Kind::Copy(fault, _) => fault.is_transient() || conflict(fault).is_some(),
            Kind::Credentials { is_transient, .. } => *is_transient,
            Kind::Odd(_) => false,
        }
    }

    /// Whether a statement took too long, or somebody cancelled it.
    pub(crate) fn is_cancelled(&self) -> bool {
        match &self.0 {
            Kind::Answer(fault) | Kind::Copy(fault, _) => fault.code() == Some(&SqlState::QUERY_CANCELED),
            Kind::Credentials { .. } | Kind::Odd(_) => false,
        }
    }

    /// Advice for the operator, as the end of a message.
    pub(crate) fn advice(&self) -> &'static str {
        match (&self.0, self.is_transient()) {
            (Kind::Answer(_), true) => "; it may pass by itself; otherwise check whether the warehouse is up",
            (Kind::Answer(fault), false) => match fault.code().map(SqlState::code) {
                Some("28000" | "28P01") => "; put the right user and password into the URL",
                Some("3D000") => "; check the database's name in the URL",
                Some("42501") => {
                    "; GRANT the user SELECT, INSERT, UPDATE and DELETE on the target and on the tables gristmill_… \
                     next to it, TEMPORARY on the database, and CREATE on the schema if they do not exist yet"
                }
                Some("22001") => {
                    "; a store_id or item_id has more bytes than its column: ALTER TABLE … ALTER COLUMN … TYPE VARCHAR(…)"
                }
                _ => "",
            },
            (Kind::Copy(..), false) => {
                "; check whether the role in iam_role may read the bucket, whether the bucket is in the warehouse's region, \
                 and whether keys have more bytes than their columns"
            }
            _ => "",
        }
    }
}

impl fmt::Display for RedshiftFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Answer(fault) | Kind::Copy(fault, None) => match conflict(fault) {
                Some(meaning) => write!(f, "{meaning}"),
                None => fault.fmt(f),
            },
            Kind::Copy(fault, Some(noted)) => match fault.message() {
                Some(message) if noted.contains(message) => f.write_str(noted),
                _ => write!(f, "{fault}: {noted}"),
            },
            Kind::Credentials { reason, .. } | Kind::Odd(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for RedshiftFault {}

/// The meaning of two of Redshift's own error numbers, which start the message: a conflict with another transaction,
/// which has ended by the time the load is retried. Source: page "Troubleshooting serializable isolation errors".
fn conflict(fault: &PostgresFault) -> Option<&'static str> {
    match fault.message()?.get(..4)? {
        "1023" => Some("another transaction changed the same tables (error 1023)"),
        "1018" => Some("another transaction replaced a table (error 1018)"),
        _ => None,
    }
}

/// The line of a DETAIL that says what was wrong.
fn context(detail: &str) -> Option<String> {
    let (_, context) = detail.split_once("context:")?;
    let end = context.find("\n").unwrap_or(context.len());
    Some(context[..end].trim().into())
}

#[cfg(test)]
mod tests {
    use super::context;

    #[test]
    fn only_the_context_of_a_detail_is_shown() {
        let detail = "\n  -----\n  error:  Spectrum Scan Error\n  code:      15007\n  context:   Unmatched number of \
                      columns\n  query:     7\n";
        assert_eq!(context(detail).as_deref(), Some("Unmatched number of columns"));
        assert_eq!(context("else"), None);
    }
}
