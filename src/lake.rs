//! The lake: where converted files, partials, rejects and summaries lie.
//!
//! Object names tell what they hold: `converted/FEED/PATH/VERSION.parquet`, `partials/…` and `rejects/…` likewise, and
//! `summaries/JOB/RUN.parquet` beside `summaries/JOB/RUN.coverage.parquet`. What stands under such a name is whole: it
//! is written in the spool folder first, forced to disk, and then renamed. A version's bytes and layout are in its name,
//! so writing it twice gives the same object twice.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::FeedLayout;
use gristmill_state::ServiceLock;
use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::path::{Path as ObjectPath, PathPart};

/// The folder of unfinished files, inside the lake so that renaming never crosses a file system.
const SPOOL: &str = "_spool";

/// The longest part of an object's name that local file systems take, with room for an ending.
const LONGEST_PART: usize = 200;

/// A lake in a local folder.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
    store: Arc<LocalFileSystem>,
    /// Held while this lake is written to: two writers would clear and reuse each other's spool.
    _lock: Option<Arc<ServiceLock>>,
}

/// What conversion makes of a file version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionObject {
    /// The typed rows.
    Converted,
    /// The aggregate.
    Partial,
    /// The rejects.
    Rejects,
}

/// A file that is being written; it goes away with this value unless it is published.
#[derive(Debug)]
pub struct Spooled(PathBuf);

impl Lake {
    /// Opens a lake, makes its folder where it is absent, and removes what a killed process left unfinished. Refuses a
    /// lake that another process writes to.
    pub fn open_to_write(root: &Path) -> anyhow::Result<Self> {
        let spool = root.join(SPOOL);
        let lock = ServiceLock::acquire(&spool)?;
        if spool.exists() {
            std::fs::remove_dir_all(&spool)
                .with_context(|| format!("cannot clear the lake's spool folder {}", spool.display()))?;
        }
        std::fs::create_dir_all(&spool)
            .with_context(|| format!("cannot make the lake's folder {}", spool.display()))?;
        Ok(Self {
            _lock: Some(Arc::new(lock)),
            ..Self::open(root)?
        })
    }

    /// Opens a lake to read it.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let store = LocalFileSystem::new_with_prefix(root)
            .with_context(|| format!("cannot open the lake's folder {} (lake.url)", root.display()))?
            .with_fsync(true);
        Ok(Self {
            root: root.to_owned(),
            store: Arc::new(store),
            _lock: None,
        })
    }

    /// A new name to write to.
    pub fn spool(&self) -> Spooled {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Spooled(self.root.join(SPOOL).join(number.to_string()))
    }

    /// The folder for what is removed again before the work that needs it ends.
    pub fn scratch(&self) -> PathBuf {
        self.root.join(SPOOL)
    }

    /// Gives a spooled file its name. It is on disk, whole and under that name, when this returns.
    pub async fn publish(&self, spooled: Spooled, object: &ObjectPath) -> anyhow::Result<()> {
        let path = spooled.0.clone();
        let synced = tokio::task::spawn_blocking(move || File::open(path).and_then(|file| file.sync_all()));
        let action = || format!("cannot put {object} into the lake");
        synced.await?.with_context(action)?;
        let from = ObjectPath::from_iter([SPOOL, &spooled.file_name()]);
        self.store.rename(&from, object).await.with_context(action)?;
        Ok(())
    }

    /// The local file of an object.
    pub fn local_path(&self, object: &str) -> anyhow::Result<PathBuf> {
        let path =
            ObjectPath::parse(object).with_context(|| format!("{object:?} is no object of the lake"))?;
        Ok(self.store.path_to_filesystem(&path)?)
    }
}

impl VersionObject {
    /// The object's name for a version of a file.
    pub fn name(self, feed: &FeedLayout, file_url: &str, content_hash: &str) -> ObjectPath {
        let folder = match self {
            Self::Converted => "converted",
            Self::Partial => "partials",
            Self::Rejects => "rejects",
        };
        let version = format!("{}-{}.parquet", &content_hash[..32], feed.digest());
        let mut parts = vec![PathPart::from(folder), PathPart::from(feed.name.clone())];
        parts.extend(file_url.split('/').map(part));
        parts.push(PathPart::from(version));
        parts.into_iter().collect()
    }
}

/// The names of a run's summary and of its coverage.
pub fn summary_names(job_id: &str, run_id: &str) -> (ObjectPath, ObjectPath) {
    let name =
        |ending: &str| ObjectPath::from_iter(["summaries", job_id, &format!("{run_id}{ending}.parquet")]);
    (name(""), name(".coverage"))
}

/// One component of a source path as a part of an object's name. Long ones are cut, and stay unique by a hash.
fn part(component: &str) -> PathPart<'static> {
    let whole = PathPart::from(component.to_owned());
    if whole.as_ref().len() <= LONGEST_PART {
        return whole;
    }
    let hash = blake3::hash(component.as_bytes()).to_hex();
    // What is kept is measured as it will be written: one character may become twelve.
    let (mut kept, mut length) = (String::new(), 0);
    for character in component.chars() {
        length += PathPart::from(character.to_string()).as_ref().len();
        if length > LONGEST_PART - 20 {
            break;
        }
        kept.push(character);
    }
    PathPart::from(format!("{kept}~{}", &hash[..16]))
}

impl Spooled {
    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn file_name(&self) -> String {
        self.0
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // Published files are gone from here; what remains otherwise is cleared at the next start at the latest.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use gristmill_engine::FeedSpec;

    use super::*;

    fn name(file_url: &str) -> String {
        let feed = FeedLayout::new(&FeedSpec::default()).unwrap();
        VersionObject::Converted
            .name(&feed, file_url, &"ab".repeat(32))
            .to_string()
    }

    #[tokio::test]
    async fn a_published_file_stands_under_its_name_and_nothing_stays_in_the_spool() {
        let folder = tempfile::TempDir::new().unwrap();
        let lake = Lake::open_to_write(folder.path()).unwrap();
        let (published, dropped) = (lake.spool(), lake.spool());
        std::fs::write(published.path(), "x").unwrap();
        std::fs::write(dropped.path(), "y").unwrap();
        let object = name("a b/IL-\"1\"\n%.tdf");
        lake.publish(published, &ObjectPath::parse(&object).unwrap())
            .await
            .unwrap();
        drop(dropped);
        assert_eq!(std::fs::read(lake.local_path(&object).unwrap()).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(folder.path().join(SPOOL)).unwrap().count(), 0);
    }

    #[test]
    fn names_tell_feed_file_and_version_and_fit_the_file_system() {
        assert!(name("IL-1.tdf").starts_with("converted/sales/IL-1.tdf/abababab"));
        for character in ["a", "%", "é", "☃", "🍔"] {
            let whole = character.repeat(250 / character.len());
            let (long, other) = (name(&whole), name(&format!("{}x", &whole[character.len()..])));
            assert_ne!(long, other);
            assert!(long.split('/').all(|part| part.len() <= LONGEST_PART), "{long}");
        }
    }
}
