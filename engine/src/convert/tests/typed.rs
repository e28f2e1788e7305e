//! Values that are read where they stand, or as a table's own numbers, days and texts, mean what their records mean.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::formats::{ParquetFile, Reading};
use crate::layout::FormatWord;
use crate::values::{IdCase, IdsSpec, Rounding, ValuesSpec};

/// All threads, little memory, and as many units as there can be.
const HURRIED: Way = Way {
    is_general: false,
    unit: 64,
    threads: 3,
    memory: 0,
};

const ALONE: Way = Way {
    is_general: false,
    ..DEFINITION
};

fn values(change: impl FnOnce(&mut ValuesSpec)) -> ValuesSpec {
    let mut values = ValuesSpec::default();
    change(&mut values);
    values
}

fn json_layouts() -> Vec<FeedLayout> {
    let json = |change: fn(&mut FeedSpec)| {
        layout(|spec| {
            spec.format = FormatWord::Json;
            spec.columns.clear();
            change(spec);
        })
    };
    vec![
        json(|_| ()),
        json(|spec| spec.values = values(|values| values.decimal = Some(",".into()))),
        json(|spec| spec.values = values(|values| values.scale = Some(2))),
        json(|spec| {
            let dates = ["%Y-%m-%d".to_owned(), "%d/%m/%Y".to_owned()];
            spec.values = values(|values| values.dates = Some(dates.into()));
        }),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just("{\"a\":1}".to_owned()),
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,4})?(e[0-9])?",
        "\"[a-c\\\\nu\"é ]{0,20}\"",
        "\"[0-9]{1,3}[.,][0-9]{2}\"",
    ]
}

/// A line that is nearly an object as stores write them.
fn object() -> impl Strategy<Value = String> {
    let usual = (
        "[0-3]",
        "-?[0-9]{1,4}\\.[0-9]{1,2}",
        3..8_u8,
        "[A-C]{1,18}",
        1..29_u8,
    );
    let usual = usual.prop_map(|(store, amount, code, item, day)| {
        [
            format!("\"100{store}\""),
            amount,
            code.to_string(),
            format!("\"{item}\""),
            format!("\"2016-06-{day:02}\""),
        ]
    });
    let others = (0..5_usize, value(), prop::bool::weighted(0.2));
    (usual, others, 0..6_usize, 0..8_u8).prop_map(|(mut values, (at, other, is_other), order, how)| {
        if is_other {
            values[at] = other;
        }
        let names = ["store_id", "amount", "code", "item_id", "trans_date"];
        let mut members: Vec<String> = names
            .iter()
            .zip(&values)
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        match order {
            0 => members.reverse(),
            1 => members.push("\"more\":{\"a\":[1,\"x\"]}".into()),
            2 => members.push("\"code\":5".into()),
            _ => {}
        }
        let object = format!("{{{}}}", members.join(if how == 0 { "," } else { ", " }));
        match how {
            1 => object.replace("store_id", "store\\u005fid"),
            2 => format!(" {object}\r"),
            3 => object[..object.len() - 1].to_owned(),
            4 => format!("\u{feff}{object}"),
            _ => object,
        }
    })
}

/// Converts a Parquet file in one of the ways.
fn of_parquet(way: Way, bytes: &[u8], layout: &FeedLayout) -> Result<Outcome, String> {
    struct Here<'c> {
        way: Way,
        layout: &'c FeedLayout,
        folder: &'c TempDir,
        scratch: Scratch<'c>,
    }

    impl Reading<Conversion> for Here<'_> {
        fn read(self, _: Box<dyn Records + '_>) -> Result<Conversion, EngineError> {
            unreachable!("it is a Parquet file")
        }

        fn read_parquet(self, file: ParquetFile) -> Result<Conversion, EngineError> {
            let path = |name: &str| self.folder.path().join(name);
            let (rejects, converted) = (path("rejects"), path("converted"));
            let sales = self.layout.sales().unwrap();
            let (lines, rows) = SalesLines::new(sales, Some(&converted), self.scratch, true)?;
            let (layout, rejects) = (self.layout, Some(rejects.as_path()));
            match self.way.is_general {
                true => row_groups::read(file, layout, rejects, Order::OfLines, General(lines), rows),
                false => row_groups::read(file, layout, rejects, Order::Any, lines, rows),
            }
        }
    }

    let folder = TempDir::new().unwrap();
    let Format::Table(table) = &layout.format else {
        unreachable!("the layout is one of Parquet")
    };
    let memory = Budget::new(way.memory);
    let here = Here {
        way,
        layout,
        folder: &folder,
        scratch: Scratch {
            folder: folder.path(),
            memory: &memory,
        },
    };
    let read = || formats::open_table(bytes, (table, layout), folder.path(), here);
    let conversion = pool(way.threads).install(read);
    outcome(conversion.map_err(|error| error.to_string())?, layout, &folder)
}

/// Rows of a table: store, amount in cents, code, item and day.
type Sale = (Option<u8>, Option<i64>, Option<i32>, Option<String>, Option<i32>);

fn table(sales: &[Sale], kinds: [u8; 4], group: usize, has_dictionary: bool) -> Vec<u8> {
    fn column<T>(sales: &[Sale], of: impl Fn(&Sale) -> Option<T>) -> Vec<Option<T>> {
        sales.iter().map(of).collect()
    }
    let stores: ArrayRef = match kinds[0] {
        0 => Arc::new(Int32Array::from(column(sales, |sale| sale.0.map(i32::from)))),
        _ => Arc::new(StringArray::from(column(sales, |sale| {
            sale.0.map(|store| format!(" {store}"))
        }))),
    };
    let decimal = |places: i8| -> ArrayRef {
        let parts = column(sales, |sale| sale.1.map(i128::from));
        Arc::new(
            Decimal128Array::from(parts)
                .with_precision_and_scale(30, places)
                .unwrap(),
        )
    };
    let amounts: ArrayRef = match kinds[1] {
        0 => decimal(2),
        1 => decimal(3),
        2 => Arc::new(Float64Array::from(column(sales, |sale| {
            sale.1.map(|cents| cents as f64 / 1000.0)
        }))),
        _ => Arc::new(StringArray::from(column(sales, |sale| {
            sale.1
                .map(|cents| format!("{}.{:02}", cents / 100, cents.abs() % 100))
        }))),
    };
    let codes: ArrayRef = match kinds[2] {
        0 => Arc::new(Int32Array::from(column(sales, |sale| sale.2))),
        _ => Arc::new(StringArray::from(column(sales, |sale| {
            sale.2.map(|code| code.to_string())
        }))),
    };
    let days: ArrayRef = match kinds[3] {
        0 => Arc::new(Date32Array::from(column(sales, |sale| sale.4))),
        1 => Arc::new(TimestampMillisecondArray::from(column(sales, |sale| {
            sale.4
                .map(|day| i64::from(day) * 86_400_000 + 3_600_000 * i64::from(day.rem_euclid(24)))
        }))),
        _ => Arc::new(StringArray::from(column(sales, |sale| {
            sale.4.map(|day| from_days(day.clamp(0, 40_000)).to_string())
        }))),
    };
    let items: ArrayRef = Arc::new(StringArray::from(column(sales, |sale| sale.3.clone())));
    let columns = [
        ("trans_date", days),
        ("item_id", items),
        ("more", stores.clone()),
        ("store_id", stores),
        ("code", codes),
        ("amount", amounts),
    ];
    let fields = columns
        .iter()
        .map(|(name, array)| arrow_schema::Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(_, array)| array.clone()).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_dictionary_enabled(has_dictionary)
        .set_dictionary_page_size_limit(64)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn parquet_layouts() -> Vec<FeedLayout> {
    let parquet = |change: fn(&mut FeedSpec)| {
        layout(|spec| {
            spec.format = FormatWord::Parquet;
            spec.columns.clear();
            change(spec);
        })
    };
    vec![
        parquet(|_| ()),
        parquet(|spec| {
            spec.values = values(|values| {
                values.round = Some(Rounding::HalfUp);
                values.day_begins = Some("05:00".into());
                values.ids = Some(IdsSpec {
                    case: Some(IdCase::Upper),
                    ..IdsSpec::default()
                });
            });
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn objects_read_in_place_mean_what_their_records_mean(
        objects in prop::collection::vec(prop_oneof![8 => object(), 1 => "[ -~]{0,20}"], 0..40),
        number in 0..4_usize,
        is_ended in any::<bool>(),
    ) {
        let mut text = objects.join("\n");
        if is_ended {
            text.push('\n');
        }
        let layout = &json_layouts()[number];
        let _ = agree(text.as_bytes(), layout, false, &[ALONE, HURRIED]);
    }

    #[test]
    fn columns_of_parquet_mean_what_their_records_mean(
        sales in prop::collection::vec(
            (
                prop::option::weighted(0.98, 0..9_u8),
                prop::option::weighted(0.98, prop_oneof![Just(1_250_i64), -99_999..99_999_i64, any::<i64>()]),
                prop::option::weighted(0.98, prop_oneof![8 => 3..8_i32, 1 => any::<i32>()]),
                prop::option::weighted(0.98, "[A-Ca-c]{1,4}|\u{a0}x|a\tb"),
                prop::option::weighted(0.98, prop_oneof![9 => 16_953..16_990_i32, 1 => any::<i32>()]),
            ),
            1..400,
        ),
        kinds in [0..2_u8, 0..4_u8, 0..2_u8, 0..3_u8],
        group in prop_oneof![Just(7_usize), 50..500_usize],
        has_dictionary in any::<bool>(),
        number in 0..2_usize,
    ) {
        let bytes = table(&sales, kinds, group, has_dictionary);
        let layout = &parquet_layouts()[number];
        let expected = of_parquet(DEFINITION, &bytes, layout);
        for way in [ALONE, HURRIED] {
            let found = of_parquet(way, &bytes, layout);
            prop_assert_eq!(&found, &expected, "{:?}", way);
        }
    }
}

#[test]
fn a_long_object_and_blank_lines_are_counted_whoever_reads_them() {
    let object = |item: &str| {
        format!(
            "{{\"store_id\":\"1\",\"amount\":1,\"code\":4,\"item_id\":\"{item}\",\"trans_date\":\"2016-06-01\"}}\n"
        )
    };
    let long = object(&"x".repeat(9 << 20));
    let text = format!(
        " \n\n{}{long}{}{}  ",
        object("A"),
        object(&"y".repeat(2 << 20)),
        object("B")
    );
    let layout = &json_layouts()[0];
    let outcome = agree(text.as_bytes(), layout, false, &[ALONE, HURRIED]).unwrap();
    let report = &outcome.report;
    assert_eq!((report.lines, report.rows, report.skipped), (7, 2, 3));
    assert!(report.last_line_ended);
    let told: Vec<_> = outcome
        .rejects
        .iter()
        .map(|reject| (reject.line_number, reject.reason.clone(), reject.text.len()))
        .collect();
    assert_eq!((told[0].0, told[0].2), (4, 4096));
    assert_eq!((told[1].0, told[1].2), (5, 4096));
    // One by one, as the objects of an array are.
    let mut records = formats::open(Box::new(text.as_bytes()), layout);
    let (mut record, mut faults) = (formats::Record::default(), Vec::new());
    while records.next(&mut record).unwrap() {
        faults.push(record.fault);
    }
    assert_eq!(faults.len(), 7);
    assert_eq!(faults[3], Some(Reason::LongObject));
    assert!(records.ending().is_ended);
}
