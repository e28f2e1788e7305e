//! Parses a message: which objects of which buckets it is about.
//!
//! There are four forms: S3's event notification, the test event that S3 sends when notifications are
//! switched on, EventBridge's event, and SNS's envelope around any of them. S3 form-encodes keys (a space becomes
//! `+`), EventBridge does not. What happened to an object is not read: the watcher looks the object up instead.

use serde::Deserialize;

/// An object that a message is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotifiedObject {
    pub(crate) bucket: String,
    /// Decoded.
    pub(crate) key: String,
}

/// Why a message cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(
        "is not an S3 event (sent directly, through SNS, or by EventBridge): {0}. Something else writes to this queue; if \
         the queue has a redrive policy, the message goes to the dead-letter queue"
    )]
    Form(serde_json::Error),
    #[error("has a key that is not form-encoded UTF-8: {0}")]
    Key(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Notification {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    Test {
        #[serde(rename = "Event")]
        _event: TestEvent,
    },
    EventBridge {
        #[serde(rename = "source")]
        _source: EventBridgeSource,
        detail: Entity,
    },
    Sns {
        #[serde(rename = "Type")]
        _kind: SnsKind,
        #[serde(rename = "Message")]
        message: String,
    },
}

#[derive(Deserialize)]
enum TestEvent {
    #[serde(rename = "s3:TestEvent")]
    Only,
}

#[derive(Deserialize)]
enum EventBridgeSource {
    #[serde(rename = "aws.s3")]
    S3,
}

#[derive(Deserialize)]
enum SnsKind {
    Notification,
}

#[derive(Deserialize)]
struct Record {
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: BucketName,
    object: ObjectKey,
}

#[derive(Deserialize)]
struct BucketName {
    name: String,
}

#[derive(Deserialize)]
struct ObjectKey {
    key: String,
}

/// The objects that a message's body names; none in a test event.
pub(crate) fn objects(body: &str) -> Result<Vec<NotifiedObject>, Unreadable> {
    match serde_json::from_str(body).map_err(Unreadable::Form)? {
        Message::Notification { records } => records
            .into_iter()
            .map(|Record { s3 }| {
                let key = form_decoded(&s3.object.key).ok_or(Unreadable::Key(s3.object.key))?;
                Ok(NotifiedObject {
                    bucket: s3.bucket.name,
                    key,
                })
            })
            .collect(),
        Message::EventBridge { detail, .. } => Ok(vec![NotifiedObject {
            bucket: detail.bucket.name,
            key: detail.object.key,
        }]),
        Message::Test { .. } => Ok(Vec::new()),
        Message::Sns { message, .. } => objects(&message),
    }
}

/// Undoes `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
                (high? * 16 + low?) as u8
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
