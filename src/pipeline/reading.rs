//! Reads one file on a blocking thread: hashes and converts it, and makes sure that it is still the one that arrived.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gristmill_engine::{
    Archive, ArchiveError, Conversion, ConversionReport, EngineError, FeedLayout, HashingReader,
    MemberContent, Outputs, Scratch, Through, content_hash, convert, convert_in_order,
};
use gristmill_watcher::{Bucket, ObjectReader, OpenFileError, ReadError, SourceFolder, Stamp};
use object_store::ObjectStoreExt;
use tokio::runtime::Handle;

use super::retry::StepError;
use super::stuck::{PATIENCE, ReadAhead, Watch, Watched, is_remote};
use crate::lake::Spooled;
use crate::settings::Keep;
use crate::through::read_through;

/// A file to read on a blocking thread.
#[derive(Clone)]
pub(super) struct Reading {
    /// Its name.
    pub(super) file: String,
    /// The index of its source.
    pub(super) source: Option<usize>,
    pub(super) content: Content,
    /// Its stamp when it arrived.
    pub(super) stamp: Stamp,
    pub(super) feed: Arc<FeedLayout>,
    /// The program that it goes through.
    pub(super) through: Option<Through>,
    /// Shows what the thread that reads it is doing.
    pub(super) watch: Watch,
    /// Whether the pipeline has stopped, and does not wait for the rest of what is being read.
    pub(super) abandoned: Arc<AtomicBool>,
}

/// Where a file's bytes are.
#[derive(Clone)]
pub(super) enum Content {
    File {
        folder: SourceFolder,
        path: String,
    },
    Object {
        bucket: Bucket,
        path: String,
    },
    /// The bytes of an object that was fetched.
    Bytes(Arc<[u8]>),
    /// A file in an archive.
    Member(MemberContent),
    /// In none of the sources.
    Nowhere,
}

/// The result of reading: a value only if the file is still the one that arrived.
pub(super) enum Read<T> {
    Whole(T),
    Gone,
    Changed,
    /// The file system does not answer.
    Unanswered,
    /// The pipeline stops.
    Stopped,
}

impl<T> Read<T> {
    /// Returns a result that has no value, for a value of another kind.
    fn without_value<U>(self) -> Read<U> {
        match self {
            Self::Gone => Read::Gone,
            Self::Changed | Self::Whole(_) => Read::Changed,
            Self::Unanswered => Read::Unanswered,
            Self::Stopped => Read::Stopped,
        }
    }
}

/// What may be an archive, and its content hash.
pub(super) struct Listed {
    pub(super) archive: Result<Option<Archive>, ArchiveError>,
    pub(super) hash: String,
}

/// The spooled outputs of a conversion.
pub(super) struct Files {
    pub(super) converted: Spooled,
    pub(super) partial: Spooled,
    pub(super) rejects: Spooled,
}

/// Objects up to this size are fetched before they are converted: the watcher reads them with one request.
const ONE_REQUEST: u64 = 8 << 20;

/// The largest archive of a bucket that is copied to the scratch folder.
const MOST_COPIED: u64 = 16 << 30;

impl Content {
    /// Returns whether the source has the file, whatever it holds now.
    pub(super) async fn exists(&self) -> anyhow::Result<bool> {
        match self {
            Self::File { folder, path } => Ok(tokio::fs::try_exists(folder.root.join(path)).await?),
            Self::Object { bucket, path } => match bucket.objects().head(&bucket.object_key(path)?).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            },
            Self::Bytes(_) | Self::Member(_) => Ok(true),
            Self::Nowhere => Ok(false),
        }
    }
}

impl Reading {
    /// Returns whether each wait for its bytes ends by itself: an object's requests have limits of their own.
    pub(super) fn has_limits(&self) -> bool {
        matches!(self.content, Content::Object { .. })
    }

    /// Returns whether it is an object to fetch before it is converted.
    pub(super) fn is_to_fetch(&self) -> bool {
        matches!(self.content, Content::Object { .. }) && self.stamp.bytes <= ONE_REQUEST
    }

    /// Returns its size in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match &self.content {
            Content::Member(member) => member.bytes(),
            _ => self.stamp.bytes,
        }
    }

    /// Reads the list of an archive's members, and its content hash. An object, and what comes out of a program, is copied
    /// to `folder` for that, without a name: its members are read from there.
    pub(super) fn list(&self, runtime: &Handle, folder: &Path) -> Result<Read<Listed>, StepError> {
        let (file, hash) = match &self.content {
            Content::File { folder, path } if self.through.is_none() => {
                let hash = match self.hash(runtime)? {
                    Read::Whole(hash) => hash,
                    other => return Ok(other.without_value()),
                };
                match self.watch.call(|| folder.open(path)) {
                    Ok(file)
                        if file
                            .metadata()
                            .is_ok_and(|metadata| is_as_listed(&metadata, self.stamp)) =>
                    {
                        (file, hash)
                    }
                    Ok(_) | Err(OpenFileError::NoFile) => return Ok(Read::Changed),
                    Err(OpenFileError::Gone) => return Ok(Read::Gone),
                    Err(error) => return Err(StepError::transient(error)),
                }
            }
            _ if self.stamp.bytes > MOST_COPIED => {
                return Err(StepError::permanent(anyhow::anyhow!(
                    "the archive has over {} GiB, and would be copied to the scratch folder: send smaller ones",
                    MOST_COPIED >> 30
                )));
            }
            _ => {
                let copied = self.read(runtime, |input| {
                    let mut file = tempfile::tempfile_in(folder).map_err(StepError::transient)?;
                    let mut input = HashingReader::new(input);
                    let copy = |text: &mut (dyn io::Read + Send)| io::copy(text, &mut file);
                    self.through_program(&mut input, copy)?.map_err(unreadable)?;
                    Ok((file, input.content_hash()))
                })?;
                match copied {
                    Read::Whole(copied) => copied,
                    other => return Ok(other.without_value()),
                }
            }
        };
        let archive = Archive::open(Arc::new(file));
        Ok(Read::Whole(Listed { archive, hash }))
    }

    /// Returns whether a file of a folder is still the one that arrived. What was copied from a bucket is.
    pub(super) async fn is_there(&self) -> Result<bool, StepError> {
        let Content::File { folder, path } = &self.content else {
            return Ok(true);
        };
        match tokio::fs::metadata(folder.root.join(path)).await {
            Ok(metadata) => Ok(is_as_listed(&metadata, self.stamp)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unreadable(error)),
        }
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

    /// Converts and hashes in one pass, and writes the partial too. Only a large file with a header in mid-file that
    /// moves the columns takes a second pass.
    pub(super) fn convert(
        &self,
        runtime: &Handle,
        files: &Files,
        keep: Keep,
        scratch: Scratch<'_>,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Read<(ConversionReport, String)>, StepError> {
        let outputs = Outputs {
            converted: (keep == Keep::Rows || self.feed.sales().is_none()).then(|| files.converted.path()),
            rejects: Some(files.rejects.path()),
        };
        let mut most = 0;
        let mut progress = |bytes| {
            if bytes > most {
                most = bytes;
                progress(bytes);
            }
        };
        let first = self.read(runtime, |input| {
            let mut reader = HashingReader::new(input);
            let convert =
                |text: &mut (dyn io::Read + Send)| convert(text, &self.feed, outputs, scratch, &mut progress);
            match self.through_program(&mut reader, convert)? {
                Err(EngineError::ColumnsMoved) => Ok(None),
                done => Ok(Some((done?, reader.content_hash()))),
            }
        })?;
        let read = match first {
            Read::Whole(Some(done)) => Read::Whole(done),
            Read::Whole(None) => self.read(runtime, |input| {
                let mut reader = HashingReader::new(input);
                let convert = |text: &mut (dyn io::Read + Send)| {
                    convert_in_order(text, &self.feed, outputs, scratch, &mut progress)
                };
                let done = self.through_program(&mut reader, convert)??;
                Ok((done, reader.content_hash()))
            })?,
            other => other.without_value(),
        };
        let (Conversion { mut report, partial }, content_hash) = match read {
            Read::Whole(done) => done,
            other => return Ok(other.without_value()),
        };
        // Not what a program has made of it.
        report.bytes = self.bytes();
        if let Some(partial) = partial.filter(|_| report.rejected_because.is_none()) {
            partial.write(files.partial.path(), scratch.memory)?;
        }
        Ok(Read::Whole((report, content_hash)))
    }

    /// Has `read` read what the feed's program makes of the file, or the file itself.
    fn through_program<T: Send>(
        &self,
        input: &mut (dyn io::Read + Send),
        read: impl FnOnce(&mut (dyn io::Read + Send)) -> T + Send,
    ) -> Result<T, StepError> {
        let Some(through) = &self.through else {
            return Ok(read(input));
        };
        let is_stopped = || self.is_abandoned() || self.watch.is_given_up();
        // The fault may be one of this machine, such as a key that is missing: what failed is read again by `retry`.
        read_through(through, input, &is_stopped, read).map_err(StepError::permanent)
    }

    /// Reads the whole file, and makes sure that it is the one that arrived. When the pipeline has stopped, reading ends.
    fn read<T: Send>(
        &self,
        runtime: &Handle,
        read: impl FnOnce(&mut (dyn io::Read + Send)) -> Result<T, StepError> + Send,
    ) -> Result<Read<T>, StepError> {
        let read = |input: &mut (dyn io::Read + Send)| {
            let is_abandoned = &*self.abandoned;
            read(&mut Abandonable { input, is_abandoned })
        };
        match self.read_content(runtime, read) {
            Err(_) if self.is_abandoned() => Ok(Read::Stopped),
            read => read,
        }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    fn read_content<T: Send>(
        &self,
        runtime: &Handle,
        read: impl FnOnce(&mut (dyn io::Read + Send)) -> Result<T, StepError> + Send,
    ) -> Result<Read<T>, StepError> {
        match &self.content {
            Content::File { folder, path } => self.read_file(folder, path, read),
            Content::Object { bucket, path } => {
                let open = || ObjectReader::open(bucket, path, self.stamp, runtime.clone());
                let mut reader = match self.watch.call(open) {
                    Ok(reader) => reader,
                    Err(error) => return not_read(&error),
                };
                let watch = self.watch.clone();
                let read = on_own_threads(|| {
                    let input = &mut reader;
                    read(&mut Watched { input, watch })
                });
                match (read, reader.failure()) {
                    // The conversion failed because its input did.
                    (Err(_), Some(failure)) => not_read(failure),
                    (read, _) => read.map(Read::Whole),
                }
            }
            Content::Bytes(bytes) => read(&mut &bytes[..]).map(Read::Whole),
            Content::Member(member) => {
                let (input, watch) = (member.open(), self.watch.clone());
                let value = read(&mut Watched { input, watch });
                match self.watch.is_given_up() {
                    true => Ok(Read::Unanswered),
                    false => value.map(Read::Whole),
                }
            }
            Content::Nowhere => Ok(Read::Gone),
        }
    }

    /// Reads a local file, and compares its stamp before and after.
    fn read_file<T: Send>(
        &self,
        folder: &SourceFolder,
        path: &str,
        read: impl FnOnce(&mut (dyn io::Read + Send)) -> Result<T, StepError> + Send,
    ) -> Result<Read<T>, StepError> {
        let cannot_open = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; give gristmill's user the right to read it, then run `gristmill retry`"
                }
                _ => "",
            };
            let what = format!("cannot read {}{advice}", folder.root.join(path).display());
            StepError::transient(anyhow::Error::new(error).context(what))
        };
        stuck_point(path, &self.watch);
        let file = match self.watch.call(|| folder.open(path)) {
            Ok(file) => file,
            Err(OpenFileError::Gone) => return Ok(Read::Gone),
            // Something has taken the file's place since it was listed.
            Err(OpenFileError::NoFile) => return Ok(Read::Changed),
            Err(OpenFileError::Io(error)) => return Err(cannot_open(error)),
            Err(error @ (OpenFileError::Own(_) | OpenFileError::LeadsOut)) => {
                return Err(StepError::permanent(error));
            }
        };
        let is_the_same = |file: &File| {
            let metadata = self.watch.call(|| file.metadata());
            metadata
                .map(|metadata| is_as_listed(&metadata, self.stamp))
                .map_err(cannot_open)
        };
        if !is_the_same(&file)? {
            return Ok(Read::Changed);
        }
        let value = if is_remote(&file) && self.stamp.bytes > ONE_REQUEST {
            let ahead = file.try_clone().map_err(cannot_open)?;
            let mut ahead = ReadAhead::new(ahead, self.watch.clone(), PATIENCE).map_err(cannot_open)?;
            on_own_threads(|| read(&mut ahead))
        } else {
            let (input, watch) = (&file, self.watch.clone());
            read(&mut Watched { input, watch })
        };
        if self.watch.is_given_up() {
            return Ok(Read::Unanswered);
        }
        let value = value?;
        Ok(if is_the_same(&file)? {
            Read::Whole(value)
        } else {
            Read::Changed
        })
    }
}

/// Converts what comes over a network with threads that do nothing else. The threads that read a file take turns, and
/// wait for each other: those of the pool that everything shares would not be there for other work.
fn on_own_threads<T: Send>(convert: impl FnOnce() -> Result<T, StepError> + Send) -> Result<T, StepError> {
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads())
        .thread_name(|number| format!("network-{number}"))
        .build();
    let threads = threads.map_err(|error| StepError::outage(anyhow::Error::new(error)))?;
    threads.install(convert)
}

/// An input whose reading ends when the pipeline has stopped.
struct Abandonable<'r> {
    input: &'r mut (dyn io::Read + Send),
    is_abandoned: &'r AtomicBool,
}

impl io::Read for Abandonable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.is_abandoned.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the process is stopping")),
            false => self.input.read(buffer),
        }
    }
}

/// Returns whether a file has the stamp with which it was listed. Losing its last name changes its change time, but not
/// its bytes: another file has taken its place, and arrives by itself.
fn is_as_listed(metadata: &Metadata, listed: Stamp) -> bool {
    let now = Stamp::of(metadata);
    let changed_ns = match metadata.nlink() {
        0 => listed.changed_ns,
        _ => now.changed_ns,
    };
    Stamp { changed_ns, ..now } == listed
}

/// A point where tests have the reading of some files stand still.
#[cfg_attr(not(feature = "failpoints"), allow(unused_variables))]
fn stuck_point(path: &str, watch: &Watch) {
    watch.call(|| {
        fail::fail_point!("stuck-read", path.contains("stuck"), |_| ());
    });
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
        ReadError::Server { source, .. } if !matches!(source, object_store::Error::Generic { .. }) => {
            Err(StepError::transient(cause))
        }
        ReadError::Server { .. } | ReadError::Stopped { .. } => Err(StepError::outage(cause)),
        ReadError::Length { .. } => Err(StepError::transient(cause)),
    }
}
