//! The fuzz targets over seeded mutations of a corpus: a short run that needs no nightly compiler. cargo-fuzz runs the same
//! functions for as long as one likes (CONTRIBUTING.md).

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

/// Mutations of each target.
const MUTATIONS: u64 = 3_000;

/// The numbers of a run: the same in each.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// The small inputs of the cases, and texts that lead deep into a reader.
fn corpus() -> Vec<Vec<u8>> {
    let mut corpus: Vec<Vec<u8>> = [
        "1\t2.50\t4\tCOLA\t2016-06-01\n",
        "1,\"2,50\",4,\"CO\nLA\",06/01/16\n",
        "a'\\'b'~|~1||2\r\r\n\u{1a}\0\0",
        "D|1|2.50|4|COLA|2016-06-01\nT|1|2.50\n",
        "112{4CO2016",
        "{\"a\":[{\"b\":[{\"store_id\":1,\"amount\":2.5e0}]}]}\n",
        "[{\"amount\":1},{\"a\":[]}]",
        "store_id\tamount\tcode\titem_id\ttrans_date\n",
        "\u{feff}x\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    let mut folders: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases")];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .expect("the folder can be listed")
            .map(|entry| entry.expect("it can be read").path())
            .collect();
        paths.sort();
        for path in paths {
            match path.is_dir() {
                true => folders.push(path),
                false => corpus.push(fs::read(path).expect("the file can be read")),
            }
        }
    }
    corpus
}

fn mutated(corpus: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    const ODD: &[u8] = b"\n\r,|\"\\'\t\0\x1a{}[]:~-.0;T\xff\xef\xbb\xbf";
    let mut bytes = corpus[numbers.below(corpus.len())].clone();
    bytes.truncate(400);
    // Settings are chosen by what stands before a file.
    for _ in 0..numbers.below(10) {
        bytes.insert(0, numbers.below(8) as u8);
    }
    for _ in 0..numbers.below(8) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(5) {
            0 => bytes.insert(at, ODD[numbers.below(ODD.len())]),
            1 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            2 if at < bytes.len() => _ = bytes.remove(at),
            3 => bytes.truncate(at),
            _ => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len());
                let end = (from + numbers.below(40)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn no_bytes_break_a_reader() {
    let corpus = corpus();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for (name, target) in targets::TARGETS {
        for number in 0..MUTATIONS {
            let bytes = mutated(&corpus, &mut numbers);
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(
                outcome.is_ok(),
                "{name}, mutation {number}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}
