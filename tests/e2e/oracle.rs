//! What comes out equals what DuckDB works out from the same files, to the cent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gristmill_fixtures::generate::{Dirt, Encoding, FeedSpec};
use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::{self, Counts, Options, Row};
use gristmill_testkit::postgres;
use proptest::prelude::*;

use crate::support::{
    SQLITE, adding, parquet_rows, postgres_rows, run_until_idle, settings, site, sqlite_rows, state,
};

/// A job over all sales files that runs when so many are there, and when any is new.
fn job(min_files: usize) -> String {
    format!(
        "[[job]]\nid = \"all\"\nfeed = \"sales\"\nfiles = \"**/*-{{store}}.tdf\"\nmin_files = {min_files}\n\
         trigger = \"any\"\n"
    )
}

/// Some hundred files with every kind of dirt, and among them some with too many bad lines.
fn lay_dirty_feed(folder: &Path) -> Vec<PathBuf> {
    let dirty = FeedSpec {
        seed: 20,
        files: 240,
        lines_per_file: 60,
        stores: 90,
        items: 12,
        days: 5,
        dirt: Dirt::every_kind(),
        ..FeedSpec::default()
    };
    let hopeless = FeedSpec {
        prefix: "XX",
        files: 10,
        dirt: Dirt {
            bad_values: 110,
            ..Dirt::every_kind()
        },
        ..dirty.clone()
    };
    [dirty, hopeless]
        .iter()
        .flat_map(|spec| spec.write_to(folder).expect("the spec is possible"))
        .collect()
}

/// The counts of each file as the state database has them, in the order of the paths.
fn recorded_counts(site: &Site) -> Vec<Counts> {
    let counts = "SELECT json_object('lines', lines, 'rows', rows, 'ignored', ignored, 'skipped', skipped, \
                  'rejects', rejects, 'rejected', json(iif(accepted, 'false', 'true'))) FROM versions ORDER BY file_url";
    state(site, counts)
        .iter()
        .map(|counts| serde_json::from_str(counts).expect("SQLite writes JSON"))
        .collect()
}

fn accepted(counts: &[Counts]) -> usize {
    counts.iter().filter(|counts| !counts.rejected).count()
}

/// The one summary that the site's lake holds.
fn summary_object(site: &Site) -> PathBuf {
    let objects = state(site, "SELECT summary_object FROM runs");
    assert_eq!(objects.len(), 1, "one run over all files");
    site.folder().join("lake").join(&objects[0])
}

#[test]
fn a_dirty_feed_equals_the_oracle_in_sqlite_in_postgres_and_in_parquet() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let files = lay_dirty_feed(folder.path());
    let counts = oracle::counts(&files, Options::default());
    let expected = oracle::summary(&files, Options::default());
    let good = accepted(&counts);
    assert!(good >= 240 - 5 && good < files.len() && expected.len() > 1000);

    let postgres = postgres::shared().create_database();
    for warehouse in [SQLITE, &postgres] {
        let site = site(&adding(settings(warehouse, &job(good))));
        for file in &files {
            let name = file.file_name().expect("a file has a name");
            site.submit(name, fs::read(file).expect("the feed can be read"));
        }
        run_until_idle(&site);
        assert_eq!(recorded_counts(&site), counts);
        let rows = match warehouse {
            SQLITE => sqlite_rows(&site),
            url => postgres_rows(url),
        };
        assert_eq!(rows, expected, "{warehouse}");
        assert_eq!(parquet_rows(&summary_object(&site)), expected);
    }

    let out = folder.path().join("out.parquet");
    let here = site(&settings(SQLITE, ""));
    let aggregated = here.run([
        "aggregate".as_ref(),
        folder.path().as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ]);
    assert_eq!(
        aggregated.status.code(),
        Some(1),
        "some files are rejected: {aggregated}"
    );
    assert_eq!(parquet_rows(&out), expected);
    assert!(
        aggregated.stdout.contains(&format!("{} files", files.len())),
        "{aggregated}"
    );
}

#[test]
fn a_windows_1252_feed_equals_the_oracle() {
    let spec = FeedSpec {
        seed: 30,
        files: 40,
        stores: 40,
        encoding: Encoding::Windows1252,
        dirt: Dirt::every_kind_unmarked(),
        ..FeedSpec::default()
    };
    let options = Options {
        encoding: "windows-1252",
    };
    let declared = |settings: String| {
        settings.replacen(
            "name = \"sales\"",
            "name = \"sales\"\nencoding = \"windows-1252\"",
            1,
        )
    };
    let site = site(&declared(adding(settings(SQLITE, &job(1)))));
    let files = spec.write_to(&site.incoming()).expect("the spec is possible");
    let expected = oracle::summary(&files, options);
    assert!(
        expected
            .iter()
            .any(|row| !row.item_id.is_ascii() || !row.store_id.is_ascii()),
        "the feed holds letters beyond ASCII"
    );
    run_until_idle(&site);
    assert_eq!(recorded_counts(&site), oracle::counts(&files, options));
    assert_eq!(sqlite_rows(&site), expected);
    site.run_ok(["aggregate", "incoming", "-o", "out.parquet", "--feed", "sales"]);
    assert_eq!(parquet_rows(&site.folder().join("out.parquet")), expected);
}

/// Waves of re-submissions drawn from a seed: the warehouse follows the newest accepted version of every file.
#[test]
fn the_warehouse_follows_every_wave_of_resubmissions() {
    const FILES: u32 = 9;
    let site = site(&settings(SQLITE, &job(1)));
    let in_force = tempfile::tempdir().expect("a temporary folder can be made");
    let (mut rejected, mut compared) = (0, BTreeSet::new());
    for wave in 0..6_u64 {
        // Each store sells something on each day, for days that a file no longer has stay as they are. Other items.
        let spec = FeedSpec {
            seed: 40 + wave,
            files: FILES,
            stores: FILES,
            lines_per_file: 60 + 10 * wave as u32,
            items: [12, 5, 20, 8, 3, 15][wave as usize],
            days: 2,
            dirt: Dirt {
                bad_values: if wave % 2 == 1 { 70 } else { 10 },
                quoted_fields: 0,
                odd_ids: 0,
                ..Dirt::every_kind()
            },
            ..FeedSpec::default()
        };
        let sent: Vec<_> = (0..FILES)
            .filter(|number| wave == 0 || !(u64::from(*number) + wave).is_multiple_of(3))
            .map(|number| {
                let bytes = spec.file_bytes(number).expect("the spec is possible");
                site.submit(spec.file_name(number), bytes)
            })
            .collect();
        for (path, counts) in sent.iter().zip(oracle::counts(&sent, Options::default())) {
            if counts.rejected {
                rejected += 1;
            } else {
                let name = path.file_name().expect("a file has a name");
                fs::copy(path, in_force.path().join(name)).expect("the folder can be written");
            }
        }
        run_until_idle(&site);
        let files: Vec<_> = fs::read_dir(in_force.path())
            .expect("the folder can be read")
            .map(|entry| entry.expect("the folder can be read").path())
            .collect();
        let expected = oracle::summary(&files, Options::default());
        assert_eq!(sqlite_rows(&site), expected, "wave {wave}");
        compared.insert(expected);
    }
    assert!(rejected > 0, "some versions are over the reject limit");
    assert_eq!(compared.len(), 6, "each wave changes something");
}

/// One good line.
fn line() -> impl Strategy<Value = String> {
    (0..4_u8, -9_999..99_999_i64, 3..8_u8, 0..6_u8, 1..4_u8).prop_map(|(store, cents, code, item, day)| {
        let sign = if cents < 0 { "-" } else { "" };
        let cents = cents.abs();
        format!(
            "S{store}\t{sign}{}.{:02}\t{code}\tITEM {item}\t2026-03-0{day}\n",
            cents / 100,
            cents % 100
        )
    })
}

/// Lines dealt out to files, and the files in an order of arrival, cut into waves.
fn arrivals() -> impl Strategy<Value = (Vec<String>, Vec<Vec<String>>, usize)> {
    prop::collection::vec(line(), 1..80).prop_flat_map(|lines| {
        let of_file = prop::collection::vec(0..7_usize, lines.len());
        (
            Just(lines),
            of_file,
            Just((0..7).collect::<Vec<_>>()).prop_shuffle(),
            1..4_usize,
        )
            .prop_map(|(lines, of_file, order, waves)| {
                let mut files = vec![Vec::new(); 7];
                for (line, file) in lines.iter().zip(of_file) {
                    files[file].push(line.clone());
                }
                let files = order
                    .into_iter()
                    .map(|file: usize| files[file].clone())
                    .filter(|file| !file.is_empty());
                (lines, files.collect(), waves)
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_lines_over_files_in_any_order_gives_the_same_summary((lines, files, waves) in arrivals()) {
        let site = site(&adding(settings(SQLITE, &job(1))));
        let whole = site.folder().join("whole.tdf");
        fs::write(&whole, lines.concat()).expect("the site can be written");
        let expected: Vec<Row> = oracle::summary(&[whole], Options::default());

        for wave in files.chunks(files.len().div_ceil(waves)) {
            for file in wave {
                let number = fs::read_dir(site.incoming()).expect("the source can be read").count();
                site.submit(format!("IL-{number}.tdf"), file.concat());
            }
            run_until_idle(&site);
        }
        prop_assert_eq!(sqlite_rows(&site), expected.clone());
        site.run_ok(["aggregate", "incoming", "-o", "out.parquet"]);
        prop_assert_eq!(parquet_rows(&site.folder().join("out.parquet")), expected);
    }
}
