//! Files that registers and exports write in odd ways: how they are cut into lines, headers that stand elsewhere or name
//! other columns, and values in forms that are not read. What is not certain is rejected as a whole, with the reason.

use gristmill_engine::{
    Budget, Conversion, ConversionReport, Empty, EngineError, FeedLayout, FeedSpec, FinalNewline, Header,
    HeaderNames, HeaderRule, Outputs, Reject, Row, Scratch, convert, convert_in_order, read_rejects,
    rows_of_key,
};
use jiff::civil::date;
use tempfile::TempDir;

/// What became of a file.
struct Outcome {
    folder: TempDir,
    report: ConversionReport,
}

impl Outcome {
    fn counts(&self) -> [u64; 5] {
        let r = &self.report;
        [r.lines, r.rows, r.ignored, r.skipped, r.rejects]
    }

    /// The reason why it is rejected, which must hold these words.
    fn refused(&self, words: &[&str]) -> &str {
        let because = self.report.rejected_because.as_deref();
        let because = because.unwrap_or_else(|| panic!("it is accepted: {:?}", self.report));
        for word in words {
            assert!(because.contains(word), "{word:?} is not in {because:?}");
        }
        because
    }

    /// The cents of a key's rows.
    fn cents(&self, store: &str, item: &str) -> Vec<i64> {
        assert_eq!(self.report.rejected_because, None);
        let path = self.folder.path().join("converted");
        let rows = rows_of_key(&path, store, item, date(2016, 6, 1)).expect("the rows read back");
        rows.into_iter().map(|Row { amount, .. }| amount).collect()
    }

    fn rejects(&self) -> Vec<Reject> {
        let path = self.folder.path().join("rejects");
        match path.exists() {
            true => read_rejects(&path, usize::MAX).expect("the rejects read back"),
            false => Vec::new(),
        }
    }
}

fn read_as(change: impl FnOnce(&mut FeedSpec), bytes: impl AsRef<[u8]>) -> Outcome {
    let mut spec = FeedSpec::default();
    change(&mut spec);
    let layout = FeedLayout::new(&spec).expect("the layout is right");
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (converted, rejects) = (folder.path().join("converted"), folder.path().join("rejects"));
    let outputs = Outputs {
        converted: Some(&converted),
        rejects: Some(&rejects),
    };
    let scratch = Scratch {
        folder: folder.path(),
        memory: &Budget::new(1 << 30),
    };
    let bytes = bytes.as_ref();
    let Conversion { report, .. } = match convert(bytes, &layout, outputs, scratch, |_| ()) {
        Err(EngineError::ColumnsMoved) => convert_in_order(bytes, &layout, outputs, scratch, |_| ()),
        done => done,
    }
    .expect("the bytes can be converted");
    Outcome { folder, report }
}

fn read(bytes: impl AsRef<[u8]>) -> Outcome {
    read_as(|_| (), bytes)
}

fn columns(spec: &mut FeedSpec, names: &str) {
    spec.columns = names.split(' ').map(str::to_owned).collect();
}

const ROW: &str = "1003\t2.50\t4\tCOLA\t2016-06-01\n";

#[test]
fn every_line_end_ends_a_line_even_in_the_last_column_and_inside_quotes() {
    let with_id_last = |bytes: &str| {
        read_as(
            |spec| columns(spec, "store_id trans_date code amount item_id"),
            bytes,
        )
    };
    let line = |amount: &str, item: &str| format!("1\t2016-06-01\t4\t{amount}\t{item}");
    let crs = [
        line("2.50", "COLA"),
        line("3.00", "FRIES"),
        line("9.00", "PIZZA"),
        String::new(),
    ]
    .join("\r");
    let crs = with_id_last(&crs);
    assert_eq!(crs.counts(), [3, 3, 0, 0, 0]);
    assert_eq!([crs.cents("1", "COLA"), crs.cents("1", "PIZZA")], [[250], [900]]);
    let crcrlf = with_id_last(&[line("2.50", "COLA"), line("3.00", "COLA"), String::new()].join("\r\r\n"));
    assert_eq!(crcrlf.counts(), [2, 2, 0, 0, 0]);
    assert_eq!(crcrlf.cents("1", "COLA"), [250, 300]);
    let mixed = [
        line("1.00", "COLA"),
        "\n".into(),
        line("2.00", "COLA"),
        "\r".into(),
        line("4.00", "COLA"),
        "\r\n".into(),
        line("8.00", "COLA"),
    ]
    .concat();
    let mixed = with_id_last(&mixed);
    assert_eq!(mixed.counts(), [4, 4, 0, 0, 0]);
    assert_eq!(mixed.cents("1", "COLA"), [100, 200, 400, 800]);
    assert!(!mixed.report.last_line_ended && crs.report.last_line_ended);
    let quoted = read_as(
        |spec| spec.max_reject_percent = 100.0,
        format!("1\t1\t4\t\"a\rb\"\t2016-06-01\r{ROW}"),
    );
    assert_eq!(
        quoted.counts(),
        [3, 1, 0, 0, 2],
        "a line end is one inside quotes, too"
    );
}

#[test]
fn an_end_mark_ends_the_file_and_padding_is_no_line_of_data() {
    let marked = read(format!("{ROW}1003\t1.00\t5\tCOLA\t2016-06-01\r\n\x1a"));
    assert_eq!(marked.counts(), [3, 2, 0, 1, 0]);
    let padded = read(format!(
        "{ROW}1003\t3.00\t4\tCOLA\t2016-06-01\x1a{}",
        "\0".repeat(300)
    ));
    assert_eq!(padded.counts(), [2, 2, 0, 0, 0]);
    assert!(padded.report.last_line_ended, "the mark ends it");
    let cut = read(format!(
        "{ROW}1003\t3.00\t4\tCOLA\t2016-06-01{}",
        "\0".repeat(300)
    ));
    assert_eq!(
        (cut.counts(), cut.report.last_line_ended),
        ([2, 2, 0, 0, 0], false)
    );
    let old = read(format!("{ROW}\x1a{ROW}{ROW}"));
    assert_eq!(
        old.counts(),
        [3, 1, 0, 2, 0],
        "what a block held before is not read"
    );
    assert_eq!(old.report.lines_behind_end, 2);
    assert_eq!(
        read(format!("{ROW}\0\0\0\n{ROW}")).counts()[4],
        1,
        "NULs in mid-file are lost data"
    );
}

#[test]
fn joined_files_are_read_as_their_headers_say() {
    let joined = read(
        "\u{feff}\u{feff}store_id\tamount\tcode\titem_id\ttrans_date\n1003\t2.50\t4\tCOLA\t2016-06-01\n\
         \u{feff}item_id\tstore_id\tcode\tamount\ttrans_date\nFRIES\t1003\t4\t3.00\t2016-06-01\n",
    );
    assert_eq!(joined.counts(), [4, 2, 0, 2, 0]);
    assert_eq!(
        [joined.cents("1003", "COLA"), joined.cents("1003", "FRIES")],
        [[250], [300]]
    );
    let without_header = read(format!("{ROW}\u{feff}{ROW}"));
    assert_eq!(
        without_header.cents("1003", "COLA"),
        [250, 250],
        "no second store"
    );
    // Without a line end between them, the ids would run together.
    let glued = read_as(
        |spec| columns(spec, "store_id amount code trans_date item_id"),
        "1003\t2.50\t4\t2016-06-01\tCOLA\u{feff}1003\t2.50\t4\t2016-06-01\tCOLA\n".repeat(20),
    );
    assert_eq!(glued.counts()[4], 20);
}

#[test]
fn a_large_file_whose_columns_move_is_read_in_order() {
    let part = |header: &str, line: &str| format!("{header}\n{}", format!("{line}\n").repeat(60_000));
    let first = part(
        "store_id\tamount\tcode\titem_id\ttrans_date",
        "1003\t1.00\t4\tCOLA\t2016-06-01",
    );
    let same = part(
        "STORE_ID\tAmount\tcode\titem_id\ttrans_date",
        "1003\t1.00\t4\tCOLA\t2016-06-01",
    );
    let other = part(
        "item_id\tstore_id\tcode\tamount\ttrans_date",
        "COLA\t1003\t4\t2.00\t2016-06-01",
    );
    let pool = rayon_pool();
    let alike = pool.install(|| read([first.as_str(), &same].concat()));
    assert_eq!(alike.counts(), [120_002, 120_000, 0, 2, 0]);
    let moved = pool.install(|| read([first.as_str(), &other, &same].concat()));
    assert_eq!(moved.counts(), [180_003, 180_000, 0, 3, 0]);
    assert_eq!(
        moved.cents("1003", "COLA").iter().sum::<i64>(),
        60_000 * (100 + 200 + 100)
    );
}

fn rayon_pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .expect("threads can be started")
}

#[test]
fn titles_above_a_header_are_told_or_the_file_is_refused() {
    let line = "COLA\t2.50\t4\t1003\t2016-06-01\n";
    let file = format!(
        "sep=\t\nSales by item\nitem_id\tamount\tcode\tstore_id\ttrans_date\n{}",
        line.repeat(20)
    );
    let told = |header| {
        read_as(
            |spec| {
                spec.header = header;
                spec.header_line = Some(3);
            },
            &file,
        )
    };
    for told in [told(HeaderRule::Always), told(HeaderRule::Auto)] {
        assert_eq!(told.counts(), [23, 20, 0, 3, 0]);
        assert_eq!(told.cents("1003", "COLA").len(), 20);
        assert_eq!(told.report.header, Header::ByName);
    }
    read(&file).refused(&["line 3 looks like a header: header_line = 3"]);
    let always = read_as(|spec| spec.header = HeaderRule::Always, &file);
    always.refused(&["line 1 does not name store_id", "sep=", "header_line = 3"]);
    // Without the titles, line 3 is no header: nothing is lost in silence.
    let untitled = file.replace("sep=\t\nSales by item\n", "");
    read_as(|spec| spec.header_line = Some(3), &untitled).refused(&["line 3 does not name store_id", "COLA"]);
    let short = read_as(|spec| spec.header_line = Some(3), "Sales by item\n\n");
    short.refused(&["no line 3", "header_line"]);
    let above = read_as(
        |spec| spec.header_line = Some(2),
        format!("{ROW}store_id\tamount\tcode\titem_id\ttrans_date\n{ROW}"),
    );
    assert_eq!((above.counts(), above.report.skipped_rows), ([3, 1, 0, 2, 0], 1));
}

#[test]
fn a_header_must_name_every_needed_column_once() {
    let other = "Item\tAmount\tCode\tStore\tDate\nCOLA\t2.50\t4\t1003\t2016-06-01\n";
    read(other).refused(&[
        "store_id, item_id, trans_date",
        "Item, Amount, Code, Store, Date",
        "header_names",
    ]);
    let by_position = read_as(
        |spec| {
            columns(spec, "item_id amount code store_id trans_date");
            spec.header_names = HeaderNames::Ignore;
        },
        other,
    );
    assert_eq!(by_position.cents("1003", "COLA"), [250]);
    let twice =
        "store_id\tamount\tAMOUNT\tcode\titem_id\ttrans_date\n1003\t2.00\t2.50\t4\tCOLA\t2016-06-01\n";
    read(twice).refused(&["amount twice"]);
    let blanks = " Store_ID \t\"amount\"\tcode\titem_id\ttrans_date\n1003\t2.50\t4\tCOLA\t2016-06-01\n";
    assert_eq!(read(blanks).report.header, Header::ByName);
    let foreign = "Filiale\tBetrag\tArt\tArtikel\tDatum\n1003\t2.50\t4\tCOLA\t2016-06-01\n";
    read(foreign).refused(&["Filiale, Betrag, Art, Artikel, Datum"]);
    // A later header that lacks a column, and one that the settings do not expect.
    let header = "store_id\tamount\tcode\titem_id\ttrans_date\n";
    let lacking = format!("{header}{ROW}store_id\tamount\tcode\tdate\n{ROW}");
    read(lacking).refused(&["line 3 does not name item_id, trans_date"]);
    let never = |text: &str| {
        read_as(
            |spec| {
                spec.header = HeaderRule::Never;
                spec.max_reject_percent = 60.0;
            },
            text,
        )
    };
    assert_eq!(never(&format!("{header}{ROW}")).counts(), [2, 1, 0, 0, 1]);
    never("item_id\tamount\tcode\tstore_id\ttrans_date\nCOLA\t2.50\t4\t1003\t2016-06-01\n")
        .refused(&["another order"]);
}

#[test]
fn a_first_line_of_bad_values_is_a_reject_if_the_other_lines_say_so() {
    let rows = ROW.repeat(20);
    for first in [
        "1003\tn/a\t?\tCOLA\t2016-06-01\n",
        "1003\tn/a\t?\tn/a\tn/a\n",
        "?\tn/a\t?\tCOLA\tn/a\n",
    ] {
        let outcome = read(format!("{first}{rows}"));
        assert_eq!(outcome.counts(), [21, 20, 0, 0, 1], "{first}");
        assert_eq!(outcome.report.header, Header::None);
        let rejects = outcome.rejects();
        assert_eq!(
            (rejects[0].line_number, rejects[0].text.as_str()),
            (1, first.trim_end())
        );
        assert_eq!(outcome.report.rejected_because, None);
    }
}

#[test]
fn lines_that_begin_with_dashes_are_comments_only_where_the_feed_says_so() {
    let with_items_first = |skip: &[&str]| {
        read_as(
            |spec| {
                columns(spec, "item_id amount code store_id trans_date");
                spec.records.skip = skip.iter().map(|mark| (*mark).to_owned()).collect();
            },
            "--OPEN FOOD--\t40.00\t4\t1\t2016-06-01\n\"--FRIES\"\t1.00\t4\t1\t2016-06-01\n# -- note\nCOLA\t2.50\t4\t1\t2016-06-01\n\
             -- end of day\n",
        )
    };
    let skipped = with_items_first(&["--", "#"]);
    assert_eq!(skipped.counts(), [5, 2, 0, 3, 0]);
    assert_eq!(skipped.report.skipped_rows, 1, "one of them would be a row");
    assert_eq!(skipped.cents("1", "--FRIES"), [100], "not behind a quote");
    let read = with_items_first(&[]);
    assert_eq!((read.counts(), read.report.skipped_rows), ([5, 3, 0, 0, 2], 0));
}

#[test]
fn a_file_whose_last_line_does_not_end_is_refused_where_that_is_required() {
    let required = |text: &str| read_as(|spec| spec.records.final_newline = FinalNewline::Required, text);
    required(&ROW[..ROW.len() - 1]).refused(&["does not end", "final_newline"]);
    for whole in [
        ROW,
        &format!("{}\r", ROW.trim_end()),
        &format!("{}\x1a", ROW.trim_end()),
    ] {
        assert_eq!(required(whole).report.rejected_because, None, "{whole:?}");
    }
    assert_eq!(read(&ROW[..ROW.len() - 1]).report.rejected_because, None);
}

#[test]
fn a_header_alone_may_say_that_nothing_was_sold() {
    let header = "store_id\tamount\tcode\titem_id\ttrans_date\n";
    for text in ["", header, "\n", "-- closed today\n"] {
        let no_sales = read_as(|spec| spec.records.empty = Empty::NoSales, text);
        assert_eq!(no_sales.report.rejected_because, None, "{text:?}");
        assert!(read(text).report.rejected_because.is_some());
    }
    let rejects = read_as(|spec| spec.records.empty = Empty::NoSales, "garbage\n");
    assert!(rejects.report.rejected_because.is_some());
    let foreign = read_as(
        |spec| spec.records.empty = Empty::NoSales,
        "store_id\tamount\tcode\titem_id\n",
    );
    foreign.refused(&["trans_date"]);
}

#[test]
fn a_file_whose_rejects_are_all_in_another_form_is_refused_whatever_their_share() {
    let rows = ROW.repeat(38);
    let with = |lines: &[&str]| read(format!("{rows}{}\n", lines.join("\n")));
    let amount = |text: &str| format!("1003\t{text}\t4\tCOLA\t2016-06-01");
    with(&[&amount("2.50-"), &amount("(2.50)")]).refused(&[
        "2.50- in line 39",
        "values.negative",
        "2 rejected amounts",
    ]);
    with(&[&amount("15.000")]).refused(&["15.000 in line 39", "values.thousands"]);
    with(&[&amount("$1.00"), &amount("1.234,56")])
        .refused(&["values.currency", "values.thousands and values.decimal"]);
    with(&["1003\t1.00\t4\tCOLA\t1/6/2016"]).refused(&["1/6/2016 in line 39", "values.dates", "date_format"]);
    with(&["=\"1003\"\t1.00\t4\tCOLA\t2016-06-01"]).refused(&["=\"1003\" in line 39", "values.ids"]);
    // An amount that is missing is in no form; a typing error shows that the others may be some, too.
    with(&[&amount("2.50-"), &amount("")]).refused(&["its rejected amount is"]);
    let typed = with(&[&amount("2.50-"), &amount("2.5O")]);
    assert_eq!(
        (typed.report.rejected_because.as_deref(), typed.counts()[4]),
        (None, 2)
    );
}

#[test]
fn reference_feeds_follow_their_headers_too() {
    let items = |change: fn(&mut FeedSpec), text: &str| {
        read_as(
            |spec| {
                spec.reference = true;
                spec.measures.clear();
                columns(spec, "item_id name");
                change(spec);
            },
            text,
        )
    };
    let swapped = items(|_| (), "Name\tItem_ID\nFries\ti1\nITEM_ID\tNAME\ni2\tCola\n");
    assert_eq!(
        (swapped.counts(), swapped.report.header),
        ([4, 2, 0, 2, 0], Header::ByName)
    );
    items(|spec| spec.header = HeaderRule::Always, "PLU\tText\ni1\tFries\n")
        .refused(&["item_id, name", "PLU, Text"]);
    let crs = items(|_| (), "i1\tFries\ri2\tCola\r");
    assert_eq!(crs.counts(), [2, 2, 0, 0, 0]);
}
