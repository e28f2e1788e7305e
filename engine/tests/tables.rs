//! Tables, from their bytes to the report: dBASE, workbooks and Parquet feed the same checks as text.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use gristmill_engine::{
    Budget, ConversionReport, FeedLayout, FeedSpec, FieldSpec, FormatWord, Outputs, Reject, Rounding,
    Scratch, SheetSpec, convert, read_rejects,
};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

fn layout(format: FormatWord, change: impl FnOnce(&mut FeedSpec)) -> FeedLayout {
    let mut spec = FeedSpec {
        format,
        columns: Vec::new(),
        max_reject_percent: 60.0,
        ..FeedSpec::default()
    };
    change(&mut spec);
    FeedLayout::new(&spec).expect("the layout is right")
}

fn converted(bytes: &[u8], layout: &FeedLayout) -> (ConversionReport, Vec<Reject>) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (rows, rejects) = (folder.path().join("rows"), folder.path().join("rejects"));
    let outputs = Outputs {
        converted: Some(&rows),
        rejects: Some(&rejects),
    };
    let memory = Budget::new(1 << 20);
    let scratch = Scratch {
        folder: folder.path(),
        memory: &memory,
    };
    let report = convert(bytes, layout, outputs, scratch, |_| ())
        .expect("it can be converted")
        .report;
    assert_eq!(report.bytes, bytes.len() as u64);
    assert_eq!(
        report.lines,
        report.rows + report.ignored + report.skipped + report.rejects
    );
    let kept = match rejects.exists() {
        true => read_rejects(&rejects, usize::MAX).expect("the rejects read back"),
        false => Vec::new(),
    };
    (report, kept)
}

fn refused(bytes: &[u8], layout: &FeedLayout) -> String {
    let (report, _) = converted(bytes, layout);
    report.rejected_because.expect("it is refused")
}

/// Writes a table of dBASE with the columns of a sale, given their names.
fn dbf(names: [&str; 5], records: &[&str]) -> Vec<u8> {
    let columns = [(b'C', 4), (b'N', 7), (b'N', 2), (b'C', 6), (b'D', 8)];
    let mut bytes = vec![3, 116, 6, 1];
    bytes.extend((records.len() as u32).to_le_bytes());
    bytes.extend(193_u16.to_le_bytes());
    bytes.extend(28_u16.to_le_bytes());
    bytes.resize(32, 0);
    for (name, (kind, length)) in names.iter().zip(columns) {
        let start = bytes.len();
        bytes.extend(name.bytes());
        bytes.resize(start + 32, 0);
        (bytes[start + 11], bytes[start + 16]) = (kind, length);
    }
    bytes.push(b'\r');
    records.iter().for_each(|record| bytes.extend(record.bytes()));
    bytes.push(0x1A);
    bytes
}

const NAMES: [&str; 5] = ["STORE_ID", "AMOUNT", "CODE", "ITEM_ID", "TRANS_DATE"];

const RECORDS: [&str; 5] = [
    " 1001   2.50 4COLA  20160601",
    "*1001   9.99 4COLA  20160601",
    " 1001        4COLA  20160601",
    " 1001   1.00 4COLA  20161301",
    " 1001   1.0013COLA  20160601",
];

/// Writes a workbook whose second sheet has these rows: numbers as numbers, `#…` as errors, everything else as text.
fn xlsx(rows: &[&str]) -> Vec<u8> {
    let mut cells = String::new();
    for row in rows {
        cells.push_str("<row>");
        for (column, cell) in row.split('|').enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let column = char::from(b'A' + column as u8);
            let cell = match cell {
                error if error.starts_with('#') => format!("<c r=\"{column}1\" t=\"e\"><v>{error}</v></c>"),
                number if number.parse::<f64>().is_ok() => format!("<c r=\"{column}1\"><v>{number}</v></c>"),
                text => format!("<c r=\"{column}1\" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
            };
            cells.push_str(&cell);
        }
        cells.push_str("</row>");
    }
    let mut sheets = String::new();
    let mut relations = String::new();
    for (id, name) in [("a", "Notes"), ("b", "Sales")] {
        write!(sheets, "<sheet name=\"{name}\" r:id=\"{id}\"/>").expect("text can be written");
        write!(
            relations,
            "<Relationship Id=\"{id}\" Type=\"x/worksheet\" Target=\"{name}.xml\"/>"
        )
        .expect("text can be written");
    }
    let parts = [
        ("[Content_Types].xml", "<Types/>".to_owned()),
        (
            "xl/workbook.xml",
            format!("<workbook><sheets>{sheets}</sheets></workbook>"),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!("<Relationships>{relations}</Relationships>"),
        ),
        ("xl/Notes.xml", "<worksheet><sheetData/></worksheet>".to_owned()),
        (
            "xl/Sales.xml",
            format!("<worksheet><sheetData>{cells}</sheetData></worksheet>"),
        ),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default())
            .expect("memory can be written");
        zip.write_all(text.as_bytes()).expect("memory can be written");
    }
    zip.finish().expect("memory can be written").into_inner()
}

fn of_sheet(spec: &mut FeedSpec) {
    spec.sheet = Some(SheetSpec::Name("Sales".into()));
}

fn parquet(amounts: Vec<f64>) -> Vec<u8> {
    let rows = amounts.len();
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("item_id", text("COLA")),
        ("store_id", Arc::new(Int32Array::from(vec![1001; rows]))),
        ("trans_date", text("2016-06-01")),
        ("code", Arc::new(Int32Array::from(vec![4; rows]))),
        ("amount", Arc::new(Float64Array::from(amounts))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("the columns can be written");
    writer.write(&batch).expect("memory can be written");
    writer.close().expect("memory can be written");
    bytes
}

#[test]
fn records_of_dbase_are_counted_and_their_rejects_can_be_read() {
    let (report, rejects) = converted(&dbf(NAMES, &RECORDS), &layout(FormatWord::Dbf, |_| ()));
    assert_eq!(
        (report.lines, report.rows, report.ignored, report.skipped),
        (5, 1, 1, 1)
    );
    let rejects: Vec<_> = rejects
        .iter()
        .map(|reject| (reject.line_number, reject.text.as_str()))
        .collect();
    assert_eq!(
        rejects,
        [
            (3, "1001\t\t4\tCOLA\t2016-06-01"),
            (4, "1001\t1\t4\tCOLA\t2016-13-01")
        ]
    );
    let other = [NAMES[0], "SUM", NAMES[2], NAMES[3], "DAY"];
    let because = refused(&dbf(other, &RECORDS), &layout(FormatWord::Dbf, |_| ()));
    assert!(
        because.starts_with("its table does not name amount, trans_date"),
        "{because}"
    );
    assert!(because.contains("STORE_ID, SUM, CODE, ITEM_ID, DAY"), "{because}");
    let named = layout(FormatWord::Dbf, |spec| {
        let name = |field: &str, name: &str| (field.to_owned(), FieldSpec::Name(name.to_owned()));
        spec.fields = [name("amount", "sum"), name("trans_date", "Day")].into();
    });
    assert_eq!(converted(&dbf(other, &RECORDS), &named).0.rows, 1);
}

#[test]
fn rows_of_a_sheet_are_counted_by_their_numbers() {
    let rows = [
        "Sales of the day",
        "",
        "store_id|amount|code|item_id|trans_date|more",
        "1001|2.5|4|COLA|2016-06-01",
        "",
        "1001|#N/A|4|COLA|2016-06-01",
        "1001|2.5|4|#REF!|2016-06-01|x",
        "1001||13|COLA|2016-06-01",
    ];
    let book = xlsx(&rows);
    let told = layout(FormatWord::Xlsx, |spec| {
        of_sheet(spec);
        spec.header_line = Some(3);
    });
    let (report, rejects) = converted(&book, &told);
    assert_eq!(
        (report.lines, report.rows, report.ignored, report.skipped),
        (8, 1, 1, 4)
    );
    let rejects: Vec<_> = rejects
        .iter()
        .map(|reject| (reject.line_number, reject.reason.as_str(), reject.text.as_str()))
        .collect();
    let error = "a cell holds an error, such as #N/A";
    assert_eq!(
        rejects,
        [
            (6, error, "1001\t#N/A\t4\tCOLA\t2016-06-01"),
            (7, error, "1001\t2.5\t4\t#REF!\t2016-06-01\tx")
        ]
    );
    let because = refused(&book, &layout(FormatWord::Xlsx, of_sheet));
    assert!(because.contains("header_line = 3"), "{because}");
    let because = refused(&book, &layout(FormatWord::Xlsx, |_| ()));
    assert!(because.contains("empty"), "the first sheet is: {because}");
    let by_position = layout(FormatWord::Xlsx, |spec| {
        of_sheet(spec);
        spec.columns = FeedSpec::default().columns;
    });
    assert_eq!(converted(&xlsx(&rows[3..4]), &by_position).0.rows, 1);
}

#[test]
fn numbers_with_more_places_need_rounding() {
    let amounts = |round| move |spec: &mut FeedSpec| spec.values.round = round;
    for (bytes, format, change) in [
        (parquet(vec![2.5, 0.1 + 0.2]), FormatWord::Parquet, None),
        (
            xlsx(&[
                "store_id|amount|code|item_id|trans_date",
                "1|2.5|4|X|2016-06-01",
                "1|0.30000000000000004|4|X|2016-06-01",
            ]),
            FormatWord::Xlsx,
            Some(of_sheet as fn(&mut FeedSpec)),
        ),
    ] {
        let of = |round| {
            layout(format, |spec| {
                amounts(round)(spec);
                if let Some(change) = change {
                    change(spec);
                }
            })
        };
        let because = refused(&bytes, &of(None));
        assert!(
            because.contains("0.30000000000000004") && because.contains("values.round"),
            "{because}"
        );
        let (report, _) = converted(&bytes, &of(Some(Rounding::HalfEven)));
        assert_eq!(
            (report.rows, report.rounded, report.rejected_because),
            (2, 1, None)
        );
    }
}

#[test]
fn a_file_of_another_kind_is_refused_with_the_format_that_reads_it() {
    let text = |format| {
        layout(format, |spec| {
            if format == FormatWord::Delimited {
                spec.columns = FeedSpec::default().columns
            }
        })
    };
    let tables = [
        (dbf(NAMES, &RECORDS), "a dBASE table", "dbf"),
        (xlsx(&["1"]), "a workbook", "xlsx"),
        (parquet(vec![2.5]), "a Parquet file", "parquet"),
    ];
    for format in [
        FormatWord::Delimited,
        FormatWord::Json,
        FormatWord::Dbf,
        FormatWord::Xlsx,
        FormatWord::Parquet,
    ] {
        let layout = text(format);
        for (bytes, kind, reads) in &tables {
            let word = format!("{format:?}").to_lowercase();
            if word == *reads {
                continue;
            }
            let because = refused(bytes, &layout);
            let expected =
                format!("it is {kind}, which format = \"{word}\" does not read: set format = \"{reads}\"");
            assert!(because.starts_with(&expected), "{because}");
        }
        for (bytes, kind) in [
            (&b"%PDF-1.4\n%\xE2\xE3"[..], "a PDF document"),
            (b"\x89PNG\r\n\x1A\n\0\0", "a PNG picture"),
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF", "a JPEG picture"),
            (b"<!DOCTYPE html>\n<html>", "an HTML page"),
            (b"-----BEGIN PGP MESSAGE-----\n", "encrypted or signed with PGP"),
        ] {
            let because = refused(bytes, &layout);
            assert!(
                because.starts_with(&format!("it is {kind}, which no feed reads")),
                "{because}"
            );
        }
    }
}
