//! Credentials of AWS's standard chain, in the form in which `object_store` asks for them.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use crate::error::causes;

/// Returns the credentials that the chain finds: the environment, a profile, a role, the instance. They are asked for
/// with each request, so the configuration should cache them. `None`: nothing in it can give any.
pub fn credentials(config: &SdkConfig) -> Option<AwsCredentialProvider> {
    let chain = config.credentials_provider()?;
    Some(Arc::new(Chain(chain)))
}

#[derive(Debug)]
struct Chain(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.provide_credentials().await;
        let found = found.map_err(|error| object_store::Error::Unauthenticated {
            path: "AWS".to_owned(),
            source: format!("no AWS credentials: {}", causes(&error)).into(),
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
    use aws_credential_types::Credentials;

    use super::*;

    const SECRET: &str = "hunter2-of-the-chain";

    #[tokio::test]
    async fn no_secret_is_shown() {
        let found = Credentials::new("key", SECRET, Some("token".into()), None, "test");
        let chain = Chain(SharedCredentialsProvider::new(found));
        let credential = chain.get_credential().await.unwrap();
        assert_eq!(credential.secret_key, SECRET);
        assert_eq!(credential.token.as_deref(), Some("token"));
        let shown = format!("{chain:?} {credential:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
