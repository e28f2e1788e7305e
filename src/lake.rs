//! The lake: converted files, partials, rejects and summaries, in a folder or in a bucket.
//!
//! An object's name says what it holds: `converted/FEED/PATH.VERSION.parquet`, `partials/…` and `rejects/…` likewise,
//! and `summaries/JOB/RUN.parquet` beside `summaries/JOB/RUN.coverage.parquet`. An object under such a name is whole.
//! It is written to the local spool folder first; a lake in a folder then syncs it to disk and renames it, and a
//! bucket makes an object visible only once it is complete. Only an object that nothing refers to yet may get its name
//! before it is synced ([`Lake::publish_unsynced`]). A version's name contains the hashes of its bytes and layout, so
//! writing it twice gives the same object twice. The lake has as many folders as the source: one for each file would
//! cost more than the file.
//!
//! Objects are always read as local files. A bucket's objects are copied to a [cache] first. It also holds what was
//! just written, so most objects are never fetched back.

mod bucket;
mod cache;
mod durable;
mod files;
#[cfg(feature = "cluster")]
mod foreign;
mod inventory;
mod names;
mod owner;
mod unfinished;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_state::{ObjectsOf, ServiceLock, StateError};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use sysinfo::System;
use tempfile::TempDir;
use tokio::runtime::Handle;

use self::bucket::LakeBucket;
pub use self::files::{LocalFile, Spooled};
#[cfg(feature = "cluster")]
pub use self::foreign::{copy_name, is_plain, result_folder, session_folder};
pub use self::inventory::{Inventory, ObjectNames};
pub use self::names::{VersionObject, partial_beside, summary_names};
use crate::settings::LakeSettings;

const NOT_SYNCED: &str = "cannot sync files of the lake to disk";

/// The folder of unfinished files. It is inside a lake in a folder, so that renaming never crosses a file system.
const SPOOL: &str = "_spool";

/// A lake in a local folder or in a bucket.
#[derive(Clone, Debug)]
pub struct Lake {
    objects: Objects,
    spool: PathBuf,
    _hold: Hold,
}

/// Where the objects are.
#[derive(Clone, Debug)]
enum Objects {
    Folder {
        root: PathBuf,
        files: Arc<LocalFileSystem>,
    },
    Bucket(Arc<LakeBucket>),
}

/// What is held as long as the lake is open.
#[derive(Clone, Debug)]
enum Hold {
    /// The lock on the spool: two writers would clear and reuse each other's.
    ToWrite { _lock: Arc<ServiceLock> },
    /// The folder that a reader of a bucket has for its copies.
    ToRead { _copies: Option<Arc<TempDir>> },
}

/// Files that have their names in the lake but may not have reached the disk yet. Objects in a bucket are safe at once,
/// so they are never among them.
#[derive(Debug, Default)]
pub struct Unsynced {
    root: PathBuf,
    names: Vec<PathBuf>,
}

impl Lake {
    /// Opens a lake for the service, which writes most of it: creates its folder if necessary, and removes what a killed
    /// process left unfinished. Fails if another service writes to the lake, or if the bucket belongs to another
    /// gristmill: to another state database than that named `database`, or to another scratch folder.
    pub async fn open_to_write(settings: &LakeSettings, database: Option<&str>) -> anyhow::Result<Self> {
        let spool = settings.local().join(SPOOL);
        let lock = ServiceLock::acquire(&spool)?;
        let lake = Self::open_with(settings, database, (spool, lock), "cache").await?;
        if let LakeSettings::Folder(root) = settings {
            owner::name(root, database)?;
        }
        Ok(lake)
    }

    /// Opens a lake for a worker, which writes beside the service of the state database `database`. It has the first spool
    /// that no other worker on its host has. Fails if it is not the lake that the service has opened.
    pub async fn open_to_help(settings: &LakeSettings, database: Option<&str>) -> anyhow::Result<Self> {
        if let LakeSettings::Folder(root) = settings {
            owner::confirm(root, database)?;
        }
        let host = System::host_name().unwrap_or_else(|_| "host-unknown".to_owned());
        let mut number = 1;
        loop {
            // A lock may not reach other hosts.
            let spool = settings.local().join(format!("{SPOOL}-{host}-{number}"));
            match ServiceLock::acquire(&spool) {
                Ok(lock) => {
                    let copies = format!("cache-{number}");
                    return Self::open_with(settings, database, (spool, lock), &copies).await;
                }
                Err(StateError::AlreadyRunning { .. }) => number += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn open_with(
        settings: &LakeSettings,
        database: Option<&str>,
        (spool, lock): (PathBuf, ServiceLock),
        copies: &str,
    ) -> anyhow::Result<Self> {
        cleared(&spool)?;
        let objects = match settings {
            LakeSettings::Folder(root) => Objects::folder(root)?,
            LakeSettings::Bucket {
                place,
                scratch,
                cache_limit,
            } => {
                // After a power failure, earlier copies may be incomplete.
                let copies = scratch.join(copies);
                cleared(&copies)?;
                let bucket = LakeBucket::open(place, copies, *cache_limit).await?;
                owner::claim(&bucket, scratch, database).await?;
                Objects::Bucket(Arc::new(bucket))
            }
        };
        Ok(Self {
            objects,
            spool,
            _hold: Hold::ToWrite {
                _lock: Arc::new(lock),
            },
        })
    }

    /// Opens a lake for reading.
    pub async fn open(settings: &LakeSettings) -> anyhow::Result<Self> {
        let (objects, spool, copies) = match settings {
            LakeSettings::Folder(root) => (Objects::folder(root)?, root.join(SPOOL), None),
            LakeSettings::Bucket {
                place, cache_limit, ..
            } => {
                let copies = TempDir::with_prefix("gristmill-lake-")
                    .context("cannot create a temporary folder for copies of the lake's objects")?;
                let bucket = LakeBucket::open(place, copies.path().to_owned(), *cache_limit).await?;
                let spool = copies.path().to_owned();
                (Objects::Bucket(Arc::new(bucket)), spool, Some(Arc::new(copies)))
            }
        };
        Ok(Self {
            objects,
            spool,
            _hold: Hold::ToRead { _copies: copies },
        })
    }

    /// Removes what a dead process left. Call it only while nothing is being written; `named` lists objects that the state
    /// database names.
    ///
    /// From a bucket go unfinished uploads, and all objects that are not named. If none is, the state database is new or was
    /// lost, and all stay. A lake in a folder may be shared by several state databases, and most of its leftovers are
    /// overwritten when the work is repeated. So only summaries go that are older than a named one of their job: a run is not
    /// repeated under its name if another took its place, or if the state database's server crashed before it had written
    /// the run. Newer ones may be those of a state database of which this one is an older copy.
    pub async fn sweep(
        &self,
        named: impl AsyncFnOnce(ObjectsOf) -> anyhow::Result<ObjectNames>,
    ) -> anyhow::Result<()> {
        let (uploads, objects) = match &self.objects {
            Objects::Folder { files, .. } => {
                let named = named(ObjectsOf::Runs).await?;
                let unnamed = unnamed_summaries(files, &named).await?;
                self.remove(&unnamed).await?;
                (0, unnamed.len())
            }
            Objects::Bucket(bucket) => {
                let named = named(ObjectsOf::All).await?;
                let uploads = unfinished::abort_all(bucket).await?;
                let objects = match named.is_empty() {
                    true => 0,
                    false => bucket.remove_unnamed(&named).await?,
                };
                (uploads, objects)
            }
        };
        if uploads + objects > 0 {
            tracing::info!(
                uploads,
                objects,
                "removed what an interrupted process left in the lake"
            );
        }
        Ok(())
    }

    /// Removes objects that nothing refers to any more. Objects that are already gone are not an error.
    pub async fn remove(&self, objects: &[String]) -> anyhow::Result<()> {
        let names = objects
            .iter()
            .map(ObjectPath::parse)
            .collect::<Result<Vec<_>, _>>()?;
        match &self.objects {
            Objects::Folder { files, .. } => {
                for name in &names {
                    match files.delete(name).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => {
                            let action = format!("cannot remove {name} from the lake");
                            return Err(anyhow::Error::new(error).context(action));
                        }
                    }
                }
                Ok(())
            }
            Objects::Bucket(bucket) => bucket.remove(&names).await,
        }
    }

    /// Returns a new file to write to.
    pub fn spool(&self) -> Spooled {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Spooled(self.spool.join(number.to_string()))
    }

    /// Returns the folder for scratch files, which the work that makes them removes.
    pub fn scratch(&self) -> PathBuf {
        self.spool.clone()
    }

    /// Gives spooled files their names, in this order. When this returns, they are durable, whole and under these
    /// names. It blocks on the disk or the network: call it on a blocking thread of a runtime.
    pub fn publish(&self, files: Vec<(Spooled, ObjectPath)>) -> anyhow::Result<()> {
        self.publish_each(files, |_| ())
    }

    /// Does the same, and calls `published` for each file that has its name, in their order.
    pub fn publish_each(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        published: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<()> {
        if let Objects::Folder { root, .. } = &self.objects {
            let whole: Vec<&Path> = files.iter().map(|(spooled, _)| spooled.path()).collect();
            durable::sync_files(root, &whole).context(NOT_SYNCED)?;
        }
        self.publish_unsynced(files, published)?.sync_names()
    }

    /// Gives spooled files their names before they are synced to disk, so that they can be read meanwhile. Nothing else
    /// may refer to these names yet. Calls `published` like [`publish_each`](Self::publish_each), and blocks like it.
    pub fn publish_unsynced(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        mut published: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<Unsynced> {
        let (root, in_folder) = match &self.objects {
            Objects::Folder { root, files } => (root, files),
            Objects::Bucket(bucket) => {
                Handle::current().block_on(bucket.put_all(files, published))?;
                return Ok(Unsynced::default());
            }
        };
        let mut names = Vec::with_capacity(files.len());
        for (spooled, object) in files {
            let action = || format!("cannot put {object} into the lake");
            let name = in_folder.path_to_filesystem(&object).with_context(action)?;
            spooled.rename(&name).with_context(action)?;
            published(&object);
            names.push(name);
        }
        Ok(Unsynced {
            root: root.clone(),
            names,
        })
    }

    /// Returns the local file of an object, or `None` if the lake does not have the object.
    pub async fn find(&self, object: &str) -> anyhow::Result<Option<LocalFile>> {
        let name = ObjectPath::parse(object)
            .with_context(|| format!("{object:?} cannot be an object of the lake"))?;
        match &self.objects {
            Objects::Folder { files, .. } => {
                let path = files.path_to_filesystem(&name)?;
                Ok(path.is_file().then_some(LocalFile { path, _kept: None }))
            }
            Objects::Bucket(bucket) => bucket.find(&name, self.spool()).await,
        }
    }

    /// Returns the local file of an object, or fails if the lake does not have the object.
    pub async fn fetch(&self, object: &str) -> anyhow::Result<LocalFile> {
        let found = self.find(object).await?;
        found.with_context(|| format!("{object} is not in the lake"))
    }

    /// Returns the local files of objects in their order, or fails if one is missing. A bucket's are fetched in
    /// parallel.
    pub async fn fetch_all(&self, objects: &[&str]) -> anyhow::Result<Vec<LocalFile>> {
        let found = self.find_all(objects).await?;
        let found = found.into_iter().zip(objects);
        found
            .map(|(found, object)| found.with_context(|| format!("{object} is not in the lake")))
            .collect()
    }

    /// Returns the local files of objects in their order, `None` for each that the lake does not have. A bucket's are
    /// fetched in parallel.
    pub async fn find_all(&self, objects: &[&str]) -> anyhow::Result<Vec<Option<LocalFile>>> {
        let found: Vec<_> = objects.iter().map(|object| self.find(object)).collect();
        stream::iter(found).buffered(bucket::AT_ONCE).try_collect().await
    }

    /// Returns where the lake's objects can be looked for. A bucket is listed once.
    pub async fn inventory(&self) -> anyhow::Result<Inventory> {
        self.inventory_below(&ObjectPath::default()).await
    }

    /// Returns where certain objects can be looked for. Of a bucket only the folder that has them all is listed.
    #[cfg(feature = "cluster")]
    pub async fn inventory_of(&self, objects: &[&str]) -> anyhow::Result<Inventory> {
        self.inventory_below(&inventory::shared_folder(objects)).await
    }

    async fn inventory_below(&self, folder: &ObjectPath) -> anyhow::Result<Inventory> {
        Ok(match &self.objects {
            Objects::Folder { files, .. } => Inventory::Folder(files.clone()),
            Objects::Bucket(bucket) => Inventory::Bucket(bucket.list(folder).await?),
        })
    }
}

impl Objects {
    fn folder(root: &Path) -> anyhow::Result<Self> {
        let files = LocalFileSystem::new_with_prefix(root)
            .with_context(|| format!("cannot open the lake's folder {} (lake.url)", root.display()))?;
        Ok(Self::Folder {
            root: root.to_owned(),
            files: Arc::new(files),
        })
    }
}

/// Lists the summaries and coverages that are not in `named`, and are older than one of the same job that is.
async fn unnamed_summaries(files: &LocalFileSystem, named: &ObjectNames) -> anyhow::Result<Vec<String>> {
    let listed = files.list(Some(&ObjectPath::from(names::SUMMARIES)));
    let listed = listed.try_collect::<Vec<_>>().await;
    let listed = listed.context("cannot list the lake's summaries")?;
    let (mut newest, mut unnamed) = (HashMap::new(), Vec::new());
    for object in &listed {
        let (job, written) = (object.location.parts().nth(1), object.last_modified);
        match named.contains(object.location.as_ref()) {
            true => {
                let newest = newest.entry(job).or_insert(written);
                *newest = written.max(*newest);
            }
            false if names::is_of_lake(&object.location) => unnamed.push((job, written, &object.location)),
            false => {}
        }
    }
    unnamed.retain(|(job, written, _)| newest.get(job).is_some_and(|newest| written < newest));
    Ok(unnamed
        .into_iter()
        .map(|(.., object)| object.to_string())
        .collect())
}

/// Creates a folder, or empties it if it exists.
fn cleared(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot clear the lake's folder {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the lake's folder {}", folder.display()))
}

impl Unsynced {
    /// Syncs the files and their names to disk. It blocks on the disk.
    pub fn sync(&self) -> anyhow::Result<()> {
        durable::sync_files(&self.root, &self.names()).context(NOT_SYNCED)?;
        self.sync_names()
    }

    fn sync_names(&self) -> anyhow::Result<()> {
        durable::sync_names(&self.root, &self.names()).context("cannot sync folders of the lake to disk")
    }

    fn names(&self) -> Vec<&Path> {
        self.names.iter().map(PathBuf::as_path).collect()
    }
}

#[cfg(test)]
mod tests {
    use gristmill_engine::{FeedLayout, FeedSpec};

    use super::*;

    fn name(file_url: &str) -> String {
        let feed = FeedLayout::new(&FeedSpec::default()).unwrap();
        VersionObject::Converted
            .name(&feed, file_url, &"ab".repeat(32))
            .to_string()
    }

    async fn lake(folder: &Path) -> Lake {
        Lake::open_to_write(&LakeSettings::Folder(folder.to_owned()), None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_published_file_stands_under_its_name_and_nothing_stays_in_the_spool() {
        let folder = TempDir::new().unwrap();
        let lake = lake(folder.path()).await;
        let (published, dropped) = (lake.spool(), lake.spool());
        std::fs::write(published.path(), "x").unwrap();
        std::fs::write(dropped.path(), "y").unwrap();
        let object = name("a b/IL-\"1\"\n%.tdf");
        lake.publish(vec![(published, ObjectPath::parse(&object).unwrap())])
            .unwrap();
        drop(dropped);
        assert_eq!(
            std::fs::read(lake.fetch(&object).await.unwrap().path()).unwrap(),
            b"x"
        );
        assert_eq!(std::fs::read_dir(folder.path().join(SPOOL)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_group_gets_its_names_one_after_the_other() {
        let folder = TempDir::new().unwrap();
        let lake = lake(folder.path()).await;
        let files = (0..100).map(|number| {
            let spooled = lake.spool();
            std::fs::write(spooled.path(), number.to_string()).unwrap();
            let object = name(&format!("north/{}/IL-{number}.tdf", number % 3));
            (spooled, ObjectPath::parse(object).unwrap())
        });
        let files: Vec<_> = files.collect();
        let objects: Vec<_> = files.iter().map(|(_, object)| object.clone()).collect();
        let mut published = 0;
        let is_there = |object: &ObjectPath| folder.path().join(object.as_ref()).exists();
        lake.publish_each(files, |object| {
            assert_eq!(*object, objects[published]);
            published += 1;
            assert!(objects[..published].iter().all(is_there) && !objects[published..].iter().any(is_there));
        })
        .unwrap();
        assert_eq!(published, 100);
    }
}
