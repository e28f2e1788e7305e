//! Reads an object on a thread that may block, in parts that are fetched while the part before is processed.
//!
//! All parts are of one version of the object: the one that arrived. Its stamp is compared with every response, and all
//! requests but the first require the ETag of the first response (`If-Match`). Every part has the requested length, so a
//! read that ends without an error has returned the whole object.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as ObjectError, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt};
use tokio::runtime;
use tokio::task::JoinHandle;

use super::Bucket;
use crate::Stamp;

/// How many bytes one request reads. An object of at most this size takes one request.
const PART: u64 = 8 << 20;

/// How many parts are fetched at once, besides the one being processed: at most 40 MiB for each object.
const AHEAD: usize = 4;

/// Why an object, or the rest of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It no longer exists.
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
    /// The bucket returned fewer or more bytes than it announced.
    #[error("the bucket returned {got} bytes of {path} instead of {expected}")]
    Length {
        /// Relative to the prefix.
        path: String,
        /// How many were requested.
        expected: u64,
        /// How many arrived.
        got: u64,
    },
    /// No object can have such a name.
    #[error("{path} cannot be requested from the bucket: {source}")]
    BadName {
        /// Relative to the prefix.
        path: String,
        /// What is wrong with it.
        source: object_store::path::Error,
    },
    /// This user may not read it. A retry does not help.
    #[error("{url} may not be read: {source}. Grant {right}")]
    Denied {
        /// The object's URL.
        url: String,
        /// The missing permission.
        right: &'static str,
        /// The server's answer.
        source: ObjectError,
    },
    /// Anything else, after the usual retries.
    #[error("cannot read {url}/{path}: {source}")]
    Server {
        /// The bucket's URL.
        url: String,
        /// Relative to the prefix.
        path: String,
        /// The server's answer.
        source: ObjectError,
    },
    /// The process is stopping.
    #[error("{path} was not read to its end, because the process is stopping")]
    Stopped {
        /// Relative to the prefix.
        path: String,
    },
}

/// An object that is being read. Reading blocks, so use it on blocking threads, not in tasks.
///
/// [`Read::read`] returns failures as [`io::Error`]s. A caller that receives an error from a layer above gets the reason
/// from [`failure`](Self::failure).
#[derive(Debug)]
pub struct ObjectReader {
    source: Source,
    runtime: runtime::Handle,
    etag: Option<String>,
    /// The next byte to request.
    next: u64,
    coming: VecDeque<JoinHandle<Result<Part, ReadError>>>,
    part: Part,
    failure: Option<ReadError>,
}

/// The body of a response, in the pieces in which it arrived: joining them would copy each byte once more.
type Part = VecDeque<Bytes>;

/// What each request needs.
#[derive(Clone, Debug)]
struct Source {
    bucket: Bucket,
    path: String,
    key: Path,
    stamp: Stamp,
}

impl ObjectReader {
    /// Begins to read the object at this path, if it still matches its stamp. Requests run on `runtime`.
    pub fn open(
        bucket: &Bucket,
        path: &str,
        stamp: Stamp,
        runtime: runtime::Handle,
    ) -> Result<Self, ReadError> {
        let key = bucket.object_key(path).map_err(|source| ReadError::BadName {
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
        // A request without a range also works for an empty object.
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

    /// Why reading stopped before the end of the object.
    pub fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    /// Requests more parts, up to `AHEAD` at once.
    fn ask(&mut self) {
        while self.next < self.source.stamp.bytes && self.coming.len() < AHEAD {
            let range = self.next..(self.next + PART).min(self.source.stamp.bytes);
            self.next = range.end;
            let (source, etag) = (self.source.clone(), self.etag.clone());
            self.coming
                .push_back(self.runtime.spawn(async move { source.part(range, etag).await }));
        }
    }

    /// The next part; `None` at the end of the object.
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

    /// Sends a request, and checks that the response is about the version that arrived.
    async fn ask(&self, options: GetOptions) -> Result<GetResult, ReadError> {
        match self.bucket.objects().get_opts(&self.key, options).await {
            Ok(answer) if Stamp::of_object(&answer.meta) != self.stamp => Err(self.changed()),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.reason(error).await),
        }
    }

    /// Reads the body of a response.
    async fn take(&self, answer: GetResult, range: Range<u64>) -> Result<Part, ReadError> {
        match answer.into_stream().try_collect().await {
            Ok(part) => self.check_length(&range, part),
            Err(error) => Err(self.reason(error).await),
        }
    }

    /// Finds out what an error means. An error caused by overwriting does not always say so: the object may now be too
    /// short for the range, or the server may refuse the rest of an interrupted part; and a deleted object has no ETag
    /// to match. So this looks the object up.
    async fn reason(&self, error: ObjectError) -> ReadError {
        if !matches!(
            error,
            ObjectError::Generic { .. } | ObjectError::Precondition { .. }
        ) {
            return self.failed(error);
        }
        match self.bucket.objects().head(&self.key).await {
            Ok(meta) if Stamp::of_object(&meta) != self.stamp => self.changed(),
            Err(gone @ ObjectError::NotFound { .. }) => self.failed(gone),
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

    fn failed(&self, source: ObjectError) -> ReadError {
        let (url, path) = (self.bucket.url().to_owned(), self.path.clone());
        match source {
            ObjectError::NotFound { .. } => ReadError::Gone { path },
            ObjectError::Precondition { .. } => ReadError::Changed { path },
            ObjectError::PermissionDenied { .. } | ObjectError::Unauthenticated { .. } => {
                let right = self.bucket.right_to_read();
                let url = format!("{url}/{path}");
                ReadError::Denied { url, right, source }
            }
            source => ReadError::Server { url, path, source },
        }
    }
}
