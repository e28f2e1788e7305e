//! Real servers: SeaweedFS for objects, moto for events and odd keys, and Azurite. Google's is a stand-in.
//!
//! Where a test says that something happens *because of* one trigger, the others are an hour away: `NEVER`.

mod events;
mod faults;
mod listing;
mod putting_away;
mod reading;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use gristmill_testkit::azurite::Azurite;
use gristmill_testkit::google::Google;
use gristmill_testkit::seaweedfs::SeaweedFs;
use object_store::azure::AzureConfigKey;
use object_store::{ObjectStoreExt, PutPayload};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Address, Bucket, BucketOptions, BucketSettings};
use crate::queue::Queue;
use crate::{Arrival, Event, Handle, KnownFile, KnownFiles, Stamp, Want, Wanted, watch_bucket};

const NEVER: Duration = Duration::from_secs(3600);

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The configuration that the AWS chain would find in the environment.
fn config() -> SdkConfig {
    let credentials = Credentials::new(SeaweedFs::ACCESS_KEY, SeaweedFs::SECRET_KEY, None, None, "test");
    SdkConfig::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::new(SeaweedFs::REGION))
        .behavior_version(BehaviorVersion::latest())
        .build()
}

fn open(endpoint: String, url: &str) -> Bucket {
    let options = BucketOptions {
        path_style: true,
        ..at(endpoint)
    };
    Bucket::in_s3(&Address::parse(url).unwrap(), &options, &config()).unwrap()
}

fn at(endpoint: String) -> BucketOptions {
    BucketOptions {
        endpoint: Some(endpoint),
        allow_http: true,
        ..BucketOptions::default()
    }
}

/// A server for each provider, with a bucket `shops`.
enum Server {
    S3(SeaweedFs),
    Google(Google, TempDir),
    Azure(Azurite),
}

impl Server {
    fn start_each() -> [Self; 3] {
        [
            Self::S3(SeaweedFs::start(&["shops"])),
            Self::Google(Google::start(&["shops"]), TempDir::new().unwrap()),
            Self::Azure(Azurite::start(&["shops"])),
        ]
    }

    fn port(&self) -> u16 {
        match self {
            Self::S3(server) => server.port,
            Self::Google(server, _) => server.port,
            Self::Azure(server) => server.port,
        }
    }

    /// Opens the bucket below a prefix, through the server's own port.
    fn open(&self, prefix: &str) -> Bucket {
        self.open_by(self.port(), prefix)
    }

    /// The same through another port, that of a proxy.
    fn open_by(&self, port: u16, prefix: &str) -> Bucket {
        let address = |scheme| Address::parse(&format!("{scheme}://shops/{prefix}")).unwrap();
        let endpoint = format!("http://127.0.0.1:{port}");
        match self {
            Self::S3(_) => open(endpoint, &address("s3").url()),
            Self::Google(_, folder) => {
                let account = Google::service_account(folder.path());
                Bucket::in_google(&address("gs"), &at(endpoint), Some(&account)).unwrap()
            }
            Self::Azure(_) => {
                let credentials = [
                    (AzureConfigKey::AccountName, Azurite::ACCOUNT.to_owned()),
                    (AzureConfigKey::AccessKey, Azurite::KEY.to_owned()),
                ];
                let options = at(Azurite::endpoint(port));
                Bucket::in_azure(&address("az"), &options, &credentials).unwrap()
            }
        }
    }
}

async fn put(bucket: &Bucket, path: &str, bytes: impl Into<PutPayload>) {
    let key = bucket.object_key(path).unwrap();
    bucket.objects().put(&key, bytes.into()).await.unwrap();
}

async fn stamp(bucket: &Bucket, path: &str) -> Stamp {
    let meta = bucket
        .objects()
        .head(&bucket.object_key(path).unwrap())
        .await
        .unwrap();
    Stamp::of_object(&meta)
}

/// A bucket to be watched, and how.
struct Scene {
    settings: BucketSettings,
    wanted: Wanted,
    known: HashMap<String, Stamp>,
}

struct Watched {
    handle: Handle,
    events: mpsc::Receiver<Event>,
}

impl Scene {
    /// Watched by a single listing at the start.
    fn of(bucket: &Bucket) -> Self {
        Self {
            settings: BucketSettings {
                bucket: bucket.clone(),
                starts: Arc::new(Vec::new),
                poll: NEVER,
                sweep: NEVER,
                queue: None,
            },
            wanted: Arc::new(|_| Want::Yes),
            known: HashMap::new(),
        }
    }

    fn woken_by(mut self, queue: Queue) -> Self {
        self.settings.queue = Some(queue);
        self
    }

    fn watch(self) -> Watched {
        let (tell, events) = mpsc::channel(16);
        let mut known = KnownFiles::default();
        for (path, stamp) in self.known {
            let read_at = SystemTime::UNIX_EPOCH;
            known.insert(&path, KnownFile { stamp, read_at });
        }
        let handle = watch_bucket(self.settings, known, self.wanted, tell);
        Watched { handle, events }
    }
}

impl Watched {
    async fn next(&mut self) -> Event {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await;
            match event.expect("no event came").expect("the watcher has ended") {
                Event::Unmatched { .. } => {}
                event => return event,
            }
        }
    }

    async fn arrival(&mut self) -> Arrival {
        match self.next().await {
            Event::Arrived(arrival) => arrival,
            other => panic!("{other:?} in place of an arrival"),
        }
    }

    /// Everything up to the end of a sweep that leaves nothing to look at: the arrivals, and all other events.
    async fn swept(&mut self) -> (BTreeMap<String, Stamp>, Vec<Event>) {
        let (mut arrived, mut others) = (BTreeMap::new(), Vec::new());
        loop {
            match self.next().await {
                Event::Arrived(Arrival { path, stamp }) => {
                    assert_eq!(arrived.insert(path, stamp), None, "reported twice");
                }
                Event::Swept { waiting: 0, .. } => return (arrived, others),
                Event::Swept { .. } => {}
                other => others.push(other),
            }
        }
    }

    /// The paths that arrive until a sweep ends. Nothing else may happen during it.
    async fn swept_paths(&mut self) -> Vec<String> {
        let (arrived, others) = self.swept().await;
        assert!(others.is_empty(), "{others:?}");
        arrived.into_keys().collect()
    }

    async fn tells_nothing_for(&mut self, pause: Duration) {
        if let Ok(event) = timeout(pause, self.events.recv()).await {
            panic!("unexpected event {event:?}");
        }
    }
}
