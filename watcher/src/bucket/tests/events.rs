use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use gristmill_testkit::moto::Moto;
use tokio::time::Instant;

use super::*;

/// A bucket whose events go to a queue.
struct Eventful {
    server: Moto,
    bucket: Bucket,
    queue: Queue,
    /// The same queue, as the test uses it.
    client: Client,
    url: String,
}

impl Eventful {
    fn new() -> Self {
        let server = Moto::start();
        server.create_bucket("shops");
        let url = server.create_queue("events");
        server.notify("shops", "events");
        let bucket = open(server.url(), "s3://shops/in");
        let queue = Queue::open(&url, &config()).unwrap();
        let config = aws_sdk_sqs::config::Builder::from(&config());
        let client = Client::from_conf(config.endpoint_url(server.url()).build());
        Self {
            server,
            bucket,
            queue,
            client,
            url,
        }
    }

    /// A watcher that has swept the bucket once and found nothing.
    async fn watch(&self) -> Watched {
        self.watch_by(self.queue.clone()).await
    }

    async fn watch_by(&self, queue: Queue) -> Watched {
        let mut scene = Scene::of(&self.bucket).woken_by(queue);
        scene.wanted = Arc::new(|path| (!path.contains("unwanted")).into());
        let mut watched = scene.watch();
        assert!(watched.swept_paths().await.is_empty());
        watched
    }

    async fn send(&self, body: String) {
        let message = self.client.send_message().queue_url(&self.url).message_body(body);
        message.send().await.unwrap();
    }

    /// How many messages the queue has: those that can be received, and those in flight.
    async fn messages(&self) -> (u32, u32) {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request.set_attribute_names(Some(names.to_vec()));
        let answer = request.send().await.unwrap().attributes.unwrap();
        let [visible, in_flight] = names.map(|name| answer[&name].parse().unwrap());
        (visible, in_flight)
    }

    async fn waits_for(&self, expected: (u32, u32)) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let messages = self.messages().await;
            if messages == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{messages:?} in place of {expected:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An event about a key, in S3's form.
fn event(encoded_key: &str) -> String {
    format!(r#"{{"Records":[{{"s3":{{"bucket":{{"name":"shops"}},"object":{{"key":"{encoded_key}"}}}}}}]}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_wakes_and_its_message_stays_until_the_file_is_recorded() {
    let scene = Eventful::new();
    let mut watched = scene.watch().await;
    // The test event that S3 sends first is deleted at once.
    scene.waits_for((0, 0)).await;

    let names = ["a.tdf", "a b.tdf", "50%/1+0=é.tdf", "it's \"one\".tdf"];
    for name in names {
        put(&scene.bucket, name, "x").await;
        let arrival = watched.arrival().await;
        assert_eq!(arrival.path, name);
        scene.waits_for((0, 1)).await;

        // Another version is recorded, not the one that the message was about.
        let other = Stamp {
            bytes: 7,
            ..arrival.stamp
        };
        watched.handle.recorded(&arrival.path, other);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(scene.messages().await, (0, 1));

        watched.handle.recorded(&arrival.path, arrival.stamp);
        scene.waits_for((0, 0)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_twice_late_out_of_order_or_lost_do_no_harm() {
    let scene = Eventful::new();
    let mut watched = scene.watch().await;

    // Twice: while the file is being processed, and after it was recorded.
    put(&scene.bucket, "a.tdf", "x").await;
    let first = watched.arrival().await;
    scene.send(event("in/a.tdf")).await;
    scene.waits_for((0, 2)).await;
    watched.tells_nothing_for(Duration::from_millis(300)).await;
    watched.handle.recorded(&first.path, first.stamp);
    scene.waits_for((0, 0)).await;
    scene.send(event("in/a.tdf")).await;
    scene.send(event("in%2Fa.tdf")).await;
    watched.tells_nothing_for(Duration::from_millis(300)).await;
    scene.waits_for((0, 0)).await;

    // An older event after a newer one: the object itself is looked up, so both find the newest version.
    put(&scene.bucket, "a.tdf", "longer").await;
    let second = watched.arrival().await;
    assert_eq!(second.stamp.bytes, 6);
    scene.send(event("in/a.tdf")).await;
    watched.handle.recorded(&second.path, second.stamp);
    scene.waits_for((0, 0)).await;

    // Events about objects that do not exist, are not wanted, are outside the prefix, or cannot be requested.
    for key in [
        "in/gone.tdf",
        "in/unwanted.tdf",
        "in/_x/a.tdf",
        "out/a.tdf",
        "in/",
    ] {
        scene.send(event(key)).await;
    }
    scene.waits_for((0, 0)).await;
    watched.tells_nothing_for(Duration::from_millis(100)).await;
    scene.send(event("in//a.tdf")).await;
    assert!(matches!(watched.next().await, Event::Refused { name, .. } if name == "/a.tdf"));
    scene.waits_for((0, 0)).await;

    // The message about an object that disappeared while it was processed is released, too.
    put(&scene.bucket, "b.tdf", "x").await;
    assert_eq!(watched.arrival().await.path, "b.tdf");
    scene
        .bucket
        .objects()
        .delete(&scene.bucket.object_key("b.tdf").unwrap())
        .await
        .unwrap();
    scene.waits_for((0, 0)).await;

    // A lost event: the listing finds the file.
    scene
        .client
        .purge_queue()
        .queue_url(&scene.url)
        .send()
        .await
        .unwrap();
    let silent = scene.server.create_queue("silent");
    scene.server.notify("shops", "silent");
    put(&scene.bucket, "c.tdf", "x").await;
    watched.tells_nothing_for(Duration::from_millis(300)).await;
    watched.handle.sweep_now();
    assert_eq!(watched.swept_paths().await, ["c.tdf"]);
    assert!(silent.ends_with("/silent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_parsed_is_reported_once_and_left_to_the_queue() {
    let scene = Eventful::new();
    let visibility = Duration::from_secs(1);
    let mut watched = scene
        .watch_by(scene.queue.clone().with_visibility(visibility))
        .await;
    scene.send("hello".to_owned()).await;
    match watched.next().await {
        Event::BadMessage { error, .. } => assert!(error.contains("is not an S3 event"), "{error}"),
        other => panic!("{other:?}"),
    }
    let elsewhere = event("in/a.tdf").replace("shops", "elsewhere");
    scene.send(elsewhere).await;
    match watched.next().await {
        Event::BadMessage { error, .. } => assert!(error.contains("elsewhere, not shops"), "{error}"),
        other => panic!("{other:?}"),
    }
    // They come again and nothing is reported; other messages get past them.
    watched.tells_nothing_for(visibility * 3).await;
    put(&scene.bucket, "a.tdf", "x").await;
    assert_eq!(watched.arrival().await.path, "a.tdf");
    watched.handle.stop().await;
    scene.waits_for((3, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_stay_invisible_while_their_files_are_worked_on() {
    let scene = Eventful::new();
    let visibility = Duration::from_secs(2);
    let mut watched = scene
        .watch_by(scene.queue.clone().with_visibility(visibility))
        .await;
    put(&scene.bucket, "a.tdf", "x").await;
    let arrival = watched.arrival().await;
    let end = Instant::now() + visibility * 3;
    while Instant::now() < end {
        assert_eq!(scene.messages().await, (0, 1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    watched.handle.recorded(&arrival.path, arrival.stamp);
    scene.waits_for((0, 0)).await;

    // Messages that were in flight when the watcher ended come again, and the next watcher knows what was recorded
    // meanwhile.
    put(&scene.bucket, "b.tdf", "x").await;
    let arrival = watched.arrival().await;
    watched.handle.stop().await;
    let mut next = Scene::of(&scene.bucket).woken_by(scene.queue.clone());
    next.known = [(arrival.path, arrival.stamp)].into();
    let mut watched = next.watch();
    assert_eq!(watched.swept_paths().await, ["a.tdf"]);
    scene.waits_for((0, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_stay_invisible_while_nobody_takes_what_they_tell() {
    const OBJECTS: u32 = 70;
    let scene = Eventful::new();
    let visibility = Duration::from_secs(2);
    let queue = scene.queue.clone().with_visibility(visibility);
    let mut watched = scene.watch_by(queue).await;
    for number in 0..OBJECTS {
        put(&scene.bucket, &format!("{number}.tdf"), "x").await;
    }
    // The watcher's channel is full, and so is the channel to the watcher.
    let mut before = scene.messages().await;
    let mut since = Instant::now();
    let deadline = since + PATIENCE;
    while since.elapsed() < visibility * 3 {
        assert!(Instant::now() < deadline, "messages come again: {before:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let messages = scene.messages().await;
        if messages != before {
            (before, since) = (messages, Instant::now());
        }
    }
    assert!(
        before.0 > 0 && before.1 > 0,
        "some are not received, and the others do not come again: {before:?}"
    );
    for _ in 0..OBJECTS {
        let arrival = watched.arrival().await;
        watched.handle.recorded(&arrival.path, arrival.stamp);
    }
    scene.waits_for((0, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_away_is_a_trouble_until_it_is_back() {
    let scene = Eventful::new();
    let url = format!("{}/123456789012/later", scene.server.url());
    let queue = Queue::open(&url, &config()).unwrap();
    let mut watched = Scene::of(&scene.bucket).woken_by(queue).watch();
    let (_, others) = watched.swept().await;
    let trouble = match others.into_iter().next() {
        Some(trouble) => trouble,
        None => watched.next().await,
    };
    match trouble {
        Event::Trouble { path, error } => {
            assert_eq!(path.to_str(), Some(&*url));
            assert!(error.contains("cannot receive from the queue"), "{error}");
            assert!(!error.contains(SeaweedFs::SECRET_KEY), "{error}");
        }
        other => panic!("{other:?}"),
    }
    scene.server.create_queue("later");
    scene.server.notify("shops", "later");
    assert!(matches!(watched.next().await, Event::Recovered { .. }));
    put(&scene.bucket, "a.tdf", "x").await;
    assert_eq!(watched.arrival().await.path, "a.tdf");
}
