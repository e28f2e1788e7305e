//! The lake: where converted files, partials, rejects and summaries lie, in a folder or in a bucket.
//!
//! Object names tell what they hold: `converted/FEED/PATH.VERSION.parquet`, `partials/…` and `rejects/…` likewise, and
//! `summaries/JOB/RUN.parquet` beside `summaries/JOB/RUN.coverage.parquet`. What stands under such a name is whole: it
//! is written in the local spool folder first; in a folder it is then forced to disk and renamed, in a bucket it is sent
//! there, where an object comes into being as a whole. Only what nothing refers to yet may get its name sooner
//! ([`Lake::place`]). A version's bytes and layout are in its name, so writing it twice
//! gives the same object twice. There are as many folders as in the source: making one for each file would cost more
//! than the file.
//!
//! Whoever reads an object reads a local file. A bucket's objects are copied to a [cache] first, which holds what was
//! just written too, so that most are never asked back.

mod bucket;
mod cache;
mod durable;
mod names;
mod owner;
mod unfinished;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use gristmill_state::ServiceLock;
use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use tempfile::TempDir;
use tokio::runtime::Handle;

use self::bucket::Bucket;
use self::cache::Kept;
pub use self::names::{VersionObject, summary_names};
use crate::settings::LakeSettings;

const NOT_FORCED: &str = "cannot force files of the lake to disk";

/// The folder of unfinished files: in a lake that is a folder, so that renaming never crosses a file system.
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
        store: Arc<LocalFileSystem>,
    },
    Bucket(Arc<Bucket>),
}

/// What stays as long as the lake is open.
#[derive(Clone, Debug)]
enum Hold {
    /// Two writers would clear and reuse each other's spool.
    ToWrite { _lock: Arc<ServiceLock> },
    /// A reader of a bucket has a folder of its own for copies.
    ToRead { _copies: Option<Arc<TempDir>> },
}

/// A file that is being written; it goes away with this value unless it is published.
#[derive(Debug)]
pub struct Spooled(PathBuf);

/// Files that have their names in the lake, and may not have reached the disk yet. Those of a bucket are safe already,
/// and not among them.
#[derive(Debug, Default)]
pub struct Placed {
    root: PathBuf,
    names: Vec<PathBuf>,
}

/// The local file of an object, which stays as long as this value does.
#[derive(Clone, Debug)]
pub struct LocalFile {
    path: PathBuf,
    _kept: Option<Kept>,
}

impl Lake {
    /// Opens a lake, makes its folder where it is absent, and removes what a killed process left unfinished. Refuses a
    /// lake that another process writes to, and a bucket that belongs to another gristmill.
    pub async fn open_to_write(settings: &LakeSettings) -> anyhow::Result<Self> {
        let local = match settings {
            LakeSettings::Folder(root) => root,
            LakeSettings::Bucket { scratch, .. } => scratch,
        };
        let spool = local.join(SPOOL);
        let lock = ServiceLock::acquire(&spool)?;
        cleared(&spool)?;
        let objects = match settings {
            LakeSettings::Folder(root) => Objects::folder(root)?,
            LakeSettings::Bucket {
                place,
                scratch,
                cache_limit,
            } => {
                // Whether copies of before are whole is not known after a power failure.
                let copies = scratch.join("cache");
                cleared(&copies)?;
                let bucket = Bucket::open(place, copies, *cache_limit).await?;
                owner::claim(&bucket, scratch).await?;
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

    /// Opens a lake to read it.
    pub async fn open(settings: &LakeSettings) -> anyhow::Result<Self> {
        let (objects, spool, copies) = match settings {
            LakeSettings::Folder(root) => (Objects::folder(root)?, root.join(SPOOL), None),
            LakeSettings::Bucket {
                place, cache_limit, ..
            } => {
                let copies = TempDir::with_prefix("gristmill-lake-")
                    .context("cannot make a temporary folder for copies of the lake's objects")?;
                let bucket = Bucket::open(place, copies.path().to_owned(), *cache_limit).await?;
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

    /// Removes from a bucket what a process that died has left there: unfinished uploads, and objects that are not among
    /// `named`. Only when nothing is being written. If none is named at all, the state database is new, or was lost: then
    /// objects are left. A folder's are overwritten when their work is done again.
    pub async fn sweep(
        &self,
        named: impl Future<Output = anyhow::Result<HashSet<String>>>,
    ) -> anyhow::Result<()> {
        let Objects::Bucket(bucket) = &self.objects else {
            return Ok(());
        };
        let named = named.await?;
        let uploads = unfinished::abort_all(bucket).await?;
        let objects = match named.is_empty() {
            true => 0,
            false => bucket.remove_unnamed(&named).await?,
        };
        if uploads + objects > 0 {
            tracing::info!(
                uploads,
                objects,
                "removed what an interrupted process had left in the lake"
            );
        }
        Ok(())
    }

    /// Removes objects that nothing names any more. Those that are gone already are no error.
    pub async fn remove(&self, objects: &[String]) -> anyhow::Result<()> {
        let names = objects
            .iter()
            .map(ObjectPath::parse)
            .collect::<Result<Vec<_>, _>>()?;
        match &self.objects {
            Objects::Folder { store, .. } => {
                for name in &names {
                    match store.delete(name).await {
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

    /// A new name to write to.
    pub fn spool(&self) -> Spooled {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Spooled(self.spool.join(number.to_string()))
    }

    /// The folder for what is removed again before the work that needs it ends.
    pub fn scratch(&self) -> PathBuf {
        self.spool.clone()
    }

    /// Gives spooled files their names, in this order. They are durable, whole and under these names, when this returns.
    /// Waits for the disk or the network: to be called on a thread that may, of a runtime.
    pub fn publish(&self, files: Vec<(Spooled, ObjectPath)>) -> anyhow::Result<()> {
        self.publish_and_tell(files, |_| ())
    }

    /// The same; `placed` is told of each file that has its name, in their order.
    pub fn publish_and_tell(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        placed: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<()> {
        if let Objects::Folder { root, .. } = &self.objects {
            let whole: Vec<&Path> = files.iter().map(|(spooled, _)| spooled.path()).collect();
            durable::sync_files(root, &whole).context(NOT_FORCED)?;
        }
        self.place(files, placed)?.names_to_disk()
    }

    /// Gives spooled files names that nothing refers to yet, for whoever reads them before they are forced to disk.
    /// `placed` is told as above. To be called on a thread that may wait.
    pub fn place(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        mut placed: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<Placed> {
        let (root, store) = match &self.objects {
            Objects::Folder { root, store } => (root, store),
            Objects::Bucket(bucket) => {
                Handle::current().block_on(bucket.put_all(files, placed))?;
                return Ok(Placed::default());
            }
        };
        let mut names = Vec::with_capacity(files.len());
        for (spooled, object) in files {
            let action = || format!("cannot put {object} into the lake");
            let name = store.path_to_filesystem(&object).with_context(action)?;
            spooled.rename(&name).with_context(action)?;
            placed(&object);
            names.push(name);
        }
        Ok(Placed {
            root: root.clone(),
            names,
        })
    }

    /// The local file of an object; none if the lake does not have it.
    pub async fn find(&self, object: &str) -> anyhow::Result<Option<LocalFile>> {
        let name =
            ObjectPath::parse(object).with_context(|| format!("{object:?} is no object of the lake"))?;
        match &self.objects {
            Objects::Folder { store, .. } => {
                let path = store.path_to_filesystem(&name)?;
                Ok(path.is_file().then_some(LocalFile { path, _kept: None }))
            }
            Objects::Bucket(bucket) => bucket.find(&name, self.spool()).await,
        }
    }

    /// The local file of an object that the lake must have.
    pub async fn fetch(&self, object: &str) -> anyhow::Result<LocalFile> {
        let found = self.find(object).await?;
        found.with_context(|| format!("{object} is not in the lake"))
    }

    /// The local files of objects that the lake must have, in their order; those of a bucket are fetched side by side.
    pub async fn fetch_all(&self, objects: &[&str]) -> anyhow::Result<Vec<LocalFile>> {
        let fetched: Vec<_> = objects.iter().map(|object| self.fetch(object)).collect();
        stream::iter(fetched)
            .buffered(bucket::AT_ONCE)
            .try_collect()
            .await
    }
}

impl Objects {
    fn folder(root: &Path) -> anyhow::Result<Self> {
        let store = LocalFileSystem::new_with_prefix(root)
            .with_context(|| format!("cannot open the lake's folder {} (lake.url)", root.display()))?;
        Ok(Self::Folder {
            root: root.to_owned(),
            store: Arc::new(store),
        })
    }
}

/// Makes a folder, or empties the one that is there.
fn cleared(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot clear the lake's folder {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the lake's folder {}", folder.display()))
}

impl Placed {
    /// Forces the files to disk, and their names. Waits for the disk.
    pub fn to_disk(&self) -> anyhow::Result<()> {
        durable::sync_files(&self.root, &self.names()).context(NOT_FORCED)?;
        self.names_to_disk()
    }

    fn names_to_disk(&self) -> anyhow::Result<()> {
        durable::sync_names(&self.root, &self.names()).context("cannot force folders of the lake to disk")
    }

    fn names(&self) -> Vec<&Path> {
        self.names.iter().map(PathBuf::as_path).collect()
    }
}

impl LocalFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Spooled {
    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lets go of a file that was moved elsewhere.
    fn moved(mut self) {
        self.0.clear();
    }

    /// Moves it to its name, and makes the folder for it where there is none.
    fn rename(self, name: &Path) -> io::Result<()> {
        match std::fs::rename(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(name.parent().unwrap_or(name))?;
                std::fs::rename(&self.0, name)?;
            }
            renamed => renamed?,
        }
        self.moved();
        Ok(())
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // A published file has no path here any more. What remains otherwise is cleared at the next start at the latest.
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.0);
        }
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
        Lake::open_to_write(&LakeSettings::Folder(folder.to_owned()))
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
        let mut told = 0;
        let is_there = |object: &ObjectPath| folder.path().join(object.as_ref()).exists();
        lake.publish_and_tell(files, |object| {
            assert_eq!(*object, objects[told]);
            told += 1;
            assert!(objects[..told].iter().all(is_there) && !objects[told..].iter().any(is_there));
        })
        .unwrap();
        assert_eq!(told, 100);
    }
}
