//! Opens a container of Azure Blob Storage, which is called a bucket here as those of other stores are.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::address::Address;
use super::store::{Bucket, BucketOptions, OpenError, Store, retries};

impl Bucket {
    /// Opens a container. Nothing is sent yet. `credentials` is what the caller found of the storage account, its key, a
    /// shared access signature, a service principal or a federated token; without any of these, the managed identity of
    /// the machine that this runs on is asked for tokens.
    pub fn in_azure(
        address: &Address,
        options: &BucketOptions,
        credentials: &[(AzureConfigKey, String)],
    ) -> Result<Self, OpenError> {
        let url = || address.url();
        let mut builder = MicrosoftAzureBuilder::new();
        for (key, value) in credentials {
            builder = builder.with_config(*key, value);
        }
        if let Some(account) = address.account() {
            builder = builder.with_account(account);
        }
        if builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
            return Err(OpenError::NoAccount { url: url() });
        }
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let store = builder
            .with_container_name(address.bucket())
            .with_allow_http(options.allow_http)
            .with_retry(retries())
            .build()
            .map_err(|source| OpenError::BadOptions { url: url(), source })?;
        Ok(Self::new(address, Store::Azure(Arc::new(store))))
    }
}
