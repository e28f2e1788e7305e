//! Copies all rows of all tables, and compares what has arrived.

use std::sync::Mutex;

use futures::{StreamExt as _, TryStreamExt as _};

use super::Copying;
use super::error::{ToCopy as _, TransferError};
use super::gates::Gates;
use super::identities;
use super::tables::{self, Table};
use crate::dialect::{Connection, Parameter, Result, all_quoted, quoted};

/// How often it is told how far a table is.
const TOLD_EVERY: u64 = 1000;

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub table: String,
    /// The number of its rows.
    pub rows: u64,
}

/// What rows hold, whatever order they come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Contents {
    rows: u64,
    /// The sum of the rows' digests.
    sum: u128,
}

impl Contents {
    fn add(&mut self, row: &[Parameter]) {
        let mut hasher = blake3::Hasher::new();
        for value in row {
            match value {
                Parameter::Null => hasher.update(b"n"),
                Parameter::Integer(value) => hasher.update(b"i").update(&value.to_le_bytes()),
                // A zero may lose its sign: a file keeps it as an integer.
                Parameter::Real(value) => hasher.update(b"r").update(&(value + 0.0).to_le_bytes()),
                Parameter::Text(value) => {
                    let length = value.len().to_le_bytes();
                    hasher.update(b"t").update(&length).update(value.as_bytes())
                }
            };
        }
        let digest = hasher.finalize();
        if let Some(first) = digest.as_bytes().first_chunk() {
            self.sum = self.sum.wrapping_add(u128::from_be_bytes(*first));
        }
        self.rows += 1;
    }
}

/// Copies the state into a database that has nothing but what a new one has. Both are in a transaction.
pub(super) async fn copy(
    source: &mut Connection,
    target: &mut Connection,
    heard: Copying<'_>,
) -> Result<Vec<CopiedTable>, TransferError> {
    let tables = tables::all().await?;
    // What triggers would do has been done at the source.
    let gates = Gates::open(target, &tables).await.to_copy("the triggers")?;
    let mut copied = Vec::new();
    for table in &tables {
        copied.push(copy_table(source, target, table, heard).await?);
    }
    gates.close(target).await.to_copy("the triggers")?;
    let identities = identities::read(source)
        .await
        .to_copy("the numbers given so far")?;
    identities::go_on(target, &tables, &identities)
        .await
        .to_copy("the numbers given so far")?;
    Ok(copied)
}

async fn copy_table(
    source: &mut Connection,
    target: &mut Connection,
    table: &Table,
    heard: Copying<'_>,
) -> Result<CopiedTable, TransferError> {
    let name = &table.name;
    heard(name, 0);
    if table.is_seeded {
        let delete = format!("DELETE FROM {}", quoted(name));
        target.run(&delete).await.to_copy(name)?;
    }
    let dialect = target.dialect();
    let written = Mutex::new(Contents::default());
    let rows = source.stream(&select(table)).await.to_copy(name)?;
    let rows = rows.map(|row| {
        let row = row?.values()?.into_iter();
        let row: Vec<_> = row.map(|value| dialect.kept(value)).collect();
        let mut written = written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        written.add(&row);
        if written.rows % TOLD_EVERY == 0 {
            heard(name, written.rows);
        }
        Ok(row)
    });
    target
        .fill(name, &table.columns, rows.boxed())
        .await
        .to_copy(name)?;
    let written = written
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = contents(target, table).await.to_copy(name)?;
    if found != written {
        return Err(TransferError::Differs {
            table: name.clone(),
            written: written.rows,
            found: found.rows,
        });
    }
    heard(name, written.rows);
    Ok(CopiedTable {
        table: name.clone(),
        rows: written.rows,
    })
}

async fn contents(connection: &mut Connection, table: &Table) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut rows = connection.stream(&select(table)).await?;
    while let Some(row) = rows.try_next().await? {
        contents.add(&row.values()?);
    }
    Ok(contents)
}

fn select(table: &Table) -> String {
    format!(
        "SELECT {} FROM {}",
        all_quoted(&table.columns),
        quoted(&table.name)
    )
}
