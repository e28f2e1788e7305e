//! A bucket in one of three stores, and how it is opened.
//!
//! Credentials are the caller's to find, each store's by its own standard way: for S3 (`s3`) one [`SdkConfig`], for Google
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

/// The stores' rule for 500, 503 SlowDown and lost connections: try again with growing pauses, and not for ever. The pipeline
/// has retries of its own behind this.
pub(super) const RETRIES: usize = 6;
const RETRY_FOR: Duration = Duration::from_secs(60);

/// How to reach a bucket, where the defaults do not do.
#[derive(Clone, Debug, Default)]
pub struct BucketOptions {
    /// Where the server is; `None` means Amazon's, Google's or Microsoft's own. For Azure, it has the account in it.
    pub endpoint: Option<String>,
    /// Whether an `http://` endpoint is allowed: for servers on this host or in a test.
    pub allow_http: bool,
    /// S3 only: the bucket's region; `None` means that of the [`SdkConfig`](aws_config::SdkConfig).
    pub region: Option<String>,
    /// S3 only: whether the bucket is named in the path of a URL, not in its host name. Most servers other than Amazon's
    /// want it.
    pub path_style: bool,
    /// S3 only: whether this account pays for the requests to somebody else's bucket.
    pub requester_pays: bool,
    /// S3 only: the KMS key that objects are encrypted with when they are written.
    pub sse_kms_key: Option<String>,
}

/// Why a bucket cannot be opened. None of them is worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
    /// Neither the URL nor the environment name Azure's storage account.
    #[error(
        "nothing says in which storage account {url} lies: write \
         abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX, or set AZURE_STORAGE_ACCOUNT_NAME"
    )]
    NoAccount {
        /// As it was given.
        url: String,
    },
    /// The file of credentials cannot be used.
    #[error("cannot use {url} with the credentials in {}: {source}", file.display())]
    BadCredentials {
        /// As it was given.
        url: String,
        /// Where they are.
        file: PathBuf,
        /// What `object_store` says.
        source: object_store::Error,
    },
    /// The options or the credentials do not do.
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
    store: Store,
    url: Arc<str>,
    name: Arc<str>,
    /// Empty, or ends with `/`.
    prefix: Arc<str>,
}

/// The store that a bucket is in, for what is asked otherwise in each.
#[derive(Clone)]
pub enum Store {
    /// Amazon S3, or a server that speaks as it does.
    S3(Arc<AmazonS3>),
    /// Google Cloud Storage.
    Google(Arc<GoogleCloudStorage>),
    /// Azure Blob Storage.
    Azure(Arc<MicrosoftAzure>),
}

impl Bucket {
    pub(super) fn new(address: &Address, store: Store) -> Self {
        let prefix = match address.path() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        Self {
            store,
            url: address.url().into(),
            name: address.bucket().into(),
            prefix: prefix.into(),
        }
    }

    /// The whole bucket's objects. Their paths are keys: those of [`key`](Self::key).
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        match &self.store {
            Store::S3(store) => store.clone(),
            Store::Google(store) => store.clone(),
            Store::Azure(store) => store.clone(),
        }
    }

    /// The store itself.
    pub fn kind(&self) -> &Store {
        &self.store
    }

    /// What to grant to whoever may not read its objects.
    pub(crate) fn right_to_read(&self) -> &'static str {
        match &self.store {
            Store::S3(_) => "s3:GetObject on it (and kms:Decrypt on its key)",
            Store::Google(_) => "storage.objects.get on it (as the role Storage Object Viewer does)",
            Store::Azure(_) => "the role Storage Blob Data Reader on its container",
        }
    }

    /// The whole bucket's listing.
    pub(crate) fn pages(&self) -> &dyn PaginatedListStore {
        match &self.store {
            Store::S3(store) => &**store,
            Store::Google(store) => &**store,
            Store::Azure(store) => &**store,
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

/// Only the store's kind and the bucket's name: some credentials would show themselves.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(store) => Display::fmt(store, f),
            Self::Google(store) => Display::fmt(store, f),
            Self::Azure(store) => Display::fmt(store, f),
        }
    }
}

/// How often, and for how long, requests are tried.
pub(super) fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    }
}
