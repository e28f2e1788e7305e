//! Temporary users and passwords from AWS.
//!
//! Redshift's documentation names the operations: GetClusterCredentialsWithIAM for a cluster, GetCredentials for a
//! workgroup of Redshift Serverless. The credentials expire, so each connection asks for new ones.

use std::time::Duration;

use aws_config::SdkConfig;
use gristmill_aws::{AwsError, Call, Patience, Service, endpoint, read_json, read_xml};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::fault::RedshiftFault;
use super::settings::Login;

/// How long temporary credentials last, in seconds: the shortest time that AWS offers. They are needed only to log in.
const SECONDS: u32 = 900;

/// Retries as AWS's own clients make them.
const PATIENCE: Patience = Patience {
    silence: Duration::from_secs(30),
    retries: 2,
};

/// What the body of a form may hold as it is.
const KEPT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A user of the database that AWS has created for a short time.
#[derive(Deserialize)]
pub(super) struct TemporaryUser {
    #[serde(rename = "dbUser", alias = "DbUser")]
    pub user: String,
    #[serde(rename = "dbPassword", alias = "DbPassword")]
    pub password: String,
}

/// The answer about a cluster.
#[derive(Deserialize)]
struct OfCluster {
    #[serde(rename = "GetClusterCredentialsWithIAMResult")]
    result: TemporaryUser,
}

/// Asks AWS for a temporary user. `None`: the URL names a user and a password.
pub(super) async fn temporary(
    login: &Login,
    database: &str,
    region: Option<&str>,
    aws: &SdkConfig,
) -> Result<Option<TemporaryUser>, RedshiftFault> {
    let (what, name, given) = match login {
        Login::Password => return Ok(None),
        Login::Cluster(name) => ("cluster", name, of_cluster(name, database, region, aws).await),
        Login::Workgroup(name) => ("workgroup", name, of_workgroup(name, database, region, aws).await),
    };
    given.map(Some).map_err(|error| {
        let message = format!("AWS gave no temporary credentials for the {what} {name}: {error}");
        RedshiftFault::credentials(message, error.is_transient())
    })
}

async fn of_cluster(
    name: &str,
    database: &str,
    region: Option<&str>,
    aws: &SdkConfig,
) -> Result<TemporaryUser, AwsError> {
    let service = Service::new("redshift", region, aws, PATIENCE)?;
    let [name, database] = [name, database].map(|text| utf8_percent_encode(text, &KEPT));
    let body = format!(
        "Action=GetClusterCredentialsWithIAM&Version=2012-12-01&ClusterIdentifier={name}&DbName={database}\
         &DurationSeconds={SECONDS}"
    );
    let server = endpoint("Redshift", "redshift", service.region(), aws);
    let call = Call::new(Method::POST, format!("{server}/"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let OfCluster { result } = read_xml(&service.send(&call).await?)?;
    Ok(result)
}

async fn of_workgroup(
    name: &str,
    database: &str,
    region: Option<&str>,
    aws: &SdkConfig,
) -> Result<TemporaryUser, AwsError> {
    let service = Service::new("redshift-serverless", region, aws, PATIENCE)?;
    let body = json!({ "workgroupName": name, "dbName": database, "durationSeconds": SECONDS });
    let server = endpoint(
        "Redshift Serverless",
        "redshift-serverless",
        service.region(),
        aws,
    );
    let call = Call::json(&server, "RedshiftServerless.GetCredentials", "1.1", &body);
    read_json(&service.send(&call).await?)
}
