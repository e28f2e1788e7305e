//! Feed layouts: how the files of one feed are written, and what they must contain.
//!
//! [`FeedSpec`] is what a person writes in a `[[feed]]` table; [`FeedLayout`] is the same, checked and ready to use.

mod digest;

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use crate::date::DateFormat;
use crate::guards::{FeedGuards, LateLines, SecondFile};
use crate::header;
use crate::pattern::FilePattern;
use crate::records::{RecordRules, RecordsSpec};

/// The columns that a sales feed must name, in the order of [`Needed`].
pub(crate) const NEEDED_COLUMNS: [&str; 5] = ["store_id", "amount", "code", "item_id", "trans_date"];

/// A `[[feed]]` table as written in the settings file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSpec {
    /// The feed's name: a word of letters, digits, `-` and `_`.
    pub name: String,
    /// Which files belong to it, as a [`FilePattern`].
    pub files: String,
    /// The names of the columns, in order; further columns in a file are ignored.
    pub columns: Vec<String>,
    /// The summary's amount columns, each with the transaction code whose amounts it sums.
    #[serde(default)]
    pub measures: BTreeMap<String, i32>,
    /// Whether the feed is tracked and validated as text, and never aggregated.
    #[serde(default)]
    pub reference: bool,
    /// The one character between two fields.
    #[serde(default = "defaults::delimiter")]
    pub delimiter: String,
    /// Whether the first line names the columns.
    #[serde(default)]
    pub header: HeaderRule,
    /// The number of the line that names the columns, from 1, if titles stand above it.
    #[serde(default)]
    pub header_line: Option<u32>,
    /// What the names in a header are for.
    #[serde(default)]
    pub header_names: HeaderNames,
    /// How files are cut into lines, and which lines count.
    #[serde(default)]
    pub records: RecordsSpec,
    /// The encoding of files without a byte-order mark: a label of the WHATWG encoding standard.
    #[serde(default = "defaults::encoding")]
    pub encoding: String,
    /// The format of dates, made of `%Y`, `%m`, `%d` and literal text.
    #[serde(default = "defaults::date_format")]
    pub date_format: String,
    /// The greatest length of a store or item id, in characters.
    #[serde(default = "defaults::id_chars")]
    pub id_chars: usize,
    /// A file with a greater percentage of rejects among its lines is rejected as a whole.
    #[serde(default = "defaults::max_reject_percent")]
    pub max_reject_percent: f64,
    /// What a newer submission replaces.
    #[serde(default)]
    pub supersede: Supersede,
    /// What becomes of a few lines of an older day.
    #[serde(default)]
    pub late: LateLines,
    /// A version with a smaller percentage of the lines that stand is held; 0 for none.
    #[serde(default = "defaults::shrink_percent")]
    pub shrink_percent: f64,
    /// What becomes of a second file of one store and day.
    #[serde(default)]
    pub same_day: SecondFile,
    /// Whether a file whose name says another store than its lines is rejected.
    #[serde(default)]
    pub check_store: bool,
}

mod defaults {
    pub(super) fn delimiter() -> String {
        "\t".into()
    }
    pub(super) fn encoding() -> String {
        "utf-8".into()
    }
    pub(super) fn date_format() -> String {
        "%Y-%m-%d".into()
    }
    pub(super) fn id_chars() -> usize {
        25
    }
    pub(super) fn max_reject_percent() -> f64 {
        10.0
    }
    pub(super) fn shrink_percent() -> f64 {
        50.0
    }
}

/// Whether a file's first line names its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderRule {
    /// A first line is a header if it names columns, or if its amount and code are not numbers.
    #[default]
    Auto,
    /// The first line is a header.
    Always,
    /// The first line is data.
    Never,
}

/// What the names in a header are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderNames {
    /// They say where the columns are. A header that lacks a needed one has the file rejected.
    #[default]
    Use,
    /// For nothing: columns are read by position.
    Ignore,
}

/// What a newer submission replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supersede {
    /// The earlier submission of the same file.
    #[default]
    File,
    /// For each store and date, everything that older files hold. For feeds whose file names change with each wave.
    StoreDay,
}

/// A checked feed layout.
#[derive(Clone, Debug)]
pub struct FeedLayout {
    /// The feed's name.
    pub name: String,
    /// Which files belong to the feed.
    pub files: FilePattern,
    /// The byte between two fields.
    pub delimiter: u8,
    /// Whether the first line names the columns.
    pub header: HeaderRule,
    /// The number of the header's line, from 1, if titles stand above it.
    pub header_line: Option<u32>,
    /// What the names in a header are for.
    pub header_names: HeaderNames,
    /// How files are cut into lines, and which lines count.
    pub records: RecordRules,
    /// The encoding of files without a byte-order mark.
    pub encoding: &'static Encoding,
    /// A file with a greater percentage of rejects among its lines is rejected as a whole.
    pub max_reject_percent: f64,
    /// Which versions are held.
    pub guards: FeedGuards,
    /// What the lines hold.
    pub kind: FeedKind,
    digest: String,
    digest_before: Option<String>,
}

/// What the lines of a feed hold.
#[derive(Clone, Debug)]
pub enum FeedKind {
    /// Point-of-sale lines, to be aggregated.
    Sales(SalesLayout),
    /// Text that is tracked and not aggregated: the names of its columns, in order.
    Reference(Vec<String>),
}

/// The positions of the five columns of a point-of-sale line, and how they are read.
#[derive(Clone, Debug)]
pub struct SalesLayout {
    /// Field positions from 0.
    pub positions: Needed,
    /// The amount columns of the summary, in the order of their codes.
    pub measures: Vec<Measure>,
    /// The format of dates.
    pub date_format: DateFormat,
    /// The greatest length of an id in characters.
    pub id_chars: usize,
    /// What a newer submission replaces.
    pub supersede: Supersede,
}

/// The field positions, from 0, of the columns that a point-of-sale line must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the column of that name")]
pub struct Needed {
    pub store_id: usize,
    pub amount: usize,
    pub code: usize,
    pub item_id: usize,
    pub trans_date: usize,
}

/// One amount column of the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The column's name.
    pub name: String,
    /// The transaction code whose amounts it sums.
    pub code: i32,
}

/// An invalid `[[feed]]` table: which key is wrong, and what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("feed {feed:?}: {key} {problem}")]
pub struct LayoutError {
    /// The feed's name.
    pub feed: String,
    /// The key of the `[[feed]]` table.
    pub key: &'static str,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

impl Needed {
    /// Finds the five columns among `names`, whatever their letter case and blanks. `Err` names the first that is missing.
    pub fn among<S: AsRef<str>>(names: &[S]) -> Result<Self, &'static str> {
        let position = |wanted: &'static str| {
            names
                .iter()
                .position(|name| header::is_name(name.as_ref(), wanted))
                .ok_or(wanted)
        };
        let [store_id, amount, code, item_id, trans_date] = NEEDED_COLUMNS;
        Ok(Self {
            store_id: position(store_id)?,
            amount: position(amount)?,
            code: position(code)?,
            item_id: position(item_id)?,
            trans_date: position(trans_date)?,
        })
    }

    /// Returns the five positions in the order of [`NEEDED_COLUMNS`].
    pub(crate) fn all(&self) -> [usize; 5] {
        let Self {
            store_id,
            amount,
            code,
            item_id,
            trans_date,
        } = *self;
        [store_id, amount, code, item_id, trans_date]
    }

    /// Creates the positions from those in the order of [`NEEDED_COLUMNS`].
    pub(crate) fn at([store_id, amount, code, item_id, trans_date]: [usize; 5]) -> Self {
        Self {
            store_id,
            amount,
            code,
            item_id,
            trans_date,
        }
    }

    /// Returns the greatest of the five positions.
    pub fn last(&self) -> usize {
        self.all().into_iter().fold(0, usize::max)
    }
}

impl FeedLayout {
    /// Checks a `[[feed]]` table.
    pub fn new(spec: &FeedSpec) -> Result<Self, LayoutError> {
        let fail = |key, problem: String| LayoutError {
            feed: spec.name.clone(),
            key,
            problem,
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if spec.name.is_empty() || !spec.name.chars().all(is_word) {
            return Err(fail(
                "name",
                "must be a word of letters, digits, '-' and '_'".into(),
            ));
        }
        let files = FilePattern::parse(&spec.files).map_err(|e| fail("files", e.to_string()))?;
        let delimiter = match spec.delimiter.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | b'0'..=b'9') => *byte,
            _ => {
                return Err(fail(
                    "delimiter",
                    r#"must be one ASCII character, such as "\t" or "|""#.into(),
                ));
            }
        };
        let encoding = Encoding::for_label(spec.encoding.as_bytes()).ok_or_else(|| {
            let problem = format!(
                "{:?} is not a known encoding: write \"utf-8\", \"windows-1252\", …",
                spec.encoding
            );
            fail("encoding", problem)
        })?;
        if !(0.0..=100.0).contains(&spec.max_reject_percent) {
            return Err(fail(
                "max_reject_percent",
                "must be a number from 0 to 100".into(),
            ));
        }
        if !(0.0..=100.0).contains(&spec.shrink_percent) {
            return Err(fail(
                "shrink_percent",
                "must be a number from 0 to 100; 0 turns it off".into(),
            ));
        }
        if spec.columns.is_empty() {
            return Err(fail("columns", "is empty: name the columns in order".into()));
        }
        match (spec.header_line, spec.header) {
            (Some(0), _) => return Err(fail("header_line", "counts from 1: 0 is no line".into())),
            (Some(_), HeaderRule::Never) => {
                let problem = "says where the header is, but header = \"never\" says that there is none";
                return Err(fail("header_line", problem.into()));
            }
            _ => {}
        }
        let records = RecordRules::new(&spec.records).map_err(|problem| fail("records.skip", problem))?;
        let kind = if spec.reference {
            if !spec.measures.is_empty() {
                return Err(fail(
                    "measures",
                    "has no meaning with reference = true: leave it out".into(),
                ));
            }
            FeedKind::Reference(spec.columns.clone())
        } else {
            FeedKind::Sales(SalesLayout::new(spec, fail)?)
        };
        Ok(Self {
            name: spec.name.clone(),
            files,
            delimiter,
            header: spec.header,
            header_line: spec.header_line,
            header_names: spec.header_names,
            records,
            encoding,
            max_reject_percent: spec.max_reject_percent,
            guards: FeedGuards {
                late: spec.late,
                shrink_percent: spec.shrink_percent,
                same_day: spec.same_day,
                check_store: spec.check_store,
            },
            kind,
            digest: digest::digest(spec),
            digest_before: digest::digest_before(spec),
        })
    }

    /// Returns a digest of the settings that conversion depends on. Files converted under another digest are converted
    /// again.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns whether what was read under a digest may be summed with what is read now: it is this layout's digest, or
    /// the one that gristmill gave the same settings before it read lines as it does now.
    pub fn sums_with(&self, digest: &str) -> bool {
        digest == self.digest || self.digest_before.as_deref() == Some(digest)
    }

    /// Returns the layout of point-of-sale lines, or `None` for a reference feed.
    pub fn sales(&self) -> Option<&SalesLayout> {
        match &self.kind {
            FeedKind::Sales(sales) => Some(sales),
            FeedKind::Reference(_) => None,
        }
    }
}

impl SalesLayout {
    fn new(spec: &FeedSpec, fail: impl Fn(&'static str, String) -> LayoutError) -> Result<Self, LayoutError> {
        let positions = Needed::among(&spec.columns).map_err(|missing| {
            let all = NEEDED_COLUMNS.join(", ");
            fail(
                "columns",
                format!("does not name {missing}: a sales feed needs {all}"),
            )
        })?;
        if spec.measures.is_empty() {
            let example = "write measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }";
            return Err(fail("measures", format!("is missing: {example}")));
        }
        if spec.measures.len() > MAX_MEASURES {
            return Err(fail("measures", format!("has more than {MAX_MEASURES} columns")));
        }
        let mut measures: Vec<_> = spec
            .measures
            .iter()
            .map(|(name, code)| Measure {
                name: name.clone(),
                code: *code,
            })
            .collect();
        measures.sort_by_key(|measure| measure.code);
        if let Some(pair) = measures.windows(2).find(|pair| pair[0].code == pair[1].code) {
            let problem = format!(
                "gives code {} to {} and to {}",
                pair[0].code, pair[0].name, pair[1].name
            );
            return Err(fail("measures", problem));
        }
        if let Some(clash) = measures
            .iter()
            .find(|m| NEEDED_COLUMNS.contains(&m.name.as_str()))
        {
            return Err(fail(
                "measures",
                format!("names a column {}, which is an input column", clash.name),
            ));
        }
        if spec.id_chars == 0 {
            return Err(fail("id_chars", "must be at least 1".into()));
        }
        let date_format =
            DateFormat::parse(&spec.date_format).map_err(|e| fail("date_format", e.to_string()))?;
        Ok(Self {
            positions,
            measures,
            date_format,
            id_chars: spec.id_chars,
            supersede: spec.supersede,
        })
    }
}

/// The greatest number of measures in a feed.
pub(crate) const MAX_MEASURES: usize = 8;

impl Default for FeedSpec {
    /// Returns the layout of the design's sales feed, which `gristmill aggregate` uses without a settings file.
    fn default() -> Self {
        Self {
            name: "sales".into(),
            files: "**".into(),
            columns: NEEDED_COLUMNS.map(String::from).to_vec(),
            measures: [("sale_amount", 4), ("tax_amount", 5), ("discount_amount", 6)]
                .map(|(name, code)| (name.to_owned(), code))
                .into(),
            reference: false,
            delimiter: defaults::delimiter(),
            header: HeaderRule::Auto,
            header_line: None,
            header_names: HeaderNames::Use,
            records: RecordsSpec::default(),
            encoding: defaults::encoding(),
            date_format: defaults::date_format(),
            id_chars: defaults::id_chars(),
            max_reject_percent: defaults::max_reject_percent(),
            supersede: Supersede::File,
            late: LateLines::default(),
            shrink_percent: defaults::shrink_percent(),
            same_day: SecondFile::default(),
            check_store: false,
        }
    }
}

#[cfg(test)]
mod tests;
