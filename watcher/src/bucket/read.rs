//! Reads an object on a thread that may wait, in parts that are on their way while the one before is worked on.
//!
//! All parts are of one version of the object: the one that arrived. Its stamp is compared with every answer, and all
//! requests but the first hold the store to the ETag of the first (`If-Match`). Every part has the length that was asked
//! for, so what ends without an error is the whole object.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt};
use tokio::runtime;
use tokio::task::JoinHandle;

use super::Bucket;
use crate::Stamp;

/// One request's bytes. An object of no more than this is read by one request.
const PART: u64 = 8 << 20;

/// How many parts are on their way at once, beside the one in hand: 40 MiB an object at most.
const AHEAD: usize = 4;

/// Why an object, or the rest of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there any more.
    #[error("{path} is gone")]
    Gone {
        /// Relative to the prefix.
        path: String,
    },
    /// It is not the version that arrived: it was overwritten.
    #[error("{path} has changed since it was listed")]
    Changed {
        /// Relative to the prefix.
        path: String,
    },
    /// The store gave fewer or more bytes than it said.
    #[error("the bucket gave {got} bytes of {path} where it should give {expected}")]
    Length {
        /// Relative to the prefix.
        path: String,
        /// How many were asked for.
        expected: u64,
        /// How many came.
        got: u64,
    },
    /// No object can have such a name.
    #[error("the store cannot be asked for {path}: {source}")]
    BadName {
        /// Relative to the prefix.
        path: String,
        /// What is wrong with it.
        source: object_store::path::Error,
    },
    /// This user may not read it. A retry does not help.
    #[error("{url} may not be read: {source}. Grant {right}")]
    Denied {
        /// The object's.
        url: String,
        /// What is missing.
        right: &'static str,
        /// What the store answered.
        source: StoreError,
    },
    /// Anything else, after the retries that stores ask for.
    #[error("cannot read {url}/{path}: {source}")]
    Store {
        /// The bucket's.
        url: String,
        /// Relative to the prefix.
        path: String,
        /// What the store answered.
        source: StoreError,
    },
    /// The process is ending.
    #[error("{path} was not read to its end, because the process stops")]
    Stopped {
        /// Relative to the prefix.
        path: String,
    },
}

/// An object that is being read. Reading blocks, so it is for threads that may wait, not for tasks.
///
/// What goes wrong comes out of [`Read::read`] as an [`io::Error`]; whoever gets an error of a layer above asks
/// [`failure`](Self::failure) for the reason.
#[derive(Debug)]
pub struct ObjectReader {
    source: Source,
    runtime: runtime::Handle,
    etag: Option<String>,
    /// The next byte to ask for.
    next: u64,
    coming: VecDeque<JoinHandle<Result<Part, ReadError>>>,
    part: Part,
    failure: Option<ReadError>,
}

/// The body of an answer in the pieces that it came in: putting them together would copy each byte once more.
type Part = VecDeque<Bytes>;

/// What a request needs to know.
#[derive(Clone, Debug)]
struct Source {
    bucket: Bucket,
    path: String,
    key: Path,
    stamp: Stamp,
}

impl ObjectReader {
    /// Begins to read the object of this path, if it is still what its stamp says. Requests run on `runtime`.
    pub fn open(
        bucket: &Bucket,
        path: &str,
        stamp: Stamp,
        runtime: runtime::Handle,
    ) -> Result<Self, ReadError> {
        let key = bucket.key(path).map_err(|source| ReadError::BadName {
            path: path.to_owned(),
            source,
        })?;
        let source = Source {
            bucket: bucket.clone(),
            path: path.to_owned(),
            key,
            stamp,
        };
        let first = 0..stamp.bytes.min(PART);
        // One request without a range is answered for an empty object, too.
        let range = (first.end < stamp.bytes).then(|| GetRange::Bounded(first.clone()));
        let answer = runtime.block_on(source.ask(GetOptions::new().with_range(range)))?;
        let mut reader = Self {
            etag: answer.meta.e_tag.clone(),
            next: first.end,
            coming: VecDeque::new(),
            part: Part::new(),
            failure: None,
            source: source.clone(),
            runtime,
        };
        let part = async move { source.take(answer, first).await };
        reader.coming.push_back(reader.runtime.spawn(part));
        reader.ask();
        Ok(reader)
    }

    /// Why reading has ended before the end of the object.
    pub fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    /// Keeps parts coming.
    fn ask(&mut self) {
        while self.next < self.source.stamp.bytes && self.coming.len() < AHEAD {
            let range = self.next..(self.next + PART).min(self.source.stamp.bytes);
            self.next = range.end;
            let (source, etag) = (self.source.clone(), self.etag.clone());
            self.coming
                .push_back(self.runtime.spawn(async move { source.part(range, etag).await }));
        }
    }

    /// The next part; nothing at the end of the object.
    fn next_part(&mut self) -> Result<Option<Part>, ReadError> {
        let Some(coming) = self.coming.pop_front() else {
            return Ok(None);
        };
        let part = self.runtime.block_on(coming).unwrap_or_else(|_| {
            Err(ReadError::Stopped {
                path: self.source.path.clone(),
            })
        })?;
        self.ask();
        Ok(Some(part))
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(failure) = &self.failure {
                return Err(io::Error::other(failure.to_string()));
            }
            match self.part.front_mut() {
                Some(piece) if piece.is_empty() => drop(self.part.pop_front()),
                Some(piece) => {
                    let read = piece.len().min(buffer.len());
                    piece.copy_to_slice(&mut buffer[..read]);
                    return Ok(read);
                }
                None => match self.next_part() {
                    Ok(Some(part)) => self.part = part,
                    Ok(None) => return Ok(0),
                    Err(failure) => self.failure = Some(failure),
                },
            }
        }
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        for part in &self.coming {
            part.abort();
        }
    }
}

impl Source {
    async fn part(&self, range: Range<u64>, etag: Option<String>) -> Result<Part, ReadError> {
        let options = GetOptions::new()
            .with_range(Some(GetRange::Bounded(range.clone())))
            .with_if_match(etag);
        self.take(self.ask(options).await?, range).await
    }

    /// The head of an answer, which is about the version that arrived.
    async fn ask(&self, options: GetOptions) -> Result<GetResult, ReadError> {
        match self.bucket.store().get_opts(&self.key, options).await {
            Ok(answer) if Stamp::of_object(&answer.meta) != self.stamp => Err(self.changed()),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.reason(error).await),
        }
    }

    /// The body of an answer.
    async fn take(&self, answer: GetResult, range: Range<u64>) -> Result<Part, ReadError> {
        match answer.into_stream().try_collect().await {
            Ok(part) => self.check_length(&range, part),
            Err(error) => Err(self.reason(error).await),
        }
    }

    /// What an error means. Where an overwriting has led to it, it does not always say so: the object may be too short
    /// for the range now, or the rest of a part that broke off may be refused; and an object that is gone has no ETag to
    /// match. So the object is asked.
    async fn reason(&self, error: StoreError) -> ReadError {
        if !matches!(
            error,
            StoreError::Generic { .. } | StoreError::Precondition { .. }
        ) {
            return self.failed(error);
        }
        match self.bucket.store().head(&self.key).await {
            Ok(meta) if Stamp::of_object(&meta) != self.stamp => self.changed(),
            Err(gone @ StoreError::NotFound { .. }) => self.failed(gone),
            _ => self.failed(error),
        }
    }

    fn changed(&self) -> ReadError {
        ReadError::Changed {
            path: self.path.clone(),
        }
    }

    fn check_length(&self, range: &Range<u64>, part: Part) -> Result<Part, ReadError> {
        let got = part.iter().map(|piece| piece.len() as u64).sum();
        let expected = range.end - range.start;
        if got == expected {
            return Ok(part);
        }
        Err(ReadError::Length {
            path: self.path.clone(),
            expected,
            got,
        })
    }

    fn failed(&self, source: StoreError) -> ReadError {
        let (url, path) = (self.bucket.url().to_owned(), self.path.clone());
        match source {
            StoreError::NotFound { .. } => ReadError::Gone { path },
            StoreError::Precondition { .. } => ReadError::Changed { path },
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
                let right = self.bucket.right_to_read();
                let url = format!("{url}/{path}");
                ReadError::Denied { url, right, source }
            }
            source => ReadError::Store { url, path, source },
        }
    }
}
