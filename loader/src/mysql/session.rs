//! A session of MySQL or MariaDB, and how statements are sent in it.

use mysql_async::{Row, Value};

use super::connection::{Connection, Rows};
use super::sql::{self, Product, Sql};
use super::{MySqlFault, MySqlWarehouse, table};
use crate::LoadError;
use crate::protocol::{CREATE_LEDGER, LOOK_UP, PREPARE, Purpose, Statement};

/// There is no such table.
const NO_SUCH_TABLE: u16 = 1146;

/// The row of the table of locks that those lock who prepare.
const TO_PREPARE: &str = "";

/// A session. If it is dropped before it has committed, the server rolls its transaction back.
pub(crate) struct MySqlSession<'w> {
    pub warehouse: &'w MySqlWarehouse,
    connection: Connection,
    /// To prepare: a connection whose transaction holds the lock, because statements that create tables end their own.
    guard: Option<Connection>,
    pub(super) product: Product,
    pub(super) sql: Sql,
}

/// A table or a view, as the catalog has it.
pub(super) struct Relation {
    pub kind: String,
    /// Only tables have one.
    pub engine: Option<String>,
}

impl<'w> MySqlSession<'w> {
    /// Connects, and begins the transaction that the purpose needs.
    pub(super) async fn open(warehouse: &'w MySqlWarehouse, purpose: Purpose) -> Result<Self, LoadError> {
        let action = "set up a session in";
        let mut connection = ready(warehouse, action).await?;
        let found = connection.query(sql::SERVER, vec![]).await;
        let found = found.map_err(warehouse.failed(action))?;
        let (version, folding) = match found.first() {
            Some(row) => (text(row, 0), number(row, 1)),
            None => (None, None),
        };
        let (Some(version), Some(folding)) = (version, folding) else {
            return Err(warehouse.failed(action)(MySqlFault::odd(
                "it does not tell its version",
            )));
        };
        let product = Product::of_version(&version);
        let mut session = Self {
            warehouse,
            connection,
            guard: None,
            product,
            sql: Sql::new(&warehouse.schema, &warehouse.target, product, folding != 0),
        };
        match purpose {
            Purpose::Read => {}
            Purpose::Prepare => session.begin_to_prepare().await?,
            Purpose::Load | Purpose::Compare | Purpose::Mend => session.begin(purpose).await?,
        }
        Ok(session)
    }

    async fn begin(&mut self, purpose: Purpose) -> Result<(), LoadError> {
        let begin = purpose.action().unwrap_or(PREPARE);
        let (lock, add_lock) = (self.sql.lock(), self.sql.add_lock());
        let locked = lock_row(&mut self.connection, &lock, &add_lock, &self.sql.target).await;
        locked.map_err(|fault| match fault.code() {
            // Whoever creates the target creates this table first.
            Some(NO_SUCH_TABLE) => LoadError::TargetAbsent {
                table: self.sql.target.clone(),
            },
            _ => self.failed(begin)(fault),
        })?;
        self.sql.key = table::key(self).await?;
        Ok(())
    }

    /// Locks out others that prepare.
    async fn begin_to_prepare(&mut self) -> Result<(), LoadError> {
        let schema = self.sql.schema().to_owned();
        let exists = self
            .query(PREPARE, sql::SCHEMA_EXISTS, vec![schema.as_str().into()])
            .await?;
        if exists.is_empty() {
            let create = sql::quoted(&schema);
            return Err(self.warehouse.mismatch(format!(
                "there is no database {schema} that this user may see; create it: CREATE DATABASE {create};"
            )));
        }
        if self.relation(sql::LOCKS).await?.is_none() {
            let create = self.sql.create_locks();
            self.execute(CREATE_LEDGER, &create, vec![]).await?;
        }
        let mut guard = ready(self.warehouse, PREPARE).await?;
        let (lock, add_lock) = (self.sql.lock(), self.sql.add_lock());
        let locked = lock_row(&mut guard, &lock, &add_lock, TO_PREPARE).await;
        locked.map_err(self.failed(PREPARE))?;
        self.guard = Some(guard);
        Ok(())
    }

    /// Commits or rolls back. Whoever waits to prepare goes on.
    pub(super) async fn finish(&mut self, action: &'static str, how: &str) -> Result<(), LoadError> {
        let done = self.connection.command(how).await;
        done.map_err(self.failed(action))?;
        if let Some(guard) = self.guard.take() {
            guard.close().await;
        }
        Ok(())
    }

    /// Ends the session, and waits for a moment until the server knows: a connection that is dropped may keep its locks for
    /// some time.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }

    /// A relation of the target's database, if it exists.
    pub(super) async fn relation(&mut self, name: &str) -> Result<Option<Relation>, LoadError> {
        let of = vec![self.sql.schema().into(), name.into()];
        let found = self.query(LOOK_UP, sql::RELATIONS, of).await?;
        // The catalog compares names without regard to case, even where the server tells them apart.
        let is_it = |row: &&Row| {
            text(row, 0).is_some_and(|found| match self.sql.is_folded {
                true => found.to_lowercase() == name.to_lowercase(),
                false => found == name,
            })
        };
        Ok(found.iter().find(is_it).map(|row| Relation {
            kind: text(row, 1).unwrap_or_default(),
            engine: text(row, 2),
        }))
    }

    pub(super) fn failed<E: Into<MySqlFault>>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(E) -> LoadError + use<E> {
        self.warehouse.failed(action)
    }

    /// Runs a statement, and returns how many rows it touched.
    pub(super) async fn execute(
        &mut self,
        action: &'static str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, LoadError> {
        let done = self.connection.execute(sql, values).await;
        done.map_err(self.failed(action))
    }

    pub(super) async fn query(
        &mut self,
        action: &'static str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, LoadError> {
        let found = self.connection.query(sql, values).await;
        found.map_err(self.failed(action))
    }

    /// Streams the rows that a query finds.
    pub(super) async fn stream(&mut self, action: &'static str, sql: &str) -> Result<Rows<'_>, LoadError> {
        let failed = self.failed(action);
        self.connection.stream(sql).await.map_err(failed)
    }

    /// The rows that a statement of the protocol finds.
    pub(super) async fn found(
        &mut self,
        action: &'static str,
        statement: Statement,
    ) -> Result<Vec<Row>, LoadError> {
        let values = statement.values.into_iter().map(sql::value).collect();
        self.query(action, &statement.sql, values).await
    }

    /// Runs statements of the protocol, and returns how many rows they touched.
    pub(super) async fn run_all(
        &mut self,
        action: &'static str,
        statements: Vec<Statement>,
    ) -> Result<u64, LoadError> {
        let mut touched = 0;
        for statement in statements {
            let values = statement.values.into_iter().map(sql::value).collect();
            touched += self.execute(action, &statement.sql, values).await?;
        }
        Ok(touched)
    }
}

/// Connects, with settings of its own.
async fn ready(warehouse: &MySqlWarehouse, action: &'static str) -> Result<Connection, LoadError> {
    let connection = Connection::open(&warehouse.server).await;
    let mut connection = connection.map_err(|error| warehouse.not_connected(error))?;
    for setting in [sql::SETTINGS, sql::ISOLATION] {
        let done = connection.command(setting).await;
        done.map_err(warehouse.failed(action))?;
    }
    Ok(connection)
}

/// Begins a transaction that holds a row of the table of locks. The row is added if it is absent.
async fn lock_row(
    connection: &mut Connection,
    lock: &str,
    add_lock: &str,
    name: &str,
) -> Result<(), MySqlFault> {
    for _ in 0..2 {
        connection.command(sql::BEGIN).await?;
        if connection.execute(lock, vec![name.into()]).await? > 0 {
            return Ok(());
        }
        // Committed before it is locked: those that wait for a row that is rolled back may deadlock.
        connection.command("ROLLBACK").await?;
        connection.execute(add_lock, vec![name.into()]).await?;
    }
    Err(MySqlFault::odd("somebody else deletes from gristmill_locks"))
}

/// A text of a result's row; `None` for NULL, and for what is no text in UTF-8.
pub(super) fn text(row: &Row, at: usize) -> Option<String> {
    match row.as_ref(at) {
        Some(Value::Bytes(bytes)) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

/// A whole number of a result's row.
pub(super) fn number(row: &Row, at: usize) -> Option<i64> {
    match row.as_ref(at) {
        Some(Value::Int(number)) => Some(*number),
        Some(Value::UInt(number)) => i64::try_from(*number).ok(),
        _ => None,
    }
}
