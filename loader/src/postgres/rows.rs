//! Converts rows of the server's results to values.

use tokio_postgres::Row;

use super::PostgresWarehouse;
use crate::{LedgerEntry, LoadError, SummaryRow, amount, input};

/// A count, which is never negative.
pub(super) fn count(row: &Row, at: usize) -> u64 {
    row.get::<_, i64>(at) as u64
}

/// A row of the ledger.
pub(super) fn entry(row: &Row) -> LedgerEntry {
    LedgerEntry {
        run_id: row.get(0),
        target: row.get(1),
        scope: row.get(2),
        sequence: row.get(3),
        rows: count(row, 4),
        digest: row.get(5),
        loaded_at: row.get(6),
    }
}

/// A row of the target. Amounts arrive as text, which is exact for every numeric type that the column may have.
pub(super) fn summary_row(warehouse: &PostgresWarehouse, row: &Row) -> Result<SummaryRow, LoadError> {
    let amounts = warehouse.target.measures.iter().enumerate().map(|(at, measure)| {
        let text: Option<&str> = row.get(3 + at);
        text.map(|text| {
            amount::from_text(text).ok_or_else(|| {
                warehouse.mismatch(format!(
                    "{measure} holds a value that is not an amount in whole cents"
                ))
            })
        })
        .transpose()
    });
    let trans_date = input::day(row.get(2));
    Ok(SummaryRow {
        store_id: row.get(0),
        item_id: row.get(1),
        trans_date: trans_date
            .ok_or_else(|| warehouse.mismatch("trans_date holds a day that is out of range".into()))?,
        amounts: amounts.collect::<Result<_, _>>()?,
    })
}
