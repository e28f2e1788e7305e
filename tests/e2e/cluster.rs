//! Jobs that a cluster merges have the same summaries as on this host, byte for byte.
//!
//! The cluster is Sail. In the long form, `GRISTMILL_CLUSTERS=all`, Spark is asked, too.

use std::fs;
use std::path::Path;

use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::{self, Options};
use gristmill_testkit::seaweedfs::SeaweedFs;
use gristmill_testkit::spark_connect::{ConnectServer, Engine};

use crate::buckets::{self, BUCKET, Bucket};
use crate::formats;
use crate::reference_sample;
use crate::support::{
    SQLITE, adding, explained, line, loads, parquet_rows, run_until_idle, settings, site, sqlite_rows, state,
    told,
};

/// A job over all sales files that a cluster merges.
pub const JOB: &str = "[[job]]\nid = \"all\"\nfeed = \"sales\"\nfiles = \"**/*-*.tdf\"\ntrigger = \"any\"\n";

/// Settings whose jobs are merged by the cluster at `url`.
pub fn on_cluster(url: &str, settings: &str) -> String {
    let settings = settings.replace("[[job]]\n", "[[job]]\nengine = \"cluster\"\n");
    format!("{settings}\n[cluster]\nurl = \"{url}\"\n")
}

/// Whether Spark is asked, too.
fn is_long() -> bool {
    match std::env::var("GRISTMILL_CLUSTERS") {
        Err(_) => false,
        Ok(all) if all == "all" => true,
        Ok(other) => panic!("GRISTMILL_CLUSTERS is {other:?}: it can only be \"all\""),
    }
}

/// The engines that are asked, each as one server.
pub fn engines() -> Vec<Engine> {
    let spark = is_long().then_some(Engine::Spark);
    [Engine::Sail].into_iter().chain(spark).collect()
}

/// Servers of all engines, in all their modes.
fn servers() -> Vec<ConnectServer> {
    let mut engines = engines();
    engines.push(Engine::SailCluster);
    engines.into_iter().map(ConnectServer::start).collect()
}

/// The bytes of the summary and the coverage of the last run.
fn summary(site: &Site) -> [Vec<u8>; 2] {
    let lake = site.folder().join("lake");
    objects_of(site).map(|object| fs::read(lake.join(object)).expect("the lake has the summary"))
}

/// The lake paths of the summary and the coverage of the last run.
fn objects_of(site: &Site) -> [String; 2] {
    let objects = state(
        site,
        "SELECT summary_object || ' ' || coverage_object FROM job_run ORDER BY sequence DESC LIMIT 1",
    );
    let (summary, coverage) = objects[0].split_once(' ').expect("both have a name");
    [summary.to_owned(), coverage.to_owned()]
}

/// Submits files, and has them merged on this host and on each cluster: everything must be equal, and nothing of the
/// clusters stays. Returns a site that a cluster merged for.
fn compare(servers: &[ConnectServer], settings: &str, submit: impl Fn(&Site)) -> Vec<Site> {
    let here = site(settings);
    submit(&here);
    run_until_idle(&here);
    let expected = (sqlite_rows(&here), summary(&here));
    let sites = servers.iter().map(|server| {
        let url = &server.url();
        let there = site(&on_cluster(url, settings));
        submit(&there);
        run_until_idle(&there);
        assert_eq!(sqlite_rows(&there), expected.0, "{url}");
        assert!(summary(&there) == expected.1, "{url}: other bytes");
        assert_eq!(left_behind(&there), 0, "{url}");
        // Files that come late may have had a run of their own.
        let loaded = state(&there, "SELECT count(*) FROM job_run WHERE outcome = 'LOADED'");
        assert_eq!(loaded, [loads(&there).to_string()], "{url}");
        assert_eq!(
            state(
                &there,
                "SELECT count(*) FROM job_run WHERE cluster_operation IS NULL"
            ),
            ["0"],
            "{url}"
        );
        there
    });
    sites.collect()
}

/// How many files of clusters the lake of a site has.
pub fn left_behind(site: &Site) -> usize {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = fs::read_dir(folder) else {
            return 0;
        };
        let entries = entries.map(|entry| entry.expect("the folder can be read").path());
        entries
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&site.folder().join("lake/cluster"))
}

#[test]
fn a_dirty_feed_is_merged_alike_here_and_there() {
    let servers = servers();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = FeedSpec {
        seed: 20,
        files: 60,
        lines_per_file: 60,
        stores: 25,
        items: 12,
        days: 5,
        dirt: Dirt::every_kind(),
        ..FeedSpec::default()
    };
    let files = spec.write_to(folder.path()).expect("the spec is possible");
    let sites = compare(&servers, &adding(settings(SQLITE, JOB)), |site| {
        for file in &files {
            let name = file.file_name().expect("a file has a name");
            site.submit(name, fs::read(file).expect("the feed can be read"));
        }
    });
    let expected = oracle::summary(&files, Options::default());
    assert!(expected.len() > 300);
    for site in &sites {
        assert_eq!(sqlite_rows(site), expected);
        let object = &state(site, "SELECT summary_object FROM runs")[0];
        assert_eq!(parquet_rows(&site.folder().join("lake").join(object)), expected);
    }
}

#[test]
fn sums_of_18_digits_returns_and_absent_amounts_are_exact() {
    let servers = servers();
    let lines = |name: &str, lines: &[(&str, u8, &str)]| {
        let lines = lines.iter();
        let text: String = lines
            .map(|(amount, code, item)| line("1", amount, *code, item, "2026-03-01"))
            .collect();
        (name.to_owned(), text)
    };
    let files = [
        lines(
            "a b-1.tdf",
            &[
                ("9999999999999999.99", 4, "most"),
                ("-0.01", 5, "most"),
                ("-7", 6, "returns"),
            ],
        ),
        lines(
            "c%é-2.tdf",
            &[("-9999999999999999.99", 4, "least"), ("0.00", 5, "zero")],
        ),
        lines(
            "d-3.tdf",
            &[("9999999999999999.98", 4, "both"), ("0.01", 4, "both")],
        ),
    ];
    let last = [
        line("1", "-9999999999999999.99", 5, "most", "2026-03-01"),
        line("1", "5", 13, "ignored", "2026-03-01"),
    ];
    // At the limit in one file, and beyond it where the last one meets another.
    let sites = compare(&servers, &adding(settings(SQLITE, JOB)), |site| {
        for (name, text) in &files {
            site.submit(name, text);
        }
        run_until_idle(site);
        site.submit("e-4.tdf", last.concat());
    });
    for site in &sites {
        let rows = told(&sqlite_rows(site));
        assert!(rows.iter().any(|row| row.contains("returns")), "{rows:?}");
        let held = state(site, "SELECT reason FROM held");
        assert!(
            held.len() == 1 && held[0].contains("does not fit decimal(18,2)"),
            "{held:?}"
        );
    }
}

#[test]
fn the_newest_file_of_a_day_counts_there_too() {
    let servers = servers();
    let by_day = settings(SQLITE, JOB).replacen(
        "name = \"sales\"",
        "name = \"sales\"\nsupersede = \"store-day\"\nshrink_percent = 0",
        1,
    );
    compare(&servers, &by_day, |site| {
        let day =
            |store: &str, amount: &str, day: u8| line(store, amount, 4, "i", &format!("2026-03-0{day}"));
        // Whole files that count, some of whose days do, and one of which none does.
        let waves = [
            [day("1", "10", 1), day("1", "11", 2), day("it's", "12", 1)].concat(),
            [day("1", "20", 2), day("2", "21", 1)].concat(),
            [day("1", "30", 2), day("1", "31", 3), day("it's", "32", 2)].concat(),
            day("3", "40", 1),
        ];
        for (wave, text) in waves.iter().enumerate() {
            let path = site.submit(format!("W{wave}-x.tdf"), text);
            let file = fs::File::open(path).expect("the file is there");
            let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_780_000_000 + wave as u64);
            file.set_modified(written).expect("the time can be set");
        }
    });
}

#[test]
fn days_without_sales_are_merged_alike_here_and_there() {
    let servers = servers();
    let closed = settings(SQLITE, JOB)
        .replacen(
            "[[feed]]\nname = \"items\"",
            "[feed.records]\nempty = \"no-sales\"\n[[feed]]\nname = \"items\"",
            1,
        )
        .replacen(
            "\"*-*.tdf\"",
            "\"A-{store}-{date:%Y%m%d}.tdf\"\nshrink_percent = 0",
            1,
        );
    let by_day = closed.replacen(
        "name = \"sales\"",
        "name = \"sales\"\nsupersede = \"store-day\"",
        1,
    );
    for settings in [closed, by_day] {
        let sites = compare(&servers, &settings, |site| {
            let sales = |store, day| line(store, "12.50", 4, "i", &format!("2026-03-0{day}"));
            site.submit("A-1-20260301.tdf", sales("1", 1));
            site.submit("A-2-20260301.tdf", sales("2", 1));
            site.submit("A-3-20260301.tdf", "");
            run_until_idle(site);
            // One store's day is empty after all, and another store was closed on the next.
            site.submit("A-2-20260301.tdf", "");
            site.submit("A-1-20260302.tdf", "");
        });
        for site in &sites {
            let valid = "SELECT count(*) FROM ingested_file_status WHERE last_update_status = 'VALIDATED'";
            assert_eq!(state(site, valid), ["4"]);
            assert_eq!(told(&sqlite_rows(site)), ["1 i 2026-03-01 12.50 - -"]);
        }
    }
}

#[test]
fn the_reference_sample_is_merged_alike_here_and_there() {
    let Some(sample) = reference_sample::sample() else {
        return;
    };
    let settings = settings(SQLITE, reference_sample::JOBS);
    let sites = compare(&servers(), &settings, |site| {
        reference_sample::submit(site, &sample)
    });
    for site in &sites {
        assert_eq!(sqlite_rows(site), reference_sample::expected(&sample));
    }
}

#[test]
fn every_shape_is_merged_alike_here_and_there() {
    let servers: Vec<_> = engines().into_iter().map(ConnectServer::start).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases = fs::read_dir(folder).expect("the cases can be listed");
    let cases = cases.map(|case| case.expect("the case can be read").path());
    // What is refused is merged by nobody. The short form has those that differ in what a cluster reads: keys of many
    // kinds, NULLs, signs, days without sales, members of archives.
    let short = [
        "ids",
        "no-sales-today",
        "packed",
        "quotes-literal",
        "returns",
        "wide",
    ];
    let is_asked = |case: &Path| is_long() || short.iter().any(|name| case.ends_with(name));
    let cases: Vec<_> = cases
        .filter(|case| case.is_dir() && !case.join("refused.txt").exists() && is_asked(case))
        .collect();
    assert!(
        cases.len() >= if is_long() { 25 } else { short.len() },
        "{cases:?}"
    );
    for case in cases {
        let read = |name: &str| fs::read_to_string(case.join(name)).expect("the case is whole");
        let sites = compare(&servers, &formats::settings(&read("feed.toml")), |site| {
            for file in formats::files_below(&case.join("in")) {
                let name = file.strip_prefix(case.join("in")).expect("it is below");
                site.submit(name, fs::read(&file).expect("the file can be read"));
            }
        });
        for site in &sites {
            let rows = formats::rows_of(&read("expected.csv"));
            assert_eq!(sqlite_rows(site), rows, "{}", case.display());
        }
    }
}

#[test]
fn a_lake_in_a_bucket_is_merged_alike_here_and_there() {
    let bucket = Bucket::start();
    let endpoint = bucket.server.endpoint();
    let sail = ConnectServer::start_with(
        Engine::Sail,
        &[
            ("AWS_ACCESS_KEY_ID", SeaweedFs::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SeaweedFs::SECRET_KEY),
            ("AWS_REGION", SeaweedFs::REGION),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
        ],
    );
    let merged = ["here", "there"].map(|prefix| {
        let url = format!("s3://{BUCKET}/{prefix}");
        let here = buckets::settings(&url, SQLITE, &buckets::job(3), |table| {
            buckets::reached(table, &endpoint)
        });
        let mut site = site(&match prefix {
            "here" => here,
            _ => on_cluster(&sail.url(), &here),
        });
        buckets::set_credentials(&mut site);
        // One name that engines read differently, and a store that two files have.
        let objects = [
            ("north/a b-1.tdf", line("1", "12.50", 4, "i", "2026-03-01")),
            ("south/b-2.tdf", line("2", "-7.25", 6, "j", "2026-03-02")),
            ("south/c-3.tdf", line("1", "-2.50", 4, "i", "2026-03-01")),
        ];
        bucket.put_all(objects.map(|(name, text)| (format!("{prefix}/in/{name}"), text.into_bytes())));
        run_until_idle(&site);
        let summary = objects_of(&site).map(|object| bucket.get(&format!("{prefix}/lake/{object}")));
        let is_left = |key: &String| key.starts_with("cluster/");
        assert!(!bucket.list(&format!("{prefix}/lake")).iter().any(is_left));
        let on_cluster = "SELECT count(cluster_operation) FROM job_run";
        let operations = state(&site, on_cluster).remove(0);
        (operations, told(&sqlite_rows(&site)), summary)
    });
    let [(_, here_rows, here), (operations, there_rows, there)] = merged;
    assert_eq!(operations, "1");
    assert_eq!(
        there_rows,
        ["1 i 2026-03-01 10.00 - -", "2 j 2026-03-02 - - -7.25"]
    );
    assert_eq!(there_rows, here_rows);
    assert!(there == here, "other bytes");
}

#[test]
fn auto_takes_the_cluster_beyond_so_many_rows_and_explain_tells() {
    let sail = ConnectServer::start(Engine::Sail);
    let auto = |most: u32| {
        let engine = format!("engine = \"auto\"\ncluster_rows = {most}");
        on_cluster(&sail.url(), &settings(SQLITE, JOB)).replacen("engine = \"cluster\"", &engine, 1)
    };
    for (most, place, operations) in [(1, "this host", "0"), (0, "the cluster", "1")] {
        let site = site(&auto(most));
        site.submit("IL-1.tdf", line("1", "12.50", 4, "i", "2026-03-01"));
        run_until_idle(&site);
        let (holds, facts) = explained(&site, "all", "engine");
        assert!(
            holds && facts.starts_with(&format!("{place} merges: the files have 1 rows")),
            "{facts}"
        );
        assert_eq!(
            state(&site, "SELECT count(cluster_operation) FROM job_run"),
            [operations]
        );
        assert_eq!(told(&sqlite_rows(&site)), ["1 i 2026-03-01 12.50 - -"]);
    }
}
