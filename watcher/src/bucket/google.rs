//! Opens a bucket in Google Cloud Storage.

use std::path::Path;
use std::sync::Arc;

use object_store::ClientOptions;
use object_store::gcp::GoogleCloudStorageBuilder;

use super::address::Address;
use super::client::{Bucket, BucketOptions, OpenError, StorageClient, retries};

impl Bucket {
    /// Opens a bucket at Google, without sending anything yet. `credentials` is the file of a service account or of a
    /// user, in the format of application default credentials; without one, tokens come from the instance that this runs
    /// on.
    pub fn in_google(
        address: &Address,
        options: &BucketOptions,
        credentials: Option<&Path>,
    ) -> Result<Self, OpenError> {
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(address.bucket())
            // Requests to the instance's own metadata use http all the same.
            .with_client_options(ClientOptions::new().with_allow_http(options.allow_http))
            .with_retry(retries());
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if let Some(file) = credentials {
            builder = builder.with_application_credentials(file.to_string_lossy());
        }
        let url = address.url();
        let client = builder.build().map_err(|source| match credentials {
            Some(file) => OpenError::BadCredentials {
                url,
                file: file.to_owned(),
                source,
            },
            None => OpenError::BadOptions { url, source },
        })?;
        Ok(Self::new(address, StorageClient::Google(Arc::new(client))))
    }
}
