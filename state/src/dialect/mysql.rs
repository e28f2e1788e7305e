//! Connections to a database on a server of MySQL or MariaDB.
//!
//! What is done on a connection holds it until it is done. So one on which somebody gave up in the middle, and of which
//! nobody knows what comes next, is closed, and the server undoes what it had begun.

mod outcome;
mod slot;
mod values;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gristmill_servers::mysql::{Line, MySqlFault, Server, close};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Params, Statement};

use self::outcome::Counted;
use self::slot::Slot;
pub(super) use self::values::{datum, value};
use super::Dialect;
use super::connection::{Done, Purpose};
use super::error::{DatabaseError, Result};
use super::notation::{expand, positional};
use super::parameter::Parameter;
use super::row::{Columns, Row};

/// What all sessions say: how texts are compared and written, that the time is UTC, and that they are gristmill's own,
/// which tells them apart from people who edit by hand.
///
/// Joins use indexes: a server that takes a table for small, because it was so a moment ago, would go through the whole of it
/// for each row of a list. For EXISTS, MariaDB would copy a whole table.
///
/// A write waits that long for the lock of another transaction, such as that of a shell. A client that stands still in the
/// middle of a write, because its process or its host does, gives its lock up after the time of a lease: whoever takes over
/// need not wait longer. MySQL has no such limit but that on all that is idle.
pub(crate) const SESSION: &str = "SET NAMES utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */; \
    SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
    time_zone = '+00:00', autocommit = 1, completion_type = 0, sql_safe_updates = 0, sql_select_limit = 18446744073709551615, \
    innodb_lock_wait_timeout = 5, max_seeks_for_key = 1, @gristmill = 'works' \
    /*M! , collation_database = utf8mb4_nopad_bin, idle_write_transaction_timeout = 30, max_recursive_iterations = 1000000, \
           join_cache_level = 0, optimizer_switch = 'exists_to_in=off' */ \
    /*!80017 , optimizer_switch = 'block_nested_loop=off', wait_timeout = 30, cte_max_recursion_depth = 1000000, information_schema_stats_expiry = 0 */";

const WRITER: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
const READER: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Counts the transactions of a connection.
const ADD_SESSION: &str = "INSERT INTO writer_session (writes, since) VALUES (0, utc_timestamp())";

/// Those of connections that are long gone.
const FORGET_SESSIONS: &str =
    "DELETE FROM writer_session WHERE since < utc_timestamp() - INTERVAL 1 YEAR AND session_id <> ";

const BEGIN: &str = "START TRANSACTION";
/// Somebody may have given up in the middle of a copy of the whole state, for which triggers and foreign keys do nothing.
const ROLLBACK: &str = "ROLLBACK; SET SESSION foreign_key_checks = 1, @gristmill = 'works'";
const BEGIN_TO_READ: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// Everything that was written: transactions of this program, and edits by hand.
const CHANGES: &str = "SELECT writes + edits FROM writer";

/// The transaction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Open,
    /// A statement has failed. The server would commit the others, or has undone them.
    Failed,
}

/// A statement of the notation, as the server knows it: one or several.
type Prepared = Arc<[Part]>;

struct Part {
    statement: Statement,
    /// The place of each parameter among the values that are bound.
    places: Vec<usize>,
    columns: Columns,
}

/// A connection to the server.
pub(crate) struct MySql {
    slot: Slot,
    line: Line,
    purpose: Purpose,
    state: State,
    /// The transaction, if it writes.
    transaction: Option<Counted>,
    /// The row of `writer_session` that counts the transactions of this connection.
    session: Option<u64>,
    /// The number under which the service may write, which is not the newest any more once another process has become the
    /// service. `None` for commands, which may write beside it.
    epoch: Option<i64>,
    /// How many transactions of this connection `writer` counts.
    own_writes: i64,
    /// The last transaction that was confirmed here, or on the connection before.
    confirmed: Option<Counted>,
    prepared: HashMap<&'static str, Prepared>,
}

impl MySql {
    pub(crate) async fn connect(server: &Arc<Server>, purpose: Purpose) -> Result<Self> {
        let (conn, line) = Line::connect(server).await?;
        let mut connection = Self {
            slot: Slot::new(conn),
            line,
            purpose,
            state: State::None,
            transaction: None,
            session: None,
            epoch: None,
            own_writes: 0,
            confirmed: None,
            prepared: HashMap::new(),
        };
        connection.batch(SESSION).await?;
        connection.batch(&of_purpose(purpose)).await?;
        Ok(connection)
    }

    /// Runs a statement, and returns what it did, and its rows.
    async fn answers(&mut self, text: &'static str, bound: &[Parameter]) -> Result<(Done, Vec<Row>)> {
        if self.state == State::Failed {
            // The server may have undone the transaction already: what follows would stand alone.
            return Err(DatabaseError::RolledBack);
        }
        let prepared = self.prepared(text).await?;
        let (mut done, mut rows) = (Done { rows_affected: 0 }, Vec::new());
        for part in &*prepared {
            let values = part
                .places
                .iter()
                .map(|place| bound.get(*place).map_or(value(&Parameter::Null), value));
            let values = match values.collect::<Vec<_>>() {
                none if none.is_empty() => Params::Empty,
                values => Params::Positional(values),
            };
            let exec = |mut conn: Conn| async move {
                let rows: Result<Vec<mysql_async::Row>, _> = conn.exec(&part.statement, values).await;
                let affected = conn.affected_rows();
                (conn, rows.map(|rows| (rows, affected)))
            };
            let (found, affected) = self.call(exec).await?;
            done.rows_affected += affected;
            let row = |row| Row::MySql(row, part.columns.clone());
            rows.extend(found.into_iter().map(row));
        }
        Ok((done, rows))
    }

    pub(crate) async fn rows(&mut self, text: &'static str, bound: Vec<Parameter>) -> Result<Vec<Row>> {
        Ok(self.alone(text, &bound).await?.1)
    }

    pub(crate) async fn execute(&mut self, text: &'static str, bound: Vec<Parameter>) -> Result<Done> {
        Ok(self.alone(text, &bound).await?.0)
    }

    /// A statement outside of a transaction that may write has its own.
    async fn alone(&mut self, text: &'static str, bound: &[Parameter]) -> Result<(Done, Vec<Row>)> {
        if self.purpose != Purpose::Write || self.state != State::None {
            return self.answers(text, bound).await;
        }
        let alone = Alone(self);
        alone.0.begin_to_write().await?;
        let answers = alone.0.answers(text, bound).await?;
        alone.0.commit().await?;
        Ok(answers)
    }

    async fn prepared(&mut self, text: &'static str) -> Result<Prepared> {
        if let Some(prepared) = self.prepared.get(text) {
            return Ok(prepared.clone());
        }
        let mut parts = Vec::new();
        for part in positional(&expand(text, Dialect::MySql)) {
            let prepare = |mut conn: Conn| async move {
                let prepared = conn.prep(&*part.text).await;
                (conn, prepared)
            };
            let statement = self.call(prepare).await?;
            parts.push(Part {
                columns: columns(&statement.columns()),
                statement,
                places: part.places,
            });
        }
        let prepared: Prepared = parts.into();
        self.prepared.insert(text, prepared.clone());
        Ok(prepared)
    }

    /// Runs statements of this program's own that have no parameters.
    pub(crate) async fn batch(&mut self, statements: &str) -> Result<()> {
        let run = |mut conn: Conn| async move {
            let done = conn.query_drop(statements).await;
            (conn, done)
        };
        self.call(run).await
    }

    /// Has something done with the connection, which is lost if that does not come to its end.
    pub(super) async fn call<T, F>(&mut self, what: impl FnOnce(Conn) -> F) -> Result<T>
    where
        F: Future<Output = (Conn, Result<T, mysql_async::Error>)>,
    {
        let conn = self.slot.take().await?;
        let done = async {
            let (conn, answer) = what(conn).await;
            Ok((conn, answer))
        };
        let answer = match self.line.hear(done).await {
            Ok((conn, answer)) => {
                let answer = answer.map_err(MySqlFault::from);
                if answer.as_ref().err().is_none_or(MySqlFault::is_answer) {
                    self.slot.put(conn);
                }
                answer
            }
            Err(silent) => Err(silent),
        };
        if answer.is_err() && self.state == State::Open {
            self.state = State::Failed;
        }
        Ok(answer?)
    }

    /// Returns the driver's connection, to stream rows.
    pub(super) async fn conn(&mut self) -> Result<(&mut Conn, &Line)> {
        Ok((self.slot.get().await?, &self.line))
    }

    /// Returns whether the connection is there. A transaction that somebody gave up is undone.
    pub(super) async fn is_usable(&mut self) -> bool {
        (self.state == State::None || self.rollback().await.is_ok()) && self.is_there().await
    }

    /// A server ends sessions that were idle for some time, and says nothing.
    async fn is_there(&mut self) -> bool {
        let ping = |mut conn: Conn| async move {
            let answer = conn.ping().await;
            (conn, answer)
        };
        self.slot.is_fresh() || self.call(ping).await.is_ok()
    }

    pub(super) async fn changes(&mut self) -> Result<i64> {
        let (_, rows) = self.answers(CHANGES, &[]).await?;
        let all: i64 = rows.first().ok_or(DatabaseError::NoRow)?.at(0)?;
        Ok(all - self.own_writes)
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
        self.confirmed.clone_from(&before.confirmed);
        let Some(confirmed) = before.confirmed.clone() else {
            return Ok(());
        };
        let ask = |mut conn: Conn| async move {
            let stands = outcome::stands(&mut conn, &confirmed).await;
            (conn, stands)
        };
        match self.call(ask).await? {
            true => Ok(()),
            false => Err(DatabaseError::WentBack(self.line.server().url().to_owned())),
        }
    }

    /// Begins a transaction, and counts it. Fails if another process has become the service.
    ///
    /// Whoever writes changes the one row of `writer` first. So one transaction writes at a time, as on SQLite, and what it has
    /// read is still true when it writes. The condition is on that row, too: whoever has waited for its lock finds it as it is
    /// then.
    pub(super) async fn begin_to_write(&mut self) -> Result<()> {
        let session = self.session().await?;
        self.open();
        let only = self
            .epoch
            .map_or_else(String::new, |epoch| format!(" AND w.epoch = {epoch}"));
        let begin = format!(
            "{BEGIN}; \
             UPDATE writer w STRAIGHT_JOIN writer_session s \
                SET w.writes = w.writes + 1, s.writes = s.writes + 1, s.since = utc_timestamp() \
              WHERE w.one = 1{only} AND s.session_id = {session}; \
             SELECT s.writes FROM writer w STRAIGHT_JOIN writer_session s \
              WHERE w.one = 1{only} AND s.session_id = {session}"
        );
        let count = |mut conn: Conn| async move {
            let counted = last_of_three(&mut conn, begin).await;
            (conn, counted)
        };
        let Some(writes) = self.call(count).await? else {
            self.state = State::Failed;
            return Err(DatabaseError::LeaseLost(self.line.server().url().to_owned()));
        };
        self.transaction = Some(Counted { session, writes });
        Ok(())
    }

    async fn session(&mut self) -> Result<u64> {
        if let Some(session) = self.session {
            return Ok(session);
        }
        let add = |mut conn: Conn| async move {
            let added = conn.query_drop(ADD_SESSION).await;
            let session = conn.last_insert_id().unwrap_or(0);
            (conn, added.map(|()| session))
        };
        let session = self.call(add).await?;
        self.batch(&format!("{FORGET_SESSIONS}{session}")).await?;
        self.session = Some(session);
        Ok(session)
    }

    pub(super) async fn begin_beside(&mut self) -> Result<()> {
        self.open();
        self.batch(BEGIN).await
    }

    pub(super) async fn begin_to_read(&mut self) -> Result<()> {
        self.open();
        self.batch(BEGIN_TO_READ).await
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        if self.state == State::Failed {
            self.rollback().await?;
            return Err(DatabaseError::RolledBack);
        }
        if let Err(error) = self.batch("COMMIT").await {
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
            self.confirmed = Some(counted);
        }
        Ok(())
    }

    async fn rollback(&mut self) -> Result<()> {
        self.batch(ROLLBACK).await?;
        self.state = State::None;
        Ok(())
    }

    pub(crate) fn start_rollback(&mut self) {
        self.slot.start_rollback();
        self.state = State::None;
    }

    pub(super) async fn close(self) {
        if let Ok(conn) = self.slot.into_conn().await {
            close(conn).await;
        }
    }
}

/// Runs three statements, and returns the number that the last of them finds.
async fn last_of_three(conn: &mut Conn, statements: String) -> Result<Option<i64>, mysql_async::Error> {
    let mut answer = conn.query_iter(statements).await?;
    answer.collect::<mysql_async::Row>().await?;
    answer.collect::<mysql_async::Row>().await?;
    let numbers: Vec<i64> = answer.collect().await?;
    answer.drop_result().await?;
    Ok(numbers.first().copied())
}

/// Returns the settings of a session that are for its purpose.
fn of_purpose(purpose: Purpose) -> String {
    match purpose {
        Purpose::Write => WRITER.to_owned(),
        Purpose::Read => READER.to_owned(),
        // It has no choice of flushing for one session.
        Purpose::Beside { wait, is_flushed: _ } => {
            let seconds = wait.as_secs().max(1);
            format!("{WRITER}; SET SESSION innodb_lock_wait_timeout = {seconds}")
        }
    }
}

/// Returns the places of columns by their names.
pub(super) fn columns(columns: &[Column]) -> Columns {
    let names = columns.iter().map(|column| column.name_str().into_owned());
    Arc::new(names.zip(0..).collect())
}

/// A connection in the hands of one statement. The transaction that is begun for it is undone unless it is committed.
struct Alone<'c>(&'c mut MySql);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if self.0.state != State::None {
            self.0.start_rollback();
        }
    }
}

impl fmt::Debug for MySql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySql")
            .field("purpose", &self.purpose)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
