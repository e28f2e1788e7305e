//! The generator and the oracle share no code, and must agree on which lines are good.

use std::path::PathBuf;

use gristmill_fixtures::generate::{Dirt, Encoding, FeedSpec};
use gristmill_testkit::oracle::{self, Counts, Options};
use tempfile::TempDir;

const LINES: u64 = 2000;

fn feed(dirt: Dirt) -> FeedSpec {
    FeedSpec {
        files: 6,
        lines_per_file: LINES as u32,
        dirt,
        ..FeedSpec::default()
    }
}

fn lay(spec: &FeedSpec) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("cannot create a temporary folder");
    let paths = spec.write_to(folder.path()).expect("cannot write the feed");
    (folder, paths)
}

fn counts(spec: &FeedSpec) -> Vec<Counts> {
    let (_folder, paths) = lay(spec);
    let encoding = match spec.encoding {
        Encoding::Utf8 => "utf-8",
        Encoding::Windows1252 => "windows-1252",
    };
    oracle::counts(&paths, Options { encoding })
}

#[test]
fn bad_lines_are_rejects() {
    for dirt in [
        Dirt {
            bad_values: 1000,
            ..Dirt::default()
        },
        Dirt {
            missing_columns: 1000,
            ..Dirt::default()
        },
        Dirt {
            bad_values: 500,
            missing_columns: 500,
            utf16le_files: 500,
            utf16be_files: 500,
            ..Dirt::default()
        },
    ] {
        for counts in counts(&feed(dirt)) {
            assert_eq!(counts.rejects, LINES, "{dirt:?}");
        }
    }
    let missing = Dirt {
        missing_columns: 1000,
        shuffled_files: 1000,
        ..Dirt::default()
    };
    for counts in counts(&feed(missing)) {
        assert_eq!((counts.skipped, counts.rejects), (1, LINES));
    }
}

#[test]
fn odd_lines_are_good() {
    let odd = Dirt {
        extra_columns: 250,
        quoted_fields: 250,
        odd_amounts: 250,
        odd_ids: 250,
        ..Dirt::default()
    };
    for dirt in [
        odd,
        Dirt {
            crlf_files: 1000,
            open_ended_files: 1000,
            bom_files: 1000,
            ..odd
        },
        Dirt {
            utf16le_files: 500,
            utf16be_files: 500,
            ..odd
        },
        Dirt {
            header_files: 500,
            shuffled_files: 500,
            crlf_files: 500,
            ..odd
        },
    ] {
        for counts in counts(&feed(dirt)) {
            assert_eq!(counts.rows + counts.ignored, LINES, "{dirt:?}");
            assert!(
                counts.rows > LINES / 2 && counts.ignored > LINES / 3,
                "{counts:?}"
            );
        }
    }
    let legacy = FeedSpec {
        encoding: Encoding::Windows1252,
        ..feed(odd)
    };
    for counts in counts(&legacy) {
        assert_eq!(counts.rows + counts.ignored, LINES);
    }
}

#[test]
fn noise_is_skipped() {
    for counts in counts(&feed(Dirt {
        noise_lines: 500,
        blank_lines: 500,
        ..Dirt::default()
    })) {
        assert_eq!(
            (counts.skipped, counts.lines, counts.rejected),
            (LINES, LINES, true)
        );
    }
}

#[test]
fn a_feed_with_every_kind_of_dirt_is_accepted() {
    for counts in counts(&feed(Dirt::every_kind())) {
        assert!(
            !counts.rejected && counts.rejects > 0 && counts.skipped > 0,
            "{counts:?}"
        );
    }
}
