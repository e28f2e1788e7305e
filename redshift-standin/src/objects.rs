//! Reads manifests and Parquet from the S3 server.

use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use futures::TryStreamExt;

/// The S3 server that COPY reads from.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The server's URL, such as `http://127.0.0.1:8333`.
    pub endpoint: String,
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

/// An object that COPY is to load.
pub(crate) struct Object {
    pub(crate) url: String,
    pub(crate) bytes: Bytes,
}

/// The list of files to load. Source: page "Using a manifest to specify data files".
#[derive(Deserialize)]
struct Manifest {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
    #[serde(default)]
    mandatory: bool,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    content_length: u64,
}

impl S3 {
    /// Returns the objects of a COPY; the error is Redshift's message.
    pub(crate) async fn objects(&self, url: &str, is_manifest: bool) -> Result<Vec<Object>, String> {
        let (store, key) = self.open(url)?;
        if !is_manifest {
            // A prefix that matches nothing loads nothing, without an error.
            let prefix = key.to_string();
            let listed: Vec<_> = store
                .list(None)
                .try_collect()
                .await
                .map_err(|error| error.to_string())?;
            let mut objects = Vec::new();
            let (bucket, _) = parts(url)?;
            for object in listed
                .iter()
                .filter(|object| object.location.as_ref().starts_with(&prefix))
            {
                let url = format!("s3://{bucket}/{}", object.location);
                objects.push(self.object(&url).await?.ok_or(not_there(&url))?);
            }
            return Ok(objects);
        }
        let manifest = self.object(url).await?.ok_or(not_there(url))?;
        let manifest: Manifest = serde_json::from_slice(&manifest.bytes)
            .map_err(|error| format!("Invalid manifest file: {error}"))?;
        let mut objects = Vec::new();
        for entry in manifest.entries {
            // Page "COPY from columnar data formats": the length is required for such files.
            let Some(meta) = entry.meta else {
                return Err(format!("Manifest entry {} has no meta.content_length", entry.url));
            };
            match self.object(&entry.url).await? {
                None if entry.mandatory => return Err(not_there(&entry.url)),
                None => {}
                Some(object) if object.bytes.len() as u64 != meta.content_length => {
                    return Err(format!(
                        "File {} has {} bytes, and the manifest says {}",
                        entry.url,
                        object.bytes.len(),
                        meta.content_length
                    ));
                }
                Some(object) => objects.push(object),
            }
        }
        Ok(objects)
    }

    async fn object(&self, url: &str) -> Result<Option<Object>, String> {
        let (store, key) = self.open(url)?;
        let bytes = match store.get(&key).await {
            Ok(found) => found.bytes().await.map_err(|error| error.to_string())?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        Ok(Some(Object {
            url: url.to_owned(),
            bytes,
        }))
    }

    fn open(&self, url: &str) -> Result<(Arc<AmazonS3>, Path), String> {
        let (bucket, key) = parts(url)?;
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .build()
            .map_err(|error| error.to_string())?;
        Ok((
            Arc::new(store),
            Path::parse(key).map_err(|error| error.to_string())?,
        ))
    }
}

fn parts(url: &str) -> Result<(&str, &str), String> {
    url.strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| format!("The S3 URL {url} is not valid"))
}

fn not_there(url: &str) -> String {
    format!("The specified key does not exist: {url}")
}
