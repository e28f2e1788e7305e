//! The settings of a cluster: where it is, and under which URL it finds the lake.
//!
//! A build without the feature `cluster` has no client of one, and says so.

use super::LakeSettings;
use super::file::ClusterTable;

/// A cluster that may merge in place of this host.
#[cfg(feature = "cluster")]
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Its client; or what to do about a variable in its URL that is not set, which matters only to a run.
    pub(crate) client: Result<gristmill_cluster::Cluster, String>,
    /// The lake's URL as the cluster knows it, without a slash at its end.
    pub(crate) lake: String,
}

/// No build without the feature has a cluster.
#[cfg(not(feature = "cluster"))]
pub type ClusterSettings = std::convert::Infallible;

/// Checks the table, for a lake that has been checked.
#[cfg(feature = "cluster")]
pub(super) fn check_cluster(table: &ClusterTable, lake: &LakeSettings) -> Result<ClusterSettings, String> {
    let client = match &table.url.0 {
        Ok(url) => {
            let endpoint: gristmill_cluster::Endpoint =
                url.parse().map_err(|problem| format!("cluster.url: {problem}"))?;
            Ok(gristmill_cluster::Cluster::new(endpoint))
        }
        Err(problem) => Err(format!("cluster.url: {problem}")),
    };
    let lake = match (&table.lake, lake) {
        (Some(url), _) => {
            let is_place = url.0.starts_with('/') || url.0.contains("://");
            if !is_place || url.0.contains('@') && !url.0.starts_with("abfs") && !url.0.starts_with("wasb") {
                return Err(
                    "cluster.lake: write the lake's URL as the cluster knows it, without any password, such as \
                     \"s3a://bucket/lake\" or \"file:///mnt/lake\""
                        .into(),
                );
            }
            url.0.clone()
        }
        (None, LakeSettings::Folder(folder)) => {
            let folder = std::path::absolute(folder)
                .map_err(|error| format!("cluster.lake: the lake's folder has no absolute path: {error}"))?;
            let path = folder
                .to_str()
                .ok_or("cluster.lake: the lake's folder has a name that is not UTF-8")?;
            format!("file://{path}")
        }
        (None, LakeSettings::Bucket { place, .. }) => place.address.url(),
    };
    Ok(ClusterSettings {
        client,
        lake: lake.trim_end_matches('/').to_owned(),
    })
}

/// Refuses the table: nothing here can use it.
#[cfg(not(feature = "cluster"))]
pub(super) fn check_cluster(_: &ClusterTable, _: &LakeSettings) -> Result<ClusterSettings, String> {
    Err(format!("[cluster]: {NOT_HERE}"))
}

/// What a build without the feature says about a cluster.
#[cfg(not(feature = "cluster"))]
const NOT_HERE: &str = "this build merges on this host alone; the packages of releases can use a cluster, and so can what \
                        `cargo install --path . --features cluster` builds";

/// What to do about a job that asks for a cluster, if the settings name none.
#[cfg(feature = "cluster")]
pub(crate) const NO_CLUSTER: &str =
    "there is no [cluster] table: write one with the url of the cluster, or `engine = \"local\"`";

/// What to do about a job that asks for a cluster in a build that can use none.
#[cfg(not(feature = "cluster"))]
pub(crate) const NO_CLUSTER: &str = NOT_HERE;
