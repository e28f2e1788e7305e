//! A connection to a server, on which each call is waited for as long as the server is at work on it.

use std::sync::Arc;
use std::time::Duration;

use gristmill_servers::silence::{answer, hear};
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, Error, Params, QueryResult, Row, Value};

use super::MySqlFault;
use super::connect::Server;
use super::sql;
use crate::LoadError;

/// How long the server may take to say what it does.
const ANSWER: Duration = Duration::from_secs(10);

/// How long to wait until the server knows that a connection ends. If it does not hear that, it finds out later.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection. If it is dropped, it is closed, and the server rolls an open transaction back.
pub(super) struct Connection {
    conn: Conn,
    line: Line,
}

/// What is needed to ask about a connection, which may fall silent: see [`gristmill_servers::silence`].
struct Line {
    server: Arc<Server>,
    /// Which server it is: behind a balancer, another connection may lead to another one.
    name: String,
    /// The server's number for the connection.
    id: u32,
}

impl Connection {
    pub(super) async fn open(server: &Arc<Server>) -> Result<Self, LoadError> {
        let (conn, name) = server.connect().await?;
        Ok(Self {
            line: Line {
                server: server.clone(),
                name,
                id: conn.id(),
            },
            conn,
        })
    }

    /// Runs a statement without parameters as it is, which all kinds of statements allow.
    pub(super) async fn command(&mut self, sql: &str) -> Result<(), MySqlFault> {
        self.line.hear(self.conn.query_drop(sql)).await
    }

    /// Runs a statement, and returns how many rows it touched.
    pub(super) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, MySqlFault> {
        self.line
            .hear(self.conn.exec_drop(sql, Params::Positional(values)))
            .await?;
        Ok(self.conn.affected_rows())
    }

    /// All rows that a query finds.
    pub(super) async fn query(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, MySqlFault> {
        self.line
            .hear(self.conn.exec(sql, Params::Positional(values)))
            .await
    }

    /// Streams the rows that a query finds, of which there may be many.
    pub(super) async fn stream(&mut self, sql: &str) -> Result<Rows<'_>, MySqlFault> {
        let Self { conn, line } = self;
        let found = line.hear(conn.exec_iter(sql, Params::Empty)).await?;
        Ok(Rows { line, found })
    }

    /// Closes the connection, and waits for a moment until the server knows.
    pub(super) async fn close(self) {
        // If it is broken, there is nobody to tell.
        let _ = tokio::time::timeout(FAREWELL, self.conn.disconnect()).await;
    }
}

/// A stream of rows.
pub(super) struct Rows<'c> {
    line: &'c Line,
    found: QueryResult<'c, 'static, BinaryProtocol>,
}

impl Rows<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Row>, MySqlFault> {
        self.line.hear(self.found.next()).await
    }
}

impl Line {
    async fn hear<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, MySqlFault> {
        Ok(hear(self.server.silence(), call, || self.is_at_work()).await?)
    }

    /// Returns whether the server is at work for the connection. If it is not, the connection is ended, since its locks
    /// would hold up the next try.
    async fn is_at_work(&self) -> bool {
        // The connection has a limit of its own.
        let Ok((mut conn, name)) = self.server.connect().await else {
            return false;
        };
        if name != self.name {
            // Another server, behind a balancer: it knows nothing of the connection, and its numbers are others'.
            return false;
        }
        let is_at_work = answer(ANSWER, ask(&mut conn, self.id), |error| {
            matches!(error, Error::Server(_))
        })
        .await;
        let _ = tokio::time::timeout(FAREWELL, conn.disconnect()).await;
        is_at_work
    }
}

async fn ask(conn: &mut Conn, id: u32) -> Result<bool, Error> {
    let found: Option<Row> = conn.exec_first(sql::AT_WORK, (id,)).await?;
    if found.is_some() {
        return Ok(true);
    }
    match conn.query_drop(format!("KILL CONNECTION {id}")).await {
        // The server refuses if the connection has ended already.
        Ok(()) | Err(Error::Server(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
