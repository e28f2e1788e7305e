//! Reads one file on a blocking thread: hashes and converts it, and makes sure that it is still the one that arrived.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_engine::{
    Conversion, ConversionReport, FeedLayout, HashingReader, Outputs, Scratch, content_hash, convert,
};
use gristmill_watcher::{Bucket, ObjectReader, ReadError, Stamp};
use object_store::ObjectStoreExt;
use tokio::runtime::Handle;

use super::retry::StepError;
use crate::lake::Spooled;
use crate::settings::Keep;

/// A file to read on a blocking thread.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) content: Content,
    /// Its stamp when it arrived.
    pub(super) stamp: Stamp,
    pub(super) feed: Arc<FeedLayout>,
}

/// Where a file's bytes are.
#[derive(Clone)]
pub(super) enum Content {
    File(PathBuf),
    Object {
        bucket: Bucket,
        path: String,
    },
    /// The bytes of an object that was fetched.
    Bytes(Arc<[u8]>),
    /// In none of the sources.
    Nowhere,
}

/// The result of reading: a value only if the file is still the one that arrived.
pub(super) enum Read<T> {
    Whole(T),
    Gone,
    Changed,
}

/// The spooled outputs of a conversion.
pub(super) struct Files {
    pub(super) converted: Spooled,
    pub(super) partial: Spooled,
    pub(super) rejects: Spooled,
}

/// Objects up to this size are fetched before they are converted: the watcher reads them with one request.
const ONE_REQUEST: u64 = 8 << 20;

impl Content {
    /// Returns whether the source has the file, whatever it holds now.
    pub(super) async fn exists(&self) -> anyhow::Result<bool> {
        match self {
            Self::File(path) => Ok(tokio::fs::try_exists(path).await?),
            Self::Object { bucket, path } => match bucket.store().head(&bucket.key(path)?).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            },
            Self::Bytes(_) => Ok(true),
            Self::Nowhere => Ok(false),
        }
    }
}

impl Reading {
    /// Returns whether it is an object to fetch before it is converted.
    pub(super) fn is_to_fetch(&self) -> bool {
        matches!(self.content, Content::Object { .. }) && self.stamp.bytes <= ONE_REQUEST
    }

    /// Computes the content hash alone.
    pub(super) fn hash(&self, runtime: &Handle) -> Result<Read<String>, StepError> {
        self.read(runtime, |input| content_hash(input).map_err(unreadable))
    }

    /// Fetches all bytes of an object.
    pub(super) fn fetch(&self, runtime: &Handle) -> Result<Read<Arc<[u8]>>, StepError> {
        self.read(runtime, |input| {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(unreadable)?;
            Ok(bytes.into())
        })
    }

    /// Converts and hashes in one pass, and writes the partial too.
    pub(super) fn convert(
        &self,
        runtime: &Handle,
        files: &Files,
        keep: Keep,
        scratch: Scratch<'_>,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Read<(ConversionReport, String)>, StepError> {
        let outputs = Outputs {
            converted: (keep == Keep::Rows || self.feed.sales().is_none()).then(|| files.converted.path()),
            rejects: Some(files.rejects.path()),
        };
        self.read(runtime, |input| {
            let mut reader = HashingReader::new(input);
            let Conversion { report, partial } =
                convert(&mut reader, &self.feed, outputs, scratch, progress)?;
            if let Some(partial) = partial.filter(|_| report.rejected_because.is_none()) {
                partial.write(files.partial.path(), scratch.memory)?;
            }
            Ok((report, reader.content_hash()))
        })
    }

    /// Reads the whole file, and makes sure that it is the one that arrived.
    fn read<T>(
        &self,
        runtime: &Handle,
        read: impl FnOnce(&mut (dyn io::Read + Send)) -> Result<T, StepError>,
    ) -> Result<Read<T>, StepError> {
        match &self.content {
            Content::File(path) => self.read_file(path, |file| read(file)),
            Content::Object { bucket, path } => {
                let mut reader = match ObjectReader::open(bucket, path, self.stamp, runtime.clone()) {
                    Ok(reader) => reader,
                    Err(error) => return not_read(&error),
                };
                match (read(&mut reader), reader.failure()) {
                    // The conversion failed because its input did.
                    (Err(_), Some(failure)) => not_read(failure),
                    (read, _) => read.map(Read::Whole),
                }
            }
            Content::Bytes(bytes) => read(&mut &bytes[..]).map(Read::Whole),
            Content::Nowhere => Ok(Read::Gone),
        }
    }

    /// Reads a local file, and compares its stamp before and after.
    fn read_file<T>(
        &self,
        path: &Path,
        read: impl FnOnce(&mut File) -> Result<T, StepError>,
    ) -> Result<Read<T>, StepError> {
        let cannot_open = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; give gristmill's user the right to read it, then run `gristmill retry`"
                }
                _ => "",
            };
            let what = format!("cannot read {}{advice}", path.display());
            StepError::transient(anyhow::Error::new(error).context(what))
        };
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Gone),
            opened => opened.map_err(cannot_open)?,
        };
        let is_the_same = |file: &File| {
            file.metadata()
                .map(|metadata| Stamp::of(&metadata) == self.stamp)
                .map_err(cannot_open)
        };
        if !is_the_same(&file)? {
            return Ok(Read::Changed);
        }
        let value = read(&mut file)?;
        Ok(if is_the_same(&file)? {
            Read::Whole(value)
        } else {
            Read::Changed
        })
    }
}

fn unreadable(error: io::Error) -> StepError {
    StepError::transient(anyhow::Error::new(error).context("cannot read the file"))
}

/// Maps a failure to read an object to the result for its file.
fn not_read<T>(failure: &ReadError) -> Result<Read<T>, StepError> {
    let cause = anyhow::anyhow!("{failure}");
    match failure {
        ReadError::Gone { .. } => Ok(Read::Gone),
        ReadError::Changed { .. } => Ok(Read::Changed),
        ReadError::BadName { .. } | ReadError::Denied { .. } => Err(StepError::permanent(cause)),
        ReadError::Length { .. } | ReadError::Store { .. } | ReadError::Stopped { .. } => {
            Err(StepError::transient(cause))
        }
    }
}
