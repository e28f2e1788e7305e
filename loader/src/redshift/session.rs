//! A connection to Redshift. It sends each statement by itself, in the simple query protocol, with results as text.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use gristmill_servers::postgres::PostgresFault;
use gristmill_servers::silence::{answer, hear};
use gristmill_servers::tls::{Check, Roots, connector};
use object_store::path::Path;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow, SimpleQueryStream};

use super::fault::RedshiftFault;
use super::files::Written;
use super::settings::{CONNECT_TIMEOUT, Tls};
use super::sql::{self, Sql};
use super::{RedshiftWarehouse, credentials};
use crate::delta::Fault;
use crate::protocol::{Entries, LOOK_UP, READ_LEDGER};
use crate::{LedgerEntry, Load, LoadError, target};

/// A connection. Dropping it ends an open transaction.
pub(crate) struct RedshiftSession<'a> {
    pub warehouse: &'a RedshiftWarehouse,
    client: Client,
    /// The session's number, once it is known; 0 before.
    number: AtomicU64,
    pub schema: String,
    /// `schema.table`, as the ledger writes it.
    pub target: String,
    pub(super) sql: Sql,
    /// The days that were written to the bucket.
    pub(super) days: Option<Written>,
    /// Whether the transaction that changes the target has begun.
    pub(super) has_begun: bool,
}

impl<'a> RedshiftSession<'a> {
    /// Connects, and finds out which schema the target is in.
    pub(super) async fn open(warehouse: &'a RedshiftWarehouse) -> Result<Self, LoadError> {
        let client = connect(warehouse).await.map_err(warehouse.failed("connect to"))?;
        let target = &warehouse.target;
        let mut session = Self {
            warehouse,
            client,
            number: AtomicU64::new(0),
            schema: target.schema.clone().unwrap_or_default(),
            target: String::new(),
            sql: Sql::new("", target),
            days: None,
            has_begun: false,
        };
        session.execute("set up a session in", sql::UTC).await?;
        if target.schema.is_none() {
            let found = session.found("find the target's schema in", sql::SCHEMA).await?;
            let none = "no schema of the session's search_path exists; write schema.table";
            let schema = found.first().and_then(|row| row.get(0));
            session.schema = schema.ok_or_else(|| warehouse.mismatch(none.into()))?.into();
        }
        session.target = target::qualified(&session.schema, &target.table);
        session.sql = Sql::new(&session.schema, target);
        Ok(session)
    }

    /// Asks for the session's number.
    pub(super) async fn identify(&self, action: &'static str) -> Result<(), LoadError> {
        let number = self.number(action, sql::SESSION).await?;
        self.number.store(number, Ordering::Relaxed);
        Ok(())
    }

    /// Begins the transaction that changes tables, with the lock that keeps out all others that do.
    pub(super) async fn begin(&mut self, action: &'static str, lock: &'static str) -> Result<(), LoadError> {
        self.execute(action, sql::BEGIN).await?;
        self.has_begun = true;
        self.execute(lock, &self.sql.lock()).await.map(drop)
    }

    /// The folder of the bucket that is this session's alone, once it is identified.
    pub(super) fn folder(&self, load: &Load) -> Path {
        let run = self.warehouse.bucket.of_run(&self.target, &load.run_id);
        run.join(self.number.load(Ordering::Relaxed).to_string())
    }

    /// Why rows could not be staged: another process may have loaded the run meanwhile, and removed what was staged for
    /// it; or a newer run, which makes this one superfluous.
    pub(super) async fn why(&self, load: &Load, error: LoadError) -> Fault {
        let entries = [
            Entries::OfRun(&load.run_id),
            Entries::After(&load.scope, load.sequence),
        ];
        for which in entries {
            match self.entries(which).await {
                Ok(found) if !found.is_empty() => return Fault::Overtaken(error),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Fault::Load(error)
    }

    /// Waits for a call to the server as long as the server is at work on it, which is asked by another session. If it
    /// is not, the line is dead: the session is ended, because its locks would hold up the next try.
    async fn hear<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresFault> {
        Ok(hear(self.warehouse.settings.silence, call, || self.is_at_work()).await?)
    }

    async fn is_at_work(&self) -> bool {
        let number = self.number.load(Ordering::Relaxed);
        let Ok(client) = connect(self.warehouse).await else {
            return false;
        };
        answer(ANSWER, ask(&client, number), |error| error.code().is_some()).await
    }

    /// The kind of a relation in the target's schema, if it exists.
    pub(super) async fn relation(&self, name: &str) -> Result<Option<String>, LoadError> {
        let sql = sql::kind(&self.schema, name);
        let found = self.found(LOOK_UP, &sql).await?;
        Ok(found.first().and_then(|row| row.get(0)).map(String::from))
    }

    /// Runs a statement, and returns how many rows it affected.
    pub(super) async fn execute(&self, action: &'static str, sql: &str) -> Result<u64, LoadError> {
        let done = self.ask(sql).await.map_err(self.failed(action))?;
        let touched = done.iter().filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(touched.sum())
    }

    /// The rows that a query finds.
    pub(super) async fn found(
        &self,
        action: &'static str,
        sql: &str,
    ) -> Result<Vec<SimpleQueryRow>, LoadError> {
        let answer = self.ask(sql).await.map_err(self.failed(action))?;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Streams rows, of which there may be many.
    pub(super) async fn stream(&self, action: &'static str, sql: &str) -> Result<Rows<'_>, LoadError> {
        let stream = self.hear(self.client.simple_query_raw(sql)).await;
        Ok(Rows {
            session: self,
            action,
            stream: Box::pin(stream.map_err(self.failed(action))?),
        })
    }

    /// Runs a statement that returns one number.
    pub(super) async fn number<N: std::str::FromStr>(
        &self,
        action: &'static str,
        sql: &str,
    ) -> Result<N, LoadError> {
        let rows = self.found(action, sql).await?;
        self.parsed(action, rows.first().and_then(|row| row.get(0)))
    }

    pub(super) fn parsed<N: std::str::FromStr>(
        &self,
        action: &'static str,
        text: Option<&str>,
    ) -> Result<N, LoadError> {
        let number = text.and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| {
            self.failed(action)(RedshiftFault::odd("it returned no number where one was expected"))
        })
    }

    /// Entries of the ledger.
    pub(super) async fn entries(&self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
        let action = READ_LEDGER;
        let rows = self.found(action, &self.sql.entries(which)).await?;
        let entry = |row: &SimpleQueryRow| {
            let text = |at| row.get(at).unwrap_or_default().to_string();
            Ok(LedgerEntry {
                run_id: text(0),
                target: text(1),
                scope: text(2),
                sequence: self.parsed(action, row.get(3))?,
                rows: self.parsed(action, row.get(4))?,
                digest: text(5),
                loaded_at: text(6),
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Copies written files into a table, and checks that all rows arrived. On failure, it rolls the transaction back,
    /// and asks the server what was wrong.
    pub(super) async fn copy(&self, table: &str, written: &Written) -> Result<(), LoadError> {
        let action = "copy rows to";
        let role = &self.warehouse.settings.staging.iam_role;
        if let Err(error) = self.ask(&self.sql.copy(table, &written.manifest, role)).await {
            let noted = match error.message() {
                Some(_) => self.copy_error().await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "the server did not say why COPY failed");
                    None
                }),
                None => None,
            };
            return Err(self.failed(action)(RedshiftFault::copy(error, noted)));
        }
        let copied: u64 = self.number(action, sql::COPIED).await?;
        if copied != written.rows {
            let reason = format!(
                "{copied} rows arrived of the {} in {}",
                written.rows, written.manifest
            );
            return Err(self.failed(action)(RedshiftFault::odd(reason)));
        }
        Ok(())
    }

    /// The server's record of a failed COPY: message, column and file.
    async fn copy_error(&self) -> Result<Option<String>, LoadError> {
        let action = "ask why COPY failed in";
        self.execute(action, sql::ROLLBACK).await?;
        let id: u64 = self.number(action, sql::SESSION).await?;
        let noted = self.found(action, &sql::copy_error(id)).await?;
        Ok(noted.first().map(|row| {
            let of = |at: usize, what: &str| match row.get(at).unwrap_or_default() {
                "" => String::new(),
                text => format!("{what}{text}"),
            };
            format!("{}{}{}", of(2, ""), of(1, ", column "), of(0, ", file "))
        }))
    }

    pub(super) fn failed<E: Into<RedshiftFault>>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(E) -> LoadError + use<E> {
        self.warehouse.failed(action)
    }

    async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, PostgresFault> {
        self.hear(self.client.simple_query(sql)).await
    }
}

/// A stream of result rows.
pub(super) struct Rows<'a> {
    session: &'a RedshiftSession<'a>,
    action: &'static str,
    stream: Pin<Box<SimpleQueryStream>>,
}

impl Rows<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<SimpleQueryRow>, LoadError> {
        loop {
            let next = self.session.hear(self.stream.try_next()).await;
            match next.map_err(self.session.failed(self.action))? {
                Some(SimpleQueryMessage::Row(row)) => return Ok(Some(row)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

/// How long the server may take to say what it does.
const ANSWER: Duration = Duration::from_secs(30);

/// Asks whether the server is at work for a session, and ends that session if it is not.
async fn ask(client: &Client, session: u64) -> Result<bool, tokio_postgres::Error> {
    let answer = client.simple_query(&sql::at_work(session)).await?;
    let mut counts = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let is_at_work = counts.next().is_some_and(|count| count.trim() != "0");
    if !is_at_work && session != 0 {
        client.simple_query(&sql::end_session(session)).await?;
    }
    Ok(is_at_work)
}

async fn connect(warehouse: &RedshiftWarehouse) -> Result<Client, RedshiftFault> {
    let settings = &warehouse.settings;
    let mut config = settings.config.clone();
    let region = settings.staging.region.as_deref();
    let given = credentials::temporary(&settings.login, &settings.database, region, &warehouse.aws).await?;
    if let Some(given) = given {
        config.user(given.user).password(given.password);
    }
    let client = match &settings.tls {
        Tls::Off => {
            let (client, connection) = in_time(config.ssl_mode(SslMode::Disable).connect(NoTls)).await?;
            tokio::spawn(ended(connection));
            client
        }
        Tls::Verified(file) => {
            let roots = file.clone().map_or(Roots::System, Roots::File);
            let tls = connector(&Check::ChainAndName(roots), None).map_err(RedshiftFault::odd)?;
            let (client, connection) = in_time(config.ssl_mode(SslMode::Require).connect(tls)).await?;
            tokio::spawn(ended(connection));
            client
        }
    };
    Ok(client)
}

/// The driver's own timeout covers only the TCP connection; a server may fall silent after that.
async fn in_time<T>(
    connecting: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, RedshiftFault> {
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(PostgresFault::silent(CONNECT_TIMEOUT).into()),
    }
}

async fn ended(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        // The operation in progress fails too, and its caller reports that.
        tracing::debug!(error = %RedshiftFault::from(error), "a connection to the warehouse ended");
    }
}
