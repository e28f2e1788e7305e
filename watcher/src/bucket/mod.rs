//! A bucket as the source: it is listed in pages, a queue wakes the watcher, objects are read in parts, and those that
//! were taken are put away.

mod address;
mod azure;
mod client;
mod google;
mod listing;
mod put_away;
mod read;
mod s3;
mod s3_requests;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::Arc;
use std::time::Duration;

pub use address::{Address, AddressError, Provider};
pub use client::{Bucket, BucketOptions, OpenError, StorageClient};
pub use put_away::{After, Away, PutAway, PutAwayError, PutAwayKind};
pub use read::{ObjectReader, ReadError};
pub use s3_requests::{S3, S3Error};
pub(crate) use watched::WatchedBucket;

use crate::queue::Queue;

/// Returns where to expect new objects: the beginnings of their paths, relative to the bucket's prefix. Called at each
/// poll. An empty list, or an empty path in it, means that they may be anywhere.
pub type Starts = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Which bucket to watch, and how often to list it.
#[derive(Clone)]
pub struct BucketSettings {
    /// The bucket.
    pub bucket: Bucket,
    /// Where a poll looks.
    pub starts: Starts,
    /// The pause between two polls, each a listing of `starts`.
    pub poll: Duration,
    /// The pause between two listings of everything, which find what polls and events missed.
    pub sweep: Duration,
    /// The queue that receives the bucket's events, if there is one.
    pub queue: Option<Queue>,
}
