//! Temporary users and passwords from AWS, and AWS's own credentials for the bucket.
//!
//! Redshift tells how they are to be had: GetClusterCredentialsWithIAM for a cluster, GetCredentials for a workgroup of
//! Redshift Serverless. Both end after a time, and are asked for anew for each connection.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_redshift::config::{ProvideCredentials, Region, SharedCredentialsProvider};
use aws_sdk_redshift::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::fault::RedshiftFault;
use super::settings::Login;

/// How long temporary credentials are good for: the least that AWS gives. They are only needed to log in.
const SECONDS: i32 = 900;

/// A user of the database that lives for a while.
pub(super) struct TemporaryUser {
    pub user: String,
    pub password: String,
}

/// Asks AWS for a temporary user. `None`: the URL names one.
pub(super) async fn temporary(
    login: &Login,
    database: &str,
    region: Option<&str>,
    aws: &SdkConfig,
) -> Result<Option<TemporaryUser>, RedshiftFault> {
    let region = region.map(|region| Region::new(region.to_string()));
    let (user, password) = match login {
        Login::Password => return Ok(None),
        Login::Cluster(cluster) => {
            let mut config = aws_sdk_redshift::config::Builder::from(aws);
            if region.is_some() {
                config = config.region(region);
            }
            let client = aws_sdk_redshift::Client::from_conf(config.build());
            let asked = client
                .get_cluster_credentials_with_iam()
                .cluster_identifier(cluster)
                .db_name(database)
                .duration_seconds(SECONDS);
            let given = asked
                .send()
                .await
                .map_err(|error| refused("cluster", cluster, error))?;
            (given.db_user, given.db_password)
        }
        Login::Workgroup(workgroup) => {
            let mut config = aws_sdk_redshiftserverless::config::Builder::from(aws);
            if region.is_some() {
                config = config.region(region);
            }
            let client = aws_sdk_redshiftserverless::Client::from_conf(config.build());
            let asked = client
                .get_credentials()
                .workgroup_name(workgroup)
                .db_name(database)
                .duration_seconds(SECONDS);
            let given = asked
                .send()
                .await
                .map_err(|error| refused("workgroup", workgroup, error))?;
            (given.db_user, given.db_password)
        }
    };
    match (user, password) {
        (Some(user), Some(password)) => Ok(Some(TemporaryUser { user, password })),
        _ => Err(RedshiftFault::odd(
            "AWS gave temporary credentials without a user or a password",
        )),
    }
}

fn refused<E, R>(what: &str, name: &str, error: SdkError<E, R>) -> RedshiftFault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let (told, is_transient) = match &error {
        // An answer that was asked for in vain three times by the SDK itself.
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or("an unknown error");
            let message = answer.err().message().unwrap_or("without a message");
            let later = [
                "Throttling",
                "InternalFailure",
                "InternalServerException",
                "ServiceUnavailable",
            ];
            (
                format!("{code}: {message}"),
                later.iter().any(|word| code.contains(word)),
            )
        }
        SdkError::ConstructionFailure(_) => (DisplayErrorContext(&error).to_string(), false),
        _ => (DisplayErrorContext(&error).to_string(), true),
    };
    RedshiftFault::credentials(
        format!("AWS gave no temporary credentials for the {what} {name}: {told}"),
        is_transient,
    )
}

/// AWS's credentials, as the way to the bucket asks for them.
#[derive(Debug)]
pub(super) struct Chain(pub SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let given = self.0.provide_credentials().await;
        let given = given.map_err(|error| object_store::Error::Unauthenticated {
            path: "AWS's credentials".into(),
            source: Box::new(error),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: given.access_key_id().into(),
            secret_key: given.secret_access_key().into(),
            token: given.session_token().map(String::from),
        }))
    }
}
