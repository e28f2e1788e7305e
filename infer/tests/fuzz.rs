//! The fuzz targets over seeded mutations of a corpus: a short run that needs no nightly compiler. cargo-fuzz runs the same
//! functions for as long as one likes (CONTRIBUTING.md). All targets are here, also those of the engine: this crate sees both.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::Path;

use gristmill_testkit::mutations::{Mutations, files_below};

/// Mutations of each target: 3,000, or as many as `GRISTMILL_FUZZ` says.
fn mutations() -> u64 {
    std::env::var("GRISTMILL_FUZZ").map_or(3_000, |asked| asked.parse().expect("GRISTMILL_FUZZ is a number"))
}

/// Texts that lead deep into a reader.
const TEXTS: [&str; 9] = [
    "1\t2.50\t4\tCOLA\t2016-06-01\n",
    "1,\"2,50\",4,\"CO\nLA\",06/01/16\n",
    "a'\\'b'~|~1||2\r\r\n\u{1a}\0\0",
    "D|1|2.50|4|COLA|2016-06-01\nT|1|2.50\n",
    "112{4CO2016",
    "{\"a\":[{\"b\":[{\"store_id\":1,\"amount\":2.5e0}]}]}\n",
    "[{\"amount\":1},{\"a\":[]}]",
    "store_id\tamount\tcode\titem_id\ttrans_date\n",
    "\u{feff}x\n",
];

/// What the files below a folder of the repository hold.
fn files_of(folder: &str) -> Vec<Vec<u8>> {
    files_below(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))
}

#[test]
fn no_bytes_break_a_reader() {
    let mut texts = TEXTS.map(|text| text.as_bytes().to_vec()).to_vec();
    texts.extend(files_of("tests/cases"));
    let mut texts = Mutations::of(texts, 400);
    // What other programs wrote.
    let mut tables = Mutations::of(files_of("fuzz/seeds"), usize::MAX);
    let mutations = mutations();
    for (name, target) in targets::TARGETS {
        for number in 0..mutations {
            let bytes = match name {
                "tables" | "archives" => tables.next_file(),
                // Settings are chosen by what stands before a file.
                _ => {
                    let count = texts.below(10);
                    let choices: Vec<u8> = (0..count).map(|_| texts.below(8) as u8).collect();
                    [choices, texts.next_file()].concat()
                }
            };
            let outcome = catch_unwind(|| target(&bytes));
            assert!(
                outcome.is_ok(),
                "{name}, mutation {number}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
    eprintln!(
        "{mutations} mutations of each of {} targets",
        targets::TARGETS.len()
    );
}
