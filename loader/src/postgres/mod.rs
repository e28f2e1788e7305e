//! Postgres as the warehouse.
//!
//! A load is one transaction: lock the target, check the ledger, COPY into temporary tables, change the target by key,
//! write the ledger, commit. A target with rows is never truncated or swapped, so its views, grants and extra columns
//! stay, readers never see half a load, and rows that are already right are not even locked. An empty target gets its
//! rows directly.

mod claims;
mod connect;
mod copy;
mod delta;
mod encode;
mod first;
mod full;
mod load;
mod prepare;
mod rows;
mod silence;
mod sql;
mod verify;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;
use tokio_postgres::{Client, GenericClient};

use crate::target::{self, LEDGER};
use crate::{
    Credentials, LedgerEntry, Load, LoadError, LoadOutcome, PostgresFault, SummaryRow, Target, Verification,
    Warehouse, input, redacted,
};
use connect::Server;
use silence::Line;
use sql::Sql;

/// A Postgres database as the warehouse.
pub(crate) struct PostgresWarehouse {
    server: Arc<Server>,
    /// For messages; without the password.
    url: String,
    target: Target,
}

/// The target's names in a session.
struct Names {
    schema: String,
    /// `schema.table`, as the ledger writes it.
    target: String,
    sql: Sql,
    line: Line,
}

impl PostgresWarehouse {
    pub(crate) fn new(url: &str, target: Target, credentials: &Credentials) -> Result<Self, LoadError> {
        let too_long = target
            .schema
            .iter()
            .chain([&target.table])
            .chain(&target.measures)
            .find(|n| n.len() > 63);
        if let Some(name) = too_long {
            // Postgres would only truncate it with a notice, and two names could become the same.
            let reason = format!("has the name {name} of more than 63 bytes; give it a shorter one");
            return Err(LoadError::BadTarget {
                table: target.name(),
                reason,
            });
        }
        Ok(Self {
            server: Arc::new(Server::new(url, credentials)?),
            url: redacted(url),
            target,
        })
    }

    fn failed<E: Into<PostgresFault>>(&self, action: &'static str) -> impl FnOnce(E) -> LoadError + use<E> {
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

    /// Connects, and finds out which schema the target is in.
    async fn session(&self) -> Result<(Client, Names), LoadError> {
        let client = self.server.connect().await?;
        let line = Line::new(self.server.clone());
        line.identify(&client)
            .await
            .map_err(self.failed("ask for the session in"))?;
        let schema = match &self.target.schema {
            Some(schema) => schema.clone(),
            None => {
                let row = line
                    .hear(client.query_one(sql::SCHEMA_OF, &[&self.target.table]))
                    .await
                    .map_err(self.failed("find the target's schema in"))?;
                let schema: Option<String> = row.get(0);
                let none = "no schema of the session's search_path is visible to this user; write schema.table, or \
                            GRANT USAGE ON SCHEMA";
                schema.ok_or_else(|| self.mismatch(none.into()))?
            }
        };
        let sql = Sql::new(&schema, &self.target);
        let target = target::qualified(&schema, &self.target.table);
        let names = Names {
            schema,
            target,
            sql,
            line,
        };
        Ok((client, names))
    }

    /// Opens a session to read rows. Fails with `TargetAbsent` if the target does not exist.
    async fn reading(&self) -> Result<(Client, Names), LoadError> {
        let (client, names) = self.session().await?;
        match self.relation(&client, &names, &self.target.table).await? {
            Some(_) => Ok((client, names)),
            None => Err(LoadError::TargetAbsent { table: names.target }),
        }
    }

    /// A relation's id and kind, if it exists.
    async fn relation(
        &self,
        client: &impl GenericClient,
        Names { schema, line, .. }: &Names,
        name: &str,
    ) -> Result<Option<(u32, String)>, LoadError> {
        let row = line.hear(client.query_opt(sql::RELATION, &[schema, &name])).await;
        let row = row.map_err(self.failed("look the target up in"))?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }
}

#[async_trait]
impl Warehouse for PostgresWarehouse {
    async fn prepare(&self) -> Result<(), LoadError> {
        prepare::prepare(self).await
    }

    async fn load(
        &self,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<LoadOutcome, LoadError> {
        load::load(self, load, progress).await
    }

    async fn verify(&self, load: &Load, mend: bool, listed: usize) -> Result<Verification, LoadError> {
        verify::verify(self, load, mend, listed).await
    }

    async fn ledger_entry(&self, run_id: &str) -> Result<Option<LedgerEntry>, LoadError> {
        let (client, names) = self.session().await?;
        if self.relation(&client, &names, LEDGER).await?.is_none() {
            return Ok(None);
        }
        let sql = names.sql.ledger_of_run();
        let row = names
            .line
            .hear(client.query_opt(&sql, &[&names.target, &run_id]))
            .await;
        Ok(row
            .map_err(self.failed("read the ledger of"))?
            .as_ref()
            .map(rows::entry))
    }

    async fn newest_loads(&self, scope: Option<&str>) -> Result<Vec<LedgerEntry>, LoadError> {
        let (client, names) = self.session().await?;
        if self.relation(&client, &names, LEDGER).await?.is_none() {
            return Ok(Vec::new());
        }
        let (sql, target) = (&names.sql, &names.target);
        let rows = match scope {
            Some(scope) => {
                let newest = sql.ledger_newest();
                names.line.hear(client.query(&newest, &[target, &scope])).await
            }
            None => {
                let newest = sql.ledger_newest_of_each();
                names.line.hear(client.query(&newest, &[target])).await
            }
        };
        let rows = rows.map_err(self.failed("read the ledger of"))?;
        Ok(rows.iter().map(rows::entry).collect())
    }

    async fn row(
        &self,
        store_id: &str,
        item_id: &str,
        trans_date: Date,
    ) -> Result<Option<SummaryRow>, LoadError> {
        let (client, names) = self.reading().await?;
        let (sql, day) = (names.sql.row(), input::days(trans_date));
        let keys: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&store_id, &item_id, &day];
        let row = names.line.hear(client.query_opt(&sql, &keys)).await;
        let row = row.map_err(self.failed("read a row of"))?;
        row.map(|row| rows::summary_row(self, &row)).transpose()
    }

    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError> {
        let (client, names) = self.reading().await?;
        let (sql, limit) = (names.sql.first_rows(), i64::from(limit));
        let found = names.line.hear(client.query(&sql, &[&limit])).await;
        let found = found.map_err(self.failed("read rows of"))?;
        found.iter().map(|row| rows::summary_row(self, row)).collect()
    }

    async fn row_count(&self) -> Result<u64, LoadError> {
        let (client, names) = self.reading().await?;
        let sql = names.sql.row_count();
        let row = names.line.hear(client.query_one(&sql, &[])).await;
        let row = row.map_err(self.failed("count rows of"))?;
        Ok(rows::count(&row, 0))
    }
}
