//! The reference's own sample: thirteen stores of Illinois, an item master, and the 38 rows that belong to them.

use std::fs;
use std::path::{Path, PathBuf};

use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::Row;
use gristmill_testkit::postgres;

use crate::buckets::{self, Bucket};
use crate::clouds::Cloud;
use crate::support;

/// A province that the sample completes, and one of which it has no file.
pub const JOBS: &str = r#"
[[job]]
id = "J101"
feed = "sales"
files = "IL-{store}.tdf"
min_files = 13
requires = [{ files = "Item*", within = "1 day" }]
[[job]]
id = "J102"
feed = "sales"
files = "CA-*.tdf"
min_files = 25
"#;

#[test]
fn the_reference_sample_gives_its_38_rows_in_sqlite() {
    let Some(sample) = sample() else { return };
    let site = submitted(&sample, support::SQLITE);
    support::run_until_idle(&site);
    assert_eq!(support::sqlite_rows(&site), expected(&sample));
    // What a query sees: ISO text that SQLite's date functions read, and amounts that no float has touched.
    let forms = "SELECT DISTINCT typeof(trans_date) || ' ' || (trans_date IS date(trans_date)) || ' ' || \
                 typeof(sale_amount) FROM sales_summary";
    assert_eq!(support::sqlite_warehouse(&site, forms), ["text 1 text"]);
}

#[test]
fn the_reference_sample_gives_its_38_rows_in_postgres() {
    let Some(sample) = sample() else { return };
    let url = postgres::shared().create_database();
    let site = submitted(&sample, &url);
    support::run_until_idle(&site);
    assert_eq!(support::postgres_rows(&url), expected(&sample));
    let columns = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
                   WHERE attrelid = 'sales_summary'::regclass AND attnum > 3 ORDER BY attnum";
    let amounts = ["sale_amount", "tax_amount", "discount_amount"].map(|name| (name, "numeric(18,2)"));
    let columns = support::postgres(&url, columns);
    let columns: Vec<(&str, &str)> = columns.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(columns, amounts);
    let date = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
                WHERE attrelid = 'sales_summary'::regclass AND attname = 'trans_date'";
    assert_eq!(support::postgres(&url, date)[0].get::<_, &str>(0), "date");
}

#[test]
fn the_reference_sample_gives_its_38_rows_from_a_bucket_by_a_lake_in_a_bucket() {
    let Some(sample) = sample() else { return };
    let bucket = Bucket::start();
    let url = postgres::shared().create_database();
    let site = bucket.site("sample", &url, JOBS, &bucket.server.endpoint());
    bucket.put_all(objects(&sample));
    support::run_until_idle(&site);
    assert_eq!(support::postgres_rows(&url), expected(&sample));
}

#[test]
fn the_reference_sample_gives_its_38_rows_from_googles_and_azures_stores() {
    let Some(sample) = sample() else { return };
    for cloud in Cloud::start_each() {
        let site = cloud.site(cloud.port(), "sample", JOBS);
        buckets::put_all(&buckets::runtime(), &*cloud.client(), objects(&sample));
        support::run_until_idle(&site);
        assert_eq!(support::sqlite_rows(&site), expected(&sample));
    }
}

#[test]
fn a_province_without_files_waits_and_explain_counts_them() {
    let Some(sample) = sample() else { return };
    let site = submitted(&sample, support::SQLITE);
    support::run_until_idle(&site);
    assert_eq!(
        support::state(&site, "SELECT DISTINCT job_config_id FROM job_run"),
        ["J101"]
    );
    let explained = site.run(["explain", "J102"]).stdout;
    assert!(explained.contains("waits"), "{explained}");
    assert!(explained.contains("0 of 25"), "{explained}");
}

/// The sample's folder, which lies beside the repository where it was handed out.
pub fn sample() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference-sample");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("not run: the reference sample is not at {}", folder.display());
    None
}

/// The sample's files as objects of a source below `sample/in`.
fn objects(sample: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    files(sample).into_iter().map(|path| {
        let name = path.file_name().expect("a listed file has a name").display();
        let bytes = fs::read(&path).expect("the sample can be read");
        (format!("sample/in/{name}"), bytes)
    })
}

fn submitted(sample: &Path, warehouse: &str) -> Site {
    let site = support::site(&support::settings(warehouse, JOBS));
    submit(&site, sample);
    site
}

/// Submits the sample's files.
pub fn submit(site: &Site, sample: &Path) {
    for path in files(sample) {
        let name = path.file_name().expect("a listed file has a name");
        site.submit(name, fs::read(&path).expect("the sample can be read"));
    }
}

/// The sample's files.
fn files(sample: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sample).expect("the sample can be listed");
    let paths = entries.map(|entry| entry.expect("the sample can be listed").path());
    let files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "tdf"))
        .collect();
    assert_eq!(files.len(), 14, "thirteen stores and the item master");
    files
}

/// The rows of the sample's `expected-summary.csv`, by the bytes of their keys.
pub fn expected(sample: &Path) -> Vec<Row> {
    let csv = fs::read_to_string(sample.join("expected-summary.csv")).expect("the summary can be read");
    let amount = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut rows: Vec<_> = csv
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            let [store, item, date, sale, tax, discount] = fields[..] else {
                panic!("{line:?} has not six fields");
            };
            Row {
                store_id: store.to_owned(),
                item_id: item.to_owned(),
                trans_date: date.to_owned(),
                sale_amount: amount(sale),
                tax_amount: amount(tax),
                discount_amount: amount(discount),
            }
        })
        .collect();
    rows.sort();
    assert_eq!(rows.len(), 38);
    rows
}
