//! What must hold for any bytes, one function for each reader of records. The first bytes choose the settings, so that a
//! fuzzer finds odd ones as well; the others are the file. For tables and archives, all bytes are the file.
//!
//! A target panics if conversion fails, if records are lost, or if `preview` and the conversion disagree about a record.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill_engine::{
    Archive, ArchiveError, Budget, Conversion, ConversionReport, EngineError, FeedLayout, FeedSpec,
    FieldSpec, FormatWord, HeaderRule, NegativeForm, Outcome, Outputs, PositionSpec, Scratch, TotalPosition,
    TrailerSpec, convert, convert_in_order, preview,
};
use gristmill_infer::{Sample, Wanted};

/// What is called with bytes.
pub type Target = fn(&[u8]);

/// All targets, by their names.
pub const TARGETS: [(&str, Target); 9] = [
    ("plain", plain),
    ("delimited", delimited),
    ("fixed", fixed),
    ("json", json),
    ("kinds", kinds),
    ("packed", packed),
    ("tables", tables),
    ("archives", archives),
    ("infer", infer),
];

/// Takes choices off the beginning of bytes.
struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    /// Takes one of these. Without bytes, it is the first.
    fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        let (first, rest) = self
            .0
            .split_first()
            .map_or((0, self.0), |(first, rest)| (usize::from(*first), rest));
        self.0 = rest;
        of[first % of.len()]
    }

    fn is(&mut self) -> bool {
        *self.one(&[&false, &true])
    }
}

fn usual(choices: &mut Choices<'_>) -> FeedSpec {
    let mut spec = FeedSpec {
        max_reject_percent: 100.0,
        ..FeedSpec::default()
    };
    spec.values.decimal = Some(choices.one(&[".", ","]).to_owned());
    spec.values.negative = Some(vec![
        NegativeForm::Before,
        NegativeForm::Trailing,
        NegativeForm::Parentheses,
    ]);
    spec.values.scale = choices.is().then_some(2);
    spec.values.dates = Some(vec![
        choices
            .one(&["%Y-%m-%d", "%m/%d/%y", "%d-%b-%Y %I:%M %p", "%Y%j"])
            .to_owned(),
    ]);
    choices
        .one(&["utf-8", "windows-1252", "utf-16le", "shift_jis"])
        .clone_into(&mut spec.encoding);
    spec
}

/// Plain text: the fast way, which marks fields many bytes at a time and parses lines in place, finds what the careful way
/// finds, which reads the same lines with a delimiter of two bytes.
pub fn plain(bytes: &[u8]) {
    // Doubled tabs part the same fields, and a line of nothing else is as blank as before.
    const CAREFUL: &str = "\t\t";
    let mut choices = Choices(bytes);
    let mut fast = usual(&mut choices);
    fast.encoding = "utf-8".to_owned();
    fast.delimiter = "\t".to_owned();
    choices.one(&["\"", "none"]).clone_into(&mut fast.quote);
    let mut careful = fast.clone();
    careful.delimiter = CAREFUL.to_owned();
    let text = choices.0;
    // These marks begin UTF-16, where a tab has two bytes.
    if text.starts_with(&[0xFF, 0xFE]) || text.starts_with(&[0xFE, 0xFF]) {
        return;
    }
    let same = text
        .split(|byte| *byte == b'\t')
        .collect::<Vec<_>>()
        .join(CAREFUL.as_bytes());
    let (Some(fast), Some(careful)) = (holds(&fast, text), holds(&careful, &same)) else {
        return;
    };
    // What its first bytes tell to be no text is refused unread, and doubled tabs move these bytes.
    if fast.lines == 0 || careful.lines == 0 {
        return;
    }
    let counts = |report: &ConversionReport| {
        [
            report.lines,
            report.rows,
            report.ignored,
            report.skipped,
            report.rejects,
        ]
    };
    assert_eq!(counts(&fast), counts(&careful), "both ways count the same");
    assert_eq!(
        fast.rejected_because.is_some(),
        careful.rejected_because.is_some(),
        "both ways take the file, or refuse it"
    );
    assert_eq!(fast.days, careful.days, "both ways find the same days and sums");
}

/// Delimited text of any kind.
pub fn delimited(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut spec = usual(&mut choices);
    choices
        .one(&["\t", ",", "||", "~|~", ";"])
        .clone_into(&mut spec.delimiter);
    choices.one(&["\"", "none", "'"]).clone_into(&mut spec.quote);
    if spec.quote != "none" {
        spec.escape = choices.is().then(|| "\\".to_owned());
        spec.quoted_newlines = choices.is();
    }
    spec.header = *choices.one(&[&HeaderRule::Auto, &HeaderRule::Always, &HeaderRule::Never]);
    if spec.header != HeaderRule::Never && choices.is() {
        spec.header_line = Some(3);
    }
    holds(&spec, choices.0);
}

/// Fixed positions, with and without line ends.
pub fn fixed(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut spec = usual(&mut choices);
    at_positions(&mut spec);
    spec.record_length = choices.is().then_some(12);
    choices
        .one(&["utf-8", "cp037", "cp1047", "windows-1252"])
        .clone_into(&mut spec.encoding);
    spec.values.negative = Some(vec![NegativeForm::Overpunch]);
    holds(&spec, choices.0);
}

fn at_positions(spec: &mut FeedSpec) {
    spec.format = FormatWord::Fixed;
    spec.columns.clear();
    let at = |start, length| FieldSpec::Place(PositionSpec::Characters { start, length });
    spec.fields = [
        ("store_id", at(1, 2)),
        ("amount", at(3, 3)),
        ("code", at(6, 1)),
        ("item_id", at(7, 2)),
        ("trans_date", at(9, 4)),
    ]
    .map(|(name, place)| (name.to_owned(), place))
    .into();
}

/// JSON, as lines and as an array, with and without arrays inside.
pub fn json(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut spec = usual(&mut choices);
    spec.format = FormatWord::Json;
    spec.columns.clear();
    spec.explode = match choices.one(&["", "a[]", "a[].b[]", "a.b[]"]) {
        "" => None,
        explode => Some(explode.to_owned()),
    };
    holds(&spec, choices.0);
}

/// Records of several kinds, with a trailer.
pub fn kinds(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut spec = usual(&mut choices);
    "|".clone_into(&mut spec.delimiter);
    spec.columns.insert(0, "kind".to_owned());
    spec.records.kind = Some(gristmill_engine::KindSpec {
        column: Some(1),
        start: None,
        length: None,
        rows: vec!["D".to_owned()],
        skip: vec!["H".to_owned()],
        fields: std::collections::BTreeMap::new(),
    });
    spec.records.trailer = choices.is().then(|| TrailerSpec {
        begins: "T".to_owned(),
        lines: Some(TotalPosition::Column(2)),
        sum: Some(TotalPosition::Column(3)),
    });
    holds(&spec, choices.0);
}

/// Packed files: what is behind the first byte is taken for gzip, zstd, bzip2 or xz.
pub fn packed(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let begins: &[u8] = choices.one(&[
        &b""[..],
        &[0x1F, 0x8B, 8],
        &[0x28, 0xB5, 0x2F, 0xFD],
        b"BZh91A",
        &[0xFD, b'7', b'z', b'X', b'Z', 0],
    ]);
    holds(&FeedSpec::default(), &[begins, choices.0].concat());
}

/// Tables of other programs. Their first bytes say which kind they are.
pub fn tables(bytes: &[u8]) {
    let format = match bytes {
        [b'P', b'A', b'R', b'1', ..] => FormatWord::Parquet,
        [b'P', b'K', ..] | [0xD0, 0xCF, ..] => FormatWord::Xlsx,
        _ => FormatWord::Dbf,
    };
    let spec = FeedSpec {
        format,
        columns: Vec::new(),
        max_reject_percent: 100.0,
        ..FeedSpec::default()
    };
    holds(&spec, bytes);
}

/// Archives: each is refused, or what is read of its members is what its list says.
pub fn archives(bytes: &[u8]) {
    let file = Arc::new(written(bytes).expect("a temporary file can be written"));
    let archive = match Archive::open(file) {
        Ok(Some(archive)) => archive,
        Ok(None) | Err(ArchiveError::Refused(_)) => return,
        Err(error) => panic!("{error}: {error:?}"),
    };
    let all: Vec<usize> = (0..archive.members().len()).collect();
    // Nothing that a fuzzer makes is large, but it may say so.
    if archive.members().iter().any(|member| member.bytes > 1 << 20) {
        return;
    }
    let folder = std::env::temp_dir();
    for batch in archive.batches(&all, &folder) {
        let Ok(batch) = batch else { return };
        for (number, content) in batch {
            assert_eq!(content.bytes(), archive.members()[number].bytes);
            if let Ok(read) = io::copy(&mut content.open(), &mut io::sink()) {
                assert_eq!(read, content.bytes(), "a member is whole, or is refused");
            }
        }
    }
}

/// A file without a name that holds these bytes.
fn written(bytes: &[u8]) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("gristmill-fuzz-{}-{number}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(path)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// The search for settings: it ends, whatever the samples hold.
pub fn infer(bytes: &[u8]) {
    let sample = Sample::read("IL-1-20160601.tdf", bytes, 1 << 16).expect("memory can be read");
    let wanted = Wanted {
        feed: "sales".to_owned(),
        profile: None,
    };
    let inferred = gristmill_infer::infer(std::slice::from_ref(&sample), &wanted);
    assert!(
        !inferred.settings.is_empty() || !inferred.questions.is_empty(),
        "nothing is said"
    );
    let _ = sample.whole_records(inferred.record_length);
}

/// Converts bytes with settings, and checks what must hold. Returns the report, if the settings can be used and the file is
/// no archive.
fn holds(spec: &FeedSpec, bytes: &[u8]) -> Option<ConversionReport> {
    let layout = FeedLayout::new(spec).ok()?;
    let memory = Budget::new(1 << 20);
    let folder = std::env::temp_dir();
    let scratch = Scratch {
        folder: &folder,
        memory: &memory,
    };
    let converted = match convert(bytes, &layout, Outputs::default(), scratch, |_| ()) {
        Err(EngineError::ColumnsMoved) => {
            convert_in_order(bytes, &layout, Outputs::default(), scratch, |_| ())
        }
        done => done,
    };
    let report = match converted {
        Ok(Conversion { report, .. }) => report,
        // The members of an archive are files of their own.
        Err(EngineError::Overflow { .. } | EngineError::TooManyItems | EngineError::Archive) => return None,
        Err(error) => panic!("{error}: {error:?}"),
    };
    assert_eq!(report.bytes, bytes.len() as u64, "all bytes are read");
    let counted = report.rows + report.ignored + report.skipped + report.rejects;
    assert_eq!(report.lines, counted, "every record is counted once");
    let seen = preview(bytes, &layout, scratch, usize::MAX).expect("what is converted can be looked at");
    // What is counted without being read is not seen, and neither is what the file is rejected for as a whole.
    assert!(
        seen.len() as u64 <= report.lines || report.lines == 0,
        "{} of {}",
        seen.len(),
        report.lines
    );
    let rows = seen
        .iter()
        .filter(|record| record.outcome == Outcome::Row)
        .count() as u64;
    if report.rejected_because.is_none() {
        assert_eq!(rows, report.rows, "both see the same rows");
    }
    Some(report)
}
