//! Values of MySQL and MariaDB, as cells of an answer.

use std::fmt::Write as _;

use mysql_async::consts::ColumnType;
use mysql_async::{Column, Value};

use crate::query::Cell;

/// The number of the character set of what is no text.
const BINARY: u16 = 63;

/// Returns a value of a column. Numbers are numbers, as SQLite has it; all else is the text that `mysql` shows.
pub(super) fn cell(column: &Column, value: Value) -> Cell {
    let real = |number: f64| match number.is_finite() {
        true => Cell::Real(number),
        // JSON has no NaN.
        false => Cell::Text(number.to_string()),
    };
    match value {
        Value::NULL => Cell::Null,
        Value::Int(value) => Cell::Integer(value),
        Value::UInt(value) => {
            i64::try_from(value).map_or_else(|_| Cell::Text(value.to_string()), Cell::Integer)
        }
        Value::Float(value) => real(value.into()),
        Value::Double(value) => real(value),
        Value::Bytes(bytes) => of_bytes(column, bytes),
        // It is written between apostrophes.
        time @ (Value::Date(..) | Value::Time(..)) => Cell::Text(time.as_sql(true).replace('\'', "")),
    }
}

fn of_bytes(column: &Column, bytes: Vec<u8>) -> Cell {
    let is_decimal = column.column_type() == ColumnType::MYSQL_TYPE_NEWDECIMAL;
    match String::from_utf8(bytes) {
        // A sum or a count of whole numbers may be one, too.
        Ok(text) if is_decimal => match (text.parse(), text.parse()) {
            (Ok(whole), _) => Cell::Integer(whole),
            (_, Ok(number)) => Cell::Real(number),
            _ => Cell::Text(text),
        },
        Ok(text) if column.character_set() != BINARY => Cell::Text(text),
        Ok(text) => Cell::Text(hexadecimal(text.as_bytes())),
        Err(error) => Cell::Text(hexadecimal(error.as_bytes())),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::from("x'");
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    text
}
