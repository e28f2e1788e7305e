//! A value as a database holds it, and the types of Rust that it is read as.

use std::error::Error;

/// A value of a row. Truth is an integer: 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Datum<'r> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'r str),
    /// Bytes that are no text; nothing is stored as such.
    Bytes,
}

impl Datum<'_> {
    /// Returns the value as a person would write it; `None` for NULL.
    pub(crate) fn shown(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Integer(value) => Some(value.to_string()),
            Self::Real(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.to_owned()),
            Self::Bytes => Some("(bytes)".to_owned()),
        }
    }

    /// Returns what this is instead of what was expected.
    fn instead_of(self, expected: &str) -> Unexpected {
        let found = match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a fraction",
            Self::Text(_) => "text",
            Self::Bytes => "bytes",
        };
        format!("it is {found} instead of {expected}").into()
    }
}

type Unexpected = Box<dyn Error + Send + Sync>;

/// A type of Rust that a value of a row is read as.
pub(crate) trait FromDatum<'r>: Sized {
    /// Returns the value, or what is wrong with it.
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected>;
}

impl<'r> FromDatum<'r> for i64 {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
        match datum {
            Datum::Integer(value) => Ok(value),
            other => Err(other.instead_of("an integer")),
        }
    }
}

/// Integers of other widths: what does not fit is an error.
macro_rules! narrower {
    ($($integer:ty)+) => {$(
        impl<'r> FromDatum<'r> for $integer {
            fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
                Ok(i64::from_datum(datum)?.try_into()?)
            }
        }
    )+};
}

narrower!(u64 u32);

impl<'r> FromDatum<'r> for bool {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
        match datum {
            Datum::Integer(value) => Ok(value != 0),
            other => Err(other.instead_of("0 or 1")),
        }
    }
}

impl<'r> FromDatum<'r> for f64 {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
        match datum {
            Datum::Real(value) => Ok(value),
            // A fraction without a rest may be held, or calculated, as an integer.
            Datum::Integer(value) => Ok(value as f64),
            other => Err(other.instead_of("a number")),
        }
    }
}

impl<'r> FromDatum<'r> for &'r str {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
        match datum {
            Datum::Text(value) => Ok(value),
            other => Err(other.instead_of("text")),
        }
    }
}

impl<'r> FromDatum<'r> for String {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
        <&str>::from_datum(datum).map(str::to_owned)
    }
}

impl<'r, T: FromDatum<'r>> FromDatum<'r> for Option<T> {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Unexpected> {
        match datum {
            Datum::Null => Ok(None),
            value => T::from_datum(value).map(Some),
        }
    }
}
