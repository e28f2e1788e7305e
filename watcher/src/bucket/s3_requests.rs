//! Requests by AWS's own client of S3, for what `object_store` has no call for: tags of what is there, and copies and
//! removals on a condition.

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{RequestPayer, ServerSideEncryption, Tag, Tagging};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Bucket;
use super::s3::{is_path_style, region};
use super::store::{BucketOptions, RETRIES};
use crate::error::causes;

/// How long a server may be silent. One that copies gigabytes says nothing meanwhile.
const SILENCE: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(5);

/// The pause before the first retry, as `object_store` makes it; the others double.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What a header may hold of a key.
const KEPT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A request that was refused, or had no answer after the retries that S3 asks for.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
pub struct S3Error {
    /// The status of the answer, if there was one.
    status: Option<u16>,
    code: Option<String>,
    told: String,
}

impl S3Error {
    /// Whether what was asked for is not there. A bucket that is not there is another matter.
    pub fn is_absent(&self) -> bool {
        self.status == Some(404) && self.code.as_deref() != Some("NoSuchBucket")
    }

    /// Whether the condition of the request does not hold.
    pub fn is_unmet(&self) -> bool {
        self.status == Some(412)
    }

    /// Whether the object lies in an archive, where nothing can be copied from.
    pub fn is_archived(&self) -> bool {
        self.has_code(&["InvalidObjectState", "ObjectNotInActiveTierError"])
    }

    /// Whether this user may not do it. S3 answers with the same status that an object is archived.
    pub fn is_denied(&self) -> bool {
        matches!(self.status, Some(401 | 403)) && !self.is_archived()
    }

    /// Whether it is this object that the store does not do it with. Other objects may fare better, and a retry does not.
    pub fn is_of_object(&self) -> bool {
        let is_of_all = matches!(self.status, Some(408 | 429))
            || self.has_code(&["NoSuchBucket", "RequestTimeout", "ExpiredToken", "InvalidToken"]);
        matches!(self.status, Some(400..=499)) && !self.is_denied() && !is_of_all
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

/// AWS's client, with what its requests about one bucket have in common. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    bucket: Bucket,
    payer: Option<RequestPayer>,
    sse_kms_key: Option<String>,
}

impl S3 {
    /// A client for a bucket that was opened with these options. Nothing is sent yet.
    pub fn of(bucket: &Bucket, options: &BucketOptions, config: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        let retries = RetryConfig::standard()
            .with_max_attempts(RETRIES as u32 + 1)
            .with_initial_backoff(FIRST_PAUSE);
        let mut builder = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(is_path_style(options, bucket.name()))
            .retry_config(retries)
            .timeout_config(timeouts.build())
            // Not every server knows the checksums that the client would add unasked.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        builder.set_region(region(options, config).map(Region::new));
        // As for `object_store`, whatever else the chain may name for this one client.
        builder.set_endpoint_url(options.endpoint.clone());
        Self {
            client: Client::from_conf(builder.build()),
            bucket: bucket.clone(),
            payer: options.requester_pays.then_some(RequestPayer::Requester),
            sse_kms_key: options.sse_kms_key.clone(),
        }
    }

    /// The tags of an object, or of one of its versions.
    pub(super) async fn tags(&self, path: &str, version: Option<String>) -> Result<Vec<Tag>, S3Error> {
        let request = self.client.get_object_tagging().bucket(self.bucket.name());
        let request = request
            .key(key(&self.bucket, path))
            .set_version_id(version)
            .set_request_payer(self.payer.clone());
        Ok(request.send().await?.tag_set)
    }

    /// Gives an object, or one of its versions, these tags and no others.
    pub(super) async fn set_tags(
        &self,
        path: &str,
        version: Option<String>,
        tags: Vec<Tag>,
    ) -> Result<(), S3Error> {
        let request = self.client.put_object_tagging().bucket(self.bucket.name());
        let request = request
            .key(key(&self.bucket, path))
            .set_version_id(version)
            .tagging(Tagging::builder().set_tag_set(Some(tags)).build()?)
            .set_request_payer(self.payer.clone());
        request.send().await?;
        Ok(())
    }

    /// Copies an object to another place, if it has this ETag; otherwise the error is one of a condition.
    pub(super) async fn copy(
        &self,
        (from, path): (&Bucket, &str),
        (to, target): (&Bucket, &str),
        etag: &str,
    ) -> Result<(), S3Error> {
        let source = key(from, path);
        let source = format!("{}/{}", from.name(), utf8_percent_encode(&source, &KEPT));
        let encryption = self.sse_kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms);
        let request = self.client.copy_object().bucket(to.name());
        let request = request
            .key(key(to, target))
            .copy_source(source)
            .copy_source_if_match(etag)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(self.sse_kms_key.clone())
            .set_request_payer(self.payer.clone());
        request.send().await?;
        Ok(())
    }

    /// Removes an object, if it has this ETag; otherwise the error is one of a condition.
    pub(super) async fn remove(&self, from: &Bucket, path: &str, etag: &str) -> Result<(), S3Error> {
        let request = self.client.delete_object().bucket(from.name());
        let request = request
            .key(key(from, path))
            .if_match(etag)
            .set_request_payer(self.payer.clone());
        request.send().await?;
        Ok(())
    }
}

/// The key of a path, as AWS's client wants it: not encoded.
fn key(bucket: &Bucket, path: &str) -> String {
    format!("{}{path}", bucket.prefix())
}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> From<SdkError<E>> for S3Error {
    fn from(error: SdkError<E>) -> Self {
        Self {
            status: error.raw_response().map(|answer| answer.status().as_u16()),
            code: error.code().map(str::to_owned),
            // The store's own words, where it has some.
            told: match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                _ => causes(&error),
            },
        }
    }
}

/// The client refuses to send what lacks a part.
impl From<BuildError> for S3Error {
    fn from(error: BuildError) -> Self {
        Self {
            status: None,
            code: None,
            told: error.to_string(),
        }
    }
}
