//! Opens a container of Azure Blob Storage, which is called a bucket here, like those of the other providers.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::address::Address;
use super::client::{Bucket, BucketOptions, OpenError, StorageClient, retries};

impl Bucket {
    /// Opens a container, without sending anything yet. `credentials` is what the caller found: the storage account, its
    /// key, a shared access signature, a service principal or a federated token. With none of the last four, tokens come
    /// from the managed identity of the machine that this runs on.
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
        let client = builder
            .with_container_name(address.bucket())
            .with_allow_http(options.allow_http)
            .with_retry(retries())
            .build()
            .map_err(|source| OpenError::BadOptions { url: url(), source })?;
        Ok(Self::new(address, StorageClient::Azure(Arc::new(client))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "aHVudGVyMg==";

    fn open(url: &str, said: &[(AzureConfigKey, &str)]) -> Result<Bucket, OpenError> {
        let said: Vec<_> = said
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        Bucket::in_azure(&Address::parse(url).unwrap(), &BucketOptions::default(), &said)
    }

    #[test]
    fn the_account_is_that_of_the_url_or_of_the_environment() {
        let account = |bucket: Bucket| format!("{bucket:?}");
        let error = open("az://c/in", &[]).unwrap_err().to_string();
        assert!(
            error.contains("the storage account of az://c/in is not configured"),
            "{error}"
        );
        let shops = (AzureConfigKey::AccountName, "shops");
        assert!(account(open("az://c", &[shops]).unwrap()).contains("account: shops"));
        let url = "abfss://c@other.dfs.core.windows.net";
        assert!(account(open(url, &[shops]).unwrap()).contains("account: other"));
    }

    #[test]
    fn no_secret_is_shown() {
        let account = (AzureConfigKey::AccountName, "shops");
        let bucket = open("az://c", &[account, (AzureConfigKey::AccessKey, SECRET)]).unwrap();
        assert!(!format!("{bucket:?}").contains(SECRET), "{bucket:?}");
        for (key, wrong) in [
            (AzureConfigKey::AccessKey, "hunter2?"),
            (AzureConfigKey::SasKey, "hunter2"),
        ] {
            let error = open("az://c", &[account, (key, wrong)]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
