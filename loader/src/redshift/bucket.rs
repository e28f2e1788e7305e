//! Where rows lie until COPY has read them: folders of a bucket, and how they are emptied again.
//!
//! `<prefix>/<host>-<port>/<database>/<target>/<run>/<session>/…`: a folder a run, and in it one for each try to load it,
//! named for the session, which no other has at that time. A try that fails removes its own folder; whoever finds the run
//! in the ledger removes the run's. What is left by a process that died is older than any try can be after a day, and
//! removed then.

use std::sync::Arc;

use aws_config::SdkConfig;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::settings::Settings;
use crate::LoadError;

/// Seconds after which no load that began is still under way.
const A_DAY: i64 = 24 * 60 * 60;

/// A bucket, and what of it is this warehouse's.
pub(super) struct StagingBucket {
    store: Arc<dyn ObjectStore>,
    name: String,
    root: Path,
}

impl StagingBucket {
    /// Nothing is contacted yet. Without AWS's settings it can only be seen whether a URL makes sense.
    pub(super) fn new(settings: &Settings, aws: Option<&SdkConfig>) -> Result<Self, String> {
        let staging = &settings.staging;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&staging.bucket)
            // The certificates of Amazon's hosts do not cover a bucket's name with dots in it.
            .with_virtual_hosted_style_request(staging.endpoint.is_none() && !staging.bucket.contains('.'));
        let of_aws = || aws.and_then(SdkConfig::region).map(ToString::to_string);
        match staging.region.clone().or_else(of_aws) {
            Some(region) => builder = builder.with_region(region),
            None if aws.is_some() && staging.endpoint.is_none() => {
                return Err(
                    "nothing says in which region its bucket lies: add region=… to it, or set AWS_REGION"
                        .into(),
                );
            }
            None => {}
        }
        if let Some(credentials) = aws.and_then(gristmill_aws::credentials) {
            builder = builder.with_credentials(credentials);
        }
        if let Some(endpoint) = &staging.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder
            .build()
            .map_err(|error| format!("its bucket cannot be used: {error}"))?;
        let place = format!("{}-{}", settings.host, settings.port);
        let prefix = staging.prefix.split('/').filter(|part| !part.is_empty());
        Ok(Self {
            store: Arc::new(store),
            name: staging.bucket.clone(),
            root: prefix.chain([place.as_str(), &settings.database]).collect(),
        })
    }

    /// The folder of a run.
    pub(super) fn of_run(&self, target: &str, run_id: &str) -> Path {
        self.root.clone().join(target).join(run_id)
    }

    /// The URL of an object.
    pub(super) fn url(&self, path: &Path) -> String {
        format!("s3://{}/{path}", self.name)
    }

    pub(super) async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), LoadError> {
        let put = self.store.put(path, bytes.into()).await;
        put.map(drop).map_err(|source| self.failed("write", path, source))
    }

    /// Removes all objects below a folder.
    pub(super) async fn remove(&self, folder: &Path) -> Result<(), LoadError> {
        self.remove_where(folder, |_| true).await
    }

    /// Removes what was left behind by loads that cannot be under way any more. `now` is in seconds since 1970.
    pub(super) async fn sweep(&self, now: i64) -> Result<(), LoadError> {
        self.remove_where(&self.root, |written| is_stale(written, now))
            .await
    }

    async fn remove_where(&self, folder: &Path, which: impl Fn(i64) -> bool + Send) -> Result<(), LoadError> {
        let listed: Result<Vec<ObjectMeta>, _> = self.store.list(Some(folder)).try_collect().await;
        let mut listed = listed.map_err(|source| self.failed("list", folder, source))?;
        listed.retain(|object| which(object.last_modified.timestamp()));
        let chosen = listed.into_iter().map(|object| Ok(object.location));
        let mut removed = self.store.delete_stream(futures::stream::iter(chosen).boxed());
        loop {
            match removed.try_next().await {
                Ok(Some(_)) | Err(object_store::Error::NotFound { .. }) => {}
                Ok(None) => return Ok(()),
                Err(source) => return Err(self.failed("remove", folder, source)),
            }
        }
    }

    fn failed(&self, action: &'static str, path: &Path, source: object_store::Error) -> LoadError {
        LoadError::Staging {
            action,
            object: self.url(path),
            source,
        }
    }
}

fn is_stale(written: i64, now: i64) -> bool {
    written < now - A_DAY
}

#[cfg(test)]
mod tests {
    use super::is_stale;

    #[test]
    fn a_load_has_a_day() {
        assert!(!is_stale(1_000_000, 1_000_000));
        assert!(!is_stale(1_000_000, 1_086_400));
        assert!(is_stale(1_000_000, 1_086_401));
        // The bucket's clock may be ahead of the warehouse's.
        assert!(!is_stale(1_000_060, 1_000_000));
    }
}
