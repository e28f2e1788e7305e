use gristmill_testkit::mutations::Mutations;
use serde_json::{Value, json};

use super::*;

/// A notification in the form of the S3 user guide ("Event message structure").
fn notification(keys: &[&str]) -> Value {
    let record = |key: &&str| {
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-west-1",
            "eventTime": "2026-11-24T08:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": { "principalId": "EXAMPLE" },
            "requestParameters": { "sourceIPAddress": "192.0.2.1" },
            "responseElements": { "x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE" },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "gristmill",
                "bucket": {
                    "name": "shops",
                    "ownerIdentity": { "principalId": "EXAMPLE" },
                    "arn": "arn:aws:s3:::shops"
                },
                "object": { "key": key, "size": 1024, "eTag": "d41d8cd9", "versionId": "v1", "sequencer": "0055" }
            }
        })
    };
    json!({ "Records": keys.iter().map(record).collect::<Vec<_>>() })
}

/// An SNS envelope, as a queue receives it without raw delivery.
fn through_sns(message: &Value) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:shops",
        "Subject": "Amazon S3 Notification",
        "Message": message.to_string(),
        "Timestamp": "2026-11-24T08:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"
    })
}

fn event_bridge(kind: &str, key: &str) -> Value {
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-24T08:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:s3:::shops"],
        "detail": {
            "version": "0",
            "bucket": { "name": "shops" },
            "object": { "key": key, "size": 5, "etag": "b1946ac9", "version-id": "v1", "sequencer": "00617F" },
            "request-id": "EXAMPLE",
            "requester": "123456789012",
            "source-ip-address": "192.0.2.1",
            "reason": "PutObject"
        }
    })
}

fn test_event() -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-11-24T08:00:00.000Z",
        "Bucket": "shops",
        "RequestId": "EXAMPLE",
        "HostId": "EXAMPLE"
    })
}

fn keys(body: &Value) -> Vec<String> {
    let notified = objects(&body.to_string()).unwrap();
    assert!(notified.iter().all(|object| object.bucket == "shops"));
    notified.into_iter().map(|object| object.key).collect()
}

#[test]
fn a_notification_names_its_objects_form_encoded() {
    let body = notification(&["in/IL-1003.tdf", "in%2FIL+1%2B0%C3%A9%25%22%27.tdf"]);
    assert_eq!(keys(&body), ["in/IL-1003.tdf", "in/IL 1+0é%\"'.tdf"]);
}

#[test]
fn sns_may_stand_between() {
    assert_eq!(keys(&through_sns(&notification(&["a+b"]))), ["a b"]);
    assert_eq!(
        keys(&through_sns(&event_bridge("Object Created", "a+b"))),
        ["a+b"]
    );
    assert!(keys(&through_sns(&test_event())).is_empty());
}

#[test]
fn event_bridge_gives_keys_as_they_are() {
    for kind in ["Object Created", "Object Deleted", "Object Tags Added"] {
        assert_eq!(keys(&event_bridge(kind, "in/a+b %20é.tdf")), ["in/a+b %20é.tdf"]);
    }
}

#[test]
fn the_test_event_names_nothing() {
    assert!(keys(&test_event()).is_empty());
}

#[test]
fn anything_else_is_unreadable() {
    for body in [
        String::new(),
        "hello".to_owned(),
        "{}".to_owned(),
        json!({ "Event": "s3:OtherEvent" }).to_string(),
        json!({ "source": "aws.ec2", "detail": { "bucket": { "name": "b" }, "object": { "key": "k" } } })
            .to_string(),
        json!({ "Type": "Notification", "Message": "hello" }).to_string(),
        json!({ "Records": [{ "eventSource": "aws:ses" }] }).to_string(),
    ] {
        assert!(matches!(objects(&body), Err(Unreadable::Form(_))), "{body}");
    }
}

#[test]
fn a_key_that_cannot_be_decoded_is_unreadable() {
    for key in ["100%", "a%2", "a%zz", "caf%E9", "a%+1"] {
        let body = notification(&[key]).to_string();
        assert!(matches!(objects(&body), Err(Unreadable::Key(_))), "{key}");
    }
}

#[test]
fn no_bytes_break_the_reader_of_messages() {
    let keys = ["in/IL-1003.tdf", "in%2FIL+1%2B0%C3%A9%25%22%27.tdf", "100%", "%"];
    let corpus = [
        notification(&keys),
        through_sns(&notification(&keys)),
        through_sns(&through_sns(&test_event())),
        event_bridge("Object Created", "in/a+b %20é.tdf"),
        test_event(),
    ];
    let corpus = corpus.map(|message| message.to_string().into_bytes()).to_vec();
    let mut mutations = Mutations::of(corpus, usize::MAX);
    for number in 0..20_000 {
        let body = String::from_utf8_lossy(&mutations.next_file()).into_owned();
        let outcome = std::panic::catch_unwind(|| objects(&body).map_err(|error| error.to_string()));
        assert!(outcome.is_ok(), "mutation {number}: {body}");
    }
    // Neither do arrays in arrays, nor messages in messages.
    assert!(objects(&"[".repeat(1 << 20)).is_err());
    let mut nested = test_event();
    while nested.to_string().len() < 1 << 20 {
        nested = through_sns(&nested);
    }
    assert_eq!(objects(&nested.to_string()).unwrap(), []);
}
