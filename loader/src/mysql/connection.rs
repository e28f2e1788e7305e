//! A connection to a server, on which each call is waited for as long as the server is at work on it.

use std::sync::Arc;

use gristmill_servers::mysql::{ConnectError, Line, Server, close};
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, Params, QueryResult, Row, Value};

use super::MySqlFault;

/// A connection. If it is dropped, it is closed, and the server rolls an open transaction back.
pub(super) struct Connection {
    conn: Conn,
    line: Line,
}

impl Connection {
    pub(super) async fn open(server: &Arc<Server>) -> Result<Self, ConnectError> {
        let (conn, line) = Line::connect(server).await?;
        Ok(Self { conn, line })
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
        close(self.conn).await;
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
