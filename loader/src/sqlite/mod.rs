//! SQLite as the warehouse: the embedded default, a single file that needs no server.
//!
//! A load is one write transaction, begun before the ledger is read, so loads wait for each other: those of one
//! process as long as necessary, those of several processes for a minute. Commits reach the disk (`synchronous = FULL`),
//! and readers continue meanwhile (WAL). Dates are `YYYY-MM-DD`; amounts are text, as described in [`crate::amount`].

mod sql;
mod stage;
mod steps;
mod table;

use std::io;
use std::str::FromStr;
use std::time::Duration;

use rustix::fs::{Access, access};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Row};
use tokio::sync::Mutex;

use crate::amount;
use crate::target::KEYS;
use crate::{LoadError, SummaryRow, Target};
use sql::Sql;

/// How long to wait for another process's load.
const PATIENCE: Duration = Duration::from_secs(60);

/// The page size of a new file. It is four times SQLite's default, so a load writes a quarter of the pages.
const PAGE_BYTES: u32 = 16_384;

/// 64 MiB, in SQLite's notation. With the default of 2 MiB, a load writes pages out and reads them in again.
const CACHE_KIB: &str = "-65536";

/// A SQLite file as the warehouse.
pub(crate) struct SqliteWarehouse {
    options: SqliteConnectOptions,
    url: String,
    target: Target,
    sql: Sql,
    /// Locked by the load in progress. SQLite lets a second writer wait only for a fixed time, and a large load takes
    /// longer.
    turn: Mutex<()>,
}

impl SqliteWarehouse {
    pub(crate) fn new(url: &str, target: Target) -> Result<Self, LoadError> {
        let bad = |reason: String| LoadError::BadUrl {
            url: url.into(),
            reason,
        };
        if url == "sqlite://" || url.contains(":memory:") || url.contains("mode=memory") {
            return Err(bad(
                "a warehouse in memory would be lost; write sqlite://path/to/warehouse.db".into(),
            ));
        }
        let mut parameters = url.split(['?', '&']).skip(1);
        if parameters.any(|parameter| parameter == "mode=ro" || parameter.starts_with("immutable=")) {
            return Err(bad(
                "gristmill writes to it; leave out `mode=ro` and `immutable`".into()
            ));
        }
        if target.schema.is_some() {
            let reason = "names a schema, and SQLite has none; write the table alone".into();
            return Err(LoadError::BadTarget {
                table: target.name(),
                reason,
            });
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| {
                bad(format!(
                    "it cannot be parsed ({error}); write sqlite://path/to/warehouse.db"
                ))
            })?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .page_size(PAGE_BYTES)
            .pragma("cache_size", CACHE_KIB)
            // Statements have up to a thousand rows, so logging their text is useless.
            .disable_statement_logging();
        let sql = Sql::new(&target);
        Ok(Self {
            options,
            url: url.into(),
            target,
            sql,
            turn: Mutex::new(()),
        })
    }

    /// Makes an error out of what SQLite says. If SQLite cannot open a file for writing, it opens it for reading only, whatever
    /// the reason: if the file may be written now, the reason may have passed. Where SQLite knows the reason, such as a folder
    /// that may not be written, its code is another one.
    fn failed(&self, action: &'static str) -> impl FnOnce(sqlx::Error) -> LoadError + use<> {
        let warehouse = self.url.clone();
        let path = self.options.get_filename().to_owned();
        move |source| {
            let code = source.as_database_error().and_then(|error| error.code());
            let source = match code.as_deref() {
                // Opening and closing the file would end the locks that this process has on it.
                Some("8") if access(&path, Access::WRITE_OK).is_ok() => io::Error::new(
                    io::ErrorKind::ReadOnlyFilesystem,
                    "it was opened for reading only",
                )
                .into(),
                _ => source,
            };
            LoadError::Sqlite {
                action,
                warehouse,
                source,
            }
        }
    }

    fn mismatch(&self, problems: String) -> LoadError {
        LoadError::TargetMismatch {
            table: self.target.name(),
            problems,
        }
    }

    fn read_row(&self, row: &SqliteRow) -> Result<SummaryRow, LoadError> {
        let unreadable =
            |column: &str| self.mismatch(format!("{column} holds a value that gristmill did not write"));
        let text = |at: usize, column: &str| {
            row.try_get::<Option<String>, _>(at)
                .map_err(|_| unreadable(column))
        };
        let key = |at: usize| text(at, KEYS[at])?.ok_or_else(|| unreadable(KEYS[at]));
        let amounts = self.target.measures.iter().enumerate().map(|(at, measure)| {
            text(KEYS.len() + at, measure)?
                .map(|text| amount::from_text(&text).ok_or_else(|| unreadable(measure)))
                .transpose()
        });
        Ok(SummaryRow {
            store_id: key(0)?,
            item_id: key(1)?,
            trans_date: key(2)?.parse().map_err(|_| unreadable(KEYS[2]))?,
            amounts: amounts.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::{Load, LoadMode, LoadOutcome, Warehouse};

    const IMPATIENCE: Duration = Duration::from_millis(50);

    fn warehouse(folder: &Path) -> SqliteWarehouse {
        let url = format!("sqlite://{}/warehouse.db", folder.display());
        let target = Target::new("t", vec!["sale_amount".into()], LoadMode::Upsert).unwrap();
        let mut warehouse = SqliteWarehouse::new(&url, target).unwrap();
        warehouse.options = warehouse.options.busy_timeout(IMPATIENCE);
        warehouse
    }

    /// Writes a summary of one row, as the run of this number.
    fn load(folder: &Path, sequence: i64) -> Load {
        let summary = folder.join(format!("{sequence}.parquet"));
        let amounts = Decimal128Array::from(vec![i128::from(sequence)]);
        let columns: [(&str, ArrayRef); 4] = [
            ("store_id", Arc::new(StringArray::from(vec!["s"]))),
            ("item_id", Arc::new(StringArray::from(vec!["i"]))),
            ("trans_date", Arc::new(Date32Array::from(vec![20_148]))),
            (
                "sale_amount",
                Arc::new(amounts.with_precision_and_scale(18, 2).unwrap()),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&summary).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Load {
            run_id: format!("run-{sequence}"),
            scope: format!("J{sequence}"),
            sequence,
            coverage: summary.clone(),
            summary,
            rows: 1,
            digest: String::new(),
            base: None,
            is_safe: None,
        }
    }

    #[tokio::test]
    async fn a_load_waits_for_another_of_its_process_for_as_long_as_that_takes() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = warehouse(folder.path());
        warehouse.prepare().await.unwrap();
        let slow = |_| std::thread::sleep(IMPATIENCE * 6);
        let (one, two) = (load(folder.path(), 1), load(folder.path(), 2));
        let (one, two) = tokio::join!(warehouse.load(&one, &slow), warehouse.load(&two, &slow));
        for outcome in [one, two] {
            assert!(matches!(outcome, Ok(LoadOutcome::Loaded(_))), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_writer_that_does_not_end_is_a_transient_failure() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = warehouse(folder.path());
        warehouse.prepare().await.unwrap();
        let mut other = warehouse.options.connect().await.unwrap();
        sqlx::query(sql::BEGIN).execute(&mut other).await.unwrap();

        let error = warehouse.prepare().await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("another process"),
            "{error:?}"
        );
        assert_eq!(warehouse.row_count().await.unwrap(), 0, "readers continue");
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        warehouse.prepare().await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_and_a_file_out_of_reach_are_transient_failures() {
        let folder = tempfile::tempdir().unwrap();
        let mut warehouse = warehouse(&folder.path().join("mart"));
        let roomy = warehouse.options.clone();
        warehouse.options = roomy.clone().pragma("max_page_count", "1");
        let error = warehouse.prepare().await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("make room"),
            "{error:?}"
        );

        warehouse.options = roomy;
        warehouse.prepare().await.unwrap();
        std::fs::rename(folder.path().join("mart"), folder.path().join("away")).unwrap();
        let load = load(folder.path(), 1);
        let error = warehouse.load(&load, &|_| ()).await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("whether the path is right"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_file_that_was_opened_for_reading_only_though_it_may_be_written_is_a_transient_failure() {
        let folder = tempfile::tempdir().unwrap();
        let mut warehouse = warehouse(folder.path());
        warehouse.prepare().await.unwrap();
        warehouse.options = warehouse.options.clone().read_only(true);
        let load = load(folder.path(), 1);
        let error = warehouse.load(&load, &|_| ()).await.unwrap_err();
        assert!(
            error.is_transient() && !error.is_outage() && error.to_string().contains("let gristmill write"),
            "{error:?}"
        );
        warehouse.options = warehouse.options.clone().read_only(false);
        warehouse.load(&load, &|_| ()).await.unwrap();
    }
}
