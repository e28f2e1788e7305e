//! Connections to a database on a server of Postgres.

mod outcome;
mod values;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use gristmill_servers::postgres::{Line, PostgresFault, Server};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow, Statement};

use self::outcome::Counted;
pub(super) use self::values::{NO_NUL, datum};
use super::Dialect;
use super::connection::{Done, Purpose};
use super::error::{DatabaseError, Result};
use super::expanded::expanded;
use super::parameter::Parameter;
use super::row::{Columns, Row};

/// How statements are worked off. They are small: to compile them would take longer than to run them. Each is planned for
/// the tables as they are: a plan that was made while they were small would read them as a whole for years. What is worked
/// on lies in memory, so to look something up by an index costs little.
macro_rules! planning {
    () => {
        "SET jit = off; SET plan_cache_mode = force_custom_plan; SET random_page_cost = 1.1"
    };
}

/// A write waits that long for the lock of another transaction, such as that of a shell.
///
/// A client that stands still in the middle of a write, because its process or its host does, gives its lock up after the
/// time of a lease: whoever takes over need not wait longer.
///
/// What was committed is on the server's disk, also if its settings do not ask for that.
const WRITER: &str = concat!(
    "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = warning; ",
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; ",
    planning!()
);
const READER: &str = concat!("SET default_transaction_read_only = on; ", planning!());

/// Whoever writes locks the one row of `writer` first. So one transaction writes at a time, as on SQLite, and what it has
/// read is still true when it writes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const BEGIN_UNFLUSHED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off";
const COUNT_WRITE: &str = "UPDATE writer SET writes = writes + 1";
const TRANSACTION: &str = "RETURNING pg_current_xact_id(), writes";
const BEGIN_TO_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Everything that was written: transactions of this program, and edits by hand.
const CHANGES: &str = "SELECT writes + edits FROM writer";
/// Locks the row, which a standby refuses that still catches up.
const WRITES: &str = "SELECT writes FROM writer FOR SHARE";

const NEW_MARK: &str = "SELECT gen_random_uuid()";
const MARK: &str = "SELECT current_setting('gristmill.session', true)";
const SHARED_SESSIONS: &str = "a pooler gives each transaction another session, and the state needs sessions of its own: put the \
    server itself into the URL, or have the pooler lend out whole sessions (in PgBouncer: pool_mode = session)";

/// The transaction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Open,
    /// A statement has failed. The server answers no other, and a commit would undo everything.
    Failed,
}

/// A statement that the server knows.
#[derive(Clone)]
struct Prepared {
    statement: Statement,
    columns: Columns,
}

/// A connection to the server.
pub(crate) struct Postgres {
    pub(super) client: Client,
    pub(super) line: Line,
    purpose: Purpose,
    state: State,
    /// The server's number of the transaction, if it writes.
    transaction: Option<Counted>,
    /// Whether commits are on disk when they return.
    is_flushed: bool,
    /// The number under which the service may write, which is not the newest any more once another process has become the
    /// service. `None` for commands, which may write beside it.
    epoch: Option<i64>,
    /// How many transactions of this connection `writer` counts.
    own_writes: i64,
    /// How many transactions `writer` had counted with the last one that was confirmed here.
    confirmed: i64,
    prepared: HashMap<&'static str, Prepared>,
}

/// Refuses a pooler that gives each transaction whatever session is free: what a connection sets would then be set for others,
/// and what it prepares would be missing. What one connection sets, another one must not see.
pub(crate) async fn refuse_shared_sessions(server: &Arc<Server>) -> Result<()> {
    let (one, other) = (server.connect().await?, server.connect().await?);
    let line = Line::new(server.clone());
    let said = line.hear(one.simple_query(NEW_MARK)).await?;
    let mark = first_text(&said).unwrap_or_default();
    line.hear(one.batch_execute(&format!("SET gristmill.session = '{mark}'")))
        .await?;
    let seen = line.hear(other.simple_query(MARK)).await?;
    match first_text(&seen) == Some(mark) {
        true => Err(DatabaseError::Connect(SHARED_SESSIONS.to_owned())),
        false => Ok(()),
    }
}

fn first_text(answer: &[SimpleQueryMessage]) -> Option<&str> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

impl Postgres {
    pub(crate) async fn connect(server: &Arc<Server>, purpose: Purpose) -> Result<Self> {
        let client = server.connect().await?;
        let line = Line::new(server.clone());
        line.identify(&client).await?;
        let settings = match purpose {
            Purpose::Write => WRITER.to_owned(),
            Purpose::Read => READER.to_owned(),
            Purpose::Beside { wait, is_flushed } => beside(wait, is_flushed),
        };
        line.hear(client.batch_execute(&settings)).await?;
        Ok(Self {
            client,
            line,
            purpose,
            state: State::None,
            transaction: None,
            is_flushed: true,
            epoch: None,
            own_writes: 0,
            confirmed: 0,
            prepared: HashMap::new(),
        })
    }

    pub(crate) async fn rows(&mut self, text: &'static str, bound: Vec<Parameter>) -> Result<Vec<Row>> {
        let alone = self.alone().await?;
        let rows = alone.connection.answers(text, &bound).await?;
        alone.commit().await?;
        Ok(rows)
    }

    pub(crate) async fn execute(&mut self, text: &'static str, bound: Vec<Parameter>) -> Result<Done> {
        let alone = self.alone().await?;
        let connection = &mut *alone.connection;
        let prepared = connection.prepared(text).await?;
        let bound = as_sql(&bound);
        let execute = connection.client.execute(&prepared.statement, &bound);
        let done = connection.line.hear(execute).await;
        let rows_affected = connection.noting_failure(done)?;
        alone.commit().await?;
        Ok(Done { rows_affected })
    }

    /// Returns the connection for one statement. A statement outside of a transaction that may write has its own.
    async fn alone(&mut self) -> Result<Alone<'_>> {
        let is_alone = self.purpose == Purpose::Write && self.state == State::None;
        let alone = Alone {
            connection: self,
            is_alone,
        };
        if is_alone {
            alone.connection.begin_to_write().await?;
        }
        Ok(alone)
    }

    async fn answers(&mut self, text: &'static str, bound: &[Parameter]) -> Result<Vec<Row>> {
        let prepared = self.prepared(text).await?;
        let bound = as_sql(bound);
        let answer = self.client.query(&prepared.statement, &bound);
        let answer = self.line.hear(answer).await;
        let rows = self.noting_failure(answer)?;
        let row = |row| Row::Postgres(row, prepared.columns.clone());
        Ok(rows.into_iter().map(row).collect())
    }

    async fn prepared(&mut self, text: &'static str) -> Result<Prepared> {
        if let Some(prepared) = self.prepared.get(text) {
            return Ok(prepared.clone());
        }
        let expanded = expanded(text, Dialect::Postgres);
        let statement = self.line.hear(self.client.prepare(&expanded)).await;
        let statement = self.noting_failure(statement)?;
        let prepared = Prepared {
            columns: columns(&statement),
            statement,
        };
        self.prepared.insert(text, prepared.clone());
        Ok(prepared)
    }

    /// Runs statements of this program's own that have no parameters.
    pub(crate) async fn batch(&mut self, statements: &str) -> Result<()> {
        let done = self.line.hear(self.client.batch_execute(statements)).await;
        self.noting_failure(done)
    }

    fn noting_failure<T>(&mut self, answer: Result<T, PostgresFault>) -> Result<T> {
        if answer.is_err() && self.state == State::Open {
            self.state = State::Failed;
        }
        Ok(answer?)
    }

    /// Returns whether the connection is there, as far as is known without asking. A transaction that somebody gave up is
    /// undone.
    pub(super) async fn is_usable(&mut self) -> bool {
        !self.client.is_closed() && (self.state == State::None || self.rollback().await.is_ok())
    }

    pub(super) fn flush_commits(&mut self, is_flushed: bool) {
        self.is_flushed = is_flushed;
    }

    pub(super) async fn changes(&mut self) -> Result<i64> {
        Ok(self.number(CHANGES).await? - self.own_writes)
    }

    async fn number(&mut self, statement: &'static str) -> Result<i64> {
        let rows = self.answers(statement, &[]).await?;
        rows.first().ok_or(DatabaseError::NoRow)?.at(0)
    }

    pub(crate) async fn begin(&mut self, words: &str) -> Result<()> {
        self.open();
        self.batch(words).await
    }

    /// Notes that a transaction may be open from now on: whoever gives up waiting for its begin may have begun.
    fn open(&mut self) {
        self.state = State::Open;
        self.transaction = None;
    }

    /// Has all that follows be written as the service of this number.
    pub(super) fn write_as(&mut self, epoch: i64) {
        self.epoch = Some(epoch);
    }

    /// Goes on where another connection broke.
    pub(super) async fn succeed(&mut self, before: &Self) -> Result<()> {
        self.epoch = before.epoch;
        self.confirmed = before.confirmed;
        match self.number(WRITES).await? < self.confirmed {
            true => Err(DatabaseError::WentBack(self.line.server().url().to_owned())),
            false => Ok(()),
        }
    }

    pub(super) async fn begin_to_write(&mut self) -> Result<()> {
        self.open();
        self.count_write(match self.is_flushed {
            true => BEGIN,
            false => BEGIN_UNFLUSHED,
        })
        .await
    }

    /// Counts a write in its transaction, which `words` may begin. Fails if another process has become the service.
    ///
    /// The condition is on the row that is changed. So it holds as long as the row is locked, and whoever has waited for the
    /// lock finds it as it is then, which is not so for other tables.
    pub(crate) async fn count_write(&mut self, words: &str) -> Result<()> {
        let only = self
            .epoch
            .map_or_else(String::new, |epoch| format!(" WHERE epoch = {epoch}"));
        let statements = format!("{words};{COUNT_WRITE}{only} {TRANSACTION}");
        let answers = self.line.hear(self.client.simple_query(&statements)).await;
        let answers = self.noting_failure(answers)?;
        // The last answer is the number of rows, and the one before it the row.
        self.transaction = match answers.iter().rev().nth(1) {
            Some(SimpleQueryMessage::Row(row)) => counted(row),
            _ => None,
        };
        if self.transaction.is_none() {
            self.state = State::Failed;
            return Err(DatabaseError::LeaseLost(self.line.server().url().to_owned()));
        }
        Ok(())
    }

    pub(super) async fn begin_beside(&mut self) -> Result<()> {
        self.begin(BEGIN).await
    }

    pub(super) async fn begin_to_read(&mut self) -> Result<()> {
        self.begin(BEGIN_TO_READ).await
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        if self.state == State::Failed {
            self.rollback().await?;
            return Err(DatabaseError::RolledBack);
        }
        // Alone, the commit of a transaction in which something has failed would undo it without an error.
        if let Err(error) = self.batch("SELECT 1; COMMIT").await {
            // The commit, or the answer to it, may have been lost on its way.
            match &self.transaction {
                Some(counted) if error.is_transient() => {
                    outcome::must_stand(self.line.server(), counted, error).await?;
                }
                _ => return Err(error),
            }
        }
        self.state = State::None;
        if let Some(counted) = self.transaction.take() {
            self.own_writes += 1;
            self.confirmed = counted.writes;
        }
        Ok(())
    }

    async fn rollback(&mut self) -> Result<()> {
        self.batch("ROLLBACK").await?;
        self.state = State::None;
        Ok(())
    }

    pub(crate) fn start_rollback(&mut self) {
        // What is asked is sent at once; nobody waits for the answer. If that fails, so has the connection.
        let _ = self.client.batch_execute("ROLLBACK").now_or_never();
        self.state = State::None;
    }
}

/// Returns the settings of a session for what lies beside the rules.
fn beside(wait: Duration, is_flushed: bool) -> String {
    let wait = wait.as_millis();
    let unflushed = match is_flushed {
        true => "",
        false => "; SET synchronous_commit = off",
    };
    format!("SET lock_timeout = {wait}{unflushed}")
}

/// Returns the transaction that was counted.
fn counted(row: &SimpleQueryRow) -> Option<Counted> {
    Some(Counted {
        number: row.get(0)?.to_owned(),
        writes: row.get(1)?.parse().ok()?,
    })
}

/// Returns the places of a statement's columns.
pub(super) fn columns(statement: &Statement) -> Columns {
    let names = statement.columns().iter().map(|column| column.name().to_owned());
    Arc::new(names.zip(0..).collect())
}

/// A connection in the hands of one statement. The transaction that was begun for it, if one was, is undone unless it is
/// committed.
struct Alone<'c> {
    connection: &'c mut Postgres,
    is_alone: bool,
}

impl Alone<'_> {
    async fn commit(self) -> Result<()> {
        match self.is_alone {
            true => self.connection.commit().await,
            false => Ok(()),
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if self.is_alone && self.connection.state != State::None {
            self.connection.start_rollback();
        }
    }
}

pub(super) fn as_sql(bound: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    bound.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("purpose", &self.purpose)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
