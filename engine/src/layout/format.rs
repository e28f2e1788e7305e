//! What the files of a feed are, and where in a record its fields are.

use encoding_rs::Encoding;

use super::inputs::{AMOUNT, ITEM, Input, STORE, Source};
use super::{FeedSpec, FormatWord, Problem, SheetSpec};
use crate::position::PositionSpec;
use crate::records::{CarriedRule, CarriedSpec, KindRule, KindSpec, TrailerRule};
use crate::text::{Dos, Ebcdic};
use crate::values::{NegativeForm, ValueRules};

/// The most columns of a table: one with more is no table of sales.
pub(crate) const MOST_COLUMNS: usize = 1024;

/// What the bytes of text stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Charset {
    Text(&'static Encoding),
    Dos(Dos),
    Ebcdic(Ebcdic),
}

/// What files are.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    Delimited(Delimited),
    Fixed(Fixed),
    Json(Json),
    Table(TableFormat),
}

impl Format {
    /// Returns the word for it in the settings.
    pub(crate) fn word(&self) -> FormatWord {
        match self {
            Self::Delimited(_) => FormatWord::Delimited,
            Self::Fixed(_) => FormatWord::Fixed,
            Self::Json(_) => FormatWord::Json,
            Self::Table(TableFormat::Dbf) => FormatWord::Dbf,
            Self::Table(TableFormat::Parquet) => FormatWord::Parquet,
            Self::Table(TableFormat::Workbook { .. }) => FormatWord::Xlsx,
        }
    }
}

/// Files whose records are rows of a table, with typed cells.
#[derive(Clone, Debug)]
pub(crate) enum TableFormat {
    Dbf,
    Workbook {
        /// The sheet that is read; the first one if none is named.
        sheet: Option<SheetSpec>,
        /// Whether columns are known by their positions, so that a file may have no header.
        has_columns: bool,
    },
    Parquet,
}

/// Text with a delimiter between fields.
#[derive(Clone, Debug)]
pub struct Delimited {
    /// What stands between fields.
    pub delimiter: Box<[u8]>,
    /// The character around fields that hold a delimiter.
    pub quote: Option<u8>,
    /// The character before a quote in a quoted field, where quotes are not doubled.
    pub escape: Option<u8>,
    /// Whether a quoted field may go over several lines.
    pub joins_lines: bool,
}

/// Text whose fields have fixed positions.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(crate) cuts: Vec<Cut>,
    /// The length of a record in characters, where records have no line ends.
    pub(crate) record_length: Option<usize>,
}

/// Objects of JSON.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    /// The arrays whose elements are the records, the outer ones first: the names that lead to each.
    pub(crate) explode: Vec<Vec<String>>,
    pub(crate) fields: Vec<JsonField>,
}

/// A field of JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonField {
    /// The names that lead to it from the object: the first of these paths that a record has counts.
    pub(crate) paths: Vec<Vec<String>>,
    /// For an amount, the decimal mark that the settings say amounts have, and how they write negative ones.
    pub(crate) amount_form: Option<(char, NegativeForm)>,
}

/// The most characters of a record of fixed positions.
const LONGEST_RECORD: usize = 64 << 10;

/// The position of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Its first character, from 0.
    pub(crate) from: usize,
    /// The one behind its last.
    pub(crate) to: usize,
    /// Whether blanks at its end may be missing, because a line ends there.
    pub(crate) may_end: bool,
}

impl Delimited {
    /// Returns the delimiter if lines can be cut into fields in the common way.
    pub(super) fn plain_delimiter(&self) -> Option<u8> {
        match *self.delimiter {
            [byte] if self.quote == Some(b'"') && self.escape.is_none() && !self.joins_lines => Some(byte),
            _ => None,
        }
    }

    fn new(spec: &FeedSpec) -> Result<Self, Problem> {
        let delimiter = spec.delimiter.as_bytes();
        let is_of_text = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0 | 0x1a);
        let is_wrong = !(1..=8).contains(&delimiter.len())
            || delimiter.iter().any(is_of_text)
            || matches!(delimiter, [b'"' | b'0'..=b'9'])
            || spec.delimiter.chars().all(|c| c.is_ascii_digit());
        if is_wrong {
            let problem =
                "must be 1 to 8 bytes of text that fields do not hold, such as \"\\t\", \"|\" or \"~|~\"";
            return Err(("delimiter", problem.into()));
        }
        let one = |key, text: &str| match text.as_bytes() {
            [byte]
                if byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric() && !delimiter.contains(byte) =>
            {
                Ok(*byte)
            }
            _ => Err((
                key,
                format!("is {text:?}: write one ASCII character that is no letter, digit or delimiter"),
            )),
        };
        let quote = match spec.quote.as_str() {
            "none" => None,
            text => {
                Some(one("quote", text).map_err(|(key, problem)| (key, format!("{problem}, or \"none\"")))?)
            }
        };
        let escape = spec
            .escape
            .as_deref()
            .map(|text| one("escape", text))
            .transpose()?;
        if escape.is_some() && quote.is_none() {
            let problem = "has no meaning with quote = \"none\": leave it out";
            return Err(("escape", problem.into()));
        }
        if escape.is_some() && escape == quote {
            return Err((
                "escape",
                "is the quote: doubled quotes need no escape; leave it out".into(),
            ));
        }
        if spec.quoted_newlines && quote.is_none() {
            let problem = "has no meaning with quote = \"none\": leave it out";
            return Err(("quoted_newlines", problem.into()));
        }
        Ok(Self {
            delimiter: delimiter.into(),
            quote,
            escape,
            joins_lines: spec.quoted_newlines,
        })
    }
}

/// The positions of the fields, while they are found.
pub(super) struct Positions {
    format: Format,
    /// The decimal mark of amounts, and how negative ones are written.
    amount_form: (char, NegativeForm),
}

impl Positions {
    pub(super) fn new(spec: &FeedSpec, values: &ValueRules) -> Result<Self, Problem> {
        let format = Self::format(spec)?;
        Ok(Self {
            format,
            amount_form: (values.amounts.decimal(), values.amounts.negative_form()),
        })
    }

    fn format(spec: &FeedSpec) -> Result<Format, Problem> {
        let usual = FeedSpec::default();
        let only = |key, word: &str| (key, format!("is only for format = \"{word}\": leave it out"));
        if spec.record_length.is_some() && spec.format != FormatWord::Fixed {
            return Err(only("record_length", "fixed"));
        }
        if spec.explode.is_some() && spec.format != FormatWord::Json {
            return Err(only("explode", "json"));
        }
        if spec.sheet.is_some() && spec.format != FormatWord::Xlsx {
            return Err(only("sheet", "xlsx"));
        }
        if spec.sheet == Some(SheetSpec::Number(0)) {
            return Err(("sheet", "counts from 1: 0 is no sheet".into()));
        }
        for (key, is_set, is_of_sheets) in [
            ("columns", !spec.columns.is_empty(), true),
            ("delimiter", spec.delimiter != usual.delimiter, false),
            ("quote", spec.quote != usual.quote, false),
            ("escape", spec.escape.is_some(), false),
            ("quoted_newlines", spec.quoted_newlines, false),
            ("header", spec.header != usual.header, true),
            ("header_line", spec.header_line.is_some(), true),
        ] {
            let is_read = match spec.format {
                FormatWord::Delimited => true,
                FormatWord::Xlsx => is_of_sheets,
                _ => false,
            };
            if is_set && !is_read {
                let formats = if is_of_sheets {
                    "delimited\" or \"xlsx"
                } else {
                    "delimited"
                };
                return Err(only(key, formats));
            }
        }
        match spec.format {
            FormatWord::Delimited => Ok(Format::Delimited(Delimited::new(spec)?)),
            FormatWord::Dbf => Ok(Format::Table(TableFormat::Dbf)),
            FormatWord::Parquet => Ok(Format::Table(TableFormat::Parquet)),
            FormatWord::Xlsx => Ok(Format::Table(TableFormat::Workbook {
                sheet: spec.sheet.clone(),
                has_columns: !spec.columns.is_empty(),
            })),
            FormatWord::Fixed | FormatWord::Json => {
                if spec
                    .record_length
                    .is_some_and(|length| !(1..=LONGEST_RECORD).contains(&length))
                {
                    return Err(("record_length", format!("must be from 1 to {LONGEST_RECORD}")));
                }
                Ok(match spec.format {
                    FormatWord::Json => Format::Json(Json {
                        explode: spec.explode.as_deref().map_or(Ok(Vec::new()), arrays)?,
                        fields: Vec::new(),
                    }),
                    _ => Format::Fixed(Fixed {
                        cuts: Vec::new(),
                        record_length: spec.record_length,
                    }),
                })
            }
        }
    }

    /// Returns whether fields have names in a header.
    pub(super) fn has_names(&self) -> bool {
        matches!(self.format, Format::Delimited(_) | Format::Table(_))
    }

    /// Returns whether a field that the settings do not mention is found by its own name.
    pub(super) fn names_all(&self) -> bool {
        matches!(
            self.format,
            Format::Table(
                TableFormat::Dbf
                    | TableFormat::Parquet
                    | TableFormat::Workbook {
                        has_columns: false,
                        ..
                    }
            )
        )
    }

    /// Returns the position of a field of JSON that these paths lead to, or `None` for another format.
    pub(super) fn path(&mut self, paths: &[String], is_amount: bool) -> Option<usize> {
        let amount_form = self.amount_form;
        let Format::Json(json) = &mut self.format else {
            return None;
        };
        json.fields.push(JsonField {
            paths: paths.iter().map(|path| names(path)).collect(),
            amount_form: is_amount.then_some(amount_form),
        });
        Some(json.fields.len() - 1)
    }

    pub(super) fn into_format(self) -> Format {
        self.format
    }

    /// Returns the number, from 0, of the field at a position of the record. `is_text` says that blanks at its end mean
    /// nothing.
    pub(super) fn position(
        &mut self,
        key: &'static str,
        position: PositionSpec,
        is_text: bool,
    ) -> Result<usize, Problem> {
        match (&mut self.format, position) {
            (Format::Json(_), _) => Err((key, "has no meaning with format = \"json\"".into())),
            (
                Format::Delimited(_),
                PositionSpec::Column {
                    column: column @ 1..=10_000,
                },
            ) => Ok(column - 1),
            (
                Format::Table(_),
                PositionSpec::Column {
                    column: column @ 1..=MOST_COLUMNS,
                },
            ) => Ok(column - 1),
            (Format::Delimited(_), PositionSpec::Column { .. }) => {
                Err((key, "has a column that is not from 1 to 10000".into()))
            }
            (Format::Table(_), PositionSpec::Column { .. }) => {
                Err((key, format!("has a column that is not from 1 to {MOST_COLUMNS}")))
            }
            (Format::Delimited(_) | Format::Table(_), PositionSpec::Characters { .. }) => Err((
                key,
                "has start and length: write { column = N }, or format = \"fixed\"".into(),
            )),
            (Format::Fixed(_), PositionSpec::Column { .. }) => Err((
                key,
                "has a column: write { start = N, length = N } for fixed positions".into(),
            )),
            (Format::Fixed(fixed), PositionSpec::Characters { start, length }) => {
                let cut = Cut {
                    from: start.wrapping_sub(1),
                    to: start.wrapping_sub(1).saturating_add(length),
                    may_end: is_text && fixed.record_length.is_none(),
                };
                if start == 0 || length == 0 || cut.to > LONGEST_RECORD {
                    return Err((
                        key,
                        format!("has a start or a length that is not from 1 to {LONGEST_RECORD}"),
                    ));
                }
                if fixed.record_length.is_some_and(|record| cut.to > record) {
                    return Err((key, "has a place that goes beyond record_length".into()));
                }
                fixed.cuts.push(cut);
                Ok(fixed.cuts.len() - 1)
            }
        }
    }

    /// Finds the positions of the kinds of records.
    pub(super) fn kind(&mut self, spec: &FeedSpec, inputs: &[Input]) -> Result<Option<KindRule>, Problem> {
        const SETTING: &str = "records.kind";
        let Some(kind) = &spec.records.kind else {
            return Ok(None);
        };
        let KindSpec {
            column,
            start,
            length,
            rows,
            skip,
            fields,
        } = kind;
        let texts = |texts: &[String]| texts.iter().map(|text| text.trim().as_bytes().into()).collect();
        if rows.is_empty() {
            return Err((SETTING, "needs rows: the kinds of records that are rows".into()));
        }
        let mut carried = Vec::new();
        for (name, field) in fields {
            let CarriedSpec {
                kind: of,
                column,
                start,
                length,
            } = field;
            let input = inputs.iter().position(|input| input.name == *name);
            let Some(input) = input else {
                return Err((
                    SETTING,
                    format!("has the key {name}, which is no field of this feed"),
                ));
            };
            if rows.contains(of) {
                return Err((
                    SETTING,
                    format!("takes {name} from records of the kind {of}, which are rows themselves"),
                ));
            }
            carried.push(CarriedRule {
                input,
                kind: of.trim().as_bytes().into(),
                position: self.position(
                    SETTING,
                    position_spec(SETTING, *column, *start, *length)?,
                    matches!(input, STORE | ITEM),
                )?,
            });
        }
        Ok(Some(KindRule {
            position: self.position(SETTING, position_spec(SETTING, *column, *start, *length)?, false)?,
            rows: texts(rows),
            skip: texts(skip),
            carried,
        }))
    }

    /// Finds the positions of the totals.
    pub(super) fn trailer(
        &mut self,
        spec: &FeedSpec,
        inputs: &[Input],
    ) -> Result<Option<TrailerRule>, Problem> {
        const SETTING: &str = "records.trailer";
        let Some(trailer) = &spec.records.trailer else {
            return Ok(None);
        };
        if trailer.begins.is_empty() {
            return Err((
                SETTING,
                "needs begins: the text with which its line begins".into(),
            ));
        }
        if trailer.lines.is_none() && trailer.sum.is_none() {
            return Err((
                SETTING,
                "needs lines or sum: where it says how many rows there are, or what they sum up to".into(),
            ));
        }
        if trailer.sum.is_some() && matches!(inputs[AMOUNT].source, Source::Absent) {
            let problem = "has a sum, but the measures of this feed are fields of their own: use lines";
            return Err((SETTING, problem.into()));
        }
        let mut at = |position: Option<_>| {
            position
                .map(|position| self.position(SETTING, PositionSpec::from(position), false))
                .transpose()
        };
        Ok(Some(TrailerRule {
            begins: trailer.begins.as_bytes().into(),
            lines: at(trailer.lines)?,
            sum: at(trailer.sum)?,
        }))
    }
}

/// Returns the names of a path such as `header.store`.
fn names(path: &str) -> Vec<String> {
    path.split('.').map(ToOwned::to_owned).collect()
}

/// Returns the arrays of a path such as `baskets[].items[]`.
fn arrays(path: &str) -> Result<Vec<Vec<String>>, Problem> {
    let parts: Option<Vec<&str>> = path.strip_suffix("[]").map(|path| path.split("[].").collect());
    let is_name =
        |part: &&str| !part.is_empty() && !part.contains(['[', ']']) && !part.split('.').any(str::is_empty);
    match parts.filter(|parts| parts.iter().all(is_name)) {
        Some(parts) => Ok(parts.into_iter().map(names).collect()),
        None => Err((
            "explode",
            format!(
                "is {path:?}: write the arrays whose elements are the records, such as \"baskets[].items[]\""
            ),
        )),
    }
}

/// Returns the position that the keys of a table name.
fn position_spec(
    key: &'static str,
    column: Option<usize>,
    start: Option<usize>,
    length: Option<usize>,
) -> Result<PositionSpec, Problem> {
    match (column, start, length) {
        (Some(column), None, None) => Ok(PositionSpec::Column { column }),
        (None, Some(start), Some(length)) => Ok(PositionSpec::Characters { start, length }),
        _ => Err((
            key,
            "needs column, or for fixed positions start and length".into(),
        )),
    }
}
