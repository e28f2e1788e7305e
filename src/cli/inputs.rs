//! The inputs that a command is given by name: files, folders, objects, and everything below a prefix of a bucket.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use futures::TryStreamExt;
use gristmill_engine::{
    Archive, ArchiveError, Conversion, EngineError, FeedLayout, FilePattern, MemberContent, Outputs, Scratch,
    convert, convert_in_order, has_archive_name,
};
use gristmill_watcher::{
    Address, Bucket, BucketOptions, ObjectReader, OwnFiles, Provider, Stamp, is_looked_at, open_named,
};
use object_store::{Error, ObjectStoreExt};
use tempfile::TempDir;
use tokio::runtime::Handle;
use walkdir::WalkDir;

use crate::buckets;
use crate::settings::{BucketPlace, Place, Source};
use crate::through::read_through;
use crate::usage::Usage;

/// A file to read.
#[derive(Clone)]
pub(super) enum Input {
    File {
        path: PathBuf,
        /// What must not be read, under whatever name.
        own: Arc<OwnFiles>,
    },
    Object {
        bucket: Bucket,
        path: String,
        stamp: Stamp,
    },
    /// A file in an archive.
    Member {
        /// The archive, and its path in there.
        shown: String,
        content: MemberContent,
        /// Whether the archive came out of a program, so that this goes through none.
        is_out_of_program: bool,
    },
}

/// An archive whose members are inputs.
pub(super) struct Members {
    /// Their paths in the archive, without those that are never looked at.
    pub(super) members: Vec<(String, Input)>,
    /// What the archive had to be unpacked to.
    _folder: TempDir,
}

impl Input {
    /// Returns its size in bytes.
    pub(super) fn bytes(&self) -> std::io::Result<u64> {
        match self {
            Self::File { path, .. } => Ok(path.metadata()?.len()),
            Self::Object { stamp, .. } => Ok(stamp.bytes),
            Self::Member { content, .. } => Ok(content.bytes()),
        }
    }

    /// Opens it. This blocks, so call it only on a blocking thread. An object's requests run on `runtime`.
    pub(super) fn open(&self, runtime: &Handle) -> anyhow::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::File { path, own } => Box::new(open_named(path, own)?),
            Self::Object { bucket, path, stamp } => {
                Box::new(ObjectReader::open(bucket, path, *stamp, runtime.clone())?)
            }
            Self::Member { content, .. } => Box::new(content.open()),
        })
    }

    /// Has `read` read it, or what the feed's program makes of it. `opened` is what [`Input::open`] returned.
    pub(super) fn read<T: Send>(
        &self,
        opened: anyhow::Result<Box<dyn Read + Send>>,
        layout: &FeedLayout,
        read: impl FnOnce(&mut (dyn Read + Send)) -> T + Send,
    ) -> anyhow::Result<T> {
        let mut opened = opened?;
        let goes_through = !matches!(
            self,
            Self::Member {
                is_out_of_program: true,
                ..
            }
        );
        Ok(match layout.through.as_ref().filter(|_| goes_through) {
            Some(through) => read_through(through, &mut *opened, &|| false, read)?,
            None => read(&mut *opened),
        })
    }

    /// Returns the members of an archive; `Err` has the reason if it cannot be read. This blocks like [`Input::open`].
    pub(super) fn members(
        &self,
        runtime: &Handle,
        layout: Option<&FeedLayout>,
    ) -> anyhow::Result<Result<Members, String>> {
        let folder = TempDir::new().context("cannot make a temporary folder")?;
        let through = layout.filter(|layout| layout.through.is_some());
        let archive = match (self, through) {
            (Self::Member { .. }, _) => return Ok(Err("archives in archives are not read".into())),
            (Self::File { path, own }, None) => open_named(path, own)?,
            _ => {
                let mut copy = tempfile::tempfile_in(folder.path())?;
                let mut copying = |text: &mut (dyn Read + Send)| std::io::copy(text, &mut copy);
                match through {
                    Some(layout) => self.read(self.open(runtime), layout, copying)??,
                    None => copying(&mut *self.open(runtime)?)?,
                };
                copy
            }
        };
        let archive = match Archive::open(Arc::new(archive)) {
            Ok(Some(archive)) => archive,
            Ok(None) => return Ok(Err("it is no archive".into())),
            Err(ArchiveError::Refused(reason)) => return Ok(Err(reason)),
            Err(ArchiveError::Io(error)) => return Err(error.into()),
        };
        let is_wanted = |name: &str| name.split('/').all(|part| is_looked_at(part.as_ref()));
        let names = archive.members().iter().enumerate();
        let wanted: Vec<usize> = names
            .filter(|(_, member)| is_wanted(&member.name))
            .map(|(number, _)| number)
            .collect();
        let mut members = Vec::with_capacity(wanted.len());
        for batch in archive.batches(&wanted, folder.path()) {
            members.extend(batch?.into_iter().map(|(number, content)| {
                let name = archive.members()[number].name.clone();
                let member = Self::Member {
                    shown: format!("{self}/{name}"),
                    content,
                    is_out_of_program: through.is_some(),
                };
                (name, member)
            }));
        }
        let _folder = folder;
        Ok(Ok(Members { members, _folder }))
    }
}

impl Input {
    /// Converts it. `opened` is what [`Input::open`] returned; it is opened once more if it must be read in order.
    pub(super) fn convert(
        &self,
        opened: anyhow::Result<Box<dyn Read + Send>>,
        runtime: &Handle,
        layout: &FeedLayout,
        (outputs, scratch): (Outputs<'_>, Scratch<'_>),
        mut progress: impl FnMut(u64) + Send,
    ) -> anyhow::Result<Conversion> {
        let mut most = 0;
        let mut progress = |bytes| {
            if bytes > most {
                most = bytes;
                progress(bytes);
            }
        };
        let first = self.read(opened, layout, |text| {
            convert(text, layout, outputs, scratch, &mut progress)
        });
        match first? {
            Err(EngineError::ColumnsMoved) => {
                let again = self.open(runtime);
                let done = self.read(again, layout, |text| {
                    convert_in_order(text, layout, outputs, scratch, progress)
                });
                Ok(done??)
            }
            done => Ok(done?),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => path.display().fmt(f),
            Self::Object { bucket, path, .. } => write!(f, "{}/{path}", bucket.url()),
            Self::Member { shown, .. } => f.write_str(shown),
        }
    }
}

/// Returns the input as a bucket URL, or `None` if it is a path.
pub(super) fn url(input: &Path) -> Option<&str> {
    input.to_str().filter(|input| Provider::of_url(input).is_some())
}

/// Lists the inputs in the order given: files and objects as they are, folders and prefixes as the files in them that
/// match `pattern`, and those that may be archives by their names.
pub(super) async fn list(
    inputs: &[PathBuf],
    pattern: &FilePattern,
    sources: &[Source],
    own: &Arc<OwnFiles>,
) -> anyhow::Result<Vec<Input>> {
    let file = |path: PathBuf| Input::File {
        path,
        own: own.clone(),
    };
    let mut files = Vec::new();
    for input in inputs {
        match url(input) {
            Some(url) => {
                let place = place(url, sources)?;
                match object(url, &place).await? {
                    Some(object) => files.push(object),
                    None => files.extend(below_prefix(&place, pattern).await?),
                }
            }
            None if input.is_dir() => files.extend(in_folder(input, pattern)?.into_iter().map(file)),
            None => files.push(file(input.clone())),
        }
    }
    Ok(files)
}

/// Finds the source that a URL lies in, and its path there.
pub(super) fn source_of<'s, 'u>(
    url: &'u str,
    sources: &'s [Source],
) -> Option<(&'s Source, &'s BucketPlace, &'u str)> {
    sources.iter().find_map(|source| {
        let Place::Bucket(bucket) = &source.place else {
            return None;
        };
        let path = url.strip_prefix(&bucket.address.url())?;
        let is_whole = path.is_empty();
        let path = path.strip_prefix('/').or(is_whole.then_some(path))?;
        Some((source, bucket, path))
    })
}

/// Returns the place that a URL names. Inside a source it is reached with that source's options; elsewhere, with the
/// provider's standard configuration alone.
pub(super) fn place(url: &str, sources: &[Source]) -> anyhow::Result<BucketPlace> {
    let address = Address::parse(url).map_err(|error| Usage::new(error.to_string()))?;
    let source = source_of(url, sources);
    let options = source.map_or_else(BucketOptions::default, |(_, bucket, _)| bucket.options.clone());
    Ok(BucketPlace { address, options })
}

/// Looks up the object that a URL names. A URL that ends in `/` names a prefix, never an object.
pub(super) async fn object(url: &str, place: &BucketPlace) -> anyhow::Result<Option<Input>> {
    let BucketPlace { address, options } = place;
    if address.path().is_empty() || url.ends_with('/') {
        return Ok(None);
    }
    let whole = BucketPlace {
        address: Address::parse(address.root())?,
        options: options.clone(),
    };
    let bucket = buckets::open(&whole).await?;
    let name = bucket.object_key(address.path())?;
    match bucket.objects().head(&name).await {
        Ok(meta) => Ok(Some(Input::Object {
            path: address.path().to_owned(),
            stamp: Stamp::of_object(&meta),
            bucket,
        })),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(anyhow::Error::new(error).context(format!("cannot look for {}", address.url()))),
    }
}

async fn below_prefix(place: &BucketPlace, pattern: &FilePattern) -> anyhow::Result<Vec<Input>> {
    let bucket = buckets::open(place).await?;
    let prefix = object_store::path::Path::parse(bucket.prefix())?;
    let listed = bucket.objects().list(Some(&prefix));
    let listed: Vec<_> = listed
        .try_collect()
        .await
        .with_context(|| format!("cannot list {}", bucket.url()))?;
    let of_feed = listed.into_iter().filter_map(|meta| {
        let path = meta.location.as_ref().strip_prefix(bucket.prefix())?;
        let is_looked_at = path.split('/').all(|part| is_looked_at(part.as_ref()));
        let is_wanted = pattern.matches(path) || has_archive_name(path);
        (is_looked_at && is_wanted).then(|| Input::Object {
            bucket: bucket.clone(),
            path: path.to_owned(),
            stamp: Stamp::of_object(&meta),
        })
    });
    Ok(of_feed.collect())
}

fn in_folder(folder: &Path, pattern: &FilePattern) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || is_looked_at(entry.file_name()));
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list the folder {}", folder.display()))?;
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let is_wanted = |path: &str| pattern.matches(path) || has_archive_name(path);
        let is_of_feed = relative.to_str().is_some_and(is_wanted);
        if entry.file_type().is_file() && is_of_feed {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Returns whether a file was not read because it is an archive.
pub(super) fn is_archive(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(EngineError::Archive)))
}

/// Returns the name that a file has in its source; outside all sources, its bare file name.
pub(super) fn name_in_source(file: &Path, sources: &[Source]) -> anyhow::Result<String> {
    let absolute = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("cannot find {}", path.display()))
    };
    let file = absolute(file)?;
    let utf8 = |name: Option<&str>| {
        name.map(ToOwned::to_owned)
            .ok_or_else(|| Usage::new(format!("{}: the name is not UTF-8: rename it", file.display())))
    };
    for source in sources {
        if let Place::Folder(folder) = &source.place
            && let Ok(path) = file.strip_prefix(absolute(folder)?)
        {
            return Ok(source.file_name(&utf8(path.to_str())?));
        }
    }
    Ok(utf8(file.file_name().and_then(|name| name.to_str()))?)
}

/// Returns an object with the name that it has in its source; outside all sources, the last part of its URL.
pub(super) async fn object_in_source(url: &str, sources: &[Source]) -> anyhow::Result<(String, Input)> {
    let place = place(url, sources)?;
    let object = object(url, &place).await?;
    let object = object.ok_or_else(|| Usage::new(format!("{url}: there is no such object")))?;
    let name = match source_of(url, sources) {
        Some((source, _, path)) => source.file_name(path),
        None => url.rsplit('/').next().unwrap_or(url).to_owned(),
    };
    Ok((name, object))
}
