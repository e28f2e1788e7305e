//! Opening buckets and queues: the one place that reads AWS's standard chain (environment, profile, web identity,
//! instance metadata) for region and credentials.

mod held;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use gristmill_state::{Clock, SystemClock};
use gristmill_watcher::{Bucket, BucketOptions, OpenError, Queue, QueueError, S3};
use tokio::sync::OnceCell;

use self::held::Held;
use crate::settings::BucketPlace;

/// Opens a bucket. Nothing is asked of it yet.
pub(crate) async fn open(place: &BucketPlace) -> Result<Bucket, OpenError> {
    let chain = chain().await;
    Bucket::open(&place.url, &options(place, chain), chain)
}

/// Opens what can be asked of a bucket by AWS's own client alone. Nothing is asked of it yet.
pub(crate) async fn open_s3(bucket: &Bucket, place: &BucketPlace) -> S3 {
    let chain = chain().await;
    S3::of(bucket, &options(place, chain), chain)
}

/// How a bucket is reached. Where the settings name no endpoint, the chain may (`AWS_ENDPOINT_URL`).
fn options(place: &BucketPlace, chain: &SdkConfig) -> BucketOptions {
    let mut options = place.options.clone();
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

/// The chain's answer, found once: all that a process asks of AWS has the same account.
pub(crate) async fn chain() -> &'static SdkConfig {
    static CHAIN: OnceCell<SdkConfig> = OnceCell::const_new();
    CHAIN
        .get_or_init(|| async {
            let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
            let Some(chain) = config.credentials_provider() else {
                return config;
            };
            let held = SharedCredentialsProvider::new(Held::new(chain, || SystemClock.now().into()));
            config.into_builder().credentials_provider(held).build()
        })
        .await
}
