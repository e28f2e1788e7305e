use gristmill_testkit::moto::Moto;
use gristmill_testkit::s3_faults::{Fault, S3Faults};
use tokio::task::JoinSet;

use super::*;

/// More than a page.
const MANY: usize = 1205;

async fn put_many(bucket: &Bucket) {
    let mut puts = JoinSet::new();
    for number in 0..MANY {
        let bucket = bucket.clone();
        puts.spawn(async move { put(&bucket, &format!("d{}/{number}.tdf", number % 3), "x").await });
        if puts.len() >= 16 {
            puts.join_next().await.unwrap().unwrap();
        }
    }
    puts.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_on_several_pages_are_each_reported_once() {
    for server in Server::start_each() {
        several_pages(&server.open("in"), &server.open("")).await;
    }
}

async fn several_pages(bucket: &Bucket, outside: &Bucket) {
    put_many(bucket).await;
    for key in ["in2/other.tdf", "other.tdf", "i/other.tdf"] {
        put(outside, key, "x").await;
    }
    let mut watched = Scene::of(bucket).watch();
    let (arrived, others) = watched.swept().await;
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(arrived.len(), MANY);
    assert!(arrived.keys().all(|path| path.starts_with('d')));
    // A listing and the object itself show the same stamp.
    assert_eq!(arrived["d1/1.tdf"], stamp(bucket, "d1/1.tdf").await);

    // Nothing is reported again, neither by this watcher nor by the next.
    watched.handle.sweep_now();
    assert!(watched.swept_paths().await.is_empty());
    watched.handle.stop().await;
    let known = arrived.into_iter().collect();
    let mut watched = Scene {
        known,
        ..Scene::of(bucket)
    }
    .watch();
    assert!(watched.swept_paths().await.is_empty());

    // Overwritten objects are, and so are objects that were removed and came back.
    put(bucket, "d1/1.tdf", "other bytes").await;
    bucket
        .objects()
        .delete(&bucket.object_key("d2/2.tdf").unwrap())
        .await
        .unwrap();
    watched.handle.sweep_now();
    assert_eq!(watched.swept_paths().await, ["d1/1.tdf"]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    put(bucket, "d2/2.tdf", "x").await;
    watched.handle.sweep_now();
    assert_eq!(watched.swept_paths().await, ["d2/2.tdf"]);
    watched.handle.look_again("d2/2.tdf");
    assert_eq!(watched.arrival().await.path, "d2/2.tdf");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_taken_as_they_are_and_unfinished_ones_not() {
    for server in Server::start_each() {
        names_taken(&server.open("in bar")).await;
    }
}

async fn names_taken(bucket: &Bucket) {
    let names = [
        "a b.tdf",
        "a%20b.tdf",
        "a+b.tdf",
        "it's \"one\".tdf",
        "naïve/éß漢.tdf",
        "x#y~z&w=?.tdf",
    ];
    for name in names {
        put(bucket, name, "x").await;
    }
    for name in ["_spool/a.tdf", ".hidden", "a.tmp", "b.part/c.tdf", "unwanted"] {
        put(bucket, name, "x").await;
    }
    let mut scene = Scene::of(bucket);
    scene.wanted = Arc::new(|path| (path != "unwanted").into());
    let mut watched = scene.watch();
    assert_eq!(watched.swept_paths().await, names);
    for name in names {
        watched.handle.look_again(name);
        assert_eq!(watched.arrival().await.path, name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_looks_only_where_new_objects_are_expected() {
    for server in Server::start_each() {
        only_where_expected(&server.open("in")).await;
    }
}

async fn only_where_expected(bucket: &Bucket) {
    put(bucket, "2016-06-01/a.tdf", "x").await;
    let mut scene = Scene::of(bucket);
    scene.settings.poll = Duration::from_millis(100);
    scene.settings.starts = Arc::new(|| vec!["2016-06-02/".to_owned(), "Item".to_owned()]);
    let mut watched = scene.watch();
    assert_eq!(watched.swept_paths().await, ["2016-06-01/a.tdf"]);

    put(bucket, "2016-06-01/late.tdf", "x").await;
    put(bucket, "2016-06-02/a.tdf", "x").await;
    assert_eq!(watched.arrival().await.path, "2016-06-02/a.tdf");
    // An object that a start names in full is found, too.
    for name in ["Items.txt", "Item"] {
        put(bucket, name, "x").await;
        assert_eq!(watched.arrival().await.path, name);
    }
    watched.tells_nothing_for(Duration::from_millis(300)).await;

    watched.handle.sweep_now();
    assert_eq!(watched.swept_paths().await, ["2016-06-01/late.tdf"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_that_cannot_be_used_hides_no_other() {
    let server = Moto::start();
    server.create_bucket("shops");
    for number in 0..20 {
        server.put_object("shops", &format!("in/{number:02}.tdf"), "x");
    }
    // Markers that some tools make for folders, and an empty file that looks like one.
    server.put_object("shops", "in/03/", "");
    server.put_object("shops", "in/", "");
    server.put_object("shops", "in/empty.tdf", "");
    for key in [
        "in//double.tdf",
        "in/07.d//double.tdf",
        "in/08.d/%7Fline.tdf",
        "in/zz//",
    ] {
        server.put_object("shops", key, "x");
    }
    let bucket = open(server.url(), "s3://shops/in");
    let mut watched = Scene::of(&bucket).watch();
    let (arrived, others) = watched.swept().await;
    let expected = (0..20).map(|number| format!("{number:02}.tdf"));
    let expected: Vec<_> = expected.chain(["empty.tdf".to_owned()]).collect();
    assert_eq!(arrived.into_keys().collect::<Vec<_>>(), expected);
    let refused: Vec<_> = others
        .into_iter()
        .map(|event| match event {
            Event::Refused { name, reason } if reason.contains("rename the object") => name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        refused,
        ["/double.tdf", "07.d//double.tdf", "08.d/\u{7f}line.tdf", "zz//"]
    );

    watched.handle.sweep_now();
    assert!(watched.swept_paths().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_passes_by_such_a_key_and_a_server_that_cannot_is_a_trouble() {
    let server = Azurite::start(&["shops"]);
    for key in ["in/a.tdf", "in/b//double.tdf", "in/c.tdf"] {
        server.put_blob("shops", key, "x");
    }
    // The signature of a key covers all of the request, a shared access signature does not.
    let proxy = S3Faults::before(server.port);
    let credentials = [
        (AzureConfigKey::AccountName, Azurite::ACCOUNT.to_owned()),
        (AzureConfigKey::SasKey, Azurite::SIGNATURE.to_owned()),
    ];
    let address = Address::parse("az://shops/in").unwrap();
    let options = at(Azurite::endpoint(proxy.port));
    let bucket = Bucket::in_azure(&address, &options, &credentials).unwrap();
    for (fault, paths) in [
        (Fault::None, &["a.tdf", "c.tdf"][..]),
        (Fault::Without("startFrom"), &["a.tdf"]),
    ] {
        proxy.plan(move |_| fault);
        let (arrived, others) = Scene::of(&bucket).watch().swept().await;
        assert_eq!(arrived.into_keys().collect::<Vec<_>>(), paths, "{others:?}");
        assert!(matches!(&others[0], Event::Refused { name, .. } if name == "b//double.tdf"));
        match (fault, &others[1..]) {
            (Fault::None, []) => {}
            (_, [Event::Trouble { error, .. }]) => assert!(
                error.contains("in/b//double.tdf") && error.contains("rename or remove"),
                "{error}"
            ),
            (_, others) => panic!("{others:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_not_there_is_a_trouble_until_it_is() {
    let server = Moto::start();
    let bucket = open(server.url(), "s3://shops/in");
    let mut watched = Scene::of(&bucket).watch();
    match watched.next().await {
        Event::Trouble { path, error } => {
            assert_eq!(path.to_str(), Some("s3://shops/in"));
            assert!(
                error.contains("cannot list s3://shops/in") && error.contains("NoSuchBucket"),
                "{error}"
            );
            assert!(!error.contains(SeaweedFs::SECRET_KEY), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 0,
            waiting: 0
        }
    );
    server.create_bucket("shops");
    server.put_object("shops", "in/a.tdf", "x");
    let (arrived, others) = loop {
        // It may have been looked up once more before it existed.
        let (arrived, others) = watched.swept().await;
        if !arrived.is_empty() {
            break (arrived, others);
        }
    };
    assert!(arrived.contains_key("a.tdf"));
    assert!(matches!(&others[..], [Event::Recovered { .. }]), "{others:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_nobody_wants_are_reported_by_a_full_listing() {
    let server = Moto::start();
    server.create_bucket("shops");
    for (key, text) in [
        ("in/IL-1.tdf", "x"),
        ("in/IL-2.TDF", "xy"),
        ("in/folder/", ""),
        ("in/_private", "x"),
    ] {
        server.put_object("shops", key, text);
    }
    let mut scene = Scene::of(&open(server.url(), "s3://shops/in"));
    scene.wanted = Arc::new(|path: &str| path.ends_with(".tdf").into());
    let mut watched = scene.watch();
    let files = loop {
        match timeout(PATIENCE, watched.events.recv()).await.expect("it comes") {
            Some(Event::Unmatched { files, is_all: true }) => break files,
            Some(Event::Arrived(arrival)) => assert_eq!(arrival.path, "IL-1.tdf"),
            other => panic!("{other:?}"),
        }
    };
    let told: Vec<_> = files
        .iter()
        .map(|file| (file.path.as_str(), file.bytes))
        .collect();
    assert_eq!(told, [("IL-2.TDF", 2)]);
}
