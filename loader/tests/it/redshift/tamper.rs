//! A proxy in front of the bucket that changes the staged files right after the manifest was written.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::server;

/// What is changed in the rows or their manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    Missing,
    OtherLength,
    FewerColumns,
    OtherType,
    FewerRows,
}

/// Starts the proxy, and returns its endpoint.
pub async fn tampering(bucket: Arc<dyn ObjectStore>, how: Tampering) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(pass(client, Arc::clone(&bucket), how));
        }
    });
    format!("http://{address}")
}

/// Forwards requests and responses. Holds the response to the manifest back until the bucket was changed.
async fn pass(client: TcpStream, bucket: Arc<dyn ObjectStore>, how: Tampering) {
    let server = TcpStream::connect(server::endpoint().trim_start_matches("http://"))
        .await
        .unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_due = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&is_due);
    tokio::spawn(async move {
        let mut part = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut part).await {
            let text = String::from_utf8_lossy(&part[..length]);
            let line = text.lines().next().unwrap_or_default();
            if line.starts_with("PUT") && line.contains("rows.manifest") {
                set.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&part[..length]).await.is_err() {
                return;
            }
        }
    });
    let mut part = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_server.read(&mut part).await {
        if is_due.swap(false, Ordering::SeqCst) {
            tamper(&*bucket, how).await;
        }
        if to_client.write_all(&part[..length]).await.is_err() {
            return;
        }
    }
}

async fn tamper(bucket: &dyn ObjectStore, how: Tampering) {
    let objects: Vec<_> = bucket
        .list(Some(&Path::from("in/transit")))
        .try_collect()
        .await
        .unwrap();
    let find = |name: &str| {
        let mut paths = objects.iter().map(|object| object.location.clone());
        paths.find(|path| path.as_ref().ends_with(name)).unwrap()
    };
    let (rows, manifest) = (find("rows-0.parquet"), find("rows.manifest"));
    let bytes = bucket.get(&rows).await.unwrap().bytes().await.unwrap();
    if how == Tampering::Missing {
        return bucket.delete(&rows).await.unwrap();
    }
    let length = bytes.len();
    let changed = match how {
        Tampering::Missing | Tampering::OtherLength => bytes.to_vec(),
        _ => {
            let batch = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            let batch = batch.build().unwrap().next().unwrap().unwrap();
            written(&changed(&batch, how))
        }
    };
    let declared = changed.len() + usize::from(how == Tampering::OtherLength);
    bucket.put(&rows, changed.into()).await.unwrap();
    let text = bucket.get(&manifest).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let text = text.replace(
        &format!("\"content_length\":{length}"),
        &format!("\"content_length\":{declared}"),
    );
    bucket.put(&manifest, text.into()).await.unwrap();
}

fn changed(batch: &RecordBatch, how: Tampering) -> RecordBatch {
    let columns = batch.num_columns();
    match how {
        Tampering::FewerRows => batch.slice(0, batch.num_rows() - 1),
        Tampering::FewerColumns => batch.project(&(0..columns - 1).collect::<Vec<_>>()).unwrap(),
        _ => {
            let text: ArrayRef = Arc::new(StringArray::from(vec!["1.00"; batch.num_rows()]));
            let replaced = HashMap::from([("sale_amount", text)]);
            let names = batch.schema();
            let names = names.fields().iter().map(|field| field.name().clone());
            let columns = names.zip(batch.columns()).map(|(name, column)| {
                let column = replaced.get(name.as_str()).unwrap_or(column).clone();
                (name, column)
            });
            RecordBatch::try_from_iter(columns).unwrap()
        }
    }
}

fn written(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}
