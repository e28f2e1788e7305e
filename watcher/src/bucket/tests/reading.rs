use std::io::Read;

use gristmill_testkit::s3_faults::{Fault, S3Faults};
use tokio::runtime;
use tokio::task::spawn_blocking;

use super::super::{ObjectReader, ReadError};
use super::*;

/// Three parts, the last of them short.
const LARGE: usize = (16 << 20) + 13;

pub(super) fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + seed + at / 251) as u8).collect()
}

/// Why a read failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The variant's name.
    pub(super) kind: String,
    pub(super) text: String,
}

impl From<&ReadError> for Failed {
    fn from(error: &ReadError) -> Self {
        let kind = format!("{error:?}");
        Self {
            kind: kind.split(' ').next().unwrap().to_owned(),
            text: error.to_string(),
        }
    }
}

/// Reads on a thread that may block.
pub(super) async fn read(bucket: &Bucket, path: &str, stamp: Stamp) -> Result<Vec<u8>, Failed> {
    let (bucket, path, handle) = (bucket.clone(), path.to_owned(), runtime::Handle::current());
    let work = move || {
        let mut reader =
            ObjectReader::open(&bucket, &path, stamp, handle).map_err(|error| Failed::from(&error))?;
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map_err(|error| {
            let failed = Failed::from(reader.failure().expect("a failed reader knows why"));
            assert_eq!(error.to_string(), failed.text);
            failed
        })?;
        Ok(all)
    };
    spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_all_sizes_are_read_whole() {
    for server in Server::start_each() {
        let bucket = server.open("in");
        for length in [0, 1, 8 << 20, (8 << 20) + 1, LARGE, 50 << 20] {
            let path = format!("a b+%{length}.tdf");
            let content = bytes(length, length);
            put(&bucket, &path, content.clone()).await;
            let found = read(&bucket, &path, stamp(&bucket, &path).await).await.unwrap();
            assert!(found == content, "{length} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_than_the_one_that_arrived_is_not_read() {
    for server in Server::start_each() {
        another_version(server.open("in")).await;
    }
}

async fn another_version(bucket: Bucket) {
    let old = bytes(LARGE, 1);
    put(&bucket, "a.tdf", old.clone()).await;
    let arrived = stamp(&bucket, "a.tdf").await;

    // Shorter than the first range, one part long, empty, of the same length.
    for length in [5, 0, LARGE] {
        put(&bucket, "a.tdf", bytes(length, 2)).await;
        let error = read(&bucket, "a.tdf", arrived).await.unwrap_err();
        assert_eq!(error.kind, "Changed", "{error:?}");
    }
    bucket
        .objects()
        .delete(&bucket.object_key("a.tdf").unwrap())
        .await
        .unwrap();
    let error = read(&bucket, "a.tdf", arrived).await.unwrap_err();
    assert_eq!(error.kind, "Gone", "{error:?}");
    let error = read(&bucket, "a//b", arrived).await.unwrap_err();
    assert_eq!(error.kind, "BadName", "{error:?}");
}

/// Reads an object to which `change` is applied once its first part has been requested.
async fn read_while<F>(server: &Server, change: impl FnOnce(Bucket) -> F) -> Result<Vec<u8>, Failed>
where
    F: Future<Output = ()> + Send + 'static,
{
    let bucket = server.open("in");
    put(&bucket, "a.tdf", bytes(LARGE, 1)).await;
    let arrived = stamp(&bucket, "a.tdf").await;
    let proxy = S3Faults::before(server.port());
    let (mut change, runtime) = (Some(change(bucket)), runtime::Handle::current());
    proxy.plan(move |request| {
        if request.range.is_some_and(|range| range != "bytes=0-8388607")
            && let Some(change) = change.take()
        {
            runtime.block_on(change);
        }
        Fault::None
    });
    read(&server.open_by(proxy.port, "in"), "a.tdf", arrived).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_changes_while_it_is_read_is_never_mixed() {
    for server in Server::start_each() {
        never_mixed(&server).await;
    }
}

async fn never_mixed(server: &Server) {
    for length in [LARGE, 5] {
        let overwritten = read_while(server, async move |bucket| {
            put(&bucket, "a.tdf", bytes(length, 2)).await;
        });
        let error = overwritten.await.unwrap_err();
        assert_eq!(error.kind, "Changed", "{error:?}");
    }
    let removed = read_while(server, async |bucket| {
        bucket
            .objects()
            .delete(&bucket.object_key("a.tdf").unwrap())
            .await
            .unwrap();
    });
    let error = removed.await.unwrap_err();
    assert_eq!(error.kind, "Gone", "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_names_the_permission_that_is_missing() {
    for server in Server::start_each() {
        put(&server.open("in"), "a.tdf", "x").await;
        let arrived = stamp(&server.open("in"), "a.tdf").await;
        let proxy = S3Faults::before(server.port());
        proxy.plan(|_| Fault::Answer(403, "AccessDenied"));
        let error = read(&server.open_by(proxy.port, "in"), "a.tdf", arrived)
            .await
            .unwrap_err();
        assert_eq!(error.kind, "Denied", "{error:?}");
        let right = match server {
            Server::S3(_) => "s3:GetObject",
            Server::Google(..) => "storage.objects.get",
            Server::Azure(_) => "Storage Blob Data Reader",
        };
        assert!(error.text.contains(right), "{error:?}");
    }
}
