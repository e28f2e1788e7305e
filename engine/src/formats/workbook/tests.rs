use std::io::Write;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::*;

/// Collects the records: their texts, and what their cells are.
struct Collect;

type Collected = Vec<(String, Vec<Typed>)>;

impl Reading<Collected> for Collect {
    fn read(self, mut records: Box<dyn Records + '_>) -> Result<Collected, EngineError> {
        records.select(Some(&[])).map_err(EngineError::Read)?;
        let (mut record, mut all) = (Record::default(), Vec::new());
        while records.next(&mut record).map_err(EngineError::Read)? {
            let typed = (0..record.fields.len())
                .map(|at| record.fields.typed(at))
                .collect();
            all.push((String::from_utf8_lossy(&record.text).into_owned(), typed));
        }
        Ok(all)
    }
}

fn read(bytes: &[u8], sheet: Option<SheetSpec>) -> Result<Collected, String> {
    let folder = TempDir::new().unwrap();
    let spool = Spool::of(bytes, folder.path()).unwrap();
    open(&spool, sheet.as_ref(), Collect).map_err(|error| match error {
        EngineError::Read(error) => {
            crate::containers::unreadable(&error).unwrap_or_else(|| panic!("{error}"))
        }
        error => panic!("{error}"),
    })
}

fn texts(collected: Result<Collected, String>) -> Vec<String> {
    collected.unwrap().into_iter().map(|(text, _)| text).collect()
}

fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(*name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Writes a workbook with an empty sheet, and one with these rows.
fn xlsx(rows: &str, is_1904: bool, texts: &str) -> Vec<u8> {
    let relation = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"http://x/relationships/{kind}\" Target=\"{target}\"/>")
    };
    let relations = [
        relation("r1", "worksheet", "worksheets/sheet1.xml"),
        relation("r2", "worksheet", "/xl/worksheets/sheet2.xml"),
        relation("r3", "sharedStrings", "sharedStrings.xml"),
        relation("r4", "styles", "styles.xml"),
    ];
    zipped(&[
        ("[Content_Types].xml", "<Types/>"),
        (
            "_rels/.rels",
            &format!(
                "<Relationships>{}</Relationships>",
                relation("r1", "officeDocument", "xl/workbook.xml")
            ),
        ),
        (
            "xl/workbook.xml",
            &format!(
                "<workbook><workbookPr date1904=\"{}\"/><sheets><sheet name=\"Notes\" sheetId=\"1\" r:id=\"r1\"/>\
                 <sheet name=\"Sales &amp; Tax\" sheetId=\"2\" r:id=\"r2\"/></sheets></workbook>",
                u8::from(is_1904)
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &format!("<Relationships>{}</Relationships>", relations.concat()),
        ),
        ("xl/sharedStrings.xml", texts),
        (
            "xl/styles.xml",
            "<styleSheet><numFmts><numFmt numFmtId=\"164\" formatCode=\"[$-409]d/m/yy h:mm;@\"/></numFmts><cellStyleXfs>\
             <xf numFmtId=\"14\"/></cellStyleXfs><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"164\"/>\
             <xf numFmtId=\"4\"/></cellXfs></styleSheet>",
        ),
        ("xl/worksheets/sheet1.xml", "<worksheet><sheetData/></worksheet>"),
        (
            "xl/worksheets/sheet2.xml",
            &format!("<worksheet><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ])
}

fn sales() -> Option<SheetSpec> {
    Some(SheetSpec::Name("sales & tax".into()))
}

const TEXTS: &str = "<sst uniqueCount=\"99999999999999\"><si><t>CO</t></si><si/><si><r><t>LA</t></r><r><t xml:space=\"preserve\"> \
                     2</t></r><rPh><t>no</t></rPh></si><si><t>a_x000D_b&amp;</t></si></sst>";

#[test]
fn cells_of_every_type() {
    let rows = "<row r=\"2\"><c r=\"A2\" t=\"s\"><v>0</v></c><c r=\"B2\"><v>2.5</v></c><c r=\"D2\" s=\"1\"><v>42522</v></c>\
                <c r=\"E2\" s=\"2\"><v>42522.5</v></c></row>\
                <row r=\"5\"><c r=\"A5\" t=\"s\"><v>2</v></c><c r=\"B5\" t=\"e\"><f>1/0</f><v>#DIV/0!</v></c>\
                <c r=\"C5\" t=\"inlineStr\"><is><t>in</t></is></c><c r=\"D5\" t=\"b\"><v>1</v></c>\
                <c r=\"E5\" t=\"str\"><f>A1</f><v>x</v></c></row>\
                <row><c t=\"s\"><v>3</v></c><c s=\"3\"><v>0.30000000000000004</v></c><c><f>B2</f></c><c t=\"d\"><v>2016-06-01</v></c>\
                <c t=\"s\"><v>1</v></c></row>";
    let found = read(&xlsx(rows, false, TEXTS), sales()).unwrap();
    let found_texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        found_texts,
        [
            "",
            "CO\t2.5\t\t2016-06-01\t2016-06-01 12:00:00",
            "",
            "",
            "LA 2\t#DIV/0!\tin\tTRUE\tx",
            "a b&\t0.30000000000000004\t\t2016-06-01\t",
        ]
    );
    assert_eq!(
        found[1].1,
        [Typed::Text, Typed::Number, Typed::Text, Typed::Date, Typed::Date]
    );
    assert_eq!(
        found[4].1,
        [Typed::Text, Typed::Error, Typed::Text, Typed::Text, Typed::Text]
    );
}

#[test]
fn the_two_systems_of_dates() {
    let day = |serial, is_1904| match of_serial(serial, is_1904) {
        Some(Value::Date(day, second)) => (day, second),
        other => panic!("{serial}: {other:?}"),
    };
    assert_eq!(day(42_522.0, false), (16_953, None));
    assert_eq!(day(41_060.0, true), (16_953, None));
    assert_eq!(day(1.0, false), (-25_567, None), "1900-01-01");
    assert_eq!(day(59.0, false), (-25_509, None), "1900-02-28");
    assert_eq!(day(61.0, false), (-25_508, None), "1900-03-01");
    assert_eq!(day(0.0, true), (-24_107, None), "1904-01-01");
    assert_eq!(day(42_522.25, false), (16_953, Some(21_600)));
    assert_eq!(day(42_522.999_999_9, false), (16_954, None));
    for serial in [60.5, 0.5, -1.0, 1e9, f64::NAN] {
        assert_eq!(of_serial(serial, false), None, "{serial}");
    }
    let rows = "<row r=\"1\"><c r=\"A1\" s=\"1\"><v>41060</v></c></row>";
    assert_eq!(texts(read(&xlsx(rows, true, "<sst/>"), sales())), ["2016-06-01"]);
}

#[test]
fn formats_of_dates() {
    for code in [
        "m/d/yy",
        "[$-409]d/m/yy h:mm;@",
        "yyyy\\-mm\\-dd",
        "[Red]dd.mm.",
        "mmm",
        "h:mm",
    ] {
        assert!(xlsx::is_date_format(code), "{code}");
    }
    for code in [
        "General",
        "0.00",
        "#,##0.00 [$USD];d",
        "\"days\" 0",
        "0\\d",
        "[h]:mm",
        "0_d",
        "0.00E+00",
        "",
    ] {
        assert!(!xlsx::is_date_format(code), "{code}");
    }
}

#[test]
fn sheets_are_found_by_name_or_number() {
    let book = xlsx("<row r=\"1\"><c r=\"A1\"><v>7</v></c></row>", false, "<sst/>");
    assert_eq!(texts(read(&book, sales())), ["7"]);
    assert_eq!(texts(read(&book, Some(SheetSpec::Number(2)))), ["7"]);
    assert!(texts(read(&book, None)).is_empty(), "the first sheet is empty");
    for wanted in [SheetSpec::Number(3), SheetSpec::Name("Other".into())] {
        let because = read(&book, Some(wanted)).unwrap_err();
        assert!(
            because.contains("its sheets are \"Notes\", \"Sales & Tax\""),
            "{because}"
        );
    }
}

#[test]
fn traps_are_refused_in_little_memory() {
    let cell = |name: &str, row: u32| format!("<row r=\"{row}\"><c r=\"{name}\"><v>1</v></c></row>");
    let refused = |rows: &str, texts: &str| read(&xlsx(rows, false, texts), sales()).unwrap_err();
    let far = refused(&cell("XFD1048576", 1_048_576), "<sst/>");
    assert!(
        far.contains("row 1048576 of its sheet has a cell in column 16384"),
        "{far}"
    );
    let beyond = refused(&cell("A4000000000", 4_000_000_000), "<sst/>");
    assert!(beyond.contains("damaged"), "{beyond}");
    let back = refused(&[cell("A5", 5), cell("A4", 4)].concat(), "<sst/>");
    assert!(back.contains("row 4 stands behind row 5"), "{back}");
    let many = format!(
        "<sst>{}</sst>",
        format!("<si><t>{}</t></si>", "a".repeat(1_000_000)).repeat(60)
    );
    let bomb = refused("", &many);
    assert!(
        bomb.contains("200 times") || bomb.contains("MiB of texts"),
        "{bomb}"
    );
    // Letters that do not repeat, so that only the length of the text is wrong.
    let letters = (0..3_u32 << 20).scan(1_u32, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(char::from(b'a' + (*state >> 24) as u8 % 26))
    });
    let text: String = letters.collect();
    let long = refused(
        &format!("<row r=\"1\"><c r=\"A1\" t=\"str\"><v>{text}</v></c></row>"),
        "<sst/>",
    );
    assert!(long.contains("too long for any cell"), "{long}");
    let deep = "<row r=\"1\"><c r=\"A1\"><f>".to_owned() + &"<x>".repeat(100_000);
    assert!(
        refused(&deep, "<sst/>").contains("cut"),
        "{}",
        refused(&deep, "<sst/>")
    );
    let unordered = refused(
        "<row r=\"1\"><c r=\"B1\"><v>1</v></c><c r=\"A1\"><v>1</v></c></row>",
        "<sst/>",
    );
    assert!(unordered.contains("not in order"), "{unordered}");
    let absent = refused("<row r=\"1\"><c r=\"A1\" t=\"s\"><v>9</v></c></row>", "<sst/>");
    assert!(absent.contains("a text that there is not"), "{absent}");
}

#[test]
fn what_is_no_workbook_is_told() {
    for (bytes, words) in [
        (zipped(&[("sales.csv", "1,2")]), "zip archive without a workbook"),
        (b"1,2.50".to_vec(), "no workbook"),
        (Vec::new(), "empty"),
        (b"PK\x03\x04 and then nothing".to_vec(), "damaged"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(), "damaged"),
    ] {
        let because = read(&bytes, None).unwrap_err();
        assert!(because.contains(words), "{because:?} lacks {words:?}");
    }
    let whole = xlsx("<row r=\"1\"><c r=\"A1\"><v>7</v></c></row>", false, TEXTS);
    for end in 0..whole.len() {
        assert!(read(&whole[..end], sales()).is_err(), "{end}");
    }
}

fn ods(sheet: &str, manifest: &str) -> Vec<u8> {
    zipped(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest),
        (
            "content.xml",
            &format!(
                "<office:document-content><office:body><table:table table:name=\"Notes\"><table:table-row><table:table-cell/>\
                 </table:table-row></table:table><table:table table:name=\"Sales &amp; Tax\">{sheet}</table:table></office:body>\
                 </office:document-content>"
            ),
        ),
    ])
}

#[test]
fn sheets_of_libre_office() {
    let row =
        |attributes: &str, cells: &str| format!("<table:table-row{attributes}>{cells}</table:table-row>");
    let cell = |attributes: &str, text: &str| {
        format!("<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>")
    };
    let cells = [
        cell(
            "office:value-type=\"string\"",
            "CO<text:s text:c=\"2\"/>LA &amp;<text:span>x</text:span>",
        ),
        cell("office:value-type=\"float\" office:value=\"2.5\"", "2,50"),
        "<table:table-cell table:number-columns-repeated=\"2\"/>".to_owned(),
        cell(
            "office:value-type=\"date\" office:date-value=\"2016-06-01T10:30:00\"",
            "1.6.16",
        ),
        cell(
            "office:value-type=\"string\" calcext:value-type=\"error\"",
            "#N/A",
        ),
        "<table:table-cell table:number-columns-repeated=\"16000\"/>".to_owned(),
    ];
    let rows = [
        row(" table:number-rows-repeated=\"2\"", "<table:table-cell/>"),
        row(" table:number-rows-repeated=\"2\"", &cells.concat()),
        row(
            " table:number-rows-repeated=\"1048000\"",
            "<table:table-cell table:number-columns-repeated=\"16384\"/>",
        ),
    ];
    let found = read(&ods(&rows.concat(), "<m/>"), sales()).unwrap();
    let line = "CO  LA &x\t2.5\t\t\t2016-06-01 10:30:00\t#N/A";
    let found_texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(found_texts, ["", "", line, line]);
    assert_eq!(
        found[2].1[1..],
        [Typed::Number, Typed::Text, Typed::Text, Typed::Date, Typed::Error]
    );
    let locked = read(&ods("", "<m><manifest:encryption-data/></m>"), None).unwrap_err();
    assert!(locked.contains("password"), "{locked}");
    let wide = cell(
        "office:value-type=\"float\" office:value=\"1\" table:number-columns-repeated=\"16384\"",
        "1",
    );
    let wide = read(&ods(&row("", &wide), "<m/>"), sales()).unwrap_err();
    assert!(wide.contains("column 16384"), "{wide}");
    let absent = read(&ods("", "<m/>"), Some(SheetSpec::Number(9))).unwrap_err();
    assert!(absent.contains("no sheet 9"), "{absent}");
}

#[test]
fn letters_of_columns() {
    assert_eq!(
        ["A", "z", "AA", "XFD"].map(column),
        [Some(0), Some(25), Some(26), Some(16_383)]
    );
    assert_eq!(["", "A1", "AAAA", "é"].map(column), [None; 4]);
}

/// Writes a record of an xlsb.
fn record(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = match kind {
        0..0x80 => vec![kind as u8],
        kind => vec![kind as u8 | 0x80, (kind >> 7) as u8],
    };
    bytes.push(content.len() as u8);
    bytes.extend(content);
    bytes
}

fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut bytes = (units.len() as u32).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

/// Writes a workbook as xlsb with one sheet, whose cells these records are.
fn xlsb(cells: &[Vec<u8>]) -> Vec<u8> {
    let sheet = [&[0; 8][..], &wide("r1"), &wide("Sales")].concat();
    let book = [
        record(0x83, &[]),
        record(0x8F, &[]),
        record(0x9C, &sheet),
        record(0x90, &[]),
        record(0x9D, &[]),
    ]
    .concat();
    let cells = [
        record(0x81, &[]),
        record(0x94, &[0; 16]),
        record(0x91, &[]),
        cells.concat(),
        record(0x92, &[]),
    ]
    .concat();
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let relations =
        "<Relationships><Relationship Id=\"r1\" Target=\"worksheets/sheet1.bin\"/></Relationships>";
    for (name, bytes) in [
        ("xl/workbook.bin", &book[..]),
        ("xl/_rels/workbook.bin.rels", relations.as_bytes()),
        ("xl/worksheets/sheet1.bin", &cells),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn binary_workbooks() {
    let cell = |kind: u16, column: u32, value: &[u8]| {
        record(kind, &[&column.to_le_bytes()[..], &[0; 4], value].concat())
    };
    let row = |row: u32| record(0, &[&row.to_le_bytes()[..], &[0; 13]].concat());
    let cells = [
        row(1),
        cell(6, 0, &wide("COLA")),
        cell(5, 2, &2.5_f64.to_le_bytes()),
        row(3),
        cell(3, 0, &[0x2A]),
        cell(4, 1, &[1]),
    ];
    let found = read(&xlsb(&cells), Some(SheetSpec::Name("Sales".into()))).unwrap();
    let found_texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(found_texts, ["", "COLA\t\t2.5", "", "#N/A\tTRUE"]);
    assert_eq!(found[3].1[0], Typed::Error);
    let far = read(&xlsb(&[row(1), cell(4, 16_383, &[1])]), None).unwrap_err();
    assert!(far.contains("column 16384"), "{far}");
    let text = read(&xlsb(&[row(1), cell(7, 0, &9_u32.to_le_bytes())]), None).unwrap_err();
    assert!(text.contains("its reader gave up"), "{text}");
}

/// Writes a workbook as xls with one sheet of numbers: row, column, and value.
fn xls(cells: &[(u16, u16, f64)]) -> Vec<u8> {
    let record = |kind: u16, content: &[u8]| {
        [
            &kind.to_le_bytes()[..],
            &(content.len() as u16).to_le_bytes(),
            content,
        ]
        .concat()
    };
    let bof = |kind: u16| {
        record(
            0x809,
            &[&0x600_u16.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 12]].concat(),
        )
    };
    let bound = |at: u32| record(0x85, &[&at.to_le_bytes()[..], &[0, 0, 5, 0], b"Sales"].concat());
    let globals = |at: u32| [bof(5), bound(at), record(0x0A, &[])].concat();
    let mut stream = globals(globals(0).len() as u32);
    stream.extend(bof(0x10));
    for (row, column, value) in cells {
        let cell = [
            &row.to_le_bytes()[..],
            &column.to_le_bytes(),
            &[0; 2],
            &value.to_le_bytes(),
        ]
        .concat();
        stream.extend(record(0x203, &cell));
    }
    stream.extend(record(0x0A, &[]));
    stream.resize(stream.len().next_multiple_of(512).max(4096), 0);
    // A header, then the sectors: which follows which, the directory, and the stream.
    let sectors = stream.len() / 512;
    let mut bytes = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    bytes.resize(512, 0);
    bytes[24..32].copy_from_slice(&[0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0]);
    bytes[32] = 6;
    bytes[44] = 1;
    bytes[48] = 1;
    bytes[56..58].copy_from_slice(&[0, 0x10]);
    bytes[60..64].fill(0xFE);
    bytes[61..64].fill(0xFF);
    bytes[68..72].copy_from_slice(&0xFFFF_FFFE_u32.to_le_bytes());
    bytes[76..512].fill(0xFF);
    bytes[76..80].fill(0);
    let mut next = vec![0xFFFF_FFFD_u32, 0xFFFF_FFFE];
    next.extend((0..sectors as u32 - 1).map(|at| at + 3));
    next.push(0xFFFF_FFFE);
    next.resize(128, u32::MAX);
    bytes.extend(next.iter().flat_map(|sector| sector.to_le_bytes()));
    for (name, kind, start, length) in [
        ("Root Entry", 5, 0xFFFF_FFFE_u32, 0),
        ("Workbook", 2, 2, stream.len() as u32),
    ] {
        let entry = bytes.len();
        bytes.extend(name.encode_utf16().flat_map(|unit| unit.to_le_bytes()));
        bytes.resize(entry + 128, 0);
        bytes[entry + 64] = (name.len() as u8 + 1) * 2;
        bytes[entry + 66] = kind;
        bytes[entry + 116..entry + 120].copy_from_slice(&start.to_le_bytes());
        bytes[entry + 120..entry + 124].copy_from_slice(&length.to_le_bytes());
    }
    bytes.resize(1536, 0);
    bytes.extend(stream);
    bytes
}

#[test]
fn old_workbooks() {
    assert_eq!(
        texts(read(&xls(&[(1, 0, 7.0), (1, 2, 2.5), (3, 1, -0.5)]), None)),
        ["", "7\t\t2.5", "", "\t-0.5"]
    );
    let far = read(&xls(&[(0, 0, 1.0), (65_535, 255, 1.0)]), None).unwrap_err();
    assert!(far.contains("span 16777216 cells"), "{far}");
    let whole = xls(&[(0, 0, 1.0)]);
    for end in (0..whole.len()).step_by(97) {
        let _ = read(&whole[..end], None);
    }
}
