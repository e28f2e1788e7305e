use std::sync::Mutex;

use gristmill_testkit::moto::Moto;
use gristmill_testkit::s3_faults::{Fault, Request, S3Faults};

use futures::TryStreamExt;

use super::super::s3_requests::Tag;
use super::super::{After, Away, PutAway, PutAwayError, S3};
use super::*;

const ODD: [&str; 4] = ["a.tdf", "a b/50%+é.tdf", "it's \"one\" & <two>.tdf", "#?=;.tdf"];

/// Picks the requests of one kind.
type Kind = fn(&Request<'_>) -> bool;

/// A bucket whose objects are put away by way of a proxy, which the test may tell what to do.
struct Buckets {
    server: SeaweedFs,
    proxy: S3Faults,
    bucket: Bucket,
    /// Requests straight to the server.
    s3: S3,
}

fn options(endpoint: String) -> BucketOptions {
    BucketOptions {
        endpoint: Some(endpoint),
        path_style: true,
        allow_http: true,
        ..BucketOptions::default()
    }
}

fn putting_away(endpoint: String, after: &str) -> PutAway {
    let bucket = open(endpoint.clone(), "s3://shops/in");
    let after = match after {
        "tag" => After::Tag,
        moved => After::Move(open(endpoint.clone(), moved)),
    };
    let s3 = S3::of(&bucket, &options(endpoint), &config()).unwrap();
    PutAway::new(bucket, s3, after)
}

impl Buckets {
    fn new() -> Self {
        let server = SeaweedFs::start(&["shops", "done"]);
        let proxy = S3Faults::before(server.port);
        let bucket = open(server.endpoint(), "s3://shops/in");
        Self {
            s3: S3::of(&bucket, &options(server.endpoint()), &config()).unwrap(),
            bucket,
            proxy,
            server,
        }
    }

    fn tagging(&self) -> PutAway {
        putting_away(self.proxy.url(), "tag")
    }

    fn moving(&self) -> PutAway {
        putting_away(self.proxy.url(), "s3://done/taken")
    }

    async fn arrived(&self, path: &str, text: &str) -> Stamp {
        put(&self.bucket, path, text.to_owned()).await;
        stamp(&self.bucket, path).await
    }

    async fn keep_versions(&self) {
        self.s3.keep_versions().await.unwrap();
    }

    /// The tags of an object as `key=value`.
    async fn tags(&self, path: &str, version: Option<&str>) -> Vec<String> {
        let tags = self.s3.tags(path, version).await.unwrap();
        let mut told: Vec<_> = tags
            .iter()
            .map(|tag| format!("{}={}", tag.key, tag.value))
            .collect();
        told.sort();
        told
    }

    async fn set_tags(&self, path: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| Tag {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        });
        self.s3.set_tags(path, None, tags.collect()).await.unwrap();
    }

    /// The text of an object; none if it is not there.
    async fn text(&self, bucket: &str, key: &str) -> Option<String> {
        let bucket = open(self.server.endpoint(), &format!("s3://{bucket}"));
        let answer = bucket.objects().get(&bucket.object_key(key).unwrap()).await;
        let body = answer.ok()?.bytes().await.unwrap();
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    /// Where an object lies: below the watched prefix, and in the place it is moved to.
    async fn places(&self, path: &str) -> (Option<String>, Option<String>) {
        let here = self.text("shops", &format!("in/{path}")).await;
        (here, self.text("done", &format!("taken/{path}")).await)
    }

    /// Has a newer version put the moment that such a request comes, which is then passed on.
    fn overwrite_before(
        &self,
        is_it: impl Fn(&Request<'_>) -> bool + Send + 'static,
        path: &str,
        text: &str,
    ) {
        let (bucket, path, text) = (self.bucket.clone(), path.to_owned(), text.to_owned());
        let runtime = tokio::runtime::Handle::current();
        let mut newer = Some(text);
        self.proxy.plan(move |request| {
            if is_it(request)
                && let Some(text) = newer.take()
            {
                runtime.block_on(put(&bucket, &path, text));
            }
            Fault::None
        });
    }
}

fn is_tagging(request: &Request<'_>) -> bool {
    request.method == "PUT" && request.target.contains("?tagging")
}

fn is_copy(request: &Request<'_>) -> bool {
    request.method == "PUT" && request.target.contains("/done/taken/")
}

fn is_removal(request: &Request<'_>) -> bool {
    request.method == "DELETE"
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_joins_the_others_and_changes_nothing_else() {
    let scene = Buckets::new();
    let tagging = scene.tagging();
    tagging.check_server().await.unwrap();
    for path in ODD {
        let arrived = scene.arrived(path, "one").await;
        scene
            .set_tags(path, &[("from", "shop 7"), ("gristmill", "new")])
            .await;
        for _ in 0..2 {
            assert_eq!(tagging.put_away(path, arrived).await.unwrap(), Away::Done);
            assert_eq!(scene.tags(path, None).await, ["from=shop 7", "gristmill=taken"]);
        }
        assert_eq!(
            stamp(&scene.bucket, path).await,
            arrived,
            "it does not arrive again"
        );
    }
    let gone = tagging
        .put_away("gone.tdf", stamp(&scene.bucket, ODD[0]).await)
        .await;
    assert_eq!(gone.unwrap(), Away::Gone);

    // One that is refused after all is left as its store has sent it.
    tagging.leave(ODD[0]).await.unwrap();
    assert_eq!(scene.tags(ODD[0], None).await, ["from=shop 7"]);
    tagging.leave("gone.tdf").await.unwrap();

    let arrived = scene.arrived("full.tdf", "one").await;
    let tags: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let tags: Vec<_> = tags.iter().map(|key| (key.as_str(), "x")).collect();
    scene.set_tags("full.tdf", &tags).await;
    let error = tagging.put_away("full.tdf", arrived).await.unwrap_err();
    assert!(matches!(error, PutAwayError::TooManyTags { .. }), "{error}");
    assert_eq!(scene.tags("full.tdf", None).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_version_is_tagged_that_was_not_read() {
    let scene = Buckets::new();
    let tagging = scene.tagging();
    // It has come before anything was asked.
    let arrived = scene.arrived("a.tdf", "one").await;
    put(&scene.bucket, "a.tdf", "newer").await;
    assert_eq!(tagging.put_away("a.tdf", arrived).await.unwrap(), Away::Replaced);
    assert!(scene.tags("a.tdf", None).await.is_empty());

    // It comes just before the tag: that lands on it, and is taken off again.
    let arrived = scene.arrived("b.tdf", "one").await;
    scene.overwrite_before(is_tagging, "b.tdf", "newer");
    assert_eq!(tagging.put_away("b.tdf", arrived).await.unwrap(), Away::Replaced);
    assert!(scene.tags("b.tdf", None).await.is_empty());

    // The process died between the two; what is found at the next start is another version with the tag.
    let arrived = scene.arrived("c.tdf", "one").await;
    put(&scene.bucket, "c.tdf", "newer").await;
    scene
        .set_tags("c.tdf", &[("gristmill", "taken"), ("from", "x")])
        .await;
    assert_eq!(tagging.put_away("c.tdf", arrived).await.unwrap(), Away::Replaced);
    assert_eq!(scene.tags("c.tdf", None).await, ["from=x"]);

    // Where versions are kept, the tag goes to the one that was read.
    scene.keep_versions().await;
    let arrived = scene.arrived("d.tdf", "one").await;
    let key = scene.bucket.object_key("d.tdf").unwrap();
    let version = scene.bucket.objects().head(&key).await.unwrap().version;
    assert!(version.is_some());
    scene.overwrite_before(is_tagging, "d.tdf", "newer");
    assert_eq!(tagging.put_away("d.tdf", arrived).await.unwrap(), Away::Done);
    assert!(scene.tags("d.tdf", None).await.is_empty());
    assert_eq!(scene.tags("d.tdf", version.as_deref()).await, ["gristmill=taken"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_moved_and_may_be_moved_again() {
    let scene = Buckets::new();
    let moving = scene.moving();
    moving.check_server().await.unwrap();
    let done = open(scene.server.endpoint(), "s3://done");
    let left: Vec<_> = done.objects().list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "the probe leaves nothing: {left:?}");
    for path in ODD {
        let arrived = scene.arrived(path, "one").await;
        scene.set_tags(path, &[("from", "shop 7")]).await;
        assert_eq!(moving.put_away(path, arrived).await.unwrap(), Away::Done);
        assert_eq!(scene.places(path).await, (None, some("one")), "{path}");
        assert_eq!(moving.put_away(path, arrived).await.unwrap(), Away::Gone);
        // It is sent again with other bytes.
        let arrived = scene.arrived(path, "two").await;
        assert_eq!(moving.put_away(path, arrived).await.unwrap(), Away::Done);
        assert_eq!(scene.places(path).await, (None, some("two")), "{path}");
    }

    // A process died after the copy.
    let arrived = scene.arrived("half.tdf", "one").await;
    let there = open(scene.server.endpoint(), "s3://done/taken");
    put(&there, "half.tdf", "one").await;
    assert_eq!(moving.put_away("half.tdf", arrived).await.unwrap(), Away::Done);
    assert_eq!(scene.places("half.tdf").await, (None, some("one")));

    let arrived = scene.arrived("large.tdf", "12345").await;
    let limited = scene.moving().with_most_copied(4);
    assert_eq!(
        limited.put_away("large.tdf", arrived).await.unwrap(),
        Away::TooLarge
    );
    assert_eq!(scene.places("large.tdf").await, (some("12345"), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_version_is_moved_that_was_not_read() {
    let scene = Buckets::new();
    let moving = scene.moving();
    let arrived = scene.arrived("a.tdf", "one").await;
    put(&scene.bucket, "a.tdf", "newer").await;
    assert_eq!(moving.put_away("a.tdf", arrived).await.unwrap(), Away::Replaced);
    assert_eq!(scene.places("a.tdf").await, (some("newer"), None));

    let arrived = scene.arrived("b.tdf", "one").await;
    scene.overwrite_before(is_copy, "b.tdf", "newer");
    assert_eq!(moving.put_away("b.tdf", arrived).await.unwrap(), Away::Replaced);
    assert_eq!(scene.places("b.tdf").await, (some("newer"), None));

    let arrived = scene.arrived("c.tdf", "one").await;
    scene.overwrite_before(is_removal, "c.tdf", "newer");
    assert_eq!(moving.put_away("c.tdf", arrived).await.unwrap(), Away::Replaced);
    assert_eq!(scene.places("c.tdf").await, (some("newer"), some("one")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ignores_conditions_is_refused_for_moving() {
    // One that copies what it should not.
    let moto = Moto::start();
    for bucket in ["shops", "done"] {
        moto.create_bucket(bucket);
    }
    let refused = |error: PutAwayError| match error {
        PutAwayError::IgnoresConditions { .. } => error.to_string(),
        other => panic!("{other:?}"),
    };
    let moving = putting_away(moto.url(), "s3://done/taken");
    let error = refused(moving.check_server().await.unwrap_err());
    assert!(
        error.contains("it copied") && error.contains("after = \"keep\" or \"tag\""),
        "{error}"
    );
    putting_away(moto.url(), "tag").check_server().await.unwrap();

    // One that removes what it should not.
    let scene = Buckets::new();
    scene.proxy.plan(|request| match is_removal(request) {
        true => Fault::Answer(204, "NoContent"),
        false => Fault::None,
    });
    let error = refused(scene.moving().check_server().await.unwrap_err());
    assert!(error.contains("it removed"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_encrypted_as_the_settings_say() {
    let moto = Moto::start();
    for bucket in ["shops", "done"] {
        moto.create_bucket(bucket);
    }
    let bucket = open(moto.url(), "s3://shops/in");
    put(&bucket, "a.tdf", "one").await;
    let arrived = stamp(&bucket, "a.tdf").await;
    let options = BucketOptions {
        sse_kms_key: Some("a-key".to_owned()),
        ..options(moto.url())
    };
    let s3 = S3::of(&bucket, &options, &config()).unwrap();
    let moving = PutAway::new(bucket, s3, After::Move(open(moto.url(), "s3://done")));
    assert_eq!(moving.put_away("a.tdf", arrived).await.unwrap(), Away::Done);
    let headers = moto.object_headers("done", "a.tdf").to_ascii_lowercase();
    let told = "x-amz-server-side-encryption-aws-kms-key-id: a-key\r\n";
    assert!(headers.contains(told), "{headers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_says_who_pays_if_the_settings_do() {
    let scene = Buckets::new();
    let arrived = scene.arrived("a.tdf", "one").await;
    let silent = Arc::new(Mutex::new(Vec::new()));
    let heard = silent.clone();
    scene.proxy.plan(move |request| {
        if request.payer != Some("requester") {
            let told = format!("{} {}", request.method, request.target);
            heard.lock().unwrap().push(told);
        }
        Fault::None
    });
    let options = BucketOptions {
        requester_pays: true,
        ..options(scene.proxy.url())
    };
    let open = |url| Bucket::in_s3(&Address::parse(url).unwrap(), &options, &config()).unwrap();
    let bucket = open("s3://shops/in");
    for after in [After::Tag, After::Move(open("s3://done/taken"))] {
        let s3 = S3::of(&bucket, &options, &config()).unwrap();
        let put_away = PutAway::new(bucket.clone(), s3, after);
        assert_eq!(put_away.put_away("a.tdf", arrived).await.unwrap(), Away::Done);
    }
    assert!(silent.lock().unwrap().is_empty(), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_names_the_right_that_lacks() {
    let scene = Buckets::new();
    let arrived = scene.arrived("a.tdf", "one").await;
    let cases: [(Kind, PutAway, &str); 5] = [
        (|request| request.method == "HEAD", scene.moving(), "s3:GetObject"),
        (is_copy, scene.moving(), "s3:PutObject"),
        (is_removal, scene.moving(), "s3:DeleteObject"),
        (
            |request| request.method == "GET" && request.target.contains("tagging"),
            scene.tagging(),
            "s3:GetObjectTagging",
        ),
        (is_tagging, scene.tagging(), "s3:PutObjectTagging"),
    ];
    for (is_refused, put_away, right) in cases {
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        scene.proxy.plan(move |request| match is_refused(request) {
            true => {
                *count.lock().unwrap() += 1;
                Fault::Answer(403, "AccessDenied")
            }
            false => Fault::None,
        });
        let error = put_away.put_away("a.tdf", arrived).await.unwrap_err();
        assert!(matches!(error, PutAwayError::Denied { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(right) && text.contains("s3://shops/in/a.tdf"),
            "{text}"
        );
        assert!(!text.contains(SeaweedFs::SECRET_KEY), "{text}");
        assert_eq!(*asked.lock().unwrap(), 1, "no retry helps where access is denied");
    }
    // What passes is retried.
    let mut left = 2;
    scene.proxy.plan(move |request| {
        let fails = left > 0 && (is_copy(request) || is_removal(request));
        left -= u32::from(fails);
        if fails {
            Fault::Answer(503, "SlowDown")
        } else {
            Fault::None
        }
    });
    assert_eq!(
        scene.moving().put_away("a.tdf", arrived).await.unwrap(),
        Away::Done
    );
    let error = putting_away("http://127.0.0.1:1".to_owned(), "tag")
        .put_away("a.tdf", arrived)
        .await;
    assert!(
        matches!(&error, Err(error @ PutAwayError::Server { .. }) if !error.is_of_object()),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_object_alone_meets_with_is_told_apart() {
    let scene = Buckets::new();
    let moving = scene.moving();
    let arrived = scene.arrived("a.tdf", "one").await;
    let answer = |status, code| {
        scene.proxy.plan(move |request| match is_copy(request) {
            true => Fault::Answer(status, code),
            false => Fault::None,
        });
    };
    for code in ["InvalidObjectState", "ObjectNotInActiveTierError"] {
        answer(403, code);
        assert_eq!(moving.put_away("a.tdf", arrived).await.unwrap(), Away::Archived);
        assert_eq!(scene.places("a.tdf").await, (some("one"), None));
    }
    let mut kinds = Vec::new();
    for (status, code, is_of_object) in [
        (400, "InvalidRequest", true),
        (400, "ExpiredToken", false),
        (403, "AccessDenied", false),
        (404, "NoSuchBucket", false),
    ] {
        answer(status, code);
        let error = moving.put_away("a.tdf", arrived).await.unwrap_err();
        assert_eq!(error.is_of_object(), is_of_object, "{error:?}");
        assert!(error.to_string().contains(code), "{error}");
        kinds.push(error.kind());
    }
    let [refused, expired, denied, absent] = kinds[..] else {
        panic!("{kinds:?}")
    };
    assert!(refused != expired && expired != denied && refused != denied && expired == absent);
}
