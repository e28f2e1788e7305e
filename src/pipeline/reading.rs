//! Reading one file on a blocking thread: hashing and converting it, and making sure that it stays the one that arrived.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_engine::{
    Conversion, ConversionReport, FeedLayout, HashingReader, Outputs, Scratch, content_hash, convert,
};
use gristmill_watcher::Stamp;

use super::retry::StepError;
use crate::lake::Spooled;
use crate::settings::Keep;

/// A file that is read on a blocking thread.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) path: PathBuf,
    /// What it looked like when it arrived.
    pub(super) stamp: Stamp,
    pub(super) feed: Arc<FeedLayout>,
}

/// What came of reading, if the file stayed the one that arrived.
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

impl Reading {
    /// The content hash alone.
    pub(super) fn hash(&self) -> Result<Read<String>, StepError> {
        self.read(|file| content_hash(file).map_err(|error| self.unreadable(error)))
    }

    /// Converts and hashes in one pass. The partial is written, too.
    pub(super) fn convert(
        &self,
        files: &Files,
        keep: Keep,
        scratch: Scratch<'_>,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Read<(ConversionReport, String)>, StepError> {
        let outputs = Outputs {
            converted: (keep == Keep::Rows || self.feed.sales().is_none()).then(|| files.converted.path()),
            rejects: Some(files.rejects.path()),
        };
        self.read(|file| {
            let mut reader = HashingReader::new(file);
            let Conversion { report, partial } =
                convert(&mut reader, &self.feed, outputs, scratch, progress)?;
            if let Some(partial) = partial.filter(|_| report.rejected_because.is_none()) {
                partial.write(files.partial.path(), scratch.memory)?;
            }
            Ok((report, reader.content_hash()))
        })
    }

    /// Reads the file, and makes sure before and after that it is the one that arrived.
    fn read<T>(&self, read: impl FnOnce(&File) -> Result<T, StepError>) -> Result<Read<T>, StepError> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Gone),
            opened => opened.map_err(|error| self.unreadable(error))?,
        };
        let is_the_same = || {
            file.metadata()
                .map(|metadata| Stamp::of(&metadata) == self.stamp)
                .map_err(|e| self.unreadable(e))
        };
        if !is_the_same()? {
            return Ok(Read::Changed);
        }
        let value = read(&file)?;
        Ok(if is_the_same()? {
            Read::Whole(value)
        } else {
            Read::Changed
        })
    }

    fn unreadable(&self, error: io::Error) -> StepError {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "; give gristmill's user the right to read it, then `gristmill retry`"
            }
            _ => "",
        };
        let what = format!("cannot read {}{advice}", self.path.display());
        StepError::transient(anyhow::Error::new(error).context(what))
    }
}
