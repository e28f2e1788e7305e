//! A session of Postgres, and how statements are sent in it.

use gristmill_servers::postgres::{Line, PostgresFault};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::PostgresWarehouse;
use super::rows;
use super::sql::{self, Sql};
use crate::LoadError;
use crate::protocol::{LOOK_UP, Purpose, Statement, Value};
use crate::target;

/// A connection. If it is dropped before it has committed, the server rolls its transaction back.
pub(crate) struct PostgresSession<'w> {
    pub warehouse: &'w PostgresWarehouse,
    pub client: Client,
    pub(super) line: Line,
    schema: String,
    pub sql: Sql,
}

impl<'w> PostgresSession<'w> {
    /// Connects, finds out which schema the target is in, and begins the transaction that the purpose needs.
    pub(super) async fn open(warehouse: &'w PostgresWarehouse, purpose: Purpose) -> Result<Self, LoadError> {
        let client = warehouse.connect().await?;
        let line = Line::new(warehouse.server.clone());
        line.identify(&client)
            .await
            .map_err(warehouse.failed("ask for the session in"))?;
        let schema = match &warehouse.target.schema {
            Some(schema) => schema.clone(),
            None => {
                let row = line
                    .hear(client.query_one(sql::SCHEMA_OF, &[&warehouse.target.table]))
                    .await
                    .map_err(warehouse.failed("find the target's schema in"))?;
                let schema: Option<String> = row.get(0);
                let none = "no schema of the session's search_path is visible to this user; write schema.table, or \
                            GRANT USAGE ON SCHEMA";
                schema.ok_or_else(|| warehouse.mismatch(none.into()))?
            }
        };
        let session = Self {
            warehouse,
            client,
            line,
            sql: Sql::new(&schema, &warehouse.target),
            schema,
        };
        if let Some(action) = purpose.action() {
            session.begin(purpose, action).await?;
        }
        Ok(session)
    }

    async fn begin(&self, purpose: Purpose, action: &'static str) -> Result<(), LoadError> {
        self.batch(action, sql::BEGIN).await?;
        self.line
            .identify(&self.client)
            .await
            .map_err(self.failed(action))?;
        if purpose == Purpose::Prepare {
            self.execute(action, sql::LOCK_PREPARE, &[]).await?;
            let exists = self.query(action, sql::SCHEMA_EXISTS, &[&self.schema]).await?;
            if exists.is_empty() {
                let (schema, create) = (&self.schema, target::quoted(&self.schema));
                return Err(self.warehouse.mismatch(format!(
                    "there is no schema {schema}; create it: CREATE SCHEMA {create};"
                )));
            }
            return Ok(());
        }
        for setting in [sql::DURABLE, sql::PLANS] {
            self.query("set up the load into", setting, &[]).await?;
        }
        // Also to compare: each statement has its own snapshot, and all must see the same rows.
        self.query("lock the target in", sql::LOCK_TARGET, &[&self.sql.target])
            .await?;
        Ok(())
    }

    /// A relation's id and kind, if it exists.
    pub(super) async fn relation(&self, name: &str) -> Result<Option<(u32, String)>, LoadError> {
        let rows = self.query(LOOK_UP, sql::RELATION, &[&self.schema, &name]).await?;
        Ok(rows.first().map(|row| (row.get(0), row.get(1))))
    }

    pub(super) fn failed<E: Into<PostgresFault>>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(E) -> LoadError + use<E> {
        self.warehouse.failed(action)
    }

    /// Waits for a call as long as the server is at work on it.
    pub(super) async fn hear<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresFault> {
        self.line.hear(call).await
    }

    /// Runs statements without parameters.
    pub(super) async fn batch(&self, action: &'static str, sql: &str) -> Result<(), LoadError> {
        self.hear(self.client.batch_execute(sql))
            .await
            .map_err(self.failed(action))
    }

    /// Runs a statement, and returns how many rows it touched.
    pub(super) async fn execute(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, LoadError> {
        self.hear(self.client.execute(sql, values))
            .await
            .map_err(self.failed(action))
    }

    pub(super) async fn query(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LoadError> {
        self.hear(self.client.query(sql, values))
            .await
            .map_err(self.failed(action))
    }

    /// The rows that a statement of the protocol finds.
    pub(super) async fn found(
        &self,
        action: &'static str,
        statement: &Statement,
    ) -> Result<Vec<Row>, LoadError> {
        self.query(action, &statement.sql, &parameters(statement)).await
    }

    /// Runs statements of the protocol, and returns how many rows they touched.
    pub(super) async fn run_all(
        &self,
        action: &'static str,
        statements: &[Statement],
    ) -> Result<u64, LoadError> {
        let mut touched = 0;
        for statement in statements {
            touched += self
                .execute(action, &statement.sql, &parameters(statement))
                .await?;
        }
        Ok(touched)
    }

    pub(super) async fn count(&self, action: &'static str, sql: &str) -> Result<u64, LoadError> {
        let row = self
            .hear(self.client.query_one(sql, &[]))
            .await
            .map_err(self.failed(action))?;
        Ok(rows::count(&row, 0))
    }
}

fn parameters(statement: &Statement) -> Vec<&(dyn ToSql + Sync)> {
    let values = statement.values.iter();
    values
        .map(|value| match value {
            Value::Text(text) => text as &(dyn ToSql + Sync),
            Value::Number(number) => number,
        })
        .collect()
}
