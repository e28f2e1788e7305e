//! The lake: where converted files, partials, rejects and summaries lie.
//!
//! Object names tell what they hold: `converted/FEED/PATH.VERSION.parquet`, `partials/…` and `rejects/…` likewise, and
//! `summaries/JOB/RUN.parquet` beside `summaries/JOB/RUN.coverage.parquet`. What stands under such a name is whole: it
//! is written in the spool folder first, forced to disk, and then renamed. A version's bytes and layout are in its name,
//! so writing it twice gives the same object twice. There are as many folders as in the source: making one for each file
//! would cost more than the file.

mod durable;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::FeedLayout;
use gristmill_state::ServiceLock;
use object_store::local::LocalFileSystem;
use object_store::path::{Path as ObjectPath, PathPart};

/// The folder of unfinished files, inside the lake so that renaming never crosses a file system.
const SPOOL: &str = "_spool";

/// The longest part of a source path in an object's name: local file systems take 255 bytes, a version among them.
const LONGEST_PART: usize = 180;

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
            .with_context(|| format!("cannot open the lake's folder {} (lake.url)", root.display()))?;
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

    /// Gives spooled files their names, in this order. They are on disk, whole and under these names, when this returns.
    /// Waits for the disk: to be called on a thread that may.
    pub fn publish(&self, files: Vec<(Spooled, ObjectPath)>) -> anyhow::Result<()> {
        self.publish_and_tell(files, |_| ())
    }

    /// The same; `placed` is told of each file that has its name, before the next one gets its own.
    pub fn publish_and_tell(
        &self,
        files: Vec<(Spooled, ObjectPath)>,
        mut placed: impl FnMut(&ObjectPath),
    ) -> anyhow::Result<()> {
        let whole: Vec<&Path> = files.iter().map(|(spooled, _)| spooled.path()).collect();
        durable::sync_files(&self.root, &whole).context("cannot force files of the lake to disk")?;
        let mut names = Vec::with_capacity(files.len());
        for (spooled, object) in files {
            let action = || format!("cannot put {object} into the lake");
            let name = self.store.path_to_filesystem(&object).with_context(action)?;
            spooled.rename(&name).with_context(action)?;
            placed(&object);
            names.push(name);
        }
        let names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
        durable::sync_names(&self.root, &names).context("cannot force folders of the lake to disk")
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
        let (folders, file) = match file_url.rsplit_once('/') {
            Some((folders, file)) => (Some(folders), file),
            None => (None, file_url),
        };
        let version = format!("{}-{}.parquet", &content_hash[..32], feed.digest());
        let mut parts = vec![PathPart::from(folder), PathPart::from(feed.name.clone())];
        let folders = folders.into_iter().flat_map(|folders| folders.split('/'));
        parts.extend(folders.map(|folder| PathPart::from(shortened(folder).into_owned())));
        parts.push(PathPart::from(format!("{}.{version}", shortened(file))));
        parts.into_iter().collect()
    }
}

/// The names of a run's summary and of its coverage.
pub fn summary_names(job_id: &str, run_id: &str) -> (ObjectPath, ObjectPath) {
    let name =
        |ending: &str| ObjectPath::from_iter(["summaries", job_id, &format!("{run_id}{ending}.parquet")]);
    (name(""), name(".coverage"))
}

/// One component of a source path, as it stands in an object's name. Long ones are cut, and stay unique by a hash.
fn shortened(component: &str) -> Cow<'_, str> {
    let length_of = |text: &str| PathPart::from(text).as_ref().len();
    if length_of(component) <= LONGEST_PART {
        return Cow::Borrowed(component);
    }
    let hash = blake3::hash(component.as_bytes()).to_hex();
    // What is kept is measured as it will be written: one character may become twelve.
    let (mut kept, mut length) = (String::new(), 0);
    for character in component.chars() {
        length += length_of(character.encode_utf8(&mut [0; 4]));
        if length > LONGEST_PART - 20 {
            break;
        }
        kept.push(character);
    }
    Cow::Owned(format!("{kept}~{}", &hash[..16]))
}

impl Spooled {
    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Moves it to its name, and makes the folder for it where there is none.
    fn rename(mut self, name: &Path) -> io::Result<()> {
        match std::fs::rename(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(name.parent().unwrap_or(name))?;
                std::fs::rename(&self.0, name)?;
            }
            renamed => renamed?,
        }
        self.0.clear();
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
    use gristmill_engine::FeedSpec;

    use super::*;

    fn name(file_url: &str) -> String {
        let feed = FeedLayout::new(&FeedSpec::default()).unwrap();
        VersionObject::Converted
            .name(&feed, file_url, &"ab".repeat(32))
            .to_string()
    }

    #[test]
    fn a_published_file_stands_under_its_name_and_nothing_stays_in_the_spool() {
        let folder = tempfile::TempDir::new().unwrap();
        let lake = Lake::open_to_write(folder.path()).unwrap();
        let (published, dropped) = (lake.spool(), lake.spool());
        std::fs::write(published.path(), "x").unwrap();
        std::fs::write(dropped.path(), "y").unwrap();
        let object = name("a b/IL-\"1\"\n%.tdf");
        lake.publish(vec![(published, ObjectPath::parse(&object).unwrap())])
            .unwrap();
        drop(dropped);
        assert_eq!(std::fs::read(lake.local_path(&object).unwrap()).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(folder.path().join(SPOOL)).unwrap().count(), 0);
    }

    #[test]
    fn a_group_gets_its_names_one_after_the_other() {
        let folder = tempfile::TempDir::new().unwrap();
        let lake = Lake::open_to_write(folder.path()).unwrap();
        let files = (0..100).map(|number| {
            let spooled = lake.spool();
            std::fs::write(spooled.path(), number.to_string()).unwrap();
            let object = name(&format!("north/{}/IL-{number}.tdf", number % 3));
            (spooled, ObjectPath::parse(object).unwrap())
        });
        let files: Vec<_> = files.collect();
        let objects: Vec<_> = files.iter().map(|(_, object)| object.clone()).collect();
        let mut told = 0;
        let is_there = |object: &ObjectPath| lake.local_path(object.as_ref()).unwrap().exists();
        lake.publish_and_tell(files, |object| {
            assert_eq!(*object, objects[told]);
            told += 1;
            assert!(objects[..told].iter().all(is_there) && !objects[told..].iter().any(is_there));
        })
        .unwrap();
        assert_eq!(told, 100);
    }

    #[test]
    fn names_tell_feed_file_and_version_and_fit_the_file_system() {
        assert!(name("IL-1.tdf").starts_with("converted/sales/IL-1.tdf.abababab"));
        assert!(name("north/IL-1.tdf").starts_with("converted/sales/north/IL-1.tdf.abababab"));
        for character in ["a", "%", "é", "☃", "🍔"] {
            let whole = character.repeat(250 / character.len());
            let (long, other) = (name(&whole), name(&format!("{}x", &whole[character.len()..])));
            assert_ne!(long, other);
            assert!(long.split('/').all(|part| part.len() <= 255), "{long}");
        }
    }
}
