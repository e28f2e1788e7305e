//! A lake's objects in a bucket: they are uploaded whole, and read from copies in a local folder.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::buffered::BufWriter;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufReader};

use super::cache::Cache;
use super::files::{LocalFile, Spooled};
use super::inventory::ObjectNames;
use super::names;
use crate::buckets;
use crate::settings::BucketPlace;

/// The most objects that are uploaded or fetched at the same time.
pub(super) const AT_ONCE: usize = 32;

/// Files of this size or more are uploaded in parts of this size. S3 and Google allow 10,000 parts, so an object may
/// have 80 GB.
const PART: usize = 8 << 20;

/// The most parts of one file that are uploaded at the same time.
const PARTS_AT_ONCE: usize = 4;

/// The bucket of a lake.
#[derive(Debug)]
pub(super) struct LakeBucket {
    pub(super) url: String,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The opened bucket that `objects` comes from.
    pub(super) opened: gristmill_watcher::Bucket,
    /// Its endpoint, unless it is the provider's own.
    pub(super) endpoint: Option<String>,
    /// The prefix of all keys of the lake.
    pub(super) prefix: ObjectPath,
    cache: Cache,
}

impl LakeBucket {
    /// Opens a bucket. Copies of its objects go to `copies`, which must be empty.
    pub(super) async fn open(place: &BucketPlace, copies: PathBuf, limit: u64) -> anyhow::Result<Self> {
        let opened = buckets::open(place).await?;
        Ok(Self {
            url: place.address.url(),
            objects: opened.objects(),
            prefix: ObjectPath::parse(opened.prefix())?,
            opened,
            endpoint: place.options.endpoint.clone(),
            cache: Cache::new(copies, limit),
        })
    }

    /// Uploads files, and keeps them as copies. Calls `published` for each file that is in the bucket, in their order.
    pub(super) async fn put_all(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        mut published: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<()> {
        let sent: Vec<_> = files
            .into_iter()
            .map(|(spooled, object)| self.put(spooled, object))
            .collect();
        let mut sent = stream::iter(sent).buffered(AT_ONCE);
        while let Some(object) = sent.try_next().await? {
            published(&object);
        }
        Ok(())
    }

    async fn put(&self, spooled: Spooled, object: ObjectPath) -> anyhow::Result<ObjectPath> {
        let action = || format!("cannot put {object} into the lake {}", self.url);
        let file = File::open(spooled.path()).await.with_context(action)?;
        let mut writer = BufWriter::with_capacity(self.objects.clone(), self.object_key(&object), PART)
            .with_max_concurrency(PARTS_AT_ONCE);
        let mut reader = BufReader::with_capacity(1 << 20, file);
        if let Err(error) = tokio::io::copy_buf(&mut reader, &mut writer).await {
            // If this fails too, the next start aborts the upload.
            let _ = writer.abort().await;
            return Err(anyhow::Error::new(error).context(action()));
        }
        writer.shutdown().await.with_context(action)?;
        self.cache.take(spooled.path(), &object).with_context(action)?;
        spooled.moved();
        Ok(object)
    }

    /// Returns the copy of an object, and fetches it if there is none. Returns `None` if the bucket does not have the
    /// object.
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
        let got = match self.objects.get(&self.object_key(object)).await {
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
        anyhow::ensure!(
            read == whole,
            "{}: only {read} of {whole} bytes arrived",
            action()
        );
        let copy = self
            .cache
            .take_fetched(spooled.path(), object)
            .with_context(action)?;
        spooled.moved();
        Ok(Some(local(copy)))
    }

    /// Removes the lake's objects that are not in `named`, and returns how many. Objects with foreign names are left.
    pub(super) async fn remove_unnamed(&self, named: &ObjectNames) -> anyhow::Result<usize> {
        let action = || format!("cannot list the lake {}", self.url);
        let mut unnamed = Vec::new();
        let mut listed = self.objects.list(Some(&self.prefix));
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

    /// Lists the lake's objects below a folder; the empty path is the whole lake.
    pub(super) async fn list(&self, folder: &ObjectPath) -> anyhow::Result<ObjectNames> {
        let action = || format!("cannot list the lake {}", self.url);
        let mut objects = ObjectNames::default();
        let mut listed = self.objects.list(Some(&self.object_key(folder)));
        while let Some(ObjectMeta { location, .. }) = listed.try_next().await.with_context(action)? {
            if let Some(object) = self.object(&location) {
                objects.insert(object.as_ref());
            }
        }
        Ok(objects)
    }

    /// Lists the objects below a folder.
    #[cfg(feature = "cluster")]
    pub(super) async fn below(&self, folder: &ObjectPath) -> object_store::Result<Vec<ObjectPath>> {
        let listed = self.objects.list(Some(&self.object_key(folder)));
        let listed = listed.map_ok(|ObjectMeta { location, .. }| self.object(&location));
        listed
            .try_filter_map(|object| std::future::ready(Ok(object)))
            .try_collect()
            .await
    }

    /// Removes objects. Objects that are already gone are not an error.
    pub(super) async fn remove(&self, objects: &[ObjectPath]) -> anyhow::Result<()> {
        for object in objects {
            self.cache.remove(object);
        }
        let keys: Vec<_> = objects.iter().map(|object| Ok(self.object_key(object))).collect();
        let mut removed = self.objects.delete_stream(stream::iter(keys).boxed());
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

    /// Returns the key of an object.
    pub(super) fn object_key(&self, object: &ObjectPath) -> ObjectPath {
        self.prefix.parts().chain(object.parts()).collect()
    }

    fn object(&self, key: &ObjectPath) -> Option<ObjectPath> {
        Some(key.prefix_match(&self.prefix)?.collect())
    }
}
