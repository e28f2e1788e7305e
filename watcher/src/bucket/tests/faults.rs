use std::sync::atomic::{AtomicU32, Ordering};

use gristmill_testkit::s3_faults::{Fault, S3Faults};

use super::reading::{bytes, read};
use super::*;

/// Faults after which S3's rules call for a retry.
const PASSING: [Fault; 7] = [
    Fault::Delay(Duration::from_millis(300)),
    Fault::Answer(500, "InternalError"),
    Fault::Answer(503, "SlowDown"),
    Fault::Cut,
    Fault::CutBody(0),
    Fault::CutBody(70),
    Fault::ShortBody(70),
];

/// Makes the first `times` requests of this method fail, and counts all of them.
fn fail(proxy: &S3Faults, method: &'static str, fault: Fault, times: u32) -> Arc<AtomicU32> {
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    proxy.plan(move |request| {
        if request.method == method && counted.fetch_add(1, Ordering::Relaxed) < times {
            fault
        } else {
            Fault::None
        }
    });
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_whole_or_a_clear_failure() {
    let server = SeaweedFs::start(&["shops"]);
    let proxy = S3Faults::before(server.port);
    let bucket = open(proxy.url(), "s3://shops/in");
    // A large object is requested in parts, several at once.
    for (path, length, parts) in [("small.tdf", 5000, 1), ("large.tdf", (9 << 20) + 7, 2)] {
        let content = bytes(length, 1);
        put(&bucket, path, content.clone()).await;
        let arrived = stamp(&bucket, path).await;
        for fault in PASSING {
            fail(&proxy, "GET", fault, 2);
            match read(&bucket, path, arrived).await {
                Ok(found) => assert!(found == content, "{path} differs after {fault:?}"),
                // A body that claims to be whole is not retried below the pipeline.
                Err(error) => assert!(
                    matches!(fault, Fault::ShortBody(_)) && error.text.contains(path),
                    "{fault:?}: {error:?}"
                ),
            }
        }
        let count = fail(&proxy, "GET", Fault::Answer(403, "AccessDenied"), u32::MAX);
        let error = read(&bucket, path, arrived).await.unwrap_err();
        assert_eq!(error.kind, "Denied", "{error:?}");
        assert!(error.text.contains("s3:GetObject"), "{error:?}");
        let asked = count.load(Ordering::Relaxed);
        assert!(
            (1..=parts).contains(&asked),
            "asked {asked} times for {path}: no retry helps where access is denied"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_slow_is_given_up_in_the_end() {
    let server = SeaweedFs::start(&["shops"]);
    let proxy = S3Faults::before(server.port);
    let bucket = open(proxy.url(), "s3://shops/in");
    put(&bucket, "a.tdf", "x").await;
    let arrived = stamp(&bucket, "a.tdf").await;
    let count = fail(&proxy, "GET", Fault::Answer(503, "SlowDown"), u32::MAX);
    let error = read(&bucket, "a.tdf", arrived).await.unwrap_err();
    assert_eq!(error.kind, "Server", "{error:?}");
    assert!(error.text.contains("SlowDown"), "{error:?}");
    assert!(!error.text.contains(SeaweedFs::SECRET_KEY), "{error:?}");
    assert_eq!(count.load(Ordering::Relaxed), 7, "the first try and six more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_is_whole_or_a_trouble() {
    let server = SeaweedFs::start(&["shops"]);
    let proxy = S3Faults::before(server.port);
    let bucket = open(proxy.url(), "s3://shops/in");
    let paths: Vec<_> = (0..30).map(|number| format!("{number:02}.tdf")).collect();
    for path in &paths {
        put(&bucket, path, "x").await;
    }
    for fault in PASSING
        .into_iter()
        .filter(|fault| !matches!(fault, Fault::ShortBody(_)))
    {
        fail(&proxy, "GET", fault, 2);
        let mut watched = Scene::of(&bucket).watch();
        assert_eq!(watched.swept_paths().await, paths, "{fault:?}");
    }

    // A permanent fault, or a body that claims to be whole, is reported, and the bucket is listed again a little later.
    for (fault, text) in [
        (Fault::Answer(403, "AccessDenied"), "AccessDenied"),
        (Fault::ShortBody(2000), "invalid list response"),
    ] {
        let count = fail(&proxy, "GET", fault, 1);
        let mut watched = Scene::of(&bucket).watch();
        let (arrived, others) = watched.swept().await;
        assert!(arrived.is_empty(), "{fault:?}");
        assert!(
            matches!(&others[..], [Event::Trouble { error, .. }] if error.contains(text)),
            "{others:?}"
        );
        assert_eq!(count.load(Ordering::Relaxed), 1, "{fault:?}");
        let (arrived, others) = watched.swept().await;
        assert_eq!(arrived.into_keys().collect::<Vec<_>>(), paths);
        assert!(matches!(&others[..], [Event::Recovered { .. }]), "{others:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_fails_is_made_again() {
    let server = SeaweedFs::start(&["shops"]);
    let proxy = S3Faults::before(server.port);
    let bucket = open(proxy.url(), "s3://shops/in");
    put(&bucket, "a.tdf", "x").await;
    let mut watched = Scene::of(&bucket).watch();
    assert_eq!(watched.swept_paths().await, ["a.tdf"]);
    fail(&proxy, "HEAD", Fault::Answer(403, "AccessDenied"), 2);
    watched.handle.look_again("a.tdf");
    match watched.next().await {
        Event::Trouble { error, .. } => {
            assert!(error.contains("cannot look up s3://shops/in/a.tdf"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(watched.arrival().await.path, "a.tdf");
    assert!(matches!(watched.next().await, Event::Recovered { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_object_that_cannot_be_asked_for_holds_up_no_other() {
    let server = SeaweedFs::start(&["shops"]);
    let proxy = S3Faults::before(server.port);
    let bucket = open(proxy.url(), "s3://shops/in");
    for path in ["a.tdf", "closed.tdf"] {
        put(&bucket, path, "x").await;
    }
    let mut watched = Scene::of(&bucket).watch();
    assert_eq!(watched.swept_paths().await, ["a.tdf", "closed.tdf"]);
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    proxy.plan(move |request| match request.target.contains("closed") {
        true => {
            counted.fetch_add(1, Ordering::Relaxed);
            Fault::Answer(403, "AccessDenied")
        }
        false => Fault::None,
    });
    watched.handle.look_again("closed.tdf");
    assert!(matches!(watched.next().await, Event::Trouble { .. }));
    for _ in 0..10 {
        watched.handle.look_again("a.tdf");
        assert_eq!(watched.arrival().await.path, "a.tdf");
    }
    assert!(
        asked.load(Ordering::Relaxed) <= 2,
        "it is looked up again only after a pause"
    );
    // The trouble is reported once and ends with its cause.
    proxy.plan(|_| Fault::None);
    assert_eq!(watched.arrival().await.path, "closed.tdf");
    assert!(matches!(watched.next().await, Event::Recovered { .. }));
}
