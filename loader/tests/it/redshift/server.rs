//! A server that stands in for Redshift, and its bucket.

use std::sync::{Arc, OnceLock};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::TryStreamExt;
use gristmill_loader::Credentials;
use gristmill_redshift_standin::{S3, Standin, TlsAcceptor};
use gristmill_testkit::postgres;
use gristmill_testkit::seaweedfs::SeaweedFs;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;

const BUCKET: &str = "staging";

/// The role with which COPY reads the bucket.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/copy";

/// A server and a database for one test. The whole process shares the bucket.
pub struct Redshift {
    pub standin: Standin,
    /// The URL of the Postgres database behind the stand-in.
    pub backend: String,
}

impl Redshift {
    pub fn start() -> Self {
        Self::with_tls(None)
    }

    pub fn with_tls(tls: Option<TlsAcceptor>) -> Self {
        let backend = postgres::shared().create_database();
        let s3 = S3 {
            endpoint: bucket().endpoint(),
            access_key: SeaweedFs::ACCESS_KEY.into(),
            secret_key: SeaweedFs::SECRET_KEY.into(),
        };
        Self {
            standin: Standin::start(&backend, s3, tls),
            backend,
        }
    }

    /// The warehouse's URL, with a password and without TLS.
    pub fn url(&self) -> String {
        let login = format!("{}:{}@", Standin::USER, Standin::PASSWORD);
        format!("{}&sslmode=disable", self.url_for(&login, "127.0.0.1"))
    }

    /// The warehouse's URL with this in front of the host.
    pub fn url_for(&self, login: &str, host: &str) -> String {
        format!(
            "redshift://{login}{host}:{}/mart?iam_role={ROLE}&bucket={BUCKET}&prefix=in/transit&endpoint={}",
            self.standin.port(),
            bucket().endpoint()
        )
    }

    /// The same, with another endpoint for the bucket.
    pub fn url_through(&self, endpoint: &str) -> String {
        self.url().replace(&bucket().endpoint(), endpoint)
    }

    /// The objects in this server's folder of the bucket.
    pub async fn staged(&self) -> Vec<String> {
        let root = Path::from(format!("in/transit/127.0.0.1-{}", self.standin.port()));
        let objects: Vec<_> = self.bucket().list(Some(&root)).try_collect().await.unwrap();
        let mut names: Vec<String> = objects
            .into_iter()
            .map(|object| object.location.to_string())
            .collect();
        names.sort();
        names
    }

    pub fn bucket(&self) -> Arc<dyn ObjectStore> {
        let store = AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_endpoint(bucket().endpoint())
            .with_allow_http(true)
            .with_region(SeaweedFs::REGION)
            .with_access_key_id(SeaweedFs::ACCESS_KEY)
            .with_secret_access_key(SeaweedFs::SECRET_KEY);
        Arc::new(store.build().unwrap())
    }
}

/// The settings that the binary would find in the environment.
pub fn credentials() -> Credentials {
    Credentials {
        aws: Some(aws()),
        ..Credentials::default()
    }
}

pub fn aws() -> SdkConfig {
    let credentials = AwsCredentials::new(SeaweedFs::ACCESS_KEY, SeaweedFs::SECRET_KEY, None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(SeaweedFs::REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The bucket's server.
pub fn endpoint() -> String {
    bucket().endpoint()
}

fn bucket() -> &'static SeaweedFs {
    static SERVER: OnceLock<SeaweedFs> = OnceLock::new();
    SERVER.get_or_init(|| SeaweedFs::start(&[BUCKET]))
}
