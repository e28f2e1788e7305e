//! How values go to a server of MySQL or MariaDB and come from it.

use mysql_async::Value;
use mysql_async::consts::ColumnType;

use super::super::datum::Datum;
use super::super::error::{DatabaseError, Result};
use super::super::parameter::Parameter;

/// The number of the character set of what is no text.
const BINARY: u16 = 63;

/// Returns a value as it is sent.
pub(in crate::dialect) fn value(parameter: &Parameter) -> Value {
    match parameter {
        Parameter::Null => Value::NULL,
        Parameter::Integer(value) => Value::Int(*value),
        Parameter::Real(value) => Value::Double(*value),
        Parameter::Text(value) => Value::Bytes(value.clone().into_bytes()),
    }
}

/// Returns what a column holds.
pub(in crate::dialect) fn datum(row: &mysql_async::Row, place: usize) -> Result<Datum<'_>> {
    let (Some(value), Some(column)) = (row.as_ref(place), row.columns_ref().get(place)) else {
        return Err(DatabaseError::column(
            &place.to_string(),
            "there is no such column",
        ));
    };
    let unread = |reason: String| DatabaseError::column(&column.name_str(), reason);
    let text = |bytes| std::str::from_utf8(bytes).map_err(|error| unread(error.to_string()));
    Ok(match value {
        Value::NULL => Datum::Null,
        Value::Int(value) => Datum::Integer(*value),
        Value::UInt(value) => {
            let value = i64::try_from(*value);
            Datum::Integer(value.map_err(|error| unread(error.to_string()))?)
        }
        Value::Float(value) => Datum::Real((*value).into()),
        Value::Double(value) => Datum::Real(*value),
        Value::Bytes(bytes) if is_decimal(column.column_type()) => {
            decimal(text(bytes)?).ok_or_else(|| unread("it is no number that can be read".to_owned()))?
        }
        Value::Bytes(_) if column.character_set() == BINARY => Datum::Bytes,
        Value::Bytes(bytes) => Datum::Text(text(bytes)?),
        Value::Date(..) | Value::Time(..) => return Err(unread("times are not read".to_owned())),
    })
}

fn is_decimal(kind: ColumnType) -> bool {
    matches!(
        kind,
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL
    )
}

/// A sum of integers is a decimal number.
fn decimal(text: &str) -> Option<Datum<'_>> {
    let integer = text.parse().map(Datum::Integer);
    integer.or_else(|_| text.parse().map(Datum::Real)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_number_is_an_integer_if_it_is_written_as_one() {
        assert_eq!(decimal("-12"), Some(Datum::Integer(-12)));
        assert_eq!(decimal("0.50"), Some(Datum::Real(0.5)));
        assert_eq!(decimal("a"), None);
    }
}
