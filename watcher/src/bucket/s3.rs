//! Opens a bucket in S3, or in a server that speaks as S3 does.
//!
//! The caller loads one [`SdkConfig`]: environment, profile, web identity, single sign-on, instance metadata, the whole chain
//! of `aws-config`. Buckets and the queue share it, so both find the same credentials.

use std::sync::Arc;

use aws_config::SdkConfig;
use object_store::aws::AmazonS3Builder;

use super::address::Address;
use super::client::{Bucket, BucketOptions, OpenError, StorageClient, retries};

impl Bucket {
    /// Opens a bucket of S3. Nothing is sent yet. The credentials of `config` are asked for with each request: it should
    /// hold them.
    pub fn in_s3(address: &Address, options: &BucketOptions, config: &SdkConfig) -> Result<Self, OpenError> {
        let (url, name) = (|| address.url(), address.bucket());
        let region = region(options, config).ok_or_else(|| OpenError::NoRegion { url: url() })?;
        let credentials =
            gristmill_aws::credentials(config).ok_or_else(|| OpenError::NoCredentials { url: url() })?;
        let path_style = is_path_style(options, name);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(region)
            .with_allow_http(options.allow_http)
            .with_virtual_hosted_style_request(!path_style)
            .with_request_payer(options.requester_pays)
            .with_credentials(credentials)
            .with_retry(retries());
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint_of(endpoint, name, path_style));
        }
        if let Some(key) = &options.sse_kms_key {
            builder = builder.with_sse_kms_encryption(key);
        }
        let client = builder
            .build()
            .map_err(|source| OpenError::BadOptions { url: url(), source })?;
        Ok(Self::new(address, StorageClient::S3(Arc::new(client))))
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

/// Returns the server of a bucket: where requests name the bucket in the host, it is part of that.
pub(super) fn endpoint_of(endpoint: &str, bucket: &str, path_style: bool) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !path_style => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_the_bucket_unless_the_path_does() {
        assert_eq!(endpoint_of("http://h:1", "b", true), "http://h:1");
        assert_eq!(endpoint_of("https://h", "b", false), "https://b.h");
    }

    #[test]
    fn what_is_missing_is_said() {
        let open = |options: &BucketOptions| {
            let address = Address::parse("s3://shops").unwrap();
            Bucket::in_s3(&address, options, &SdkConfig::builder().build())
                .unwrap_err()
                .to_string()
        };
        assert!(open(&BucketOptions::default()).contains("the region of s3://shops is not configured"));
        let region = Some("eu-west-1".to_owned());
        let options = BucketOptions {
            region,
            ..BucketOptions::default()
        };
        assert!(open(&options).contains("no AWS credentials are configured for s3://shops"));
    }
}
