//! `gristmill aggregate` on any number of threads, checked by DuckDB.

use std::fs;
use std::path::{Path, PathBuf};

use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::{self, Options};
use gristmill_testkit::readers::{Reader, Rows};

use crate::support::{SQLITE, parquet_rows, settings, site};

/// Threads that work: as many as the machine has, or so many.
const THREADS: [Option<&str>; 4] = [None, Some("1"), Some("2"), Some("7")];

/// Aggregates files on each number of threads. All summaries must have the same bytes; the last is returned.
fn aggregate(site: &mut Site, input: &Path, status: i32) -> PathBuf {
    let out = site.folder().join("out.parquet");
    let mut summaries = Vec::new();
    for threads in THREADS {
        match threads {
            Some(threads) => site.set_variable("RAYON_NUM_THREADS", threads),
            None => site.clear_variable("RAYON_NUM_THREADS"),
        }
        let aggregated = site.run([
            "aggregate".as_ref(),
            input.as_os_str(),
            "-o".as_ref(),
            out.as_os_str(),
        ]);
        assert_eq!(
            aggregated.status.code(),
            Some(status),
            "{threads:?} threads: {aggregated}"
        );
        summaries.push((aggregated.stdout, fs::read(&out).expect("the summary is there")));
    }
    let first = summaries.remove(0);
    for (threads, other) in THREADS[1..].iter().zip(&summaries) {
        assert!(other.1 == first.1, "{threads:?} threads make other bytes");
        assert_eq!(other.0, first.0, "{threads:?} threads say something else");
    }
    out
}

#[test]
fn a_dirty_feed_equals_the_oracle_on_any_number_of_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = FeedSpec {
        seed: 33,
        files: 12,
        lines_per_file: 6000,
        stores: 7,
        items: 30,
        days: 9,
        dirt: Dirt::every_kind(),
        ..FeedSpec::default()
    };
    // More than one unit of lines in each file, and stores that several files share.
    let files = spec.write_to(folder.path()).expect("the spec is possible");
    let mut site = site(&settings(SQLITE, ""));
    let out = aggregate(&mut site, folder.path(), 0);
    assert_eq!(parquet_rows(&out), oracle::summary(&files, Options::default()));
}

#[test]
fn one_large_file_equals_what_duckdb_makes_of_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let part = FeedSpec {
        seed: 34,
        files: 1,
        lines_per_file: 100_000,
        stores: 40,
        items: 500,
        days: 20,
        ..FeedSpec::default()
    };
    let part = part.file_bytes(0).expect("the spec is possible");
    // The same lines again and again are as good as others here, and made sooner.
    let file = folder.path().join("IL-1001.tdf");
    fs::write(&file, part.repeat(10)).expect("the file can be written");
    let bytes = fs::metadata(&file).expect("it was written").len();
    assert!(bytes > 40_000_000, "{bytes} bytes");

    let mut site = site(&settings(SQLITE, ""));
    let out = aggregate(&mut site, &file, 0);
    let of_code = |code: u8| format!("CAST(sum(amount) FILTER (code = {code}) AS DECIMAL(18, 2))");
    let expected = format!(
        "SELECT store_id, item_id, trans_date, {}, {}, {} FROM read_csv('{}', delim = '\\t', quote = '', header = false,
            columns = {{'store_id': 'VARCHAR', 'amount': 'DECIMAL(18, 2)', 'code': 'INTEGER', 'item_id': 'VARCHAR',
                'trans_date': 'DATE', 'a': 'VARCHAR', 'b': 'VARCHAR', 'c': 'VARCHAR'}})
        WHERE code IN (4, 5, 6) GROUP BY ALL",
        of_code(4),
        of_code(5),
        of_code(6),
        file.display()
    );
    let found = format!("SELECT * FROM read_parquet('{}')", out.display());
    let answers = Reader::DuckDb.query(&[
        format!("CREATE TABLE expected AS {expected}"),
        format!("CREATE TABLE found AS {found}"),
        "FROM expected EXCEPT ALL FROM found".to_owned(),
        "FROM found EXCEPT ALL FROM expected".to_owned(),
        "SELECT count(*) > 50000, min(sale_amount) IS NOT NULL FROM found".to_owned(),
        // In the order of the keys, row by row.
        "SELECT count(*) FROM (SELECT (store_id, item_id, trans_date) AS key, lag(key) OVER (ORDER BY rowid) AS before \
         FROM found) WHERE before >= key"
            .to_owned(),
    ]);
    assert_eq!(answers[2], Rows::new(), "rows are missing");
    assert_eq!(answers[3], Rows::new(), "rows are too many");
    assert_eq!(answers[4], [[Some("True".to_owned()), Some("True".to_owned())]]);
    assert_eq!(answers[5], [[Some("0".to_owned())]], "the summary is sorted");
}

/// Polars says on standard error how it groups, if asked to.
const GROUPED: &str = "group_by keys are sorted";

#[test]
fn polars_adds_up_the_keys_that_several_files_hold() {
    let mut site = site(&settings(SQLITE, ""));
    site.set_variable("POLARS_VERBOSE", "1");
    let folder = site.folder().join("feed");
    fs::create_dir(&folder).expect("the folder can be made");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the file can be written");
    let out = site.folder().join("out.parquet");
    let arguments = [
        "aggregate".as_ref(),
        folder.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ];

    write(
        "IL-1.tdf",
        "1\t2.50\t4\tCOLA\t2016-06-01\n1\t0.25\t5\tCOLA\t2016-06-01\n",
    );
    write("IL-2.tdf", "2\t1.00\t4\tCOLA\t2016-06-01\n");
    let alone = site.run(arguments);
    assert_eq!(alone.status.code(), Some(0), "{alone}");
    assert!(
        !alone.stderr.contains(GROUPED),
        "no two files hold a key: {alone}"
    );

    write(
        "IL-1b.tdf",
        "1\t4.00\t4\tCOLA\t2016-06-01\n1\t9.00\t4\tTEA\t2016-06-01\n",
    );
    let shared = site.run(arguments);
    assert_eq!(shared.status.code(), Some(0), "{shared}");
    assert!(shared.stderr.contains(GROUPED), "Polars was not asked: {shared}");
    let sums: Vec<_> = parquet_rows(&out)
        .into_iter()
        .map(|row| (row.store_id, row.item_id, row.sale_amount, row.tax_amount))
        .collect();
    let row = |store: &str, item: &str, sale: &str, tax: Option<&str>| {
        let owned = |text: &str| text.to_owned();
        (owned(store), owned(item), Some(owned(sale)), tax.map(owned))
    };
    assert_eq!(
        sums,
        [
            row("1", "COLA", "6.50", Some("0.25")),
            row("1", "TEA", "9.00", None),
            row("2", "COLA", "1.00", None)
        ]
    );
}
