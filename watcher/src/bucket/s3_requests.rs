//! Requests to S3 for what `object_store` has no call for: tags of existing objects, and copies and removals on a
//! condition.

use std::time::Duration;

use aws_config::SdkConfig;
use gristmill_aws::{AwsError, Call, Patience, Service, public_host, read_xml};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::Bucket;
use super::client::{BucketOptions, OpenError, RETRIES};
use super::s3::{endpoint_of, is_path_style, region};

/// A server that copies gigabytes sends nothing meanwhile.
const PATIENCE: Patience = Patience {
    silence: Duration::from_secs(300),
    retries: RETRIES,
};

/// What a URL or a header may hold of a key.
const KEPT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A tag of an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `<Tagging><TagSet><Tag>…`: how S3 writes and reads the tags of an object.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    tag_set: TagSet,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagSet {
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

/// Why S3 did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct S3Error(#[from] AwsError);

impl S3Error {
    /// Returns whether the object is not there. A missing bucket is another matter.
    pub fn is_absent(&self) -> bool {
        self.0.status() == Some(404) && self.0.code() != Some("NoSuchBucket")
    }

    /// Returns whether the condition of the request does not hold.
    pub fn is_unmet(&self) -> bool {
        self.0.status() == Some(412)
    }

    /// Returns whether the object lies in an archive, from which nothing can be copied.
    pub fn is_archived(&self) -> bool {
        self.has_code(&["InvalidObjectState", "ObjectNotInActiveTierError"])
    }

    /// Returns whether this user lacks a permission. S3 answers with the same status for an archived object.
    pub fn is_denied(&self) -> bool {
        matches!(self.0.status(), Some(401 | 403)) && !self.is_archived()
    }

    /// Returns whether the server refuses this one object. Others may succeed, and a retry does not help.
    pub fn is_of_object(&self) -> bool {
        let is_of_all = matches!(self.0.status(), Some(408 | 429))
            || self.has_code(&["NoSuchBucket", "RequestTimeout", "ExpiredToken", "InvalidToken"]);
        matches!(self.0.status(), Some(400..=499)) && !self.is_denied() && !is_of_all
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.0.code().is_some_and(|code| codes.contains(&code))
    }
}

/// Signed requests about one bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3 {
    service: Service,
    bucket: Bucket,
    /// The server, without a bucket.
    endpoint: String,
    path_style: bool,
    requester_pays: bool,
    sse_kms_key: Option<String>,
}

impl S3 {
    /// Prepares requests about a bucket that was opened with these options. Nothing is sent yet.
    pub fn of(bucket: &Bucket, options: &BucketOptions, config: &SdkConfig) -> Result<Self, OpenError> {
        let url = || bucket.url().to_owned();
        let region = region(options, config).ok_or_else(|| OpenError::NoRegion { url: url() })?;
        // As for `object_store`, whatever endpoint the configuration names for S3 alone.
        let public = || format!("https://{}", public_host("s3", &region, config));
        let service = Service::new("s3", Some(&region), config, PATIENCE);
        Ok(Self {
            service: service.map_err(|source| OpenError::NoClient { url: url(), source })?,
            bucket: bucket.clone(),
            endpoint: options.endpoint.clone().unwrap_or_else(public),
            path_style: is_path_style(options, bucket.name()),
            requester_pays: options.requester_pays,
            sse_kms_key: options.sse_kms_key.clone(),
        })
    }

    /// Returns the tags of an object, or of one of its versions.
    pub(super) async fn tags(&self, path: &str, version: Option<&str>) -> Result<Vec<Tag>, S3Error> {
        let call = self.call(Method::GET, &self.bucket, path, &tagging_of(version));
        let answer = self.service.send(&call).await?;
        let Tagging { tag_set } = read_xml(&answer)?;
        Ok(tag_set.tags)
    }

    /// Gives an object, or one of its versions, these tags and no others.
    pub(super) async fn set_tags(
        &self,
        path: &str,
        version: Option<&str>,
        tags: Vec<Tag>,
    ) -> Result<(), S3Error> {
        let tagging = Tagging {
            tag_set: TagSet { tags },
        };
        let call = self
            .call(Method::PUT, &self.bucket, path, &tagging_of(version))
            .xml("Tagging", &tagging)?;
        self.service.send(&call).await?;
        Ok(())
    }

    /// Copies an object to another place if it has this ETag; otherwise the error is [`S3Error::is_unmet`].
    pub(super) async fn copy(
        &self,
        (from, path): (&Bucket, &str),
        (to, target): (&Bucket, &str),
        etag: &str,
    ) -> Result<(), S3Error> {
        let source = format!("{}/{}", from.name(), encoded_object_key(from, path));
        let mut call = self
            .call(Method::PUT, to, target, "")
            .header("x-amz-copy-source", source)
            .header("x-amz-copy-source-if-match", etag);
        if let Some(key) = &self.sse_kms_key {
            call = call
                .header("x-amz-server-side-encryption", "aws:kms")
                .header("x-amz-server-side-encryption-aws-kms-key-id", key);
        }
        self.service.send(&call).await?;
        Ok(())
    }

    /// Removes an object if it has this ETag; otherwise the error is [`S3Error::is_unmet`].
    pub(super) async fn remove(&self, from: &Bucket, path: &str, etag: &str) -> Result<(), S3Error> {
        let call = self.call(Method::DELETE, from, path, "").header("if-match", etag);
        self.service.send(&call).await?;
        Ok(())
    }

    /// Has the bucket keep all versions of its objects from now on.
    #[cfg(test)]
    pub(super) async fn keep_versions(&self) -> Result<(), S3Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Versioning {
            status: &'static str,
        }
        let url = format!("{}/{}?versioning", self.endpoint, self.bucket.name());
        let versioning = Versioning { status: "Enabled" };
        let call = Call::new(Method::PUT, url).xml("VersioningConfiguration", &versioning)?;
        self.service.send(&call).await?;
        Ok(())
    }

    fn call(&self, method: Method, bucket: &Bucket, path: &str, query: &str) -> Call {
        let server = endpoint_of(&self.endpoint, bucket.name(), self.path_style);
        let bucket_in_path = match self.path_style {
            true => format!("/{}", bucket.name()),
            false => String::new(),
        };
        let key = encoded_object_key(bucket, path);
        let call = Call::new(method, format!("{server}{bucket_in_path}/{key}{query}"));
        match self.requester_pays {
            true => call.header("x-amz-request-payer", "requester"),
            false => call,
        }
    }
}

/// The key of a path, encoded for URLs and headers.
fn encoded_object_key(bucket: &Bucket, path: &str) -> String {
    let key = format!("{}{path}", bucket.prefix());
    utf8_percent_encode(&key, &KEPT).to_string()
}

/// The query that asks for the tags of an object, or of one of its versions.
fn tagging_of(version: Option<&str>) -> String {
    match version {
        Some(version) => format!(
            "?tagging&versionId={}",
            utf8_percent_encode(version, NON_ALPHANUMERIC)
        ),
        None => "?tagging".to_owned(),
    }
}
