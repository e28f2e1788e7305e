//! How values go to a server of Postgres and come from it.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::datum::Datum;
use super::super::error::{DatabaseError, Result};
use super::super::parameter::Parameter;

type BoxError = Box<dyn Error + Send + Sync>;

/// The first byte of JSON as the server takes it.
const JSON_VERSION: u8 = 1;

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
            (Self::Text(value), &Type::TEXT) => value.to_sql(ty, out),
            (Self::Text(value), &Type::JSON) => as_bytes(value, out),
            (Self::Text(value), &Type::JSONB) => {
                out.put_u8(JSON_VERSION);
                as_bytes(value, out)
            }
            (value, ty) => Err(format!("{value:?} is no {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn as_bytes(text: &str, out: &mut BytesMut) -> Result<IsNull, BoxError> {
    out.put_slice(text.as_bytes());
    Ok(IsNull::No)
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
            Type::TEXT | Type::JSON => <&str>::from_sql(&Type::TEXT, bytes).map(Self::Text),
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
