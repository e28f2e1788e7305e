//! Any lines, written in any dialect by a writer of the test's own, read back as the same rows.

use std::fmt::Write as _;
use std::io::Write as _;

use gristmill_engine::{
    Budget, Conversion, EngineError, FeedLayout, FeedSpec, FieldSpec, FormatWord, NegativeForm, Outputs,
    PositionSpec, Scratch, convert, convert_in_order, preview, rows_of_key,
};
use jiff::civil::{Date, date};
use proptest::prelude::*;
use tempfile::TempDir;

/// A line before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sale {
    store: String,
    item: &'static str,
    cents: i64,
    code: i32,
    day: Date,
}

/// How lines are written.
#[derive(Clone, Debug)]
struct Dialect {
    format: Format,
    decimal: char,
    thousands: Option<char>,
    negative: NegativeForm,
    currency: Option<&'static str>,
    /// Whether amounts are whole numbers of cents.
    is_implied: bool,
    date: &'static str,
    charset: Charset,
    line_end: &'static str,
    container: Container,
}

#[derive(Clone, Debug)]
enum Format {
    Delimited {
        delimiter: &'static str,
        quotes: Quotes,
        has_header: bool,
    },
    Fixed {
        has_ends: bool,
    },
    Json {
        is_array: bool,
        has_numbers: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Doubled,
    Escaped,
    None,
    Single,
    OverLines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin,
    Utf16,
    Ebcdic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

const ITEMS: [&str; 9] = [
    "COLA", "CRÊPE", "6\" SUB", "A,B;C", "O'NEIL", "007", "a|b", "x\\y", "~|",
];
const COLUMNS: [&str; 5] = ["store_id", "amount", "code", "item_id", "trans_date"];

impl Dialect {
    /// Returns the settings that say it.
    fn spec(&self) -> FeedSpec {
        let mut spec = FeedSpec::default();
        let values = &mut spec.values;
        // Numbers of JSON need no form, and neither do the cents of fixed positions.
        values.decimal = Some(self.decimal.to_string());
        values.thousands = self.thousands.map(String::from);
        values.negative = Some(vec![self.negative]);
        values.currency = self.currency.map(|currency| vec![currency.to_owned()]);
        values.scale = self.is_implied.then_some(2);
        values.dates = Some(vec![self.date.to_owned()]);
        match self.charset {
            Charset::Utf8 | Charset::Utf16 => {}
            Charset::Latin => "windows-1252".clone_into(&mut spec.encoding),
            Charset::Ebcdic => "cp037".clone_into(&mut spec.encoding),
        }
        match &self.format {
            Format::Delimited {
                delimiter, quotes, ..
            } => {
                (*delimiter).clone_into(&mut spec.delimiter);
                match quotes {
                    Quotes::Doubled => {}
                    Quotes::Escaped => spec.escape = Some("\\".to_owned()),
                    Quotes::None => "none".clone_into(&mut spec.quote),
                    Quotes::Single => "'".clone_into(&mut spec.quote),
                    Quotes::OverLines => spec.quoted_newlines = true,
                }
            }
            Format::Fixed { has_ends } => {
                spec.format = FormatWord::Fixed;
                spec.columns.clear();
                let mut start = 1;
                for (name, length) in COLUMNS.into_iter().zip(WIDTHS) {
                    spec.fields.insert(
                        name.to_owned(),
                        FieldSpec::Place(PositionSpec::Characters { start, length }),
                    );
                    start += length;
                }
                spec.record_length = (!has_ends).then_some(start - 1);
            }
            Format::Json { .. } => {
                spec.format = FormatWord::Json;
                spec.columns.clear();
            }
        }
        spec
    }

    fn amount(&self, cents: i64) -> String {
        let magnitude = cents.unsigned_abs();
        let (whole, places) = (magnitude / 100, magnitude % 100);
        let mut text = match self.is_implied {
            true => magnitude.to_string(),
            false => format!("{}{}{places:02}", grouped(whole, self.thousands), self.decimal),
        };
        if self.negative == NegativeForm::Overpunch {
            let last = text
                .pop()
                .and_then(|c| c.to_digit(10))
                .expect("it ends with a digit") as usize;
            text.push(
                if cents < 0 {
                    b"}JKLMNOPQR"[last]
                } else {
                    b"{ABCDEFGHI"[last]
                }
                .into(),
            );
            return text;
        }
        if let Some(currency) = self.currency {
            text = format!("{currency}{text}");
        }
        match self.negative {
            _ if cents >= 0 => text,
            NegativeForm::Before => format!("-{text}"),
            NegativeForm::Trailing => format!("{text}-"),
            NegativeForm::Parentheses => format!("({text})"),
            NegativeForm::Credit => format!("{text}CR"),
            NegativeForm::Overpunch => unreachable!("it was written above"),
        }
    }

    fn day(&self, day: Date) -> String {
        day.strftime(self.date.replace("%I:%M %p", "02:30 PM").as_str())
            .to_string()
    }

    fn text(&self, sales: &[Sale]) -> String {
        let mut text = String::new();
        match &self.format {
            Format::Delimited {
                delimiter,
                quotes,
                has_header,
            } => {
                if *has_header {
                    let _ = write!(text, "{}{}", COLUMNS.join(delimiter), self.line_end);
                }
                for (number, sale) in sales.iter().enumerate() {
                    let fields = [
                        sale.store.clone(),
                        self.amount(sale.cents),
                        sale.code.to_string(),
                        sale.item.to_owned(),
                        self.day(sale.day),
                    ];
                    let fields = fields.map(|field| quoted(&field, delimiter, *quotes));
                    let note = match quotes {
                        Quotes::OverLines if number % 2 == 0 => {
                            format!("{delimiter}\"call{}back\"", self.line_end)
                        }
                        _ => String::new(),
                    };
                    let _ = write!(text, "{}{note}{}", fields.join(delimiter), self.line_end);
                }
            }
            Format::Fixed { has_ends } => {
                for sale in sales {
                    let [store, amount, code, item, day] = WIDTHS;
                    let _ = write!(
                        text,
                        "{:<store$}{:>amount$}{:>code$}{:<item$}{:<day$}{}",
                        sale.store,
                        self.amount(sale.cents),
                        sale.code,
                        sale.item,
                        self.day(sale.day),
                        if *has_ends { self.line_end } else { "" },
                    );
                }
            }
            Format::Json {
                is_array,
                has_numbers,
            } => {
                let objects = sales.iter().map(|sale| {
                    let amount = match has_numbers {
                        true => format!("{}{}.{:02}", if sale.cents < 0 { "-" } else { "" }, sale.cents.abs() / 100, sale.cents.abs() % 100),
                        false => escaped(&self.amount(sale.cents)),
                    };
                    format!(
                        "{{\"store_id\": {}, \"amount\": {amount}, \"code\": {}, \"item_id\": {}, \"trans_date\": {}}}",
                        escaped(&sale.store),
                        sale.code,
                        escaped(sale.item),
                        escaped(&self.day(sale.day)),
                    )
                });
                let objects: Vec<String> = objects.collect();
                match is_array {
                    true => _ = write!(text, "[{}]", objects.join(",\n ")),
                    false => objects.iter().for_each(|object| _ = writeln!(text, "{object}")),
                }
            }
        }
        text
    }

    fn bytes(&self, sales: &[Sale]) -> Vec<u8> {
        let text = self.text(sales);
        let bytes = match self.charset {
            Charset::Utf8 => text.into_bytes(),
            Charset::Latin => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).expect("it is of Latin-1"))
                .collect(),
            Charset::Utf16 => "\u{feff}"
                .encode_utf16()
                .chain(text.encode_utf16())
                .flat_map(u16::to_le_bytes)
                .collect(),
            Charset::Ebcdic => text.chars().map(ebcdic).collect(),
        };
        match self.container {
            Container::None => bytes,
            Container::Gzip => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packed.write_all(&bytes).expect("memory can be written");
                packed.finish().expect("memory can be written")
            }
            Container::Zstd => zstd::encode_all(&bytes[..], 1).expect("memory can be written"),
            Container::Bzip2 => {
                let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                packed.write_all(&bytes).expect("memory can be written");
                packed.finish().expect("memory can be written")
            }
            Container::Xz => {
                let mut packed = liblzma::write::XzEncoder::new(Vec::new(), 1);
                packed.write_all(&bytes).expect("memory can be written");
                packed.finish().expect("memory can be written")
            }
        }
    }

    /// Returns whether an item can be written at all.
    fn writes(&self, item: &str) -> bool {
        match &self.format {
            Format::Delimited {
                delimiter, quotes, ..
            } => *quotes != Quotes::None || !item.contains(|c| delimiter.contains(c)),
            Format::Fixed { .. } | Format::Json { .. } => true,
        }
    }
}

/// The widths of the columns of fixed positions.
const WIDTHS: [usize; 5] = [8, 20, 2, 12, 20];

fn grouped(whole: u64, mark: Option<char>) -> String {
    let digits = whole.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.extend(mark);
        }
        text.push(digit);
    }
    text
}

fn quoted(field: &str, delimiter: &str, quotes: Quotes) -> String {
    let quote = if quotes == Quotes::Single { '\'' } else { '"' };
    let has_escape = quotes == Quotes::Escaped && field.contains('\\');
    if quotes == Quotes::None
        || !(field.contains(|c| delimiter.contains(c)) || field.contains(quote) || has_escape)
    {
        return field.to_owned();
    }
    let inner = match quotes {
        Quotes::Escaped => field.replace('\\', "\\\\").replace('"', "\\\""),
        _ => field.replace(quote, &format!("{quote}{quote}")),
    };
    format!("{quote}{inner}{quote}")
}

fn escaped(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes a character in cp037.
fn ebcdic(c: char) -> u8 {
    const MARKS: &str = " .<(+|&!$*);-/,%_>?`:#@'=\"~^\\{}";
    const BYTES: [u8; 31] = [
        0x40, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F, 0x50, 0x5A, 0x5B, 0x5C, 0x5D, 0x5E, 0x60, 0x61, 0x6B, 0x6C, 0x6D,
        0x6E, 0x6F, 0x79, 0x7A, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F, 0xA1, 0xB0, 0xE0, 0xC0, 0xD0,
    ];
    let from = |start: char, byte: u8| byte + (c as u8 - start as u8);
    match c {
        '0'..='9' => from('0', 0xF0),
        'A'..='I' => from('A', 0xC1),
        'J'..='R' => from('J', 0xD1),
        'S'..='Z' => from('S', 0xE2),
        'a'..='i' => from('a', 0x81),
        'j'..='r' => from('j', 0x91),
        's'..='z' => from('s', 0xA2),
        'Ê' => 0x72,
        '\t' => 0x05,
        '\n' => 0x25,
        '\r' => 0x0D,
        other => {
            let at = MARKS.chars().position(|mark| mark == other);
            BYTES[at.unwrap_or_else(|| panic!("{other:?} has no byte here"))]
        }
    }
}

fn sales() -> impl Strategy<Value = Vec<Sale>> {
    let sale = (
        1..4_u8,
        prop::sample::select(ITEMS.to_vec()),
        prop_oneof![-9_999..9_999_i64, -1..1_i64, 100_000..999_999_999_i64],
        4..7_i32,
        0..40_i64,
    );
    let sale = sale.prop_map(|(store, item, cents, code, day)| Sale {
        store: format!("S{store}"),
        item,
        cents,
        code,
        day: date(2016, 5, 20) + jiff::Span::new().days(day),
    });
    prop::collection::vec(sale, 1..12)
}

fn formats() -> impl Strategy<Value = Format> {
    let delimited = (
        prop::sample::select(vec!["\t", ",", ";", "|", "~|~", "||"]),
        prop::sample::select(vec![
            Quotes::Doubled,
            Quotes::Escaped,
            Quotes::None,
            Quotes::Single,
            Quotes::OverLines,
        ]),
        any::<bool>(),
    );
    prop_oneof![
        4 => delimited.prop_map(|(delimiter, quotes, has_header)| Format::Delimited { delimiter, quotes, has_header }),
        1 => any::<bool>().prop_map(|has_ends| Format::Fixed { has_ends }),
        1 => any::<(bool, bool)>().prop_map(|(is_array, has_numbers)| Format::Json { is_array, has_numbers }),
    ]
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let marks = prop::sample::select(vec![
        ('.', None),
        ('.', Some(',')),
        (',', None),
        (',', Some('.')),
        ('.', Some('\'')),
    ]);
    let negative = prop::sample::select(vec![
        NegativeForm::Before,
        NegativeForm::Trailing,
        NegativeForm::Parentheses,
        NegativeForm::Credit,
        NegativeForm::Overpunch,
    ]);
    let currency = prop::sample::select(vec![None, None, Some("$"), Some("USD")]);
    let date = prop::sample::select(vec![
        "%Y-%m-%d",
        "%d/%m/%Y",
        "%m/%d/%y",
        "%Y%m%d",
        "%d-%b-%Y",
        "%Y%j",
        "%d.%m.%Y %I:%M %p",
    ]);
    let charset = prop::sample::select(vec![
        Charset::Utf8,
        Charset::Latin,
        Charset::Utf16,
        Charset::Ebcdic,
    ]);
    let line_end = prop::sample::select(vec!["\n", "\r\n", "\r", "\r\r\n"]);
    let container = prop::sample::select(vec![
        Container::None,
        Container::Gzip,
        Container::Zstd,
        Container::Bzip2,
        Container::Xz,
    ]);
    (
        formats(),
        marks,
        negative,
        currency,
        any::<bool>(),
        date,
        charset,
        line_end,
        container,
    )
        .prop_map(
            |(
                format,
                (decimal, thousands),
                negative,
                currency,
                is_implied,
                date,
                charset,
                line_end,
                container,
            )| {
                // A sign in the last digit is of whole numbers, and JSON is not in EBCDIC.
                let is_fixed = matches!(format, Format::Fixed { .. });
                // Where quotes mean nothing, no value may hold the delimiter.
                let holds = |delimiter: &str| {
                    delimiter.contains(decimal) || thousands.is_some_and(|mark| delimiter.contains(mark))
                };
                let format = match format {
                    Format::Delimited {
                        delimiter,
                        quotes: Quotes::None,
                        has_header,
                    } if holds(delimiter) => Format::Delimited {
                        delimiter,
                        quotes: Quotes::Doubled,
                        has_header,
                    },
                    format => format,
                };
                let negative = if negative == NegativeForm::Overpunch && !is_fixed {
                    NegativeForm::Before
                } else {
                    negative
                };
                let is_overpunched = negative == NegativeForm::Overpunch;
                let is_json = matches!(format, Format::Json { .. });
                Dialect {
                    is_implied: is_implied || is_overpunched,
                    currency: currency.filter(|_| !is_overpunched),
                    charset: if is_json && charset == Charset::Ebcdic {
                        Charset::Utf8
                    } else {
                        charset
                    },
                    format,
                    decimal,
                    thousands,
                    negative,
                    date,
                    line_end,
                    container,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_written_in_any_dialect_reads_back_as_the_same_rows(dialect in dialects(), sales in sales()) {
        let sales: Vec<Sale> = sales.into_iter().filter(|sale| dialect.writes(sale.item)).collect();
        prop_assume!(!sales.is_empty());
        let bytes = dialect.bytes(&sales);
        let layout = FeedLayout::new(&dialect.spec()).expect("the dialect can be told");
        let folder = TempDir::new().expect("a temporary folder can be made");
        let memory = Budget::new(1 << 20);
        let scratch = Scratch { folder: folder.path(), memory: &memory };
        let path = folder.path().join("converted");
        let outputs = Outputs { converted: Some(&path), rejects: None };
        let converted = match convert(&bytes[..], &layout, outputs, scratch, |_| ()) {
            Err(EngineError::ColumnsMoved) => convert_in_order(&bytes[..], &layout, outputs, scratch, |_| ()),
            done => done,
        };
        let Conversion { report, .. } = converted.expect("the bytes can be converted");
        prop_assert_eq!(&report.rejected_because, &None, "{}", dialect.text(&sales));
        prop_assert_eq!(report.rows, sales.len() as u64);
        let seen = preview(&bytes[..], &layout, scratch, usize::MAX).expect("the bytes can be looked at");
        let seen = seen.into_iter().flat_map(|record| record.rows);
        let seen: Vec<Sale> = seen.map(|row| Sale {
            item: ITEMS.into_iter().find(|item| *item == row.item_id).unwrap_or("another"),
            store: row.store_id,
            cents: row.amount,
            code: row.code,
            day: row.trans_date,
        }).collect();
        prop_assert_eq!(&seen, &sales);
        for sale in &sales {
            let of_key = rows_of_key(&path, &sale.store, sale.item, sale.day).expect("the rows read back");
            prop_assert!(of_key.iter().any(|row| (row.amount, row.code) == (sale.cents, sale.code)));
        }
    }
}
