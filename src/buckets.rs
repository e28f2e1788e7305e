//! Opening buckets and queues: the one place that finds credentials for them, in the environment and by each provider's own
//! standard way.

mod kept;
mod variables;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use gristmill_state::{Clock, SystemClock};
use gristmill_watcher::{Address, Bucket, BucketOptions, OpenError, Provider, Queue, QueueError, S3};
use tokio::sync::OnceCell;

use self::kept::KeptCredentials;
use crate::settings::BucketPlace;

/// Opens a bucket. Nothing is asked of it yet.
pub(crate) async fn open(place: &BucketPlace) -> Result<Bucket, OpenError> {
    let BucketPlace { address, options } = place;
    match address.provider() {
        Provider::S3 => open_in_s3(address, options).await,
        Provider::Google => {
            let credentials = variables::google(|name| std::env::var_os(name));
            Bucket::in_google(address, options, credentials.as_deref())
        }
        Provider::Azure => {
            let credentials = variables::azure(|name| std::env::var_os(name));
            Bucket::in_azure(address, options, &credentials)
        }
    }
}

async fn open_in_s3(address: &Address, options: &BucketOptions) -> Result<Bucket, OpenError> {
    let chain = chain().await;
    Bucket::in_s3(address, &reached(options, chain), chain)
}

/// Prepares the requests to a bucket of S3 that `object_store` has no call for. Nothing is sent yet.
pub(crate) async fn open_s3(bucket: &Bucket, options: &BucketOptions) -> Result<S3, OpenError> {
    let chain = chain().await;
    S3::of(bucket, &reached(options, chain), chain)
}

/// How a bucket of S3 is reached. Where the settings name no endpoint, the chain may (`AWS_ENDPOINT_URL`).
fn reached(options: &BucketOptions, chain: &SdkConfig) -> BucketOptions {
    let mut options = options.clone();
    if options.endpoint.is_none()
        && let Some(endpoint) = chain.endpoint_url()
    {
        options.endpoint = Some(endpoint.to_owned());
        options.path_style = true;
        options.allow_http = endpoint.starts_with("http://");
    }
    options
}

/// Opens a queue of events. Nothing is asked of it yet.
pub(crate) async fn open_queue(url: &str) -> Result<Queue, QueueError> {
    Queue::open(url, chain().await)
}

/// What AWS's standard chain (environment, profile, web identity, instance metadata) answers, found once: all that a process asks of AWS has the same account.
pub(crate) fn chain() -> BoxFuture<'static, &'static SdkConfig> {
    static CHAIN: OnceCell<SdkConfig> = OnceCell::const_new();
    let found = CHAIN.get_or_init(|| async {
        let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let Some(chain) = config.credentials_provider() else {
            return config;
        };
        let kept = SharedCredentialsProvider::new(KeptCredentials::new(chain, || SystemClock.now().into()));
        config.into_builder().credentials_provider(kept).build()
    });
    found.boxed()
}
