//! What another engine writes into the lake: the result of a run that a cluster has merged, in a folder of its own.
//!
//! `cluster/JOB/RUN/SESSION/…`: the cluster names the files. Nothing but the run reads them, and it removes them.

use std::io;

use anyhow::Context;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

use super::{Lake, Objects};

/// The folder of all of them.
const FOLDER: &str = "cluster";

/// The files that hold rows. Others say that a folder is whole, or hold checksums.
const ROWS: &str = ".parquet";

/// Returns the folder that a cluster writes the result of an operation for a run to. Each operation has a session of its
/// own.
pub fn operation_folder(job_id: &str, run_id: &str, session: &str) -> ObjectPath {
    ObjectPath::from_iter([FOLDER, job_id, run_id, session])
}

/// Returns the folder of all operations for a run.
pub fn run_folder(job_id: &str, run_id: &str) -> ObjectPath {
    ObjectPath::from_iter([FOLDER, job_id, run_id])
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
            Objects::Folder { store, .. } => {
                let path = store.path_to_filesystem(folder).with_context(action)?;
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

    /// Lists the folders of runs that clusters have written to: job and run.
    pub async fn runs_of_clusters(&self) -> anyhow::Result<Vec<(String, String)>> {
        let action = || format!("cannot list {FOLDER} in the lake");
        let objects = self.below(&ObjectPath::from(FOLDER)).await.with_context(action)?;
        let mut runs: Vec<(String, String)> = objects
            .iter()
            .filter_map(|object| {
                let mut parts = object.parts().skip(1);
                let (job, run, _) = (parts.next()?, parts.next()?, parts.next()?);
                // Both were made of names, which may hold what a name of an object may not.
                Some((decoded(job.as_ref()), decoded(run.as_ref())))
            })
            .collect();
        runs.sort_unstable();
        runs.dedup();
        Ok(runs)
    }

    async fn below(&self, folder: &ObjectPath) -> object_store::Result<Vec<ObjectPath>> {
        match &self.objects {
            Objects::Folder { store, .. } => {
                let listed = store.list(Some(folder));
                listed.map_ok(|object| object.location).try_collect().await
            }
            Objects::Bucket(bucket) => bucket.below(folder).await,
        }
    }
}

fn decoded(part: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(part);
    decoded.decode_utf8_lossy().into_owned()
}
