//! Source and lake in a bucket: what comes out is what folders give, whatever happens on the way.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::moto::Moto;
use gristmill_testkit::oracle::{self, Counts, Options};
use gristmill_testkit::postgres;
use gristmill_testkit::s3_faults::{Fault, Request, S3Faults};
use gristmill_testkit::seaweedfs::SeaweedFs;
use gristmill_testkit::venv;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use crate::support::{
    self, parquet_rows, postgres_rows, run_until_idle, run_until_idle_after_kills, sqlite_rows, state,
};

/// A job over all sales files that runs when so many are there, and when any is new.
pub fn job(min_files: usize) -> String {
    format!(
        "[[job]]\nid = \"all\"\nfeed = \"sales\"\nfiles = \"**/*-{{store}}.tdf\"\nmin_files = {min_files}\n\
         trigger = \"any\"\n"
    )
}

/// The name of the bucket.
pub const BUCKET: &str = "gristmill";

/// A server, and a client of the test's own.
pub struct Bucket {
    pub server: SeaweedFs,
    pub store: AmazonS3,
    runtime: Runtime,
}

/// Settings whose source and lake lie below a URL; `reached` gives the table that says how a bucket is reached.
pub fn settings(url: &str, warehouse: &str, jobs: &str, reached: impl Fn(&str) -> String) -> String {
    let source = format!("url = \"{url}/in\"\npoll = \"300ms\"\n{}", reached("source"));
    let lake = format!("url = \"{url}/lake\"\n{}", reached("lake"));
    support::adding(support::settings(warehouse, jobs))
        .replacen("files = \"*-*.tdf\"", "files = \"**/*-*.tdf\"", 1)
        .replacen(
            "url = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n",
            &source,
            1,
        )
        .replacen("url = \"lake\"\n", &lake, 1)
}

/// The keys that say how a bucket is reached.
pub fn reached(table: &str, endpoint: &str) -> String {
    format!("[{table}.s3]\nendpoint = \"{endpoint}\"\npath_style = true\nallow_http = true\n")
}

pub fn set_credentials(site: &mut Site) {
    site.set_variable("AWS_ACCESS_KEY_ID", SeaweedFs::ACCESS_KEY);
    site.set_variable("AWS_SECRET_ACCESS_KEY", SeaweedFs::SECRET_KEY);
    site.set_variable("AWS_REGION", SeaweedFs::REGION);
}

pub fn client(endpoint: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_region(SeaweedFs::REGION)
        .with_bucket_name(BUCKET)
        .with_access_key_id(SeaweedFs::ACCESS_KEY)
        .with_secret_access_key(SeaweedFs::SECRET_KEY)
        .with_allow_http(true)
        .build()
        .expect("the options go together")
}

pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime can be made")
}

impl Bucket {
    /// Starts a server of this test's own.
    pub fn start() -> Self {
        let server = SeaweedFs::start(&[BUCKET]);
        let store = client(&server.endpoint());
        let runtime = runtime();
        Self {
            server,
            store,
            runtime,
        }
    }

    /// A site whose source and lake lie below a prefix of the bucket, as the server at `endpoint` gives it.
    pub fn site(&self, prefix: &str, warehouse: &str, jobs: &str, endpoint: &str) -> Site {
        let url = format!("s3://{BUCKET}/{prefix}");
        let settings = settings(&url, warehouse, jobs, |table| reached(table, endpoint));
        let mut site = support::site(&settings);
        set_credentials(&mut site);
        site.set_variable("AWS_ENDPOINT_URL", &self.server.endpoint());
        site
    }

    /// Puts objects by their keys.
    pub fn put_all(&self, objects: impl IntoIterator<Item = (String, Vec<u8>)>) {
        put_all(&self.runtime, &self.store, objects);
    }

    fn remove(&self, key: &str) {
        let key = ObjectPath::parse(key).expect("the key can be used");
        self.runtime
            .block_on(self.store.delete(&key))
            .expect("the object can be removed");
    }

    /// The bytes of an object.
    pub fn get(&self, key: &str) -> Vec<u8> {
        let path = ObjectPath::parse(key).expect("the key can be used");
        let bytes = self
            .runtime
            .block_on(async { self.store.get(&path).await?.bytes().await });
        bytes.unwrap_or_else(|error| panic!("{key}: {error}")).to_vec()
    }

    /// The keys below a prefix, without it.
    pub fn list(&self, prefix: &str) -> BTreeSet<String> {
        list(&self.runtime, &self.store, prefix)
    }

    /// What boto3, AWS's own client, says when it is asked for something about the bucket.
    pub fn boto3(&self, expression: &str) -> String {
        let script = format!(
            "import boto3\nfrom botocore.client import Config\n\
             s3 = boto3.client('s3', endpoint_url='{}', aws_access_key_id='{}', aws_secret_access_key='{}', \
             region_name='us-east-1', config=Config(s3={{'addressing_style': 'path'}}))\nprint({expression})",
            self.server.endpoint(),
            SeaweedFs::ACCESS_KEY,
            SeaweedFs::SECRET_KEY
        );
        let output = std::process::Command::new(venv::python())
            .args(["-c", &script])
            .output();
        let output = output.expect("the tests' Python runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn unfinished_uploads(&self, prefix: &str) -> String {
        self.boto3(&format!(
            "len(s3.list_multipart_uploads(Bucket='{}', Prefix='{prefix}/').get('Uploads', []))",
            BUCKET
        ))
    }

    /// The lake holds what the state database names, and nothing else; no upload is open.
    fn assert_no_orphans(&self, site: &Site, prefix: &str) {
        assert_lake_holds(site, self.list(&format!("{prefix}/lake")));
        assert_eq!(self.unfinished_uploads(prefix), "0");
    }
}

/// Puts objects by their keys.
pub fn put_all(
    runtime: &Runtime,
    store: &dyn ObjectStore,
    objects: impl IntoIterator<Item = (String, Vec<u8>)>,
) {
    let puts: Vec<_> = objects
        .into_iter()
        .map(|(key, bytes)| async move {
            let key = ObjectPath::parse(key).expect("the key can be used");
            store.put(&key, bytes.into()).await
        })
        .collect();
    let put = stream::iter(puts).buffer_unordered(32).try_collect::<Vec<_>>();
    runtime.block_on(put).expect("the server takes objects");
}

/// The keys below a prefix, without it.
pub fn list(runtime: &Runtime, store: &dyn ObjectStore, prefix: &str) -> BTreeSet<String> {
    let below = ObjectPath::parse(prefix).expect("the prefix can be used");
    let listed = store.list(Some(&below)).try_collect::<Vec<_>>();
    let listed = runtime.block_on(listed).expect("the bucket can be listed");
    let key = |key: &str| key[prefix.len() + 1..].to_owned();
    listed.iter().map(|meta| key(meta.location.as_ref())).collect()
}

/// These objects of a lake are what the state database names, and nothing else.
pub fn assert_lake_holds(site: &Site, held: BTreeSet<String>) {
    let named = "SELECT converted_object FROM file_version UNION SELECT partial_object FROM file_version \
                 UNION SELECT rejects_object FROM file_version UNION SELECT summary_object FROM job_run \
                 UNION SELECT coverage_object FROM job_run";
    let mut named: BTreeSet<_> = state(site, named)
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect();
    named.insert("_owner".to_owned());
    let differ: Vec<_> = held.symmetric_difference(&named).collect();
    assert!(
        differ.is_empty(),
        "the lake and the state database differ: {differ:#?}"
    );
}

/// Keys that are escaped somewhere on their way.
pub const ODD_NAMES: [&str; 5] = [
    "a b/IL-1 2.tdf",
    "IL-a+b%20c.tdf",
    "é/IL-'q\"uo.tdf",
    "IL-&<x>.tdf",
    "IL-#?=;.tdf",
];

#[test]
fn two_thousand_objects_equal_the_oracle_and_every_command_reads_them() {
    let bucket = Bucket::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = FeedSpec {
        seed: 50,
        files: 2_000,
        lines_per_file: 25,
        stores: 900,
        items: 12,
        days: 3,
        dirt: Dirt::every_kind(),
        ..FeedSpec::default()
    };
    let mut files = spec.write_to(folder.path()).expect("the spec is possible");
    let mut objects: Vec<_> = files
        .iter()
        .map(|file| (name(file), fs::read(file).expect("it can be read")))
        .collect();
    for (number, odd) in ODD_NAMES.iter().enumerate() {
        let text = format!("odd {number}\t1.25\t4\tITEM\t2026-03-01\n").into_bytes();
        let file = folder.path().join(format!("odd{number}"));
        fs::write(&file, &text).expect("the folder can be written");
        files.push(file);
        objects.push(((*odd).to_owned(), text));
    }
    bucket.put_all(
        objects
            .into_iter()
            .map(|(name, bytes)| (format!("all/in/{name}"), bytes)),
    );
    let counts = oracle::counts(&files, Options::default());
    let good = counts.iter().filter(|counts| !counts.rejected).count();
    let expected = oracle::summary(&files, Options::default());

    let warehouse = postgres::shared().create_database();
    let site = bucket.site("all", &warehouse, &job(good), &bucket.server.endpoint());
    let first = site.run(["run", "--until-idle"]);
    assert!(first.status.success(), "{first}");
    assert!(
        postgres_rows(&warehouse) == expected,
        "the warehouse differs: {first}"
    );
    let total = |count: fn(&Counts) -> u64| counts.iter().map(count).sum::<u64>();
    let recorded = "SELECT printf('%d %d %d', sum(lines), sum(rows), sum(rejects)) FROM versions";
    let lines = format!(
        "{} {} {}",
        total(|c| c.lines),
        total(|c| c.rows),
        total(|c| c.rejects)
    );
    assert_eq!(state(&site, recorded), [lines]);
    bucket.assert_no_orphans(&site, "all");

    let again = site.run(["run", "--until-idle"]);
    assert!(
        again.stdout.contains("0 validated, 0 unchanged, 0 rejected"),
        "{again}"
    );

    // The commands fetch from the lake what they need; nothing of it lies in a folder that they know.
    fs::remove_dir_all(site.folder().join("state.db-lake/cache")).expect("the copies can be removed");
    let verified = site.run_ok(["load", "--verify", "all"]);
    assert!(verified.contains("They agree."), "{verified}");
    let traced = site.run_ok(["trace", "odd 0", "ITEM", "2026-03-01"]);
    assert!(
        traced.contains("a b/IL-1 2.tdf") && traced.contains("They agree."),
        "{traced}"
    );
    let with_rejects = "SELECT file_url FROM versions WHERE rejects > 0 LIMIT 1";
    let rejects = site.run_ok(["rejects", &state(&site, with_rejects)[0]]);
    assert!(!rejects.contains("No rejects"), "{rejects}");
    let odd = format!("s3://{}/all/in/{}", BUCKET, ODD_NAMES[0]);
    let checked = site.run_ok(["check", &odd]);
    assert!(checked.contains("feed sales; would be validated"), "{checked}");
    // With a / at its end it is a prefix, below which there is nothing.
    let prefix = format!("{odd}/");
    let refused = site.run(["check", &prefix]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("there is no such object"), "{refused}");
    let refused = site.run(["aggregate", &prefix, "-o", "none.parquet"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("the inputs hold no file"), "{refused}");
    let source = format!("s3://{}/all/in", BUCKET);
    let aggregated = site.run(["aggregate", &source, "-o", "out.parquet"]);
    assert!(
        aggregated.stdout.contains(&format!("{} files", files.len())),
        "{aggregated}"
    );
    let rows = parquet_rows(&site.folder().join("out.parquet"));
    assert!(rows == expected, "the summary differs: {aggregated}");

    let told = [&first, &again, &aggregated].map(|done| format!("{}{}", done.stdout, done.stderr));
    assert!(!told.concat().contains(SeaweedFs::SECRET_KEY));
}

pub fn name(file: &Path) -> String {
    let name = file.file_name().expect("a file has a name");
    name.to_str().expect("the feed's names are ASCII").to_owned()
}

/// Kills the service again and again, a tenth of them at its start, while objects are sent and overwritten.
#[test]
fn a_hundred_kills_lose_nothing_and_leave_no_orphan() {
    let bucket = Bucket::start();
    let site = bucket.site("kills", support::SQLITE, &job(1), &bucket.server.endpoint());
    let mut random = fastrand::Rng::with_seed(20_261_125);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = |seed| FeedSpec {
        seed,
        files: 12,
        stores: 12,
        lines_per_file: 300,
        dirt: Dirt {
            odd_ids: 0,
            quoted_fields: 0,
            ..Dirt::every_kind()
        },
        ..FeedSpec::default()
    };
    // A killed first start may leave a state database without tables, which nobody could be asked by.
    run_until_idle(&site);
    let mut interrupted = 0;
    for kill in 0..100 {
        let (name, bytes) = if kill % 10 == 0 {
            ("BIG-1.tdf".to_owned(), with_large_rejects(&mut random))
        } else {
            let (feed, number) = (spec(random.u64(..)), random.u32(0..12));
            let bytes = feed.file_bytes(number).expect("the spec is possible");
            (feed.file_name(number), bytes)
        };
        fs::write(folder.path().join(&name), &bytes).expect("the folder can be written");
        bucket.put_all([(format!("kills/in/{name}"), bytes)]);
        let service = site.start(["run"]);
        // It works some 50 ms after its start.
        thread::sleep(Duration::from_millis(random.u64(20..700)));
        service.kill();
        interrupted += state(&site, "SELECT run_id FROM job_run WHERE state = 'RUNNING'").len();
    }
    run_until_idle_after_kills(&site);
    let files: Vec<_> = fs::read_dir(folder.path())
        .expect("the folder can be listed")
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    assert!(sqlite_rows(&site) == oracle::summary(&files, Options::default()));
    // A last start sweeps what the last kill has left.
    run_until_idle(&site);
    bucket.assert_no_orphans(&site, "kills");
    assert!(interrupted > 0, "no kill has hit a run at work");
    let in_parts = format!(
        "any('-' in object['ETag'] for object in s3.list_objects_v2(Bucket='{BUCKET}', Prefix='kills/lake/rejects/')['Contents'])"
    );
    assert_eq!(bucket.boto3(&in_parts), "True", "large objects are sent in parts");
}

/// A file whose rejects, which are kept with their text, are so large that they are sent in parts.
pub fn with_large_rejects(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut text: String = (0..1_000)
        .map(|number| support::line(&format!("big {number}"), "1.00", 4, "ITEM", "2026-03-01"))
        .collect();
    for _ in 0..90 {
        let noise: String = (0..100_000).map(|_| random.alphanumeric()).collect();
        text.push_str(&support::line("big", &noise, 4, "ITEM", "2026-03-01"));
    }
    text.into_bytes()
}

#[test]
fn a_lake_is_one_gristmills_own_and_what_others_left_there_is_swept() {
    let bucket = Bucket::start();
    let endpoint = bucket.server.endpoint();
    let first = bucket.site("own", support::SQLITE, &job(1), &endpoint);
    bucket.put_all([(
        "own/in/IL-1.tdf".to_owned(),
        b"1\t2.00\t4\tI\t2026-03-01\n".to_vec(),
    )]);
    run_until_idle(&first);

    let orphan = format!(
        "own/lake/partials/sales/IL-9.tdf.{}-{}.parquet",
        "ab".repeat(16),
        "0123456789abcdef"
    );
    bucket.put_all([
        (orphan, b"x".to_vec()),
        ("own/lake/notes/mine.parquet".to_owned(), b"y".to_vec()),
    ]);
    let begun = format!(
        "s3.create_multipart_upload(Bucket='{}', Key='own/lake/partials/sales/a & b.parquet')['UploadId'] != ''",
        BUCKET
    );
    assert_eq!(bucket.boto3(&begun), "True");
    assert_eq!(bucket.unfinished_uploads("own"), "1");
    let swept = first.run(["run", "--until-idle"]);
    assert!(swept.stderr.contains("uploads=1 objects=1"), "{swept}");
    assert!(
        bucket.list("own/lake").contains("notes/mine.parquet"),
        "it is a person's own"
    );
    bucket.remove("own/lake/notes/mine.parquet");
    bucket.assert_no_orphans(&first, "own");

    let second = bucket.site("own", support::SQLITE, &job(1), &endpoint);
    let refused = second.run(["run", "--until-idle"]);
    assert!(
        !refused.status.success() && refused.stderr.contains("belongs to another gristmill"),
        "{refused}"
    );
}

#[test]
fn a_lake_in_a_bucket_makes_partials_of_its_converted_rows() {
    let bucket = Bucket::start();
    let site = bucket.site("anew", support::SQLITE, &job(1), &bucket.server.endpoint());
    let put = |name: &str, lines: &str| {
        bucket.put_all([(format!("anew/in/{name}"), lines.as_bytes().to_vec())]);
    };
    let of_two = "2\t2.00\t4\tI\t2026-03-01\n2\t-5.00\t4\tI\t2026-03-01\n2\t0.10\t5\tJ\t2026-03-02\n";
    put("IL-2.tdf", of_two);
    put("a b/IL-3 x.tdf", "3\t3.00\t6\tI\t2026-03-01\n");
    run_until_idle(&site);
    let partials: Vec<String> = state(&site, "SELECT partial_object FROM file_version ORDER BY file_id")
        .iter()
        .map(|object| format!("anew/lake/{object}"))
        .collect();
    let whole: Vec<_> = partials.iter().map(|key| bucket.get(key)).collect();
    let submissions = state(&site, "SELECT count(*) FROM submission");
    bucket.remove("anew/in/IL-2.tdf");
    bucket.remove("anew/in/a b/IL-3 x.tdf");

    // One is gone, the other damaged.
    bucket.remove(&partials[0]);
    bucket.put_all([(partials[1].clone(), b"rubbish".to_vec())]);
    put("IL-1.tdf", "1\t1.00\t4\tI\t2026-03-01\n");
    let mended = site.run(["run", "--until-idle"]);
    assert!(mended.status.success(), "{mended}");
    let told = mended.stderr.matches("made anew from converted rows").count();
    assert_eq!(told, 2, "{mended}");
    for (key, whole) in partials.iter().zip(&whole) {
        assert!(bucket.get(key) == *whole, "{key}");
    }
    let rows = [
        "1 I 2026-03-01 1.00 - -",
        "2 I 2026-03-01 -3.00 - -",
        "2 J 2026-03-02 - 0.10 -",
        "3 I 2026-03-01 - - 3.00",
    ];
    assert_eq!(support::told(&sqlite_rows(&site)), rows);
    let more = "SELECT count(*) - 1 FROM submission";
    assert_eq!(state(&site, more), submissions, "only the new file");
    bucket.assert_no_orphans(&site, "anew");
}

/// The state database may not be there yet.
fn state_if_there(site: &Site, sql: &str) -> Vec<String> {
    if site.folder().join("state.db").exists() {
        state(site, sql)
    } else {
        Vec::new()
    }
}

/// Waits for a number of validated files, and tells how long that took.
fn time_until_validated(site: &Site, service: &mut Background, files: usize) -> Duration {
    let started = Instant::now();
    wait_until(&format!("{files} files are validated"), || {
        assert!(service.is_running(), "it ended by itself: {}", service.stderr());
        state_if_there(site, "SELECT file_url FROM files WHERE status = 'VALIDATED'").len() == files
    });
    started.elapsed()
}

#[test]
fn files_of_a_folder_and_of_a_bucket_are_one_province() {
    let bucket = Bucket::start();
    let site = bucket.site("two", support::SQLITE, &job(2), &bucket.server.endpoint());
    let settings = fs::read_to_string(site.folder().join("gristmill.toml")).expect("it can be read");
    let settings = settings.replacen(
        "[source]\n",
        "[[source]]\nname = \"shops\"\nurl = \"incoming\"\nsettle = \"200ms\"\n[[source]]\nname = \"cloud\"\n",
        1,
    );
    site.write_settings(&settings);
    bucket.put_all([(
        "two/in/IL-1.tdf".to_owned(),
        b"1\t2.00\t4\tI\t2026-03-01\n".to_vec(),
    )]);
    site.submit("IL-1.tdf", "2\t3.00\t4\tI\t2026-03-01\n");
    let mut service = support::service(&site);
    time_until_validated(&site, &mut service, 2);
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE outcome = 'LOADED'",
        "1",
    );
    service.terminate();
    let names = state(&site, "SELECT file_url FROM files ORDER BY file_url");
    assert_eq!(names, ["cloud/IL-1.tdf", "shops/IL-1.tdf"]);
    let rows = support::told(&sqlite_rows(&site));
    assert_eq!(rows, ["1 I 2026-03-01 2.00 - -", "2 I 2026-03-01 3.00 - -"]);
}

#[test]
fn events_bring_files_in_before_any_poll() {
    let moto = Moto::start();
    moto.create_bucket(BUCKET);
    let queue = moto.create_queue("events");
    moto.notify(BUCKET, "events");
    let client = client(&moto.url());
    let runtime = runtime();
    let put = |key: &str, text: &str| {
        let key = ObjectPath::parse(key).expect("the key can be used");
        runtime
            .block_on(client.put(&key, text.to_owned().into()))
            .expect("moto takes objects");
    };
    let settings = support::adding(support::settings(support::SQLITE, &job(1))).replacen(
        "url = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n",
        &format!(
            "url = \"s3://{BUCKET}/in\"\npoll = \"1 day\"\nsweep = \"1 day\"\n{}[source.events]\nqueue = \"{queue}\"\n",
            reached("source", &moto.url())
        ),
        1,
    );
    let mut site = support::site(&settings);
    set_credentials(&mut site);
    put("in/IL-0.tdf", "0\t1.00\t4\tI\t2026-03-01\n");
    let mut service = support::service(&site);
    time_until_validated(&site, &mut service, 1);
    for (number, name) in ["in/IL-a+b%20c.tdf", "in/IL-é ü.tdf"].into_iter().enumerate() {
        put(name, &format!("{number}\t2.00\t4\tI\t2026-03-02\n"));
        let took = time_until_validated(&site, &mut service, number + 2);
        assert!(took < Duration::from_secs(30), "{name} took {took:?}");
    }
    let expected = [
        "0 I 2026-03-01 1.00 - -",
        "0 I 2026-03-02 2.00 - -",
        "1 I 2026-03-02 2.00 - -",
    ];
    wait_until("all are loaded", || {
        support::told(&sqlite_rows(&site)) == expected
    });
    assert!(service.terminate().status.success());
}

/// Requests fail in all the ways they do.
#[test]
fn faults_on_the_way_change_nothing() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = FeedSpec {
        seed: 60,
        files: 60,
        stores: 30,
        lines_per_file: 80,
        ..FeedSpec::default()
    };
    // Read in several parts, and cut short in the middle.
    let large = FeedSpec {
        prefix: "BIG",
        files: 1,
        lines_per_file: 300_000,
        ..spec.clone()
    };
    let mut files = spec.write_to(folder.path()).expect("the spec is possible");
    files.extend(large.write_to(folder.path()).expect("the spec is possible"));
    bucket.put_all(files.iter().map(|file| {
        let bytes = fs::read(file).expect("the feed can be read");
        (format!("faults/in/{}", name(file)), bytes)
    }));
    // A listing that breaks off is told as a trouble, which is no success.
    let is_of_object =
        |request: &Request<'_>| request.method == "GET" && !request.target.contains("list-type");
    let mut random = fastrand::Rng::with_seed(7);
    proxy.plan(move |request| match random.u32(0..40) {
        0 => Fault::Answer(500, "InternalError"),
        1..=2 => Fault::Answer(503, "SlowDown"),
        3 => Fault::Cut,
        4 if is_of_object(request) => Fault::CutBody(1_000),
        5 if is_of_object(request) => Fault::ShortBody(1_000),
        6 => Fault::Delay(Duration::from_millis(200)),
        _ => Fault::None,
    });
    let site = bucket.site("faults", support::SQLITE, &job(files.len()), &proxy.url());
    let run = site.run(["run", "--until-idle"]);
    assert!(run.status.success(), "{run}");
    let expected = oracle::summary(&files, Options::default());
    assert!(sqlite_rows(&site) == expected, "the warehouse differs: {run}");
    assert!(!run.stderr.contains(SeaweedFs::SECRET_KEY));

    // What no retry mends is told, and harms nothing.
    proxy.plan(
        |request| match request.target.contains("IL-1001") && request.method == "GET" {
            true => Fault::Answer(403, "AccessDenied"),
            false => Fault::None,
        },
    );
    let more = b"7\t1.00\t4\tI\t2026-05-01\n".to_vec();
    let refused = "faults/in/IL-1001.tdf".to_owned();
    bucket.put_all([(refused, more.clone()), ("faults/in/IL-9.tdf".to_owned(), more)]);
    let run = site.run(["run", "--until-idle"]);
    assert_eq!(run.status.code(), Some(1), "{run}");
    assert!(
        run.stderr.contains("may not be read") && run.stderr.contains("s3:GetObject"),
        "{run}"
    );
    let failed = "SELECT file_url FROM files WHERE status = 'FAILED'";
    assert_eq!(state(&site, failed), ["IL-1001.tdf"]);
    assert!(!run.stderr.contains(SeaweedFs::SECRET_KEY));
}

#[test]
fn a_bucket_that_is_away_at_the_start_or_later_is_waited_for() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let site = bucket.site("away", support::SQLITE, &job(1), &proxy.url());
    let send = |store: &str| {
        let line = support::line(store, "1.50", 4, "I", "2026-03-01");
        bucket.put_all([(format!("away/in/IL-{store}.tdf"), line.into_bytes())]);
    };
    let go = |is_away: bool| {
        proxy.plan(move |_| match is_away {
            true => Fault::Cut,
            false => Fault::None,
        });
    };
    go(true);
    send("1");
    let not_waited = site.run(["run", "--until-idle"]);
    assert_eq!(not_waited.status.code(), Some(1), "{not_waited}");
    assert!(
        not_waited.stderr.contains("cannot claim the lake"),
        "{not_waited}"
    );
    let mut service = site.start(["run"]);
    wait_until("the service waits for the lake", || {
        assert!(service.is_running(), "{}", service.stderr());
        service
            .stderr()
            .contains("opening the lake failed and will be tried again")
    });
    go(false);
    let completed = |service: &mut Background, runs: &str| {
        wait_until(&format!("{runs} runs are completed"), || {
            assert!(service.is_running(), "{}", service.stderr());
            state(&site, "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'") == [runs]
        });
    };
    completed(&mut service, "1");
    go(true);
    send("2");
    let said = service.stderr().len();
    wait_until("the service tells of it", || {
        service.stderr()[said..].contains(" WARN ")
    });
    go(false);
    completed(&mut service, "2");
    assert_eq!(
        support::told(&sqlite_rows(&site)),
        ["1 I 2026-03-01 1.50 - -", "2 I 2026-03-01 1.50 - -"]
    );
    assert!(service.terminate().status.success());
}

#[test]
fn an_object_that_changes_while_it_is_read_is_read_again() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let text = |amount: &str| {
        let lines = (0..300_000)
            .map(|number| support::line(&format!("store {}", number % 50), amount, 4, "ITEM", "2026-03-01"));
        lines.collect::<String>().into_bytes()
    };
    let (old, new) = (text("1.00"), text("2.00"));
    assert!(old.len() > 8 << 20, "it is read in several parts");
    bucket.put_all([("changing/in/IL-1.tdf".to_owned(), old)]);
    // The newer version comes between the first part and the second.
    let (store, runtime) = (bucket.store.clone(), runtime());
    let mut newer = Some(new);
    proxy.plan(move |request| {
        let is_later_part = request.range.is_some_and(|range| !range.starts_with("bytes=0-"));
        if is_later_part
            && request.target.contains("IL-1.tdf")
            && let Some(bytes) = newer.take()
        {
            let key = ObjectPath::from("changing/in/IL-1.tdf");
            runtime
                .block_on(store.put(&key, bytes.into()))
                .expect("the server takes objects");
        }
        Fault::None
    });
    let site = bucket.site("changing", support::SQLITE, &job(1), &proxy.url());
    run_until_idle(&site);
    assert_eq!(
        state(&site, "SELECT count(*) FROM file_version"),
        ["1"],
        "the old one was never whole"
    );
    let rows = support::told(&sqlite_rows(&site));
    assert!(
        rows.len() == 50 && rows.iter().all(|row| row.ends_with(" 12000.00 - -")),
        "{rows:?}"
    );
}

#[test]
fn large_objects_that_come_slowly_hold_up_no_small_one() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    // Two large objects, of parts that each take long; without the small one's help they would need a minute.
    proxy.plan(|request| match request.range {
        Some(_) if request.target.contains("slow") => Fault::Delay(Duration::from_secs(20)),
        _ => Fault::None,
    });
    let jobs = "[[job]]\nid = \"CA\"\nfeed = \"sales\"\nfiles = \"CA-{store}.tdf\"\ntrigger = \"any\"\n";
    let site = bucket.site("apart", support::SQLITE, jobs, &proxy.url());
    let slow = |number: u32| {
        let line = format!("slow{number}\t1.50\t4\tI1\t2026-03-01\n");
        (
            format!("apart/in/IL-slow{number}.tdf"),
            line.repeat((40 << 20) / line.len()).into_bytes(),
        )
    };
    let cores = thread::available_parallelism().map_or(1, usize::from) as u32;
    bucket.put_all((0..cores.max(2)).map(slow));
    let mut service = support::service(&site);
    let reading = "SELECT count(*) FROM file_attempt";
    support::wait_for_state(&site, reading, &cores.max(2).to_string());
    let start = Instant::now();
    let small = support::line("C1", "1.50", 4, "I1", "2026-03-01");
    bucket.put_all([("apart/in/CA-1.tdf".to_owned(), small.into_bytes())]);
    wait_until("the small object is loaded", || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        state(&site, "SELECT state FROM job_run") == ["COMPLETED"]
    });
    let took = start.elapsed();
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    let slow = state(
        &site,
        "SELECT count(*) FROM ingested_file_status WHERE file_url LIKE '%slow%'",
    );
    assert_eq!(slow, ["0"], "the large ones are still on their way");
    service.kill();
}

#[test]
fn a_store_that_ignores_conditions_is_refused_as_a_lake() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    // To overwrite an object is to remove it first.
    let (store, runtime) = (bucket.store.clone(), runtime());
    proxy.plan(move |request| {
        if request.method == "PUT" && request.target.contains("_owner") {
            let owner = ObjectPath::from("conditions/lake/_owner");
            // There is none to remove the first time.
            let _ = runtime.block_on(store.delete(&owner));
        }
        Fault::None
    });
    let site = bucket.site("conditions", support::SQLITE, &job(1), &proxy.url());
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("ignores conditions"), "{refused}");
}
