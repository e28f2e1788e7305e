//! Whether lines are plain or not, whatever the size of units and the number of threads: one file has one result.

mod model;
mod typed;

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

use gristmill_fixtures::generate::{Dirt, FeedSpec as Feed};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::budget::Budget;
use crate::date::from_days;
use crate::feed_lines::{Finished, LineOutcome};
use crate::fields::Fields;
use crate::from_rows::partial_of_rows;
use crate::header::ColumnName;
use crate::layout::{FeedSpec, HeaderRule};
use crate::layout::{Input, SalesLayout, Source};
use crate::other_forms::Form;
use crate::partial::Partial;
use crate::read_back::rows_of;
use crate::rejects::{Reason, Reject, read_rejects};
use crate::report::Header;
use crate::sums::DayLines;
use crate::text::MAX_LINE;

/// Reads no line in place: splits each with [`Fields`], as the definition does.
struct General<L>(L);

impl<L: FeedLines> FeedLines for General<L> {
    type Written = L::Written;
    type File = L::File;

    fn another(&self) -> Self {
        Self(self.0.another())
    }

    fn wanted(&self) -> usize {
        self.0.wanted()
    }

    fn needed(&self) -> &[ColumnName] {
        self.0.needed()
    }

    fn positions(&self) -> Vec<usize> {
        self.0.positions()
    }

    fn read_positions(&self) -> Vec<usize> {
        self.0.read_positions()
    }

    fn move_columns(&mut self, positions: &[usize]) {
        self.0.move_columns(positions);
    }

    fn has_header_values(&self, fields: &Fields) -> bool {
        self.0.has_header_values(fields)
    }

    fn has_data_values(&self, fields: &Fields) -> bool {
        self.0.has_data_values(fields)
    }

    fn reads_headers(&self) -> bool {
        self.0.reads_headers()
    }

    fn doubt(&mut self, fields: &Fields) {
        self.0.doubt(fields);
    }

    fn settles_doubt(&self) -> bool {
        self.0.settles_doubt()
    }

    fn is_well_formed(&self, fields: &Fields) -> bool {
        self.0.is_well_formed(fields)
    }

    fn carry(&mut self, input: usize, text: &[u8]) {
        self.0.carry(input, text);
    }

    fn cents(&self, fields: &Fields) -> Option<i64> {
        self.0.cents(fields)
    }

    fn other_form<'f>(&self, reason: Reason, fields: &'f Fields) -> Option<(&'f [u8], Option<Form>)> {
        self.0.other_form(reason, fields)
    }

    fn add(&mut self, number: u32, fields: &Fields) -> LineOutcome {
        self.0.add(number, fields)
    }

    fn end_unit(&mut self) -> Result<Option<L::Written>, EngineError> {
        self.0.end_unit()
    }

    fn write(&self, written: L::Written, before: u64, file: &mut L::File) -> Result<(), EngineError> {
        self.0.write(written, before, file)
    }

    fn finish(threads: Vec<Self>, file: Option<L::File>) -> Result<Option<Finished>, EngineError> {
        L::finish(threads.into_iter().map(|thread| thread.0).collect(), file)
    }
}

/// How a file is read. The result must not depend on it.
#[derive(Clone, Copy, Debug)]
struct Way {
    is_general: bool,
    unit: usize,
    threads: usize,
    memory: usize,
}

/// The definition: each line is split, one after another, in one unit if possible.
const DEFINITION: Way = Way {
    is_general: true,
    unit: UNIT_OF_ROWS,
    threads: 1,
    memory: usize::MAX,
};

/// All results of a file.
#[derive(Debug, PartialEq)]
struct Outcome {
    report: ConversionReport,
    rejects: Vec<Reject>,
    converted: Vec<Vec<Option<String>>>,
    partial: Vec<Vec<Option<String>>>,
}

fn pool(threads: usize) -> &'static rayon::ThreadPool {
    static POOLS: [OnceLock<rayon::ThreadPool>; 9] = [const { OnceLock::new() }; 9];
    POOLS[threads].get_or_init(|| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    })
}

/// Converts a text that is already decoded.
fn read_by(way: Way, text: &[u8], layout: &FeedLayout, is_decoded: bool) -> Result<Outcome, String> {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (rejects, converted) = (path("rejects"), path("converted"));
    let scratch = Scratch {
        folder: folder.path(),
        memory: &Budget::new(way.memory),
    };
    let read = |order| {
        let _ = std::fs::remove_file(&rejects);
        let reading = reader::Reading::new(Box::new(text), way.unit, layout, Some(&rejects), order);
        match &layout.kind {
            FeedKind::Sales(sales) => {
                let (lines, file) = SalesLines::new(sales, Some(&converted), scratch, is_decoded)?;
                match way.is_general {
                    true => reading.read(General(lines), file),
                    false => reading.read(lines, file),
                }
            }
            FeedKind::Reference(columns) => {
                let (lines, file) = ReferenceLines::new(columns, Some(&converted))?;
                reading.read(lines, file)
            }
        }
    };
    let conversion = pool(way.threads).install(|| match read(Order::Any) {
        Err(EngineError::ColumnsMoved) => read(Order::OfLines),
        done => done,
    });
    outcome(conversion.map_err(|error| error.to_string())?, layout, &folder)
}

/// Reads back what a conversion wrote to a folder.
fn outcome(conversion: Conversion, layout: &FeedLayout, folder: &TempDir) -> Result<Outcome, String> {
    let path = |name: &str| folder.path().join(name);
    let Conversion { mut report, partial } = conversion;
    // Only the public function knows the file's own size.
    report.bytes = 0;
    report.conclude(layout).map_err(|error| error.to_string())?;
    if let Some(partial) = partial {
        partial
            .write(&path("partial"), &Budget::new(0))
            .map_err(|error| error.to_string())?;
        if let (Some(sales), true) = (layout.sales(), report.rejected_because.is_none()) {
            is_made_anew(&partial, &report.days, sales, folder);
        }
    }
    let rejects = match path("rejects") {
        path if path.exists() => read_rejects(&path, usize::MAX).unwrap(),
        _ => Vec::new(),
    };
    Ok(Outcome {
        report,
        rejects,
        converted: rows_of(&path("converted")),
        partial: rows_of(&path("partial")),
    })
}

/// Asserts that the converted rows give the same partial, whether memory suffices or not.
fn is_made_anew(partial: &Partial, days: &[DayLines], sales: &SalesLayout, folder: &TempDir) {
    let path = |name: &str| folder.path().join(name);
    for memory in [0, usize::MAX] {
        let memory = &Budget::new(memory);
        let scratch = Scratch {
            folder: folder.path(),
            memory,
        };
        let (anew, of_rows) = partial_of_rows(&path("converted"), sales, scratch).unwrap();
        anew.write(&path("anew"), &Budget::new(0)).unwrap();
        assert_eq!(of_rows, days);
        match partial.is_spilled() || anew.is_spilled() {
            // Row groups may be cut elsewhere.
            true => assert_eq!(rows_of(&path("anew")), rows_of(&path("partial"))),
            false => assert!(std::fs::read(path("anew")).unwrap() == std::fs::read(path("partial")).unwrap()),
        }
    }
}

/// Converts bytes with the public function.
fn read_publicly(bytes: impl Read + Send, layout: &FeedLayout) -> Result<Outcome, String> {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (rejects, converted) = (path("rejects"), path("converted"));
    let outputs = Outputs {
        converted: Some(&converted),
        rejects: Some(&rejects),
    };
    let scratch = Scratch {
        folder: folder.path(),
        memory: &Budget::new(usize::MAX),
    };
    let conversion = pool(3)
        .install(|| convert(bytes, layout, outputs, scratch, |_| ()))
        .map_err(|error| error.to_string())?;
    outcome(conversion, layout, &folder)
}

/// Compares all ways with the definition, and returns the definition's result.
fn agree(text: &[u8], layout: &FeedLayout, is_decoded: bool, ways: &[Way]) -> Result<Outcome, String> {
    let expected = read_by(DEFINITION, text, layout, is_decoded);
    for way in ways {
        let found = read_by(*way, text, layout, is_decoded);
        if found != expected {
            let path = std::env::temp_dir().join("gristmill-ways-disagree");
            File::create(&path)
                .and_then(|mut file| file.write_all(text))
                .unwrap();
            let text = String::from_utf8_lossy(&text[..text.len().min(2000)]).into_owned();
            panic!("{way:?} on {text:?}\nfound:    {found:?}\nexpected: {expected:?}");
        }
    }
    expected
}

fn layout(change: impl FnOnce(&mut FeedSpec)) -> FeedLayout {
    let mut spec = FeedSpec {
        max_reject_percent: 100.0,
        ..FeedSpec::default()
    };
    change(&mut spec);
    FeedLayout::new(&spec).unwrap()
}

fn columns(names: &str) -> Vec<String> {
    names.split(' ').map(str::to_owned).collect()
}

/// Layouts that differ in columns, delimiter, ids and dates.
fn layouts() -> Vec<FeedLayout> {
    vec![
        layout(|_| ()),
        layout(|spec| spec.header = HeaderRule::Never),
        layout(|spec| {
            spec.delimiter = "|".into();
            spec.columns = columns("a trans_date b item_id code c amount store_id");
        }),
        layout(|spec| {
            spec.delimiter = ",".into();
            spec.columns = columns("amount code trans_date a b store_id item_id c");
            spec.id_chars = 16;
            spec.values.dates = Some(vec!["%d/%m/%Y".into()]);
        }),
        layout(|spec| {
            spec.delimiter = "-".into();
            spec.values.dates = Some(vec!["%Y%m%d".into()]);
            spec.header = HeaderRule::Always;
        }),
        layout(|spec| {
            spec.delimiter = " ".into();
            spec.id_chars = 1;
            spec.measures = [
                ("one".to_owned(), (-4).into()),
                ("two".to_owned(), 2_147_483_647.into()),
            ]
            .into();
        }),
        layout(|spec| {
            spec.columns = columns("item_id name");
            spec.reference = true;
            spec.measures.clear();
        }),
    ]
}

fn one_of(texts: &'static [&'static [u8]]) -> BoxedStrategy<Vec<u8>> {
    prop::sample::select(texts).prop_map(<[u8]>::to_vec).boxed()
}

/// A few bytes that have a special meaning somewhere. A tab stands for the delimiter.
fn hostile() -> BoxedStrategy<Vec<u8>> {
    let bytes = b"\t\t\"\"\r\0 a1-.\x0b\x0c\x7f\x80\xff\xc3\xa9\xef\xbb\xbf\xbd".to_vec();
    prop::collection::vec(prop::sample::select(bytes), 0..6).boxed()
}

fn id() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => one_of(&[b"s1", b"s2", b"S01001", b"ITM-00001", b"a b"]),
        3 => "[ab]{14,17}|[ab]{24,27}|[é]{7,9}|[é]{12,14}|[é]{24,26}".prop_map(String::into_bytes),
        2 => one_of(&[
            b"", b" ", b"  \x0c ", b"\"a\"", b"\"\"", b"\"", b"\"a\"\"b\"", b"\"a\tb\"", b"\"a\"b", b"a\"b", b"\"a",
            b"\"\t\"", b"\"\"\"", b"\"\"\"\"", b"\" \"", b"a\r", b"\ra", b"\x0b", b"\xef\xbf\xbd", b"\"\xef\xbf\xbd\"",
            b"CAF\xc3(", b"NUL\0INSIDE", b"\0", b"\"abcdefghijklmnop\"", b"\"abcdefghijklmnopqrstuvwxyz\"", b"-", b"--",
        ]),
        1 => hostile(),
    ]
    .boxed()
}

fn amount() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => "-?[0-9]{1,6}\\.[0-9]{2}".prop_map(String::into_bytes),
        3 => "[-+]?[0-9]{0,6}\\.?[0-9]{0,3}| {0,9}[0-9]\\.[0-9]{2} {0,3}".prop_map(String::into_bytes),
        2 => one_of(&[
            b"", b"-", b".", b"-.", b"1:.00", b"1/.00", b"1.0:", b"\xb1.00", b"1,00", b"12.345", b"1e3", b"--1", b"-.50",
            b"9999999999999999.99", b"-9999999999999999.99", b"10000000000000000.00", b"\"1.50\"", b"\"-1.50\"",
            b"\"1.5\"\"\"", b"1.50\"", b"\"1.50", b"\"1.50\"0", b"1.50\r", b"0000000000000000000000001.50", b"1.5\0",
            b"12345.67", b"123456.78", b"-12345.67", b"-123456.78", b"\t1.50", b"\x0b1.50", b"1 .50",
        ]),
        1 => hostile(),
    ]
    .boxed()
}

fn code() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        8 => one_of(&[b"4", b"5", b"6", b"13", b"-4"]),
        2 => one_of(&[
            b"", b" 4 ", b"+4", b"04", b"4.0", b"x", b"2147483647", b"2147483648", b"-2147483648", b"\"4\"", b"\"4", b"4\"",
            b"4\r", b"00000000000000000004", b"                   4", b"-", b"4\0", b"\xd9\xa4",
        ]),
        1 => hostile(),
    ]
    .boxed()
}

fn date() -> BoxedStrategy<Vec<u8>> {
    let good: &[&[u8]] = &[
        b"2016-06-01",
        b"2016-06-02",
        b"01/06/2016",
        b"20160601",
        b"0001-01-01",
        b"9999-12-31",
    ];
    prop_oneof![
        9 => one_of(good),
        2 => one_of(&[
            b"", b"2016-02-30", b"2016-6-1", b" 2016-06-01 ", b"        2016-06-01        ", b"\"2016-06-01\"",
            b"\"2016-06-01", b"2016-06-01\"", b"2016-06-01\r", b"0000-01-01", b"2016-06-011", b"2016-06-0\xff",
        ]),
        1 => hostile(),
    ]
    .boxed()
}

fn other() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => one_of(&[b"x", b"", b"kiosk", b"T-20417"]),
        2 => one_of(&[b"\"q\"", b"\"a\tb\"", b"\"a\t\t\"\"b\"", b"\"open", b"\"a\"b", b"say \"hi\"", b"\r", b"\"\"", b"\""]),
        1 => hostile(),
    ]
    .boxed()
}

/// The fields of a line: the five needed ones, and others to go between and after them.
type Values = ([Vec<u8>; 5], Vec<Vec<u8>>);

fn values() -> impl Strategy<Value = Values> {
    let needed = (id(), amount(), code(), id(), date()).prop_map(|(s, a, c, i, d)| [s, a, c, i, d]);
    (needed, prop::collection::vec(other(), 3..6))
}

#[derive(Clone, Debug)]
enum Text {
    /// Fields in the order of the layout, and how many of the last ones to leave out.
    Fields(Values, usize),
    /// The needed columns' names.
    Header,
    Other(Vec<u8>),
}

fn line() -> impl Strategy<Value = (Text, &'static [u8])> {
    let text = prop_oneof![
        20 => (values(), prop_oneof![8 => Just(0), 1 => 0..9_usize]).prop_map(|(v, left_out)| Text::Fields(v, left_out)),
        1 => Just(Text::Header),
        3 => one_of(&[b"", b"--", b"-- noise\tx", b"   ", b"\t\t", b"-x\t1\t4", b"\x0c", b"\x0b", b"\r", b"\xef\xbb\xbf"])
            .prop_map(Text::Other),
        2 => hostile().prop_map(Text::Other),
    ];
    let end = prop_oneof![
        12 => Just(&b"\n"[..]), 3 => Just(&b"\r\n"[..]), 1 => Just(&b"\r\r\n"[..]), 1 => Just(&b"\r"[..]), 1 => Just(&b"\0\n"[..]),
    ];
    (text, end)
}

/// Returns the bytes of lines for a layout.
fn bytes(lines: &[(Text, &[u8])], layout: &FeedLayout) -> Vec<u8> {
    let mut order: Vec<usize> = (0..5).collect();
    if let Some(sales) = layout.sales() {
        let position = |input: &Input| match input.source {
            Source::Field { position, .. } => position.unwrap(),
            _ => panic!("{input:?} is no column"),
        };
        let positions: Vec<usize> = sales.inputs.iter().map(position).collect();
        order = vec![5; positions.iter().max().unwrap() + 1];
        for (column, position) in positions.into_iter().enumerate() {
            order[position] = column;
        }
    }
    let mut bytes = Vec::new();
    for (text, end) in lines {
        match text {
            Text::Fields((needed, others), left_out) => {
                let mut others = others.iter();
                let mut fields: Vec<&[u8]> = Vec::new();
                for column in &order {
                    fields.extend(match column {
                        5 => others.next().map(Vec::as_slice),
                        column => Some(needed[*column].as_slice()),
                    });
                }
                fields.extend(others.map(Vec::as_slice));
                fields.truncate(fields.len() - left_out.min(&fields.len()));
                bytes.extend(fields.join(&b'\t'));
            }
            Text::Header => bytes.extend(b"code\titem_id\tTrans_Date \tnote\tAMOUNT\tstore_id"),
            Text::Other(text) => bytes.extend(text),
        }
        bytes.extend(*end);
    }
    // If the delimiter is a hyphen, a date's hyphens are delimiters.
    for byte in &mut bytes {
        if *byte == b'\t' {
            *byte = layout.plain_delimiter().unwrap();
        }
    }
    bytes
}

/// Ways that differ in everything that may differ.
fn ways(unit: usize) -> Vec<Way> {
    let plain = Way {
        is_general: false,
        ..DEFINITION
    };
    vec![
        plain,
        Way { unit, ..plain },
        Way {
            unit,
            threads: 3,
            ..plain
        },
        Way {
            unit: 2 * unit,
            threads: 2,
            is_general: true,
            ..plain
        },
        // Sums are spilled to files after each unit.
        Way {
            unit: 3 * unit,
            threads: 2,
            memory: 0,
            ..plain
        },
    ]
}

/// Plain lines are read in place from the second part on, because the first may have a header. Here each line is a
/// part, or every few lines are.
fn by_lines() -> [Way; 2] {
    [1, 80].map(|unit| Way {
        is_general: false,
        unit,
        ..DEFINITION
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn plain_lines_are_read_as_the_definition_says(
        lines in prop::collection::vec(line(), 0..30),
        number in 0..layouts().len(),
        is_decoded in any::<bool>(),
        has_nul in any::<bool>(),
    ) {
        let layout = &layouts()[number];
        let mut text = bytes(&lines, layout);
        // One NUL keeps all lines around it from being read in place.
        text.retain(|byte| has_nul || *byte != 0);
        let _ = agree(&text, layout, is_decoded, &by_lines());
    }

    #[test]
    fn one_odd_line_among_good_ones(values in values(), number in 0..6_usize, end in line()) {
        // Most hostile lines are rejects for several reasons. Here, at most one field is odd.
        let layout = &layouts()[number];
        let good = |date: &[u8]| {
            let needed = [b"s1".to_vec(), b"1.50".to_vec(), b"4".to_vec(), b"i1".to_vec(), date.to_vec()];
            (Text::Fields((needed, vec![b"x".to_vec(); 3]), 0), &b"\n"[..])
        };
        let good = match number {
            3 => good(b"01/06/2016"),
            4 => good(b"20160601"),
            _ => good(b"2016-06-01"),
        };
        let Text::Fields(of_good, _) = &good.0 else { unreachable!() };
        let mut lines = vec![good.clone()];
        for column in 0..5 {
            let mut odd = of_good.clone();
            odd.0[column] = values.0[column].clone();
            lines.push((Text::Fields(odd, 0), end.1));
            lines.push(good.clone());
        }
        let mut odd = of_good.clone();
        odd.1 = values.1.clone();
        lines.push((Text::Fields(odd, 0), end.1));
        let mut text = bytes(&lines, layout);
        text.retain(|byte| *byte != 0);
        let outcome = agree(&text, layout, false, &by_lines());
        prop_assert!(outcome.is_err() || outcome.is_ok_and(|outcome| outcome.report.lines > 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn units_and_threads_do_not_matter(
        lines in prop::collection::vec(line(), 0..40),
        number in 0..layouts().len(),
        unit in 1..200_usize,
    ) {
        let layout = &layouts()[number];
        let text = bytes(&lines, layout);
        let _ = agree(&text, layout, false, &ways(unit));
    }
}

/// Returns the bytes as UTF-8 without a byte-order mark, and whether they had another encoding.
fn decoded(bytes: &[u8]) -> (Vec<u8>, bool) {
    match Encoding::for_bom(bytes) {
        Some((encoding, bom)) if encoding != UTF_8 => {
            let (text, _) = encoding.decode_without_bom_handling(&bytes[bom..]);
            (text.into_owned().into_bytes(), true)
        }
        Some((_, bom)) => (bytes[bom..].to_vec(), false),
        None => (bytes.to_vec(), false),
    }
}

#[test]
fn feeds_with_every_kind_of_dirt_are_read_alike_in_all_ways() {
    for (seed, quoted) in [(1, false), (2, true)] {
        let feed = Feed {
            seed,
            files: 30,
            lines_per_file: 250,
            stores: 5,
            quoted,
            dirt: Dirt::every_kind(),
            ..Feed::default()
        };
        let layout = layout(|_| ());
        let mut seen = ConversionReport::default();
        for number in 0..feed.files {
            let bytes = feed.file_bytes(number).unwrap();
            let (text, is_decoded) = decoded(&bytes);
            let outcome = agree(&text, &layout, is_decoded, &ways(1 + 400 * number as usize)).unwrap();
            assert_eq!(read_publicly(&bytes[..], &layout).as_ref(), Ok(&outcome));
            // The bytes arrive one by one, with interruptions.
            let slow = Slow {
                bytes: &bytes,
                count: 0,
            };
            assert_eq!(read_publicly(slow, &layout).as_ref(), Ok(&outcome));
            seen.add(&outcome.report);
        }
        assert!(
            seen.rows > 0 && seen.ignored > 0 && seen.skipped > 0 && seen.rejects > 0 && seen.drift_lines > 0
        );
    }
}

struct Slow<'t> {
    bytes: &'t [u8],
    count: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.count += 1;
        if self.count.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = buffer.len().min(1).min(self.bytes.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

#[test]
fn long_lines_are_the_same_rejects_wherever_units_end() {
    let good = b"v1\t1\t4\ti1\t2016-06-01\n".to_vec();
    let long = |start: &[u8], length: usize| {
        let mut line = start.to_vec();
        line.resize(length, b'x');
        line.push(b'\n');
        line
    };
    let blank = [vec![b' '; MAX_LINE_FOR_TESTS], vec![b'\n']].concat();
    let header = b"code\titem_id\ttrans_date\tamount\tstore_id\n".to_vec();
    let by_header = b"4\ti1\t2016-06-01\t1\tv1\n".to_vec();
    let texts = [
        // Too long by one, and just not too long, at the beginning, in the middle and at the end.
        [long(&good[..20], MAX_LINE_FOR_TESTS), good.clone()].concat(),
        [good.clone(), long(&good[..20], MAX_LINE_FOR_TESTS), good.clone()].concat(),
        [
            good.clone(),
            long(b"v1\t1\t4\ti1\t2016-06-01\t", MAX_LINE_FOR_TESTS - 1),
            good.clone(),
        ]
        .concat(),
        [
            good.clone(),
            long(b"v1\t1\t4\ti1\t2016-06-01\t", MAX_LINE_FOR_TESTS - 1),
        ]
        .concat(),
        [good.clone(), vec![b'y'; MAX_LINE_FOR_TESTS]].concat(),
        // The length of a comment or a blank line counts as well.
        [good.clone(), long(b"--", MAX_LINE_FOR_TESTS), good.clone()].concat(),
        [good.clone(), blank, good.clone()].concat(),
        // A line that is too long is not the first line that decides whether there is a header.
        [long(b"x", 2 * MAX_LINE_FOR_TESTS), header, by_header].concat(),
        // With a CR.
        [
            good.clone(),
            long(b"z", MAX_LINE_FOR_TESTS - 2),
            b"\r\n".to_vec(),
            good.clone(),
        ]
        .concat(),
    ];
    let layout = layout(|_| ());
    for text in &texts {
        for unit in [1, 4096, UNIT, MAX_LINE_FOR_TESTS + 5] {
            for threads in [1, 2, 8] {
                let way = Way {
                    unit,
                    threads,
                    is_general: threads == 2,
                    ..DEFINITION
                };
                let (found, expected) = (
                    read_by(way, text, &layout, false),
                    read_by(DEFINITION, text, &layout, false),
                );
                assert!(
                    found == expected,
                    "{way:?} of {:?}",
                    String::from_utf8_lossy(&text[..40])
                );
            }
        }
    }
    let header = read_by(DEFINITION, &texts[7], &layout, false).unwrap();
    assert_eq!(header.report.header, Header::ByName);
    assert_eq!((header.report.rows, header.report.rejects), (1, 1));
    for text in &texts[5..7] {
        assert_eq!(
            read_by(DEFINITION, text, &layout, false).unwrap().report.rejects,
            1
        );
    }
}

const MAX_LINE_FOR_TESTS: usize = MAX_LINE;

/// Yields its bytes, then fails.
struct Fails<'t>(&'t [u8]);

impl Read for Fails<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the cable was pulled")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_source_that_fails_fails_the_conversion_on_any_number_of_threads() {
    let layout = layout(|_| ());
    let text = b"v1\t1\t4\ti1\t2016-06-01\nbad\n".repeat(40_000);
    for length in [0, 1, 2, 100, 300_000, text.len()] {
        for threads in [1, 2, 8] {
            let folder = TempDir::new().unwrap();
            let scratch = Scratch {
                folder: folder.path(),
                memory: &Budget::new(0),
            };
            let rejects = folder.path().join("rejects");
            let outputs = Outputs {
                converted: None,
                rejects: Some(&rejects),
            };
            let converted =
                pool(threads).install(|| convert(Fails(&text[..length]), &layout, outputs, scratch, |_| ()));
            assert!(matches!(converted, Err(EngineError::Read(_))), "{converted:?}");
            let left = folder.path().read_dir().unwrap().count();
            assert!(left <= 1, "{left} files are left: only the rejects may be");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_fails_the_conversion_on_any_number_of_threads() {
    let layout = layout(|_| ());
    let text = b"v1\t1\t4\ti1\t2016-06-01\nbad\n".repeat(40_000);
    for threads in [1, 2, 8] {
        for (rejects, memory) in [("nowhere/rejects", usize::MAX), ("rejects", 0)] {
            let folder = TempDir::new().unwrap();
            let rejects = folder.path().join(rejects);
            let outputs = Outputs {
                converted: None,
                rejects: Some(&rejects),
            };
            let scratch = Scratch {
                folder: &folder.path().join("nowhere"),
                memory: &Budget::new(memory),
            };
            let converted = pool(threads).install(|| convert(&text[..], &layout, outputs, scratch, |_| ()));
            assert!(
                matches!(converted, Err(EngineError::Write { .. })),
                "{converted:?}"
            );
        }
    }
}

#[test]
fn the_report_tells_what_the_rows_say_of_each_store_and_day() {
    let layout = layout(|_| ());
    let text = b"v2\t1\t4\ti1\t2016-06-02\nv1\t1\t13\ti1\t2016-06-01\nv1\t1\t13\ti1\t2016-06-09\nv1\tx\t4\ti1\t2016-07-01\n\
        v1\t2.50\t4\ti1\t2016-06-02\nv1\t-0.50\t4\ti2\t2016-06-02\nv1\t-3\t6\ti1\t2016-06-02\nv1\t4\t4\ti1\t2016-06-05\n";
    let day = |store: &str, day, lines, turnover| DayLines {
        store_id: store.to_owned(),
        trans_date: from_days(day),
        lines: Some(lines),
        turnover,
    };
    for way in ways(1) {
        let report = read_by(way, text, &layout, false).unwrap().report;
        let expected = [
            day("v1", 16_954, 3, 500),
            day("v1", 16_957, 1, 400),
            day("v2", 16_954, 1, 100),
        ];
        assert_eq!(report.days, expected);
        assert_eq!(report.first_date, Some(from_days(16_954)));
        assert_eq!(report.last_date, Some(from_days(16_957)));
    }
}
