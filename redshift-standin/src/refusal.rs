//! Errors, as clients see them.

/// An error as it is sent to the client.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            detail: None,
        }
    }

    /// Returns what Redshift calls an internal error, as most failures of COPY are.
    pub(crate) fn internal(message: &str, detail: &str) -> Self {
        Self {
            detail: Some(detail.to_owned()).filter(|detail| !detail.is_empty()),
            ..Self::new("XX000", message)
        }
    }
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            return Self::internal(&format!("the backend database is gone: {error}"), "");
        };
        // CHECK constraints enforce lengths in bytes.
        if answer.code().code() == "23514" {
            return Self::new("22001", "Value too long for character type");
        }
        Self {
            detail: answer.detail().map(str::to_owned),
            ..Self::new(answer.code().code(), answer.message())
        }
    }
}
