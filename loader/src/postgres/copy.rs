//! Sends a summary and its coverage to temporary tables, or directly to the target, by binary COPY.
//!
//! Three steps run at once: a thread decodes Parquet a few batches ahead, this task encodes rows, and the connection's
//! task sends them. The server is the slowest.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use gristmill_servers::postgres::{Line, PostgresFault};
use tokio_postgres::CopyInSink;

use super::encode::{Ending, Rows, Stamp};
use super::session::PostgresSession;
use super::sql::COPY_COVERAGE;
use super::wire;
use crate::days::{Days, Lookup};
use crate::delta::{Fault, Piece, Pieces, Tally};
use crate::input::{self, SummaryBatch};
use crate::protocol::{Arrived, Progress};
use crate::{Load, LoadError};

/// Bytes of a message. Larger messages gain nothing; smaller ones cost more system calls.
const CHUNK: usize = 128 * 1024;

/// Sends the summary with a COPY, and adds the stamp, if there is one, to each row. Counts the rows outside `days`;
/// without `days`, none.
pub(crate) async fn summary(
    session: &PostgresSession<'_>,
    load: &Load,
    statement: &str,
    stamp: Option<Stamp<'_>>,
    days: Option<&Days>,
    progress: Progress<'_>,
) -> Result<Arrived, LoadError> {
    let action = "copy the summary's rows to";
    let measures = &session.warehouse.target.measures;
    let mut copy = Copy::begin(session, statement, action).await?;
    let ending = Ending::of_stamp(stamp);
    let mut lookup = days.map(Lookup::new);
    let mut batches = input::summary(&load.summary, measures);
    let mut sent = Arrived::default();
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        if let Some(lookup) = &mut lookup {
            sent.uncovered += lookup.lacking(&batch);
        }
        let done = copy.send_rows(&batch, &ending).await;
        done.map_err(session.failed(action))?;
        sent.rows += batch.len() as u64;
        progress(sent.rows);
    }
    sent.rows = copy.finish().await.map_err(session.failed(action))?;
    Ok(sent)
}

/// Sends a difference, and returns its totals; `None` if they never came, because the walk died.
pub(crate) async fn changes(
    session: &PostgresSession<'_>,
    pieces: &mut Pieces,
) -> Result<Option<Tally>, Fault> {
    let action = "copy the changed rows to";
    let mut copy = Copy::begin(session, &session.sql.copy_changes(), action).await?;
    let (written, gone) = (Ending::of_flag(false), Ending::of_flag(true));
    let mut tally = None;
    while let Some(piece) = pieces.recv().await {
        let (batch, ending) = match piece? {
            Piece::Write(batch) => (batch, &written),
            Piece::Remove(batch) => (batch, &gone),
            Piece::End(end) => {
                tally = Some(end);
                continue;
            }
        };
        let sent = copy.send_rows(&batch, ending).await;
        sent.map_err(session.failed(action))?;
    }
    copy.finish().await.map_err(session.failed(action))?;
    Ok(tally)
}

/// Sends the days.
pub(crate) async fn coverage(session: &PostgresSession<'_>, days: &Days) -> Result<(), LoadError> {
    let action = "copy the covered days to";
    let mut copy = Copy::begin(session, COPY_COVERAGE, action).await?;
    for (store, dates) in days.iter() {
        for date in dates {
            wire::put_row(&mut copy.pending, 2);
            wire::put_text(&mut copy.pending, store);
            wire::put_date(&mut copy.pending, *date);
            copy.send_if_full().await.map_err(session.failed(action))?;
        }
    }
    copy.finish().await.map_err(session.failed(action))?;
    Ok(())
}

/// What a COPY returns.
type Heard<T> = Result<T, PostgresFault>;

/// A COPY in progress. If it is dropped before it is finished, it is cancelled, and the transaction with it.
struct Copy<'l> {
    line: &'l Line,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    pending: BytesMut,
}

impl<'l> Copy<'l> {
    async fn begin(
        session: &'l PostgresSession<'_>,
        statement: &str,
        action: &'static str,
    ) -> Result<Self, LoadError> {
        let line = &session.line;
        let sink = line.hear(session.client.copy_in(statement)).await;
        let sink = sink.map_err(session.failed(action))?;
        let mut pending = BytesMut::with_capacity(CHUNK + CHUNK / 8);
        wire::put_head(&mut pending);
        Ok(Self {
            line,
            sink: Box::pin(sink),
            pending,
        })
    }

    async fn send_rows(&mut self, batch: &SummaryBatch, ending: &Ending) -> Heard<()> {
        let mut rows = Rows::new(batch, ending);
        while rows.put_next(&mut self.pending) {
            self.send_if_full().await?;
        }
        Ok(())
    }

    async fn send_if_full(&mut self) -> Heard<()> {
        match self.pending.len() {
            CHUNK.. => self.send().await,
            _ => Ok(()),
        }
    }

    async fn send(&mut self) -> Heard<()> {
        let chunk = self.pending.split().freeze();
        self.pending.reserve(CHUNK + CHUNK / 8);
        self.line.hear(self.sink.send(chunk)).await?;
        // After one message and before the end: a crash here leaves a COPY half done.
        fail::fail_point!("load-during-copy");
        Ok(())
    }

    async fn finish(mut self) -> Heard<u64> {
        self.send().await?;
        wire::put_tail(&mut self.pending);
        let tail = self.pending.split().freeze();
        self.line.hear(self.sink.send(tail)).await?;
        self.line.hear(self.sink.as_mut().finish()).await
    }
}
