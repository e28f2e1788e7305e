//! What another engine reads and writes in the lake for a run: a folder of its own for each session with a cluster.
//!
//! `cluster/SESSION/out/…` is the result, whose files the cluster names. `cluster/SESSION/in/…` has copies of partials whose
//! own names not every engine reads alike: some take `%20` for a blank, others for itself, and Spark passes over files whose
//! names begin with a dot or an underscore. Nothing but the run reads any of that, and it removes the folder.

use std::io;

use anyhow::Context;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Lake, Objects};

/// The folder of all of them.
const FOLDER: &str = "cluster";

/// The files that hold rows. Others say that a folder is whole, or hold checksums.
const ROWS: &str = ".parquet";

/// Returns the folder of a session.
pub fn session_folder(session: &str) -> ObjectPath {
    ObjectPath::from_iter([FOLDER, session])
}

/// Returns the folder that a cluster writes the result of a session to. It must not exist before.
pub fn result_folder(session: &str) -> ObjectPath {
    ObjectPath::from_iter([FOLDER, session, "out"])
}

/// Returns the name of a copy that a cluster reads in a session.
pub fn copy_name(session: &str, number: usize) -> ObjectPath {
    ObjectPath::from_iter([FOLDER, session, "in", &format!("{number}{ROWS}")])
}

/// Returns whether every engine reads an object under its name in a URL.
pub fn is_plain(object: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    let is_hidden = |name: &str| name.starts_with(['.', '_']);
    object.bytes().all(is_plain) && !object.split('/').any(is_hidden)
}

impl Lake {
    /// Lists the files of rows that an operation has written, by their names. What lies below another folder is not
    /// part of its result.
    pub async fn rows_in(&self, folder: &ObjectPath) -> anyhow::Result<Vec<String>> {
        let action = || format!("cannot list {folder} in the lake");
        let objects = self.below(folder).await.with_context(action)?;
        let depth = folder.parts().count() + 1;
        let mut rows: Vec<String> = objects
            .into_iter()
            .filter(|object| {
                let name = object.filename().unwrap_or_default();
                object.parts().count() == depth && name.ends_with(ROWS) && !name.starts_with(['.', '_'])
            })
            .map(String::from)
            .collect();
        rows.sort_unstable();
        Ok(rows)
    }

    /// Removes what a cluster has written below a folder.
    pub async fn remove_folder(&self, folder: &ObjectPath) -> anyhow::Result<()> {
        let action = || format!("cannot remove {folder} from the lake");
        match &self.objects {
            Objects::Folder { files, .. } => {
                let path = files.path_to_filesystem(folder).with_context(action)?;
                match tokio::fs::remove_dir_all(path).await {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(action),
                    _ => Ok(()),
                }
            }
            Objects::Bucket(bucket) => {
                let objects = self.below(folder).await.with_context(action)?;
                bucket.remove(&objects).await
            }
        }
    }

    /// Gives an object a second name, in a session's folder.
    pub async fn copy_for_cluster(&self, object: &str, copy: &ObjectPath) -> anyhow::Result<()> {
        let action = || format!("cannot copy {object} in the lake to {copy}");
        let name = ObjectPath::parse(object).with_context(action)?;
        match &self.objects {
            Objects::Folder { files, .. } => {
                let (from, to) = (files.path_to_filesystem(&name)?, files.path_to_filesystem(copy)?);
                if let Some(folder) = to.parent() {
                    tokio::fs::create_dir_all(folder).await.with_context(action)?;
                }
                // Not every file system has links.
                if tokio::fs::hard_link(&from, &to).await.is_err() {
                    tokio::fs::copy(&from, &to).await.with_context(action)?;
                }
                Ok(())
            }
            Objects::Bucket(bucket) => {
                let copied = bucket
                    .objects
                    .copy(&bucket.object_key(&name), &bucket.object_key(copy))
                    .await;
                copied.with_context(action)
            }
        }
    }

    /// Lists the sessions that have a folder.
    pub async fn sessions(&self) -> anyhow::Result<Vec<String>> {
        let action = || format!("cannot list {FOLDER} in the lake");
        let objects = self.below(&ObjectPath::from(FOLDER)).await.with_context(action)?;
        let mut sessions: Vec<String> = objects
            .iter()
            .filter_map(|object| Some(object.parts().nth(1)?.as_ref().to_owned()))
            .collect();
        sessions.sort_unstable();
        sessions.dedup();
        Ok(sessions)
    }

    async fn below(&self, folder: &ObjectPath) -> object_store::Result<Vec<ObjectPath>> {
        match &self.objects {
            Objects::Folder { files, .. } => {
                let listed = files.list(Some(folder));
                listed.map_ok(|object| object.location).try_collect().await
            }
            Objects::Bucket(bucket) => bucket.below(folder).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_engines_read_differently_are_told() {
        assert!(is_plain("partials/sales/north/IL-1.tdf.5d71-ab.parquet"));
        for name in [
            "a b", "a%20b", "a~b", "a*", "a?b", "a{b}", "a+b", "_a", "p/.a", "_p/a",
        ] {
            assert!(!is_plain(name), "{name}");
        }
        let folder = result_folder("07070707-0707-8707-8707-070707070707").to_string();
        assert!(
            is_plain(&folder) && is_plain(copy_name("0-1", 7).as_ref()),
            "{folder}"
        );
    }
}
