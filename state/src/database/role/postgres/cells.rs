//! Values as Postgres writes them, as cells of an answer.

use tokio_postgres::types::Type;

use crate::query::Cell;

/// Returns a value of a type. Numbers are numbers and truth is 0 or 1, as SQLite has it; all else is the text that `psql`
/// shows.
pub(super) fn cell(kind: &Type, text: Option<&str>) -> Cell {
    let Some(text) = text else {
        return Cell::Null;
    };
    let written = || Cell::Text(text.to_owned());
    match *kind {
        Type::BOOL => Cell::Integer(i64::from(text == "t")),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
            text.parse().map_or_else(|_| written(), Cell::Integer)
        }
        // A sum or a count of whole numbers may be one of these, too.
        Type::NUMERIC | Type::FLOAT4 | Type::FLOAT8 => match (text.parse(), text.parse::<f64>()) {
            (Ok(whole), _) if *kind == Type::NUMERIC => Cell::Integer(whole),
            (_, Ok(number)) if number.is_finite() => Cell::Real(number),
            // JSON has no NaN.
            _ => written(),
        },
        Type::BYTEA => match text.strip_prefix("\\x") {
            Some(digits) => Cell::Text(format!("x'{digits}'")),
            None => written(),
        },
        _ => written(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_sqlite_would_have_them() {
        let text = |text: &str| Cell::Text(text.to_owned());
        for (kind, given, expected) in [
            (Type::INT8, "-9223372036854775808", Cell::Integer(i64::MIN)),
            (Type::NUMERIC, "12", Cell::Integer(12)),
            (Type::NUMERIC, "12.50", Cell::Real(12.5)),
            (Type::NUMERIC, "NaN", text("NaN")),
            (
                Type::NUMERIC,
                "92233720368547758080",
                Cell::Real(92_233_720_368_547_758_080.0),
            ),
            (Type::FLOAT8, "3", Cell::Real(3.0)),
            (Type::FLOAT8, "-Infinity", text("-Infinity")),
            (Type::BOOL, "t", Cell::Integer(1)),
            (Type::BOOL, "f", Cell::Integer(0)),
            (Type::BYTEA, "\\x0aff", text("x'0aff'")),
            (Type::TEXT, "\\x0aff", text("\\x0aff")),
            (Type::INT4_ARRAY, "{1,2}", text("{1,2}")),
        ] {
            assert_eq!(cell(&kind, Some(given)), expected, "{kind} {given}");
        }
        assert_eq!(cell(&Type::INT4, None), Cell::Null);
    }
}
