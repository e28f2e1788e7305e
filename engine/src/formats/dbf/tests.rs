use super::*;

/// A column: its name, type, length, places and flags.
type Described = (&'static str, u8, u8, u8, u8);

/// Writes a table. Each record begins with its mark.
fn table(version: u8, mark: u8, columns: &[Described], records: &[&[u8]]) -> Vec<u8> {
    let width = 1 + columns.iter().map(|column| usize::from(column.2)).sum::<usize>();
    let backlink = if version == 0x30 { BACKLINK } else { 0 };
    let mut bytes = vec![version, 116, 6, 1];
    bytes.extend((records.len() as u32).to_le_bytes());
    bytes.extend((((columns.len() + 1) * PART + 1 + backlink) as u16).to_le_bytes());
    bytes.extend((width as u16).to_le_bytes());
    bytes.resize(PART, 0);
    bytes[29] = mark;
    for (name, kind, length, places, flags) in columns {
        let start = bytes.len();
        bytes.extend(name.bytes());
        bytes.resize(start + PART, 0);
        bytes[start + 11] = *kind;
        bytes[start + 16..start + 19].copy_from_slice(&[*length, *places, *flags]);
    }
    bytes.push(LAST_COLUMN);
    bytes.resize(bytes.len() + backlink, 0);
    records.iter().for_each(|record| bytes.extend(*record));
    bytes.push(END_MARK);
    bytes
}

const COLUMNS: &[Described] = &[
    ("STORE", b'C', 4, 0, 0),
    ("AMOUNT", b'N', 7, 2, 0),
    ("DAY", b'D', 8, 0, 0),
];

/// Reads all records: their texts, or why the file is refused.
fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    read_as(bytes, None).map(|records| records.into_iter().map(|(text, _)| text).collect())
}

fn read_as(bytes: &[u8], charset: Option<Charset>) -> Result<Vec<(String, Vec<Typed>)>, String> {
    let told = |error: io::Error| crate::containers::unreadable(&error).unwrap();
    let mut records = DbfRecords::new(bytes, charset).map_err(told)?;
    records.select(None).unwrap();
    let (mut record, mut all) = (Record::default(), Vec::new());
    while records.next(&mut record).map_err(told)? {
        let typed = (0..record.fields.len())
            .map(|at| record.fields.typed(at))
            .collect();
        all.push((String::from_utf8(record.text.clone()).unwrap(), typed));
    }
    Ok(all)
}

#[test]
fn cells_have_types_and_deleted_records_are_blank() {
    let table: Vec<u8> = table(
        3,
        1,
        COLUMNS,
        &[
            b" 1001  12.5020160601",
            b"*1001  99.0020160601",
            b" \x82\x9C  *******        ",
        ],
    );
    let all = read_as(&table, None).unwrap();
    let texts: Vec<_> = all.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        texts,
        ["1001\t12.5\t2016-06-01", "", "é£\t*******\t"],
        "cp437 by its mark"
    );
    assert_eq!(all[0].1, [Typed::Text, Typed::Number, Typed::Date]);
    assert_eq!(all[2].1, [Typed::Text; 3]);
    let windows = Some(Charset::Text(encoding_rs::WINDOWS_1252));
    assert_eq!(
        read_as(&table, windows).unwrap()[2].0,
        "‚œ\t*******\t",
        "the settings come first"
    );
    let names = DbfRecords::new(&table[..], None).unwrap().names();
    assert_eq!(names.unwrap(), ["STORE", "AMOUNT", "DAY"]);
    assert!(is_dbf(&table));
}

#[test]
fn types_of_foxpro() {
    let columns = [
        ("I", b'I', 4, 0, 0),
        ("B", b'B', 8, 2, 0),
        ("Y", b'Y', 8, 4, 2),
        ("T", b'T', 8, 0, 0),
        ("L", b'L', 1, 0, 2),
        ("_NullFlags", b'0', 1, 0, 5),
    ];
    let record = |is_null: u8| {
        let mut record = vec![b' '];
        record.extend(7_i32.to_le_bytes());
        record.extend((-2.5_f64).to_le_bytes());
        record.extend(125_000_i64.to_le_bytes());
        record.extend(2_457_541_i32.to_le_bytes());
        record.extend(49_500_000_i32.to_le_bytes());
        record.extend([b'T', is_null]);
        record
    };
    let bytes = table(0x30, 3, &columns, &[&record(0), &record(3)]);
    assert_eq!(
        read(&bytes).unwrap(),
        [
            "7\t-2.5\t12.5\t2016-06-01 13:45:00\tT",
            "7\t-2.5\t\t2016-06-01 13:45:00\t"
        ]
    );
}

#[test]
fn a_memo_is_refused_only_if_it_is_asked_for() {
    let columns = [("STORE", b'C', 4, 0, 0), ("NOTE", b'M', 10, 0, 0)];
    let bytes = table(0x83, 0, &columns, &[b" 1001         1"]);
    assert_eq!(read(&bytes).unwrap(), ["1001\t"]);
    let mut records = DbfRecords::new(&bytes[..], None).unwrap();
    assert!(records.select(Some(&[0])).is_ok());
    let refused = records.select(Some(&[0, 1])).unwrap_err().to_string();
    assert!(refused.contains("NOTE has the type M"), "{refused}");
}

#[test]
fn headers_that_lie_and_tables_that_were_cut_are_refused() {
    let whole = table(3, 0, COLUMNS, &[b" 1001  12.5020160601", b" 1002   7.0020160601"]);
    assert_eq!(read(&whole).unwrap().len(), 2);
    let without_mark = &whole[..whole.len() - 1];
    assert_eq!(
        read(without_mark).unwrap().len(),
        2,
        "the end mark may be missing"
    );
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        read(&bytes).unwrap_err()
    };
    for (because, words) in [
        (changed(4, 3), "counts 3 records, but only 2 came"),
        (changed(4, 1), "counts 1 records, but more follow"),
        (changed(7, 0xFF), "only 2 came"),
        (changed(10, 21), "its columns have 20 bytes"),
        (changed(8, 33), "list of columns does not end"),
        (changed(0, 4), "dBASE 7"),
        (changed(0, b'x'), "no dBASE table"),
        (changed(29, 0x68), "encoding"),
        (changed(PART + 11, b'?'), "a type that there is not"),
        (changed(PART * 3 + 16, 9), "of type D has 9 bytes"),
        (read(&whole[..whole.len() - 5]).unwrap_err(), "it was cut"),
        (read(&whole[..70]).unwrap_err(), "cut within its header"),
        (read(&[]).unwrap_err(), "empty"),
        (read(b"1001,2.50").unwrap_err(), "no dBASE table"),
    ] {
        assert!(because.contains(words), "{because:?} lacks {words:?}");
    }
    let first = PART * 4 + 1;
    let odd = changed(first + 20, b'x');
    assert!(odd.contains("record 2 begins with the byte 0x78"), "{odd}");
    let marked = changed(first + 20, END_MARK);
    assert!(marked.contains("only 1 came"), "{marked}");
}

#[test]
fn any_header_is_read_or_refused() {
    let whole = table(0x30, 0, COLUMNS, &[b" 1001  12.5020160601"]);
    for at in 0..PART * 4 {
        for byte in [0, 1, 0x20, 0x7F, 0xFF] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let _ = read(&bytes);
        }
    }
    for end in 0..whole.len() {
        let _ = read(&whole[..end]);
    }
}
