//! Sending a summary and its coverage to the temporary tables, by binary COPY.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use tokio_postgres::CopyInSink;

use super::load::Loading;
use super::sql::COPY_COVERAGE;
use super::wire;
use crate::{LoadError, input};

/// Bytes of a message. Larger ones gain nothing, smaller ones cost system calls.
const CHUNK: usize = 128 * 1024;

/// Sends the summary; gives the number of rows that the server took.
pub(crate) async fn summary(
    loading: &Loading<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<u64, LoadError> {
    let action = "copy the summary's rows to";
    let measures = &loading.warehouse.target.measures;
    let sink = loading
        .transaction
        .copy_in(&loading.names.sql.copy_stage())
        .await
        .map_err(loading.failed(action))?;
    let mut copy = Copy::new(sink);
    let mut batches = input::summary(&loading.load.summary, measures);
    let mut sent = 0;
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        for row in 0..batch.len() {
            wire::put_row(&mut copy.pending, 3 + measures.len());
            wire::put_text(&mut copy.pending, batch.stores.value(row));
            wire::put_text(&mut copy.pending, batch.items.value(row));
            wire::put_date(&mut copy.pending, batch.dates.value(row));
            batch
                .amounts(row)
                .for_each(|cents| wire::put_amount(&mut copy.pending, cents));
            if copy.pending.len() >= CHUNK {
                copy.send().await.map_err(loading.failed(action))?;
            }
        }
        sent += batch.len() as u64;
        progress(sent);
    }
    copy.finish().await.map_err(loading.failed(action))
}

/// Sends the coverage.
pub(crate) async fn coverage(loading: &Loading<'_>) -> Result<(), LoadError> {
    let action = "copy the covered days to";
    let sink = loading
        .transaction
        .copy_in(COPY_COVERAGE)
        .await
        .map_err(loading.failed(action))?;
    let mut copy = Copy::new(sink);
    let mut batches = input::coverage(&loading.load.coverage);
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        for row in 0..batch.len() {
            wire::put_row(&mut copy.pending, 2);
            wire::put_text(&mut copy.pending, batch.stores.value(row));
            wire::put_date(&mut copy.pending, batch.dates.value(row));
            if copy.pending.len() >= CHUNK {
                copy.send().await.map_err(loading.failed(action))?;
            }
        }
    }
    copy.finish().await.map_err(loading.failed(action))?;
    Ok(())
}

/// A COPY under way. Dropped before it is finished, it is cancelled, and the transaction with it.
struct Copy {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    pending: BytesMut,
}

impl Copy {
    fn new(sink: CopyInSink<Bytes>) -> Self {
        let mut pending = BytesMut::with_capacity(CHUNK + CHUNK / 8);
        wire::put_head(&mut pending);
        Self {
            sink: Box::pin(sink),
            pending,
        }
    }

    async fn send(&mut self) -> Result<(), tokio_postgres::Error> {
        let chunk = self.pending.split().freeze();
        self.pending.reserve(CHUNK + CHUNK / 8);
        self.sink.send(chunk).await?;
        // After a part and before the end: here a crash leaves a COPY half done.
        fail::fail_point!("load-during-copy");
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, tokio_postgres::Error> {
        self.send().await?;
        wire::put_tail(&mut self.pending);
        self.sink.send(self.pending.split().freeze()).await?;
        self.sink.as_mut().finish().await
    }
}
