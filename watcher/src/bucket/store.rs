//! Opening a bucket: its URL, its options, and credentials from the standard chain.
//!
//! The caller loads one [`SdkConfig`] (environment, profile, web identity, single sign-on, instance metadata: the
//! whole chain of `aws-config`); the queue uses it as it is, and [`Chain`] hands its credentials to `object_store`, so
//! that both find the same ones.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::config::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::path::Path;
use object_store::{CredentialProvider, RetryConfig};

use crate::error::causes;

/// S3's rule for 500, 503 SlowDown and lost connections: try again with growing pauses, and not for ever. The pipeline
/// has retries of its own behind this.
pub(super) const RETRIES: usize = 6;
const RETRY_FOR: Duration = Duration::from_secs(60);

/// How to reach a bucket, where the defaults do not do.
#[derive(Clone, Debug, Default)]
pub struct BucketOptions {
    /// Where the S3-compatible server is; `None` means Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's region; `None` means that of the [`SdkConfig`].
    pub region: Option<String>,
    /// Whether the bucket is named in the path of a URL, not in its host name. Most servers other than Amazon's want it.
    pub path_style: bool,
    /// Whether an `http://` endpoint is allowed: for servers on this host or in a test.
    pub allow_http: bool,
    /// Whether this account pays for the requests to somebody else's bucket.
    pub requester_pays: bool,
    /// The KMS key that objects are encrypted with when they are written.
    pub sse_kms_key: Option<String>,
}

/// Why a bucket cannot be opened. None of them is worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL does not name a bucket. It is not quoted: a password may stand in it.
    #[error("the URL names no bucket: write s3://BUCKET or s3://BUCKET/PREFIX, and no credentials in it")]
    BadUrl,
    /// The prefix has a part that no object can be asked for by.
    #[error("the prefix of {url} cannot be used: {source}")]
    BadPrefix {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        source: object_store::path::Error,
    },
    /// Neither the settings nor the environment name a region.
    #[error("nothing says in which region {url} lies: set `region` beside it, or AWS_REGION")]
    NoRegion {
        /// As it was given.
        url: String,
    },
    /// The chain has nobody to ask for credentials.
    #[error("no AWS credentials are configured for {url}: set them in the environment, a profile or a role")]
    NoCredentials {
        /// As it was given.
        url: String,
    },
    /// The options do not go together.
    #[error("cannot use {url}: {source}")]
    BadOptions {
        /// As it was given.
        url: String,
        /// What `object_store` says.
        source: object_store::Error,
    },
}

/// A bucket, or the part of it below a prefix. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: AmazonS3,
    url: Arc<str>,
    name: Arc<str>,
    /// Empty, or ends with `/`.
    prefix: Arc<str>,
}

impl Bucket {
    /// Opens `s3://BUCKET` or `s3://BUCKET/PREFIX`. Nothing is sent yet. The credentials of `config` are
    /// asked for with each request: it should hold them.
    pub fn open(url: &str, options: &BucketOptions, config: &SdkConfig) -> Result<Self, OpenError> {
        let owned = || url.to_owned();
        let (name, prefix) = parse(url).ok_or(OpenError::BadUrl)?;
        Path::parse(&prefix).map_err(|source| OpenError::BadPrefix { url: owned(), source })?;
        let region = region(options, config).ok_or_else(|| OpenError::NoRegion { url: owned() })?;
        let provider = config
            .credentials_provider()
            .ok_or_else(|| OpenError::NoCredentials { url: owned() })?;
        let path_style = is_path_style(options, name);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(region)
            .with_allow_http(options.allow_http)
            .with_virtual_hosted_style_request(!path_style)
            .with_request_payer(options.requester_pays)
            .with_credentials(Arc::new(Chain(provider)))
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_FOR,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint_of(endpoint, name, path_style));
        }
        if let Some(key) = &options.sse_kms_key {
            builder = builder.with_sse_kms_encryption(key);
        }
        let store = builder
            .build()
            .map_err(|source| OpenError::BadOptions { url: owned(), source })?;
        Ok(Self {
            store,
            url: url.trim_end_matches('/').into(),
            name: name.into(),
            prefix: prefix.into(),
        })
    }

    /// The store of the whole bucket. Its paths are keys: those of [`key`](Self::key).
    pub fn store(&self) -> &AmazonS3 {
        &self.store
    }

    /// The URL, as it was given, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bucket's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What all keys here begin with: nothing, or a text that ends with `/`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of a path relative to the prefix. An error if no object can be asked for by it: an empty part, `.` or
    /// `..`, or a control character.
    pub fn key(&self, path: &str) -> Result<Path, object_store::path::Error> {
        Path::parse(format!("{}{path}", self.prefix))
    }

    /// The path of a key, if it lies below the prefix.
    pub(crate) fn path<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&*self.prefix).filter(|path| !path.is_empty())
    }
}

/// The region that requests are signed for.
pub(super) fn region(options: &BucketOptions, config: &SdkConfig) -> Option<String> {
    let named = options.region.clone();
    named
        .or_else(|| config.region().map(ToString::to_string))
        // Such a server has no regions, but the signature of a request must name one.
        .or_else(|| options.endpoint.as_ref().map(|_| "us-east-1".to_owned()))
}

/// Whether requests name a bucket in their path. The certificates of Amazon's hosts do not cover a name with dots in it.
pub(super) fn is_path_style(options: &BucketOptions, name: &str) -> bool {
    options.path_style || name.contains('.')
}

/// The bucket and the prefix that a URL names.
fn parse(url: &str) -> Option<(&str, String)> {
    let rest = url.strip_prefix("s3://")?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    is_name.then(|| {
        let separator = if prefix.is_empty() { "" } else { "/" };
        (name, format!("{prefix}{separator}"))
    })
}

/// `object_store` wants the bucket in the endpoint itself where requests are to name it in the host.
fn endpoint_of(endpoint: &str, bucket: &str, path_style: bool) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !path_style => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_owned(),
    }
}

/// The standard chain as `object_store` wants to be given credentials.
#[derive(Debug)]
struct Chain(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.provide_credentials().await.map_err(|error| {
            let source = format!("no AWS credentials: {}", causes(&error)).into();
            object_store::Error::Generic { store: "S3", source }
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(ToOwned::to_owned),
        }))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::Credentials;

    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_folder_in_it() {
        let parsed = |url| parse(url).map(|(name, prefix)| format!("{name} {prefix}"));
        assert_eq!(parsed("s3://b").as_deref(), Some("b "));
        assert_eq!(parsed("s3://b/").as_deref(), Some("b "));
        assert_eq!(parsed("s3://b/in/50% é").as_deref(), Some("b in/50% é/"));
        assert_eq!(parsed("s3://b/in/").as_deref(), Some("b in/"));
        for url in ["s3://", "s3:///in", "b/in", "http://b/in", "s3://user:secret@b"] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }

    #[test]
    fn a_host_names_the_bucket_unless_the_path_does() {
        assert_eq!(endpoint_of("http://h:1", "b", true), "http://h:1");
        assert_eq!(endpoint_of("https://h", "b", false), "https://b.h");
    }

    const SECRET: &str = "hunter2-of-the-chain";

    #[tokio::test]
    async fn no_secret_is_shown() {
        let credentials = Credentials::new("key", SECRET, Some("token".into()), None, "test");
        let chain = Chain(SharedCredentialsProvider::new(credentials));
        let credential = chain.get_credential().await.unwrap();
        assert_eq!(credential.secret_key, SECRET);
        assert_eq!(credential.token.as_deref(), Some("token"));
        let shown = format!("{chain:?} {credential:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        let open = |url| Bucket::open(url, &BucketOptions::default(), &SdkConfig::builder().build());
        let error = open("s3://user:hunter2@shops/in").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let open = |options: &BucketOptions| {
            Bucket::open("s3://shops", options, &SdkConfig::builder().build())
                .unwrap_err()
                .to_string()
        };
        assert!(open(&BucketOptions::default()).contains("in which region s3://shops lies"));
        let region = Some("eu-west-1".to_owned());
        let options = BucketOptions {
            region,
            ..BucketOptions::default()
        };
        assert!(open(&options).contains("no AWS credentials are configured for s3://shops"));
    }
}
