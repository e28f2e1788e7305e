//! What a person writes in a `[[feed]]` table, and in the `[[feed.profile]]` tables below it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::guards::{LateLines, SecondFile};
use crate::position::PositionSpec;
use crate::records::RecordsSpec;
use crate::values::ValuesSpec;

/// The columns that a line of a sales feed must have.
pub(crate) const NEEDED_COLUMNS: [&str; 5] = ["store_id", "amount", "code", "item_id", "trans_date"];

/// A `[[feed]]` table as written in the settings file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSpec {
    /// The feed's name: a word of letters, digits, `-` and `_`.
    pub name: String,
    /// Which files belong to it, as a [`FilePattern`](crate::FilePattern).
    pub files: String,
    /// The program that its files go through first, and its arguments.
    #[serde(default)]
    pub through: Vec<String>,
    /// How long that program may take for a file.
    #[serde(default = "defaults::through_limit")]
    pub through_limit: String,
    /// What its files are.
    #[serde(default)]
    pub format: FormatWord,
    /// The names of the columns, in order; further columns in a file are ignored.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Where single fields come from.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldSpec>,
    /// The summary's amount columns, each with what it sums.
    #[serde(default)]
    pub measures: BTreeMap<String, MeasureSpec>,
    /// Whether the feed is tracked and validated as text, and never aggregated.
    #[serde(default)]
    pub reference: bool,
    /// The text between two fields.
    #[serde(default = "defaults::delimiter")]
    pub delimiter: String,
    /// The character around fields that hold a delimiter, or `none`.
    #[serde(default = "defaults::quote")]
    pub quote: String,
    /// The character before a quote in a quoted field, where quotes are not doubled.
    #[serde(default)]
    pub escape: Option<String>,
    /// Whether a quoted field may go over several lines.
    #[serde(default)]
    pub quoted_newlines: bool,
    /// The length of a record in characters, where records have no line ends.
    #[serde(default)]
    pub record_length: Option<usize>,
    /// The arrays of JSON whose elements are the records.
    #[serde(default)]
    pub explode: Option<String>,
    /// The sheet of a workbook; the first one if it is left out.
    #[serde(default)]
    pub sheet: Option<SheetSpec>,
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
    /// How values are written.
    #[serde(default)]
    pub values: ValuesSpec,
    /// The encoding of files without a byte-order mark: a label of the WHATWG encoding standard, or a code page of EBCDIC.
    #[serde(default = "defaults::encoding")]
    pub encoding: String,
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
    /// How some of its files are written otherwise.
    #[serde(default, rename = "profile")]
    pub profiles: Vec<ProfileSpec>,
}

/// A `[[feed.profile]]` table: how some files of a feed are written. What it leaves out is the feed's.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each key is the feed's")]
pub struct ProfileSpec {
    /// The profile's name: a word of letters, digits, `-` and `_`.
    pub name: String,
    /// Which of the feed's files it reads, unless an earlier profile does.
    pub files: String,
    pub through: Option<Vec<String>>,
    pub through_limit: Option<String>,
    pub format: Option<FormatWord>,
    pub columns: Option<Vec<String>>,
    #[serde(default)]
    pub fields: BTreeMap<String, FieldSpec>,
    pub measures: Option<BTreeMap<String, MeasureSpec>>,
    pub delimiter: Option<String>,
    pub quote: Option<String>,
    pub escape: Option<String>,
    pub quoted_newlines: Option<bool>,
    pub record_length: Option<usize>,
    pub explode: Option<String>,
    pub sheet: Option<SheetSpec>,
    pub header: Option<HeaderRule>,
    pub header_line: Option<u32>,
    pub header_names: Option<HeaderNames>,
    #[serde(default)]
    pub records: RecordsSpec,
    #[serde(default)]
    pub values: ValuesSpec,
    pub encoding: Option<String>,
    pub id_chars: Option<usize>,
    pub max_reject_percent: Option<f64>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatWord {
    /// Text with a delimiter between fields.
    #[default]
    Delimited,
    /// Text whose fields have fixed positions.
    Fixed,
    /// JSON: one object a line, or one array of objects.
    Json,
    /// A table of dBASE, Clipper or FoxPro.
    Dbf,
    /// A workbook: xlsx, xls, xlsb or ods.
    Xlsx,
    /// Parquet.
    Parquet,
}

impl FormatWord {
    /// Returns the word itself, as it stands in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delimited => "delimited",
            Self::Fixed => "fixed",
            Self::Json => "json",
            Self::Dbf => "dbf",
            Self::Xlsx => "xlsx",
            Self::Parquet => "parquet",
        }
    }

    /// Returns whether records are rows of a table, whose cells may have types.
    pub(crate) fn is_table(self) -> bool {
        matches!(self, Self::Dbf | Self::Xlsx | Self::Parquet)
    }
}

/// Which sheet of a workbook is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected the name of a sheet, or its number from 1")]
pub enum SheetSpec {
    /// Its place among the sheets, from 1.
    Number(usize),
    /// Its name.
    Name(String),
}

/// Where a field comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a name, a list of names, { capture = \"store\" }, { value = \"…\" }, { column = 1 } or { start = 1, length = 8 }"
)]
pub enum FieldSpec {
    /// The name that the header has, or in JSON the path.
    Name(String),
    /// The first of these names that the header has, or in JSON of these paths that the record has.
    Names(Vec<String>),
    /// What a pattern captures from the file's name.
    Capture {
        /// The capture: `store` or `date`.
        capture: Captured,
    },
    /// The same text in every record.
    Value {
        /// The text.
        value: String,
    },
    /// A position in the record. Digests have the name of this variant, so it stays.
    Place(PositionSpec),
}

/// What a pattern captures from a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Captured {
    /// The store.
    Store,
    /// The business day.
    Date,
}

/// What a measure sums.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a code such as 4, or { field = \"NAME\" }"
)]
pub enum MeasureSpec {
    /// The amounts with a code.
    Code(i32),
    /// The amounts in a field.
    Field {
        /// The field's name.
        field: String,
    },
}

impl From<i32> for MeasureSpec {
    fn from(code: i32) -> Self {
        Self::Code(code)
    }
}

pub(super) mod defaults {
    pub(in crate::layout) fn through_limit() -> String {
        "10 minutes".into()
    }
    pub(in crate::layout) fn delimiter() -> String {
        "\t".into()
    }
    pub(in crate::layout) fn quote() -> String {
        "\"".into()
    }
    pub(in crate::layout) fn encoding() -> String {
        "utf-8".into()
    }
    pub(in crate::layout) fn id_chars() -> usize {
        25
    }
    pub(in crate::layout) fn max_reject_percent() -> f64 {
        10.0
    }
    pub(in crate::layout) fn shrink_percent() -> f64 {
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

impl ProfileSpec {
    /// Returns the table of a feed that all files of this profile would have.
    pub(super) fn over(&self, feed: &FeedSpec) -> FeedSpec {
        let Self {
            name: _,
            files,
            through,
            through_limit,
            format,
            columns,
            fields,
            measures,
            delimiter,
            quote,
            escape,
            quoted_newlines,
            record_length,
            explode,
            sheet,
            header,
            header_line,
            header_names,
            records,
            values,
            encoding,
            id_chars,
            max_reject_percent,
        } = self;
        let format = format.unwrap_or(feed.format);
        let is_other_format = format != feed.format;
        // What the feed says of its own format means nothing for another one.
        let usual = FeedSpec::default();
        let of_format = if is_other_format { &usual } else { feed };
        // Tables say themselves what they are written in.
        let of_encoding = if format.is_table() { of_format } else { feed };
        // The positions of another format, or of other columns, are not those of this one.
        let mut all = match columns.is_some() || is_other_format {
            true => BTreeMap::new(),
            false => feed.fields.clone(),
        };
        all.extend(fields.clone());
        let columns = match columns {
            Some(columns) => columns.clone(),
            None if is_other_format => Vec::new(),
            None => feed.columns.clone(),
        };
        FeedSpec {
            files: files.clone(),
            through: through.clone().unwrap_or_else(|| feed.through.clone()),
            through_limit: through_limit
                .clone()
                .unwrap_or_else(|| feed.through_limit.clone()),
            format,
            columns,
            fields: all,
            measures: measures.clone().unwrap_or_else(|| feed.measures.clone()),
            delimiter: delimiter.clone().unwrap_or_else(|| of_format.delimiter.clone()),
            quote: quote.clone().unwrap_or_else(|| of_format.quote.clone()),
            escape: escape.clone().or_else(|| of_format.escape.clone()),
            quoted_newlines: quoted_newlines.unwrap_or(of_format.quoted_newlines),
            record_length: record_length.or(of_format.record_length),
            explode: explode.clone().or_else(|| of_format.explode.clone()),
            sheet: sheet.clone().or_else(|| of_format.sheet.clone()),
            header: header.unwrap_or(of_format.header),
            header_line: header_line.or(of_format.header_line),
            header_names: header_names.unwrap_or(feed.header_names),
            records: records.over(&feed.records),
            values: values.over(&feed.values),
            encoding: encoding.clone().unwrap_or_else(|| of_encoding.encoding.clone()),
            id_chars: id_chars.unwrap_or(feed.id_chars),
            max_reject_percent: max_reject_percent.unwrap_or(feed.max_reject_percent),
            profiles: Vec::new(),
            ..feed.clone()
        }
    }
}

impl Default for FeedSpec {
    /// Returns the layout of the design's sales feed, which `gristmill aggregate` uses without a settings file.
    fn default() -> Self {
        Self {
            name: "sales".into(),
            files: "**".into(),
            through: Vec::new(),
            through_limit: defaults::through_limit(),
            format: FormatWord::Delimited,
            columns: NEEDED_COLUMNS.map(String::from).to_vec(),
            fields: BTreeMap::new(),
            measures: [("sale_amount", 4), ("tax_amount", 5), ("discount_amount", 6)]
                .map(|(name, code)| (name.to_owned(), code.into()))
                .into(),
            reference: false,
            delimiter: defaults::delimiter(),
            quote: defaults::quote(),
            escape: None,
            quoted_newlines: false,
            record_length: None,
            explode: None,
            sheet: None,
            header: HeaderRule::Auto,
            header_line: None,
            header_names: HeaderNames::Use,
            records: RecordsSpec::default(),
            values: ValuesSpec::default(),
            encoding: defaults::encoding(),
            id_chars: defaults::id_chars(),
            max_reject_percent: defaults::max_reject_percent(),
            supersede: Supersede::File,
            late: LateLines::default(),
            shrink_percent: defaults::shrink_percent(),
            same_day: SecondFile::default(),
            check_store: false,
            profiles: Vec::new(),
        }
    }
}
