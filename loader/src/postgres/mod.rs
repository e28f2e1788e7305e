//! Postgres as the warehouse.
//!
//! A load is one transaction: lock the target, ask the ledger, COPY into temporary tables, change the target by key,
//! write the ledger, commit. The target itself is never truncated or swapped, so its views, grants and further columns
//! stay, readers never see half a load, and a row that is right already is not even locked.

mod connect;
mod copy;
mod sql;
mod wire;

use async_trait::async_trait;
use jiff::civil::Date;
use tokio_postgres::{Client, Config, IsolationLevel, Row, Transaction};

use crate::shape::{self, Column, Kind, Shape};
use crate::target::{self, LEDGER};
use crate::{LedgerEntry, Load, LoadCounts, LoadError, LoadMode, LoadOutcome, SummaryRow, Target, Warehouse};
use crate::{amount, input, redacted};
use sql::Sql;

const DIALECT: shape::Dialect = shape::Dialect {
    accepts,
    wanted: |kind| match kind {
        Kind::Text => "text",
        Kind::Day => "date",
        Kind::Amount => "numeric(18,2)",
    },
    retype: |table, column, wanted| {
        format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {wanted} USING {column}::{wanted};")
    },
    add_key: |table, columns| format!("ALTER TABLE {table} ADD PRIMARY KEY ({columns});"),
};

/// Types that hold every value of a summary as it is. `varchar(n)` is taken too: a longer key is then refused by the
/// server, with all of the load.
fn accepts(kind: Kind, type_name: &str) -> bool {
    match kind {
        Kind::Text => type_name == "text" || type_name.starts_with("character varying"),
        Kind::Day => type_name == "date",
        Kind::Amount => matches!(type_name, "numeric" | "numeric(18,2)"),
    }
}

/// A Postgres database as the warehouse.
pub(crate) struct PostgresWarehouse {
    config: Config,
    /// For messages; without the password.
    url: String,
    target: Target,
}

/// A connection, and what the target is called there.
struct Session {
    client: Client,
    schema: String,
    /// `schema.table`, as the ledger has it.
    name: String,
    sql: Sql,
}

/// What the steps of a load share.
struct Asked<'a> {
    warehouse: &'a PostgresWarehouse,
    sql: &'a Sql,
    name: &'a str,
}

impl Asked<'_> {
    fn measures(&self) -> &[String] {
        &self.warehouse.target.measures
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(tokio_postgres::Error) -> LoadError + use<> {
        self.warehouse.failed(action)
    }
}

impl PostgresWarehouse {
    pub(crate) fn new(url: &str, target: Target) -> Result<Self, LoadError> {
        let too_long = target
            .schema
            .iter()
            .chain([&target.table])
            .chain(&target.measures)
            .find(|n| n.len() > 63);
        if let Some(name) = too_long {
            // Postgres would cut it with a mere notice, and two names could become one.
            let reason = format!("has the name {name} of more than 63 bytes; give it a shorter one");
            return Err(LoadError::BadTarget {
                table: target.name(),
                reason,
            });
        }
        Ok(Self {
            config: connect::config(url)?,
            url: redacted(url),
            target,
        })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(tokio_postgres::Error) -> LoadError + use<> {
        let warehouse = self.url.clone();
        move |error| LoadError::Postgres {
            action,
            warehouse,
            source: error.into(),
        }
    }

    fn mismatch(&self, problems: String) -> LoadError {
        LoadError::TargetMismatch {
            table: self.target.name(),
            problems,
        }
    }

    async fn session(&self) -> Result<Session, LoadError> {
        let client = connect::connect(&self.config)
            .await
            .map_err(self.failed("connect"))?;
        let schema = match &self.target.schema {
            Some(schema) => schema.clone(),
            None => {
                let row = client.query_one(sql::SCHEMA_OF, &[&self.target.table]).await;
                let schema: Option<String> = row.map_err(self.failed("find the target's schema"))?.get(0);
                schema.ok_or_else(|| {
                    self.mismatch(
                        "no schema of the session's search_path is there; write schema.table".into(),
                    )
                })?
            }
        };
        let sql = Sql::new(&schema, &self.target.table, &self.target.measures);
        let name = target::qualified(&schema, &self.target.table);
        Ok(Session {
            client,
            schema,
            name,
            sql,
        })
    }

    /// Opens a session to read rows; a table that is not there is an error of its own.
    async fn reading(&self) -> Result<Session, LoadError> {
        let session = self.session().await?;
        match self
            .relation(&session.client, &session.schema, &self.target.table)
            .await?
        {
            Some(_) => Ok(session),
            None => Err(LoadError::TargetAbsent { table: session.name }),
        }
    }

    async fn relation(
        &self,
        client: &impl tokio_postgres::GenericClient,
        schema: &str,
        name: &str,
    ) -> Result<Option<(u32, String)>, LoadError> {
        let row = client.query_opt(sql::RELATION, &[&schema, &name]).await;
        let row = row.map_err(self.failed("look the target up"))?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    async fn check_present(
        &self,
        transaction: &Transaction<'_>,
        sql: &Sql,
        oid: u32,
    ) -> Result<(), LoadError> {
        let action = "look the target's columns up";
        let columns = transaction
            .query(sql::COLUMNS, &[&oid])
            .await
            .map_err(self.failed(action))?;
        let keys = transaction
            .query(sql::UNIQUE_KEYS, &[&oid])
            .await
            .map_err(self.failed(action))?;
        let shape = Shape {
            columns: columns
                .iter()
                .map(|row| Column {
                    name: row.get(0),
                    type_name: row.get(1),
                    optional: row.get(2),
                })
                .collect(),
            unique_keys: keys.iter().map(|row| row.get(0)).collect(),
        };
        shape::check(&shape, &self.target, &sql.table, &DIALECT)
    }

    /// What the ledger says against this load, if anything.
    async fn settled(
        &self,
        transaction: &Transaction<'_>,
        asked: &Asked<'_>,
        load: &Load,
    ) -> Result<Option<LoadOutcome>, LoadError> {
        let action = "read the ledger";
        let same = transaction
            .query_opt(&asked.sql.ledger_of_run(), &[&asked.name, &load.run_id])
            .await;
        if let Some(row) = same.map_err(self.failed(action))? {
            return Ok(Some(LoadOutcome::AlreadyLoaded(entry(&row))));
        }
        let newer = transaction
            .query_opt(
                &asked.sql.ledger_after(),
                &[&asked.name, &load.scope, &load.sequence],
            )
            .await;
        Ok(newer
            .map_err(self.failed(action))?
            .map(|row| LoadOutcome::Superseded { by: entry(&row) }))
    }

    /// Brings the files into the temporary tables.
    async fn stage(
        &self,
        transaction: &Transaction<'_>,
        asked: &Asked<'_>,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), LoadError> {
        let create = asked.sql.create_stage();
        transaction
            .batch_execute(&create)
            .await
            .map_err(self.failed("create temporary tables"))?;
        let rows = copy::summary(transaction, asked, load, progress).await?;
        load.expect_rows(rows)?;
        let whole_days = self.target.mode == LoadMode::ReplaceDays;
        if whole_days {
            copy::coverage(transaction, asked, load).await?;
        }
        transaction
            .batch_execute(sql::INDEX_STAGE)
            .await
            .map_err(self.failed("index temporary tables"))?;
        if whole_days {
            let row = transaction.query_one(sql::UNCOVERED, &[]).await;
            let uncovered: i64 = row
                .map_err(self.failed("compare the summary with the covered days"))?
                .get(0);
            load.expect_covered(uncovered)?;
        }
        Ok(())
    }

    /// Changes the target, by key, to what was staged.
    async fn apply(
        &self,
        transaction: &Transaction<'_>,
        sql: &Sql,
        staged: u64,
    ) -> Result<LoadCounts, LoadError> {
        let deleted = match sql.delete(self.target.mode) {
            Some(delete) => transaction
                .execute(&delete, &[])
                .await
                .map_err(self.failed("delete rows"))?,
            None => 0,
        };
        let new = transaction
            .query_one(&sql.count_new(), &[])
            .await
            .map_err(self.failed("count new rows"))?;
        let written = transaction.execute(&sql.upsert(), &[]).await;
        Ok(LoadCounts::of(
            staged,
            count(&new, 0),
            written.map_err(self.failed("insert and update rows"))?,
            deleted,
        ))
    }

    fn read_row(&self, row: &Row) -> Result<SummaryRow, LoadError> {
        let amounts = self.target.measures.iter().enumerate().map(|(at, measure)| {
            let text: Option<&str> = row.get(3 + at);
            text.map(|text| {
                amount::from_text(text).ok_or_else(|| {
                    self.mismatch(format!("{measure} holds a value that is no amount to the cent"))
                })
            })
            .transpose()
        });
        let trans_date = input::day(row.get(2));
        Ok(SummaryRow {
            store_id: row.get(0),
            item_id: row.get(1),
            trans_date: trans_date
                .ok_or_else(|| self.mismatch("trans_date holds a day far out of reach".into()))?,
            amounts: amounts.collect::<Result<_, _>>()?,
        })
    }
}

#[async_trait]
impl Warehouse for PostgresWarehouse {
    async fn prepare(&self) -> Result<(), LoadError> {
        let Session {
            mut client,
            schema,
            sql,
            ..
        } = self.session().await?;
        let action = "prepare the target";
        let transaction = client.transaction().await.map_err(self.failed(action))?;
        transaction
            .execute(sql::LOCK_PREPARE, &[])
            .await
            .map_err(self.failed(action))?;

        let exists = transaction
            .query_one(sql::SCHEMA_EXISTS, &[&schema])
            .await
            .map_err(self.failed(action))?;
        if !exists.get::<_, bool>(0) {
            let create = target::quoted(&schema);
            return Err(self.mismatch(format!(
                "there is no schema {schema}; create it: CREATE SCHEMA {create};"
            )));
        }
        match self.relation(&transaction, &schema, &self.target.table).await? {
            None => transaction
                .batch_execute(&sql.create_table())
                .await
                .map_err(self.failed("create the target"))?,
            Some((oid, kind)) if kind == "r" || kind == "p" => {
                self.check_present(&transaction, &sql, oid).await?
            }
            Some(_) => {
                return Err(
                    self.mismatch("it is a view or the like, not a table; name the table behind it".into())
                );
            }
        }
        // Looked up first, because IF NOT EXISTS asks for the right to create even where there is nothing to do.
        if self.relation(&transaction, &schema, LEDGER).await?.is_none() {
            transaction
                .batch_execute(&sql.create_ledger())
                .await
                .map_err(self.failed("create the ledger"))?;
        }
        transaction.commit().await.map_err(self.failed(action))
    }

    async fn load(
        &self,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<LoadOutcome, LoadError> {
        let Session {
            mut client,
            sql,
            name,
            ..
        } = self.session().await?;
        let asked = Asked {
            warehouse: self,
            sql: &sql,
            name: &name,
        };
        let action = "begin the load";
        // Under a stricter level the ledger would be read as it was before the lock was waited for.
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()
            .await;
        let transaction = transaction.map_err(self.failed(action))?;
        transaction
            .query(sql::DURABLE, &[])
            .await
            .map_err(self.failed(action))?;
        transaction
            .query(sql::LOCK_TARGET, &[&name])
            .await
            .map_err(self.failed("lock the target"))?;
        if let Some(outcome) = self.settled(&transaction, &asked, load).await? {
            return Ok(outcome);
        }
        self.stage(&transaction, &asked, load, progress).await?;
        let counts = self.apply(&transaction, &sql, load.rows).await?;
        let rows = load.rows as i64;
        transaction
            .execute(
                &sql.insert_ledger(),
                &[
                    &load.run_id,
                    &name,
                    &load.scope,
                    &load.sequence,
                    &rows,
                    &load.digest,
                ],
            )
            .await
            .map_err(self.failed("write the ledger"))?;
        fail::fail_point!("load-before-commit");
        transaction
            .commit()
            .await
            .map_err(self.failed("commit the load"))?;
        fail::fail_point!("load-after-commit");
        tracing::info!(run_id = load.run_id, target = name, ?counts, "loaded a summary");
        Ok(LoadOutcome::Loaded(counts))
    }

    async fn ledger_entry(&self, run_id: &str) -> Result<Option<LedgerEntry>, LoadError> {
        let Session {
            client,
            schema,
            name,
            sql,
        } = self.session().await?;
        if self.relation(&client, &schema, LEDGER).await?.is_none() {
            return Ok(None);
        }
        let row = client.query_opt(&sql.ledger_of_run(), &[&name, &run_id]).await;
        Ok(row.map_err(self.failed("read the ledger"))?.as_ref().map(entry))
    }

    async fn row(
        &self,
        store_id: &str,
        item_id: &str,
        trans_date: Date,
    ) -> Result<Option<SummaryRow>, LoadError> {
        let Session { client, sql, .. } = self.reading().await?;
        let row = client
            .query_opt(&sql.row(), &[&store_id, &item_id, &input::days(trans_date)])
            .await;
        row.map_err(self.failed("read a row"))?
            .map(|row| self.read_row(&row))
            .transpose()
    }

    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError> {
        let Session { client, sql, .. } = self.reading().await?;
        let rows = client.query(&sql.first_rows(), &[&i64::from(limit)]).await;
        rows.map_err(self.failed("read rows"))?
            .iter()
            .map(|row| self.read_row(row))
            .collect()
    }

    async fn row_count(&self) -> Result<u64, LoadError> {
        let Session { client, sql, .. } = self.reading().await?;
        let row = client
            .query_one(&sql.row_count(), &[])
            .await
            .map_err(self.failed("count rows"))?;
        Ok(count(&row, 0))
    }
}

/// A count(*), which is never negative.
fn count(row: &Row, at: usize) -> u64 {
    row.get::<_, i64>(at) as u64
}

fn entry(row: &Row) -> LedgerEntry {
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
