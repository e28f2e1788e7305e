//! Objects of a bucket that are tagged or moved once they were taken: none before it was read, and none left behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::moto::Moto;
use gristmill_testkit::oracle::{self, Options};
use gristmill_testkit::s3_faults::{Fault, Request, S3Faults};
use gristmill_testkit::seaweedfs::SeaweedFs;
use object_store::ObjectStoreExt;
use object_store::path::Path as ObjectPath;

use crate::buckets::{self, BUCKET, Bucket};
use crate::support::{self, line, run_until_idle, run_until_idle_after_kills, sqlite_rows, state};

/// Picks the requests of one kind.
type Kind = fn(&Request<'_>) -> bool;

/// A source table.
fn source(name: &str, after: &str, endpoint: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nurl = \"s3://{BUCKET}/{name}\"\npoll = \"300ms\"\n{after}\n{}",
        buckets::reached("source", endpoint)
    )
}

fn moved(name: &str) -> String {
    format!("after = \"move\"\nmoved = \"s3://{BUCKET}/done/{name}\"")
}

/// A site with these sources and all else in folders.
fn site(sources: &str) -> Site {
    let settings = support::settings(support::SQLITE, &buckets::job(1))
        .replacen(
            "[source]\nurl = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n",
            sources,
            1,
        )
        .replacen("\"*-*.tdf\"", "\"**/*-*.tdf\"", 1)
        .replacen("\"Item*\"", "\"**/Item*\"", 1);
    let mut site = support::site(&settings);
    buckets::set_credentials(&mut site);
    site
}

fn object(key: &str, text: &str) -> (String, Vec<u8>) {
    (key.to_owned(), text.as_bytes().to_vec())
}

fn sale(store: &str, amount: &str) -> String {
    line(store, amount, 4, "I", "2026-03-01")
}

/// The keys below a prefix with the tag.
fn tagged(bucket: &Bucket, prefix: &str) -> BTreeSet<String> {
    let tags = format!("s3.get_object_tagging(Bucket='{BUCKET}', Key=o['Key'])['TagSet']");
    let listed = format!("s3.list_objects_v2(Bucket='{BUCKET}', Prefix='{prefix}/')['Contents']");
    let tag = "{'Key': 'gristmill', 'Value': 'taken'}";
    let keys = format!("'\\n'.join(o['Key'] for o in {listed} if {tag} in {tags})");
    let keys = bucket.boto3(&keys);
    keys.lines()
        .map(|key| key[prefix.len() + 1..].to_owned())
        .collect()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| key.to_string()).collect()
}

fn is_tagging(request: &Request<'_>) -> bool {
    request.method == "PUT" && request.target.contains("?tagging")
}

fn is_copy(request: &Request<'_>) -> bool {
    request.method == "PUT" && request.target.contains("/done/") && !request.target.contains("probe")
}

fn is_removal(request: &Request<'_>) -> bool {
    request.method == "DELETE" && !request.target.contains("probe")
}

#[test]
fn what_was_taken_is_put_away_and_what_was_refused_stays() {
    let bucket = Bucket::start();
    let endpoint = bucket.server.endpoint();
    let sources = ["kept", "tagged", "moved"].map(|name| {
        let after = match name {
            "kept" => String::new(),
            "tagged" => "after = \"tag\"".to_owned(),
            _ => moved(name),
        };
        source(name, &after, &endpoint)
    });
    let site = site(&sources.concat());
    let names = [
        "IL-1.tdf",
        "a b/IL-2 é+%.tdf",
        "IL-bad.tdf",
        "Item-master.txt",
        "readme.txt",
    ];
    for name in ["kept", "tagged", "moved"] {
        bucket.put_all(names.iter().map(|file| {
            let text = match *file {
                "IL-bad.tdf" => "no line of a feed\n".to_owned(),
                "Item-master.txt" => "I\tan item\n".to_owned(),
                file => sale(&format!("{name} {file}"), "1.00"),
            };
            object(&format!("{name}/{file}"), &text)
        }));
    }
    let run = site.run(["run", "--until-idle"]);
    assert!(run.status.success(), "{run}");
    assert_eq!(sqlite_rows(&site).len(), 6, "{run}");
    let taken = ["IL-1.tdf", "Item-master.txt", "a b/IL-2 é+%.tdf"];
    assert_eq!(bucket.list("kept"), set(&names));
    assert_eq!(bucket.list("tagged"), set(&names));
    assert_eq!(tagged(&bucket, "kept"), set(&[]));
    assert_eq!(tagged(&bucket, "tagged"), set(&taken));
    assert_eq!(bucket.list("done/moved"), set(&taken));
    assert_eq!(bucket.list("moved"), set(&["IL-bad.tdf", "readme.txt"]));
    let again = site.run(["run", "--until-idle"]);
    assert!(
        again.stdout.contains("files: 0 validated, 0 unchanged"),
        "{again}"
    );

    // With the service up: another file, one that was corrected, a newer version, and the same bytes once more.
    let service = support::service(&site);
    for name in ["tagged", "moved"] {
        bucket.put_all([
            object(&format!("{name}/IL-3.tdf"), &sale(&format!("{name} 3"), "3.00")),
            object(
                &format!("{name}/IL-bad.tdf"),
                &sale(&format!("{name} bad"), "4.00"),
            ),
            object(
                &format!("{name}/IL-1.tdf"),
                &sale(&format!("{name} IL-1.tdf"), "5.00"),
            ),
            object(&format!("{name}/Item-master.txt"), "I\tan item\n"),
        ]);
    }
    wait_until("all are moved", || bucket.list("moved") == set(&["readme.txt"]));
    let open = "SELECT file_url FROM ingested_file_status WHERE put_away_timestamp IS NULL \
                AND file_url NOT LIKE 'kept/%'";
    wait_until("all are put away", || {
        state(&site, open).is_empty()
            && state(
                &site,
                "SELECT count(*) FROM submission WHERE outcome = 'UNCHANGED'",
            ) == ["2"]
    });
    let stopped = service.terminate();
    assert!(stopped.status.success(), "{stopped}");
    let taken = [
        "IL-1.tdf",
        "IL-3.tdf",
        "IL-bad.tdf",
        "Item-master.txt",
        "a b/IL-2 é+%.tdf",
    ];
    assert_eq!(tagged(&bucket, "tagged"), set(&taken));
    assert_eq!(bucket.list("done/moved"), set(&taken));
    assert!(bucket.get("done/moved/IL-1.tdf") == sale("moved IL-1.tdf", "5.00").into_bytes());
    run_until_idle(&site);
    let rows = support::told(&sqlite_rows(&site));
    assert!(
        rows.contains(&"moved IL-1.tdf I 2026-03-01 5.00 - -".to_owned()),
        "{rows:?}"
    );
    assert_eq!(rows.len(), 10, "{rows:?}");
    assert!(!format!("{run}{again}{stopped}").contains(SeaweedFs::SECRET_KEY));
}

/// A newer version comes at each of the moments at which it could be lost.
#[test]
fn a_version_that_comes_while_another_is_put_away_is_read_and_put_away_itself() {
    let moments: [(Kind, &str); 3] = [(is_copy, "moved"), (is_removal, "moved"), (is_tagging, "tagged")];
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let sources =
        source("moved", &moved("moved"), &proxy.url()) + &source("tagged", "after = \"tag\"", &proxy.url());
    let site = site(&sources);
    for (number, (is_moment, name)) in moments.into_iter().enumerate() {
        let key = format!("{name}/IL-{number}.tdf");
        let file = format!("IL-{number}.tdf");
        let text = |amount: &str| sale(&format!("store {number}"), amount);
        bucket.put_all([object(&key, &text("1.00"))]);
        let (store, runtime) = (bucket.store.clone(), buckets::runtime());
        let (mut newer, of) = (Some(text("2.00")), key.clone());
        proxy.plan(move |request| {
            if is_moment(request)
                && let Some(text) = newer.take()
            {
                let key = ObjectPath::from(of.as_str());
                let put = store.put(&key, text.into());
                runtime.block_on(put).expect("the server takes objects");
            }
            Fault::None
        });
        // What has come in between may be found by the next poll only.
        let service = support::service(&site);
        let versions =
            format!("SELECT count(*) FROM submissions WHERE file_url = '{key}' AND outcome = 'VALIDATED'");
        support::wait_for_state(&site, &versions, "2");
        let open = "SELECT count(*) FROM ingested_file_status WHERE put_away_timestamp IS NULL";
        support::wait_for_state(&site, open, "0");
        wait_until("the newer version is loaded", || {
            support::told(&sqlite_rows(&site)).contains(&format!("store {number} I 2026-03-01 2.00 - -"))
        });
        assert!(service.terminate().status.success());
        if name == "moved" {
            assert!(bucket.list("moved").is_empty());
            assert_eq!(
                bucket.get(&format!("done/moved/{file}")),
                text("2.00").into_bytes()
            );
        } else {
            assert_eq!(tagged(&bucket, name), set(&[&file]));
            assert_eq!(bucket.get(&key), text("2.00").into_bytes());
        }
    }
}

/// Kills the service at random moments, and at each step of a move, while objects are sent and overwritten and requests
/// fail.
#[test]
fn kills_leave_each_object_at_one_place_and_its_rows_in_the_warehouse_once() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let sources = source("moved", &moved("moved"), &proxy.url());
    let site = site(&sources);
    let mut random = fastrand::Rng::with_seed(20_261_124);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = |seed| FeedSpec {
        seed,
        files: 8,
        stores: 8,
        lines_per_file: 200,
        dirt: Dirt {
            odd_ids: 0,
            quoted_fields: 0,
            ..Dirt::every_kind()
        },
        ..FeedSpec::default()
    };
    // A killed first start may leave a state database without tables, which nobody could be asked by.
    run_until_idle(&site);
    // The process that such a request is the last of: it is passed on, and its answer heard by nobody.
    let victim = Arc::new(AtomicU32::new(0));
    let steps: [Kind; 2] = [is_copy, is_removal];
    let mut struck = 0;
    for kill in 0..36 {
        let (feed, number) = (spec(random.u64(..)), random.u32(0..8));
        let name = feed.file_name(number);
        let bytes = feed.file_bytes(number).expect("the spec is possible");
        fs::write(folder.path().join(&name), &bytes).expect("the folder can be written");
        bucket.put_all([(format!("moved/{name}"), bytes)]);
        let mut service = site.start(["run"]);
        if kill % 3 == 0 {
            let (victim, is_step) = (victim.clone(), steps[kill / 3 % 2]);
            victim.store(service.id(), Ordering::Relaxed);
            proxy.plan(move |request| {
                if is_step(request) {
                    let id = victim.swap(0, Ordering::Relaxed);
                    if id > 0 {
                        let killed = Command::new("kill").args(["-KILL", &id.to_string()]).status();
                        assert!(killed.is_ok_and(|status| status.success()));
                    }
                }
                Fault::None
            });
            wait_until("it is killed", || !service.is_running());
            struck += 1;
        } else {
            let mut faults = fastrand::Rng::with_seed(random.u64(..));
            proxy.plan(move |_| match faults.u32(0..40) {
                0 => Fault::Answer(500, "InternalError"),
                1 => Fault::Answer(503, "SlowDown"),
                2 => Fault::Cut,
                _ => Fault::None,
            });
            // It works some 50 ms after its start.
            thread::sleep(Duration::from_millis(random.u64(20..600)));
        }
        service.kill();
    }
    proxy.plan(|_| Fault::None);
    assert_eq!(struck, 12);
    run_until_idle_after_kills(&site);
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.path()).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        let moved = bucket.get(&format!("done/moved/{name}"));
        assert!(moved == fs::read(&path).expect("it can be read"), "{name}");
        names.insert(name);
        files.push(path);
    }
    assert!(names.len() > 6, "{names:?}");
    assert_eq!(bucket.list("done/moved"), names);
    assert!(bucket.list("moved").is_empty());
    assert!(sqlite_rows(&site) == oracle::summary(&files, Options::default()));
}

#[test]
fn what_cannot_be_put_away_is_told_and_holds_up_nothing() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let site = site(&source("moved", &moved("moved"), &proxy.url()));
    proxy.plan(|request| match is_removal(request) {
        true => Fault::Answer(403, "AccessDenied"),
        false => Fault::None,
    });
    bucket.put_all([object("moved/IL-1.tdf", &sale("1", "1.00"))]);
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    for told in [
        "may not remove s3://gristmill/moved/IL-1.tdf",
        "Grant s3:DeleteObject",
    ] {
        assert!(refused.stderr.contains(told), "{refused}");
    }
    let told = "objects that were taken could not be tagged or moved (1 failures)";
    assert!(refused.stdout.contains(told), "{refused}");
    assert_eq!(
        sqlite_rows(&site).len(),
        1,
        "it is loaded all the same: {refused}"
    );
    assert_eq!(bucket.list("moved"), set(&["IL-1.tdf"]));

    // A store that is away for putting away alone; what comes meanwhile is loaded.
    proxy.plan(|request| match is_copy(request) {
        true => Fault::Answer(503, "SlowDown"),
        false => Fault::None,
    });
    let service = support::service(&site);
    bucket.put_all([object("moved/IL-2.tdf", &sale("2", "1.00"))]);
    wait_until("the other file is loaded", || sqlite_rows(&site).len() == 2);
    wait_until("the trouble is told", || {
        service.stderr().contains("could not be put away")
    });
    assert_eq!(bucket.list("moved"), set(&["IL-1.tdf", "IL-2.tdf"]));
    proxy.plan(|_| Fault::None);
    wait_until("they are moved", || bucket.list("moved").is_empty());
    wait_until("its end is told", || {
        service.stderr().contains("what was taken can be put away again")
    });
    let stopped = service.terminate();
    assert!(stopped.status.success(), "{stopped}");
    assert!(!format!("{refused}{stopped}").contains(SeaweedFs::SECRET_KEY));
    assert_eq!(bucket.list("done/moved"), set(&["IL-1.tdf", "IL-2.tdf"]));
}

/// More objects than are tried at once can never be moved, and come before all others.
#[test]
fn objects_that_stay_hold_up_no_others() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let site = site(&source("moved", &moved("moved"), &proxy.url()));
    let tries = Arc::new(AtomicU32::new(0));
    let counted = tries.clone();
    proxy.plan(move |request| {
        let Some((_, name)) = request.target.split_once("/done/moved/") else {
            return Fault::None;
        };
        counted.fetch_add(u32::from(name.starts_with("B-00")), Ordering::Relaxed);
        match name.get(..2) {
            Some("A-") => Fault::Answer(403, "InvalidObjectState"),
            Some("B-") => Fault::Answer(400, "InvalidRequest"),
            Some("C-") => Fault::Answer(403, "AccessDenied"),
            _ => Fault::None,
        }
    });
    let put = |kind: &str, number: u32| {
        let name = format!("{kind}-{number:02}.tdf");
        bucket.put_all([object(&format!("moved/{name}"), &sale(&name, "1.00"))]);
        name
    };
    let put_many = |kind| (0..70).map(|number| put(kind, number)).collect::<BTreeSet<_>>();

    let archived = put_many("A");
    put("Z", 0);
    let run = site.run(["run", "--until-idle"]);
    assert!(run.status.success(), "{run}");
    assert_eq!(run.stderr.matches("it is archived").count(), 70, "{run}");
    assert_eq!(bucket.list("moved"), archived);

    let refused = put_many("B");
    put("Z", 1);
    let run = site.run(["run", "--until-idle"]);
    assert_eq!(run.status.code(), Some(1), "{run}");
    assert!(run.stdout.contains("(70 failures)"), "{run}");
    assert!(
        run.stderr
            .contains("the server refuses to copy s3://gristmill/moved/B-"),
        "{run}"
    );
    assert!(
        !run.stderr.contains("it is archived"),
        "they are not tried again: {run}"
    );
    let mut stay: BTreeSet<_> = archived.union(&refused).cloned().collect();
    assert_eq!(bucket.list("moved"), stay);

    // With the service up, what has failed is tried again at its own, slower pace.
    let service = support::service(&site);
    wait_until("the trouble is told", || {
        service.stderr().contains("the server refuses")
    });
    let before = tries.load(Ordering::Relaxed);
    for number in 2..10 {
        put("Z", number);
        wait_until("it is moved", || bucket.list("moved") == stay);
    }
    let again = tries.load(Ordering::Relaxed) - before;
    assert!(again < 8, "{again} tries");

    // A right lacks for more than are tried at once, which is told beside the other trouble.
    stay.extend(put_many("C"));
    wait_until("the other trouble is told", || {
        service.stderr().contains("may not copy s3://gristmill/moved/C-")
    });
    put("Z", 10);
    wait_until("it is moved", || bucket.list("moved") == stay);
    let stopped = service.terminate();
    assert_eq!(stopped.status.code(), Some(1), "{stopped}");
    proxy.plan(|_| Fault::None);
    run_until_idle(&site);
    assert_eq!(bucket.list("moved"), archived);
}

#[test]
fn a_store_that_ignores_conditions_is_refused_before_anything_is_moved() {
    let moto = Moto::start();
    moto.create_bucket(BUCKET);
    moto.put_object(BUCKET, "moved/IL-1.tdf", &sale("1", "1.00"));
    let site = site(&source("moved", &moved("moved"), &moto.url()));
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    for told in ["ignores conditions", "set after = \"keep\" or \"tag\""] {
        assert!(refused.stderr.contains(told), "{refused}");
    }
    let (store, runtime) = (buckets::client(&moto.url()), buckets::runtime());
    let there = runtime.block_on(store.head(&ObjectPath::from("moved/IL-1.tdf")));
    assert!(there.is_ok(), "{there:?}");
}
