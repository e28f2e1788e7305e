//! Which objects a lake has, or is to have: there may be millions, so their names are not kept.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;

/// The names of objects, each as 128 bits of hash under keys that are drawn at each start.
#[derive(Debug, Default)]
pub struct ObjectNames {
    hashers: (RandomState, RandomState),
    names: HashSet<(u64, u64)>,
}

impl ObjectNames {
    /// Adds an object, by its lake path.
    pub fn insert(&mut self, object: &str) {
        self.names.insert(self.hash(object));
    }

    pub(super) fn contains(&self, object: &str) -> bool {
        self.names.contains(&self.hash(object))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn hash(&self, object: &str) -> (u64, u64) {
        (self.hashers.0.hash_one(object), self.hashers.1.hash_one(object))
    }
}

/// Returns the deepest folder that has all of some objects, by their lake paths.
#[cfg(feature = "cluster")]
pub(super) fn shared_folder(objects: &[&str]) -> ObjectPath {
    let folders = objects
        .iter()
        .map(|object| object.rsplit_once('/').map_or("", |(folder, _)| folder));
    let shared = folders.reduce(|shared, other| {
        let both = shared.split('/').zip(other.split('/'));
        let same = both.take_while(|(one, two)| one == two);
        let length = same.map(|(name, _)| name.len() + 1).sum::<usize>();
        &shared[..length.saturating_sub(1)]
    });
    // A folder whose name is no object path cannot be listed by it: then the whole lake is, which has every object, too.
    ObjectPath::parse(shared.unwrap_or_default()).unwrap_or_default()
}

/// Where the objects of a lake are looked for.
#[derive(Debug)]
pub enum Inventory {
    /// In its folder.
    Folder(Arc<LocalFileSystem>),
    /// In a listing of its bucket.
    Bucket(ObjectNames),
}

/// Nothing is there.
impl Default for Inventory {
    fn default() -> Self {
        Self::Bucket(ObjectNames::default())
    }
}

impl Inventory {
    /// Returns those of the given things whose objects (lake paths) the lake does not have. Nothing is fetched.
    pub async fn missing<T: Send + 'static>(
        &self,
        mut objects: Vec<(T, String)>,
    ) -> anyhow::Result<Vec<(T, String)>> {
        let files = match self {
            Self::Folder(files) => files.clone(),
            Self::Bucket(names) => {
                objects.retain(|(_, object)| !names.contains(object));
                return Ok(objects);
            }
        };
        let looked = tokio::task::spawn_blocking(move || {
            let mut missing = Vec::new();
            for (of, object) in objects {
                if !files.path_to_filesystem(&ObjectPath::parse(&object)?)?.is_file() {
                    missing.push((of, object));
                }
            }
            Ok(missing)
        });
        looked.await?
    }
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::*;

    #[test]
    fn the_shared_folder_is_cut_between_names() {
        for (objects, folder) in [
            (
                &["partials/sales/2026/a", "partials/sales/2026/b"][..],
                "partials/sales/2026",
            ),
            (
                &["partials/sales/2026/a", "partials/sales/2027/b"],
                "partials/sales",
            ),
            (
                &["partials/sales/a", "partials/sales2/b", "partials/sales/c"],
                "partials",
            ),
            (&["partials/sales/north/a", "partials/sales/b"], "partials/sales"),
            (&["partials/sales/a%20b/c"], "partials/sales/a%20b"),
            (&["partials/a", "other/b"], ""),
            (&[], ""),
        ] {
            let found = shared_folder(objects);
            assert_eq!(found.as_ref(), folder, "{objects:?}");
        }
    }
}
