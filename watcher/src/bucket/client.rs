//! A bucket of one of three providers, and how it is opened.
//!
//! The caller finds the credentials, in each provider's standard way: for S3 (`s3`) one [`SdkConfig`], for Google
//! (`google`) a file or the instance itself, for Azure (`azure`) the values of its usual variables.
//!
//! [`SdkConfig`]: aws_config::SdkConfig

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3;
use object_store::azure::MicrosoftAzure;
use object_store::gcp::GoogleCloudStorage;
use object_store::list::PaginatedListStore;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use super::address::Address;

/// How often a request is retried after 500, 503 SlowDown or a lost connection, as the providers advise: with growing
/// pauses, and not for ever. The pipeline has retries of its own on top.
pub(super) const RETRIES: usize = 6;
const RETRY_FOR: Duration = Duration::from_secs(60);

/// How to reach a bucket where the defaults do not fit.
#[derive(Clone, Default)]
pub struct BucketOptions {
    /// The server's URL; `None` means Amazon's, Google's or Microsoft's own. For Azure, it includes the account.
    pub endpoint: Option<String>,
    /// Whether an `http://` endpoint is allowed, as for a server on this host or in a test.
    pub allow_http: bool,
    /// S3 only: the bucket's region; `None` means that of the [`SdkConfig`](aws_config::SdkConfig).
    pub region: Option<String>,
    /// S3 only: whether URLs name the bucket in the path and not in the host name. Most servers other than Amazon's
    /// need this.
    pub path_style: bool,
    /// S3 only: whether this account pays for the requests to somebody else's bucket.
    pub requester_pays: bool,
    /// S3 only: the KMS key with which written objects are encrypted.
    pub sse_kms_key: Option<String>,
}

impl fmt::Debug for BucketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketOptions")
            // It may hold a password or a signature.
            .field("endpoint", &self.endpoint.as_ref().map(|_| "***"))
            .field("allow_http", &self.allow_http)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("requester_pays", &self.requester_pays)
            .field("sse_kms_key", &self.sse_kms_key)
            .finish()
    }
}

/// Why a bucket cannot be opened. A retry helps with none of these.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither the settings nor the environment name a region.
    #[error("the region of {url} is not configured: set `region` next to the URL, or AWS_REGION")]
    NoRegion {
        /// As it was given.
        url: String,
    },
    /// The AWS configuration has no provider of credentials.
    #[error("no AWS credentials are configured for {url}: set them in the environment, a profile or a role")]
    NoCredentials {
        /// As it was given.
        url: String,
    },
    /// No HTTP client can be made.
    #[error("cannot use {url}: {source}")]
    NoClient {
        /// As it was given.
        url: String,
        /// Why.
        source: gristmill_aws::AwsError,
    },
    /// Neither the URL nor the environment name Azure's storage account.
    #[error(
        "the storage account of {url} is not configured: write \
         abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX, or set AZURE_STORAGE_ACCOUNT_NAME"
    )]
    NoAccount {
        /// As it was given.
        url: String,
    },
    /// The credentials file cannot be used.
    #[error("cannot use {url} with the credentials in {}: {source}", file.display())]
    BadCredentials {
        /// As it was given.
        url: String,
        /// The credentials file.
        file: PathBuf,
        /// What `object_store` says.
        source: object_store::Error,
    },
    /// The options or the credentials cannot be used.
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
    client: StorageClient,
    url: Arc<str>,
    name: Arc<str>,
    /// Empty, or ends with `/`.
    prefix: Arc<str>,
}

/// The client of the provider that holds a bucket, for requests that differ between providers.
#[derive(Clone)]
pub enum StorageClient {
    /// Amazon S3, or a compatible server.
    S3(Arc<AmazonS3>),
    /// Google Cloud Storage.
    Google(Arc<GoogleCloudStorage>),
    /// Azure Blob Storage.
    Azure(Arc<MicrosoftAzure>),
}

impl Bucket {
    pub(super) fn new(address: &Address, client: StorageClient) -> Self {
        let prefix = match address.path() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        Self {
            client,
            url: address.url().into(),
            name: address.bucket().into(),
            prefix: prefix.into(),
        }
    }

    /// The objects of the whole bucket. Their paths are keys, as [`object_key`](Self::object_key) returns them.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        match &self.client {
            StorageClient::S3(client) => client.clone(),
            StorageClient::Google(client) => client.clone(),
            StorageClient::Azure(client) => client.clone(),
        }
    }

    /// The provider's own client.
    pub fn kind(&self) -> &StorageClient {
        &self.client
    }

    /// The permission to grant to a user who may not read an object.
    pub(crate) fn right_to_read(&self) -> &'static str {
        match &self.client {
            StorageClient::S3(_) => "s3:GetObject on it (and kms:Decrypt on its key)",
            StorageClient::Google(_) => "storage.objects.get on it (as the role Storage Object Viewer does)",
            StorageClient::Azure(_) => "the role Storage Blob Data Reader on its container",
        }
    }

    /// Lists the whole bucket.
    pub(crate) fn pages(&self) -> &dyn PaginatedListStore {
        match &self.client {
            StorageClient::S3(client) => &**client,
            StorageClient::Google(client) => &**client,
            StorageClient::Azure(client) => &**client,
        }
    }

    /// The URL, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bucket's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The prefix that all keys here begin with: empty, or ending with `/`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the key of a path relative to the prefix. Fails if the key cannot be requested: it has an empty segment,
    /// `.` or `..`, or a control character.
    pub fn object_key(&self, path: &str) -> Result<Path, object_store::path::Error> {
        Path::parse(format!("{}{path}", self.prefix))
    }

    /// The path of a key, if it lies below the prefix.
    pub(crate) fn path<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&*self.prefix).filter(|path| !path.is_empty())
    }
}

/// Shows only the provider and the bucket's name, because some clients' own output would reveal credentials.
impl fmt::Debug for StorageClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(client) => Display::fmt(client, f),
            Self::Google(client) => Display::fmt(client, f),
            Self::Azure(client) => Display::fmt(client, f),
        }
    }
}

/// How often, and for how long, requests are retried.
pub(super) fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    }
}
