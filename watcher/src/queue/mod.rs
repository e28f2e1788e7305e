//! A queue of a bucket's events: hints, which are kept until what they led to is durable.

mod in_hand;
mod message;
mod task;

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;

pub(crate) use task::{Done, Notice, listen};

/// A queue that S3 tells its events to, straight, through SNS, or by EventBridge.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
    /// How long a message is invisible to others after it was received or extended.
    visibility: Duration,
}

/// Long enough for a few failed extensions, short enough that little time is lost when a process dies.
const VISIBILITY: Duration = Duration::from_secs(120);

/// How long the queue may take to answer: more than its own limit for a long poll.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It does not look like a queue's URL. It is not quoted: a password may stand in it.
    #[error(
        "the text names no queue: write its URL, as in https://sqs.eu-west-1.amazonaws.com/123456789012/NAME"
    )]
    BadUrl,
    /// Neither the URL nor the environment name a region.
    #[error("nothing says in which region {url} lies: set AWS_REGION")]
    NoRegion {
        /// As it was given.
        url: String,
    },
}

impl Queue {
    /// Opens a queue by its URL, whose host is the server that is asked. Nothing is sent yet.
    pub fn open(url: &str, config: &SdkConfig) -> Result<Self, QueueError> {
        let owned = || url.to_owned();
        let (server, region) = server_of(url).ok_or(QueueError::BadUrl)?;
        let region = region
            .map(|region| Region::new(region.to_owned()))
            .or_else(|| config.region().cloned())
            .ok_or_else(|| QueueError::NoRegion { url: owned() })?;
        let config = aws_sdk_sqs::config::Builder::from(config)
            .endpoint_url(server)
            .region(region)
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(SILENCE)
                    .build(),
            )
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            url: owned(),
            visibility: VISIBILITY,
        })
    }

    /// For tests that cannot wait so long.
    #[cfg(test)]
    pub(crate) fn with_visibility(self, visibility: Duration) -> Self {
        Self { visibility, ..self }
    }
}

/// The scheme and host of a queue's URL, and the region that the host names.
fn server_of(url: &str) -> Option<(&str, Option<&str>)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, queue) = rest.split_once('/')?;
    if !matches!(scheme, "http" | "https") || host.is_empty() || queue.is_empty() || host.contains('@') {
        return None;
    }
    let region = match host.split('.').collect::<Vec<_>>()[..] {
        ["sqs", region, "amazonaws", "com", ..] => Some(region),
        _ => None,
    };
    Some((&url[..scheme.len() + 3 + host.len()], region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_tells_the_server_and_mostly_the_region() {
        let amazon = "https://sqs.eu-west-1.amazonaws.com/123456789012/events";
        let found = server_of(amazon);
        assert_eq!(
            found,
            Some(("https://sqs.eu-west-1.amazonaws.com", Some("eu-west-1")))
        );
        assert_eq!(
            server_of("http://127.0.0.1:5000/1/q"),
            Some(("http://127.0.0.1:5000", None))
        );
        for url in [
            "events",
            "sqs://h/1/q",
            "https:///q",
            "https://h/",
            "https://user:secret@h/1/q",
        ] {
            assert_eq!(server_of(url), None, "{url}");
        }
    }
}
