//! How values go to a server of Postgres and come from it.

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::datum::Datum;
use super::super::error::{DatabaseError, Result};
use super::super::parameter::Parameter;

type BoxError = Box<dyn Error + Send + Sync>;

/// The first byte of JSON as the server takes it.
const JSON_VERSION: u8 = 1;

/// What stands for NUL, which Postgres has in no text. Messages that quote a file may hold one.
pub(in crate::dialect) const NO_NUL: &str = "\u{fffd}";

/// A value takes the form that the statement wants of its parameter.
impl ToSql for Parameter {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(value), &Type::INT8) => value.to_sql(ty, out),
            (Self::Integer(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Self::Integer(value), &Type::BOOL) => (*value != 0).to_sql(ty, out),
            (Self::Integer(value), &Type::FLOAT8) => (*value as f64).to_sql(ty, out),
            (Self::Real(value), &Type::FLOAT8) => value.to_sql(ty, out),
            (Self::Text(value), &Type::TEXT) => value.replace('\0', NO_NUL).to_sql(ty, out),
            (Self::Text(value), &Type::JSONB) => {
                out.put_u8(JSON_VERSION);
                out.put_slice(json_without_nul(value).as_bytes());
                Ok(IsNull::No)
            }
            (value, ty) => Err(format!("{value:?} is no {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Returns JSON in whose texts no NUL stands, which may be escaped there.
fn json_without_nul(json: &str) -> Cow<'_, str> {
    const ESCAPED: &str = "\\u0000";
    if !json.contains(ESCAPED) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        rest = match escape.strip_prefix(ESCAPED) {
            Some(after) => {
                out.push_str(NO_NUL);
                after
            }
            None => {
                // A backslash, and the character that it escapes, which may be another one.
                let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
                out.push_str(&escape[..end]);
                &escape[end..]
            }
        };
    }
    out.push_str(rest);
    out.into()
}

/// Returns what a column holds.
pub(in crate::dialect) fn datum(row: &tokio_postgres::Row, place: usize) -> Result<Datum<'_>> {
    row.try_get(place).map_err(|error| {
        let name = row.columns().get(place).map_or("", |column| column.name());
        DatabaseError::column(name, error)
    })
}

impl<'r> FromSql<'r> for Datum<'r> {
    fn from_sql(ty: &Type, bytes: &'r [u8]) -> Result<Self, BoxError> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, bytes).map(Self::Integer),
            Type::INT4 => i32::from_sql(ty, bytes).map(|value| Self::Integer(value.into())),
            Type::BOOL => bool::from_sql(ty, bytes).map(|value| Self::Integer(value.into())),
            Type::FLOAT8 => f64::from_sql(ty, bytes).map(Self::Real),
            Type::TEXT => <&str>::from_sql(&Type::TEXT, bytes).map(Self::Text),
            _ => Err(format!("values of type {ty} are not read").into()),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_in_json_and_what_looks_like_it_is_not() {
        for text in ["", "a", "\0", "a\0\0b", "\\u0000", "\\\0", "\\\\u0000\0", "é\\"] {
            let json = serde_json::json!([text, 1]).to_string();
            let read: (String, i64) = serde_json::from_str(&json_without_nul(&json)).unwrap();
            assert_eq!(read, (text.replace('\0', "\u{fffd}"), 1), "{json}");
        }
    }
}
