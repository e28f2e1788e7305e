//! A lake's objects in a bucket: sent there whole, and copied back to a local folder to be read.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_watcher::S3;
use object_store::aws::AmazonS3;
use object_store::buffered::BufWriter;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufReader};

use super::cache::Cache;
use super::{LocalFile, Spooled, names};
use crate::buckets;
use crate::settings::BucketPlace;

/// Objects that are sent or fetched at the same time.
pub(super) const AT_ONCE: usize = 32;

/// Files from this size on are sent in parts of this size. S3 takes 10,000 parts: an object may have 80 GB.
const PART: usize = 8 << 20;

/// Parts of one file that are sent at the same time.
const PARTS_AT_ONCE: usize = 4;

/// The bucket of a lake.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) url: String,
    pub(super) store: Arc<AmazonS3>,
    /// For what the store has no call for.
    pub(super) s3: S3,
    /// All names are below it.
    pub(super) prefix: ObjectPath,
    cache: Cache,
}

impl Bucket {
    /// Opens a bucket; copies of its objects go to a folder that is empty.
    pub(super) async fn open(place: &BucketPlace, copies: PathBuf, limit: u64) -> anyhow::Result<Self> {
        let opened = buckets::open(place).await?;
        Ok(Self {
            url: place.url.clone(),
            store: Arc::new(opened.store().clone()),
            s3: buckets::open_s3(&opened, place).await,
            prefix: ObjectPath::parse(opened.prefix())?,
            cache: Cache::new(copies, limit),
        })
    }

    /// Sends files, and keeps them as copies. `placed` is told of each that is there, in their order.
    pub(super) async fn put_all(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        mut placed: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<()> {
        let sent: Vec<_> = files
            .into_iter()
            .map(|(spooled, object)| self.put(spooled, object))
            .collect();
        let mut sent = stream::iter(sent).buffered(AT_ONCE);
        while let Some(object) = sent.try_next().await? {
            placed(&object);
        }
        Ok(())
    }

    async fn put(&self, spooled: Spooled, object: ObjectPath) -> anyhow::Result<ObjectPath> {
        let action = || format!("cannot put {object} into the lake {}", self.url);
        let file = File::open(spooled.path()).await.with_context(action)?;
        let mut writer = BufWriter::with_capacity(self.store.clone(), self.key(&object), PART)
            .with_max_concurrency(PARTS_AT_ONCE);
        let mut reader = BufReader::with_capacity(1 << 20, file);
        if let Err(error) = tokio::io::copy_buf(&mut reader, &mut writer).await {
            // If this fails too, the next start aborts what was sent.
            let _ = writer.abort().await;
            return Err(anyhow::Error::new(error).context(action()));
        }
        writer.shutdown().await.with_context(action)?;
        self.cache.take(spooled.path(), &object).with_context(action)?;
        spooled.moved();
        Ok(object)
    }

    /// The copy of an object, which is fetched if there is none; none if the bucket does not have the object.
    pub(super) async fn find(
        &self,
        object: &ObjectPath,
        spooled: Spooled,
    ) -> anyhow::Result<Option<LocalFile>> {
        let local = |(path, kept)| LocalFile {
            path,
            _kept: Some(kept),
        };
        if let Some(copy) = self.cache.find(object) {
            return Ok(Some(local(copy)));
        }
        let action = || format!("cannot fetch {object} from the lake {}", self.url);
        let got = match self.store.get(&self.key(object)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.with_context(action)?,
        };
        let (whole, mut read) = (got.meta.size, 0);
        let mut bytes = got.into_stream();
        let mut file = File::create(spooled.path()).await.with_context(action)?;
        while let Some(part) = bytes.try_next().await.with_context(action)? {
            file.write_all(&part).await.with_context(action)?;
            read += part.len() as u64;
        }
        file.flush().await.with_context(action)?;
        anyhow::ensure!(read == whole, "{}: only {read} of {whole} bytes came", action());
        let copy = self.cache.take(spooled.path(), object).with_context(action)?;
        spooled.moved();
        Ok(Some(local(copy)))
    }

    /// Removes objects with names as the lake gives them that are not among `named`; tells how many.
    pub(super) async fn remove_unnamed(&self, named: &HashSet<String>) -> anyhow::Result<usize> {
        let action = || format!("cannot list the lake {}", self.url);
        let mut unnamed = Vec::new();
        let mut listed = self.store.list(Some(&self.prefix));
        while let Some(ObjectMeta { location, .. }) = listed.try_next().await.with_context(action)? {
            if let Some(object) = self.object(&location)
                && names::is_of_lake(&object)
                && !named.contains(object.as_ref())
            {
                unnamed.push(object);
            }
        }
        self.remove(&unnamed).await?;
        Ok(unnamed.len())
    }

    /// Removes objects. Those that are gone already are no error.
    pub(super) async fn remove(&self, objects: &[ObjectPath]) -> anyhow::Result<()> {
        for object in objects {
            self.cache.remove(object);
        }
        let keys: Vec<_> = objects.iter().map(|object| Ok(self.key(object))).collect();
        let mut removed = self.store.delete_stream(stream::iter(keys).boxed());
        while let Some(removed) = removed.next().await {
            match removed {
                Err(object_store::Error::NotFound { .. }) | Ok(_) => {}
                Err(error) => {
                    let action = format!("cannot remove objects from the lake {}", self.url);
                    return Err(anyhow::Error::new(error).context(action));
                }
            }
        }
        Ok(())
    }

    /// The key of an object.
    pub(super) fn key(&self, object: &ObjectPath) -> ObjectPath {
        self.prefix.parts().chain(object.parts()).collect()
    }

    fn object(&self, key: &ObjectPath) -> Option<ObjectPath> {
        Some(key.prefix_match(&self.prefix)?.collect())
    }
}
