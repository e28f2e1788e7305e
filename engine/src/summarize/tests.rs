//! Sums that stay in memory, that go out to files on the way, and that are streamed from files: one summary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::DayEffect;
use crate::amount::{MAX_CENTS, format_cents};
use crate::convert::{Conversion, Outputs, convert};
use crate::key::MOST_STORES;
use crate::layout::{FeedLayout, FeedSpec, Supersede};
use crate::read_back::rows_of;

type Cells = Vec<Vec<Option<String>>>;

/// A line: store, item, day of June 2016, code, cents.
type Line = (u16, u16, u8, i32, i64);

const CODES: [i32; 4] = [4, 5, 6, 13];

fn layout(supersede: Supersede) -> FeedLayout {
    let spec = FeedSpec {
        supersede,
        ..FeedSpec::default()
    };
    FeedLayout::new(&spec).unwrap()
}

fn store(number: u16) -> String {
    // One is a beginning of others, some are long, and the order of texts is not that of numbers.
    match number {
        0 => "S".to_owned(),
        1 => "S-with-a-long-name-é".to_owned(),
        number => format!("S{}", u32::from(number) * 7919 % 10_007),
    }
}

fn item(number: u16) -> String {
    format!("i{}", u32::from(number) * 31 % 1009)
}

fn text(lines: &[Line]) -> String {
    let lines = lines.iter().map(|(s, i, day, code, cents)| {
        format!(
            "{}\t{}\t{code}\t{}\t2016-06-{day:02}\n",
            store(*s),
            format_cents(*cents),
            item(*i)
        )
    });
    lines.collect()
}

/// What of each file counts: whether days that are not named do, and store, day and effect of those that are.
type Choice = (bool, Vec<(u16, u8, DayEffect)>);

fn whole(files: &[Vec<Line>]) -> Vec<Choice> {
    vec![(true, Vec::new()); files.len()]
}

fn effect((others_count, days): &Choice, s: u16, day: u8) -> DayEffect {
    let named = days.iter().rev().find(|named| (named.0, named.1) == (s, day));
    match named {
        Some((.., effect)) => *effect,
        None if *others_count => DayEffect::Counts,
        None => DayEffect::LeftOut,
    }
}

fn selection(choice: &Choice) -> Selection {
    let start = if choice.0 {
        Selection::all()
    } else {
        Selection::none()
    };
    let days = choice.1.iter();
    days.fold(start, |selection, (s, day, effect)| {
        selection.with(&store(*s), date(*day), *effect)
    })
}

fn date(day: u8) -> Date {
    jiff::civil::date(2016, 6, i8::try_from(day).unwrap())
}

fn by_definition(files: &[Vec<Line>], supersede: Supersede) -> (Cells, Cells) {
    chosen_by_definition(files, &whole(files), &[], supersede)
}

/// Summary and coverage as the definition says, added up with 128 bits.
fn chosen_by_definition(
    files: &[Vec<Line>],
    choices: &[Choice],
    emptied: &[(u16, u8)],
    supersede: Supersede,
) -> (Cells, Cells) {
    let mut newest: BTreeMap<(String, u8), usize> = BTreeMap::new();
    let mut covered: BTreeSet<(String, u8)> = emptied.iter().map(|(s, day)| (store(*s), *day)).collect();
    for (number, lines) in files.iter().enumerate() {
        for line in lines.iter().filter(|line| CODES[..3].contains(&line.3)) {
            let effect = effect(&choices[number], line.0, line.2);
            if effect == DayEffect::Counts {
                newest.insert((store(line.0), line.2), number);
            }
            if effect != DayEffect::LeftOut {
                covered.insert((store(line.0), line.2));
            }
        }
    }
    let mut sums: BTreeMap<(String, String, u8), [Option<i128>; 3]> = BTreeMap::new();
    for (number, lines) in files.iter().enumerate() {
        for (s, i, day, code, cents) in lines {
            let Some(measure) = CODES[..3].iter().position(|asked| asked == code) else {
                continue;
            };
            let counts = match effect(&choices[number], *s, *day) {
                DayEffect::LeftOut => false,
                DayEffect::Added => true,
                DayEffect::Counts => supersede == Supersede::File || newest[&(store(*s), *day)] == number,
            };
            if !counts {
                continue;
            }
            let sum = &mut sums.entry((store(*s), item(*i), *day)).or_default()[measure];
            *sum = Some(sum.unwrap_or(0) + i128::from(*cents));
        }
    }
    let date = |day: &u8| Some(format!("2016-06-{day:02}"));
    let amount = |sum: Option<i128>| sum.map(|sum| format_cents(i64::try_from(sum).unwrap()));
    let summary = sums.iter().map(|((s, i, day), sums)| {
        let mut cells = vec![Some(s.clone()), Some(i.clone()), date(day)];
        cells.extend(sums.map(amount));
        cells
    });
    let coverage = covered.iter().map(|(s, day)| vec![Some(s.clone()), date(day)]);
    (summary.collect(), coverage.collect())
}

/// Where the sums of a file are until they are summarized.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Location {
    /// In memory all the way.
    Memory,
    /// Put into a scratch file after conversion.
    Spilled,
    /// Written, and read back by its path.
    Stored,
}

const MANNERS: [(usize, Location); 6] = [
    (usize::MAX, Location::Memory),
    (usize::MAX, Location::Spilled),
    (usize::MAX, Location::Stored),
    // Sums go out to files after each unit of lines.
    (0, Location::Memory),
    (0, Location::Spilled),
    (0, Location::Stored),
];

fn run(
    files: &[Vec<Line>],
    supersede: Supersede,
    manner: (usize, Location),
    memory_of_merge: usize,
) -> Result<(Cells, Cells), EngineError> {
    run_chosen(files, &whole(files), &[], supersede, manner, memory_of_merge)
}

/// Converts files and merges their partials; nothing may be left in the scratch folder.
fn run_chosen(
    files: &[Vec<Line>],
    choices: &[Choice],
    emptied: &[(u16, u8)],
    supersede: Supersede,
    (memory, location): (usize, Location),
    memory_of_merge: usize,
) -> Result<(Cells, Cells), EngineError> {
    let layout = layout(supersede);
    let sales = layout.sales().unwrap();
    let (folder, lake) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let path = |name: &str| lake.path().join(name);
    let outcome = (|| {
        let mut partials = Vec::new();
        for (number, lines) in files.iter().enumerate() {
            let scratch = Scratch {
                folder: folder.path(),
                memory: &Budget::new(memory),
            };
            let Conversion { partial, .. } = convert(
                text(lines).as_bytes(),
                &layout,
                Outputs::default(),
                scratch,
                |_| (),
            )?;
            let partial = partial.unwrap();
            let partial = match location {
                Location::Memory => partial,
                Location::Spilled => partial.spill(folder.path())?,
                Location::Stored => {
                    let path = path(&format!("partial-{number}"));
                    partial.write(&path, &Budget::new(memory))?;
                    Partial::stored(path, sales)
                }
            };
            let order = number as i64 * 10;
            // The order in which partials are given is not that of their submission.
            let input = RunPartial {
                partial,
                order,
                selection: selection(&choices[number]),
            };
            partials.insert(partials.len() / 2, input);
        }
        let outputs = SummaryOutputs {
            summary: &path("summary"),
            coverage: &path("coverage"),
        };
        let scratch = Scratch {
            folder: folder.path(),
            memory: &Budget::new(memory_of_merge),
        };
        let emptied: Vec<_> = emptied.iter().map(|(s, day)| (store(*s), date(*day))).collect();
        let report = summarize(partials, &emptied, sales, outputs, scratch)?;
        let (summary, coverage) = (rows_of(outputs.summary), rows_of(outputs.coverage));
        assert_eq!(
            (report.rows, report.covered),
            (summary.len() as u64, coverage.len() as u64)
        );
        Ok((summary, coverage))
    })();
    let left: Vec<PathBuf> = folder
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "scratch files stay behind: {left:?}");
    outcome
}

/// Lines of so many stores, items and days; few distinct keys, so that they meet.
fn lines(stores: std::ops::Range<u16>, most: usize) -> BoxedStrategy<Vec<Line>> {
    let cents = prop_oneof![5 => -100_000..100_000_i64, 1 => Just(0)];
    let line = (
        stores,
        0..6_u16,
        1..4_u8,
        prop::sample::select(CODES.to_vec()),
        cents,
    );
    prop::collection::vec(line, 0..most).boxed()
}

fn files() -> BoxedStrategy<Vec<Vec<Line>>> {
    let shared = prop::collection::vec(lines(0..3, 25), 0..5);
    let disjoint = (lines(0..2, 25), lines(2..4, 25), lines(4..6, 25)).prop_map(|(a, b, c)| vec![a, b, c]);
    let some_shared = (lines(0..3, 25), lines(2..5, 25), lines(7..9, 25)).prop_map(|(a, b, c)| vec![a, b, c]);
    prop_oneof![3 => shared, 1 => disjoint, 2 => some_shared].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn wherever_sums_are_the_summary_is_that_of_the_definition(files in files()) {
        for supersede in [Supersede::File, Supersede::StoreDay] {
            let expected = by_definition(&files, supersede);
            for manner in MANNERS {
                for memory_of_merge in [usize::MAX, 0] {
                    let found = run(&files, supersede, manner, memory_of_merge).unwrap();
                    prop_assert_eq!(&found, &expected, "{:?} {:?} {}", supersede, manner, memory_of_merge);
                }
            }
        }
    }
}

fn choice() -> BoxedStrategy<Choice> {
    let effects = vec![DayEffect::LeftOut, DayEffect::Counts, DayEffect::Added];
    let day = (0..5_u16, 1..4_u8, prop::sample::select(effects));
    (any::<bool>(), prop::collection::vec(day, 0..6)).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn what_does_not_count_is_left_out_of_summary_and_coverage(
        files in files(),
        choices in prop::collection::vec(choice(), 5),
        emptied in prop::collection::vec((0..9_u16, 1..5_u8), 0..4),
    ) {
        for supersede in [Supersede::File, Supersede::StoreDay] {
            let expected = chosen_by_definition(&files, &choices, &emptied, supersede);
            for manner in [(usize::MAX, Location::Memory), (usize::MAX, Location::Stored), (0, Location::Spilled)] {
                for memory_of_merge in [usize::MAX, 0] {
                    let found = run_chosen(&files, &choices, &emptied, supersede, manner, memory_of_merge).unwrap();
                    prop_assert_eq!(&found, &expected, "{:?} {:?} {}", supersede, manner, memory_of_merge);
                }
            }
        }
    }
}

#[test]
fn a_run_of_no_file_and_of_files_without_a_row() {
    for files in [vec![], vec![vec![]], vec![vec![], vec![(0, 0, 1, 13, 5)], vec![]]] {
        let expected = by_definition(&files, Supersede::File);
        for manner in MANNERS {
            assert_eq!(
                run(&files, Supersede::File, manner, usize::MAX).unwrap(),
                expected,
                "{manner:?}"
            );
        }
    }
}

#[test]
fn files_of_several_row_groups() {
    // Row groups end within stores, and stores within row groups.
    let file = |first: u16| -> Vec<Line> {
        (0..1500)
            .map(|n| {
                (
                    first + n % 7,
                    n % 40,
                    1 + (n % 9) as u8,
                    CODES[usize::from(n) % 4],
                    i64::from(n) * 11,
                )
            })
            .collect()
    };
    for files in [
        vec![file(0)],
        vec![file(0), file(7)],
        vec![file(0), file(3), file(20)],
    ] {
        let expected = by_definition(&files, Supersede::File);
        assert!(expected.0.len() > 600, "more than a row group in tests");
        for manner in MANNERS {
            for memory in [usize::MAX, 0] {
                assert!(
                    run(&files, Supersede::File, manner, memory).unwrap() == expected,
                    "{manner:?}"
                );
            }
        }
    }
}

#[test]
fn more_stores_than_keys_can_tell_apart() {
    let file = |first: u16, count: usize| -> Vec<Line> {
        (first..first + count as u16)
            .map(|n| (n, n % 3, 1 + (n % 2) as u8, CODES[usize::from(n) % 4], 100))
            .collect()
    };
    for files in [
        // Each file has few, all together have too many.
        vec![file(0, 200), file(200, 200), file(100, 150)],
        // One file has too many by itself.
        vec![file(0, MOST_STORES + 200), file(10, 20)],
        vec![file(0, 2 * MOST_STORES + 1)],
    ] {
        let distinct: BTreeSet<u16> = files.iter().flatten().map(|line| line.0).collect();
        assert!(distinct.len() > MOST_STORES);
        for supersede in [Supersede::File, Supersede::StoreDay] {
            let expected = by_definition(&files, supersede);
            for manner in MANNERS {
                assert!(
                    run(&files, supersede, manner, usize::MAX).unwrap() == expected,
                    "{manner:?}"
                );
            }
        }
    }
}

#[test]
fn sums_at_the_limits_and_beyond() {
    let most = (0, 0, 1, 4, MAX_CENTS);
    let least = (0, 0, 1, 5, -MAX_CENTS);
    for files in [
        vec![vec![most, least]],
        vec![vec![most], vec![least]],
        vec![
            vec![(0, 0, 1, 4, MAX_CENTS - 1)],
            vec![(0, 0, 1, 4, 1), (2, 0, 1, 4, 1)],
        ],
        vec![
            vec![most],
            vec![(0, 0, 1, 4, -1)],
            vec![(0, 0, 1, 4, -MAX_CENTS)],
            vec![least],
        ],
    ] {
        let expected = by_definition(&files, Supersede::File);
        for manner in MANNERS {
            for memory in [usize::MAX, 0] {
                let found = run(&files, Supersede::File, manner, memory);
                assert_eq!(found.unwrap(), expected, "{manner:?} {memory} {files:?}");
            }
        }
    }
    let (one, minus) = ((0, 0, 1, 4, 1), (0, 0, 1, 4, -1));
    for (files, name) in [
        (vec![vec![most, one]], "sale_amount"),
        (vec![vec![most], vec![one]], "sale_amount"),
        (
            vec![vec![most, (1, 0, 1, 4, 1)], vec![minus], vec![one, one]],
            "sale_amount",
        ),
        (vec![vec![least], vec![(0, 0, 1, 5, -1)]], "tax_amount"),
        (vec![vec![least; 12]], "tax_amount"),
        (vec![vec![least]; 12], "tax_amount"),
    ] {
        for manner in MANNERS {
            for memory in [usize::MAX, 0] {
                let error = run(&files, Supersede::File, manner, memory).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!(
                        "the sum of {name} for store S, item i0, date 2016-06-01 does not fit decimal(18,2)"
                    ),
                    "{manner:?} {memory} {files:?}"
                );
                assert!(!error.is_transient());
            }
        }
    }
}
