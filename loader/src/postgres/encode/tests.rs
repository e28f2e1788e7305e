//! Compares the encoder with that of crate pgpq: for any rows, both write the same bytes.

use std::sync::Arc;

use arrow_array::{Date32Array, Decimal128Array, StringViewArray};
use arrow_array_59 as theirs;
use arrow_schema_59::{DataType, Field, Schema};
use pgpq::ArrowToPostgresBinaryEncoder;
use proptest::prelude::*;

use super::*;

type Row = (String, String, i32, [Option<i64>; 3]);

/// The largest decimal(18,2), in cents.
const MOST: i64 = 999_999_999_999_999_999;

fn ours(rows: &[Row]) -> BytesMut {
    let texts = |of: fn(&Row) -> &str| StringViewArray::from_iter_values(rows.iter().map(of));
    let amounts = |at: usize| {
        let cents = rows.iter().map(|row| row.3[at].map(i128::from));
        cents.collect::<Decimal128Array>()
    };
    let batch = SummaryBatch {
        stores: texts(|row| &row.0),
        items: texts(|row| &row.1),
        dates: Date32Array::from_iter_values(rows.iter().map(|row| row.2)),
        amounts: (0..3).map(amounts).collect(),
    };
    let (mut out, ending) = (BytesMut::new(), Ending::default());
    wire::put_head(&mut out);
    let mut encoder = Rows::new(&batch, &ending);
    while encoder.put_next(&mut out) {}
    wire::put_tail(&mut out);
    out
}

fn pgpqs(rows: &[Row]) -> BytesMut {
    let amount = DataType::Decimal128(18, 2);
    let types = [
        ("store_id", DataType::Utf8),
        ("item_id", DataType::Utf8),
        ("trans_date", DataType::Date32),
        ("a", amount.clone()),
        ("b", amount.clone()),
        ("c", amount),
    ];
    let fields = types.map(|(name, kind)| Field::new(name, kind, true));
    let schema = Schema::new(fields.to_vec());
    let texts = |of: fn(&Row) -> &str| theirs::StringArray::from_iter_values(rows.iter().map(of));
    let mut columns: Vec<theirs::ArrayRef> = vec![
        Arc::new(texts(|row| &row.0)),
        Arc::new(texts(|row| &row.1)),
        Arc::new(theirs::Date32Array::from_iter_values(
            rows.iter().map(|row| row.2),
        )),
    ];
    for at in 0..3 {
        let cents = rows.iter().map(|row| row.3[at].map(i128::from));
        let amounts: theirs::Decimal128Array = cents.collect();
        columns.push(Arc::new(amounts.with_precision_and_scale(18, 2).unwrap()));
    }
    let batch = theirs::RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
    let (mut out, mut encoder) = (
        BytesMut::new(),
        ArrowToPostgresBinaryEncoder::try_new(&schema).unwrap(),
    );
    encoder.write_header(&mut out).unwrap();
    encoder.write_batch(&batch, &mut out).unwrap();
    encoder.write_footer(&mut out).unwrap();
    out
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[A-C]{1,2}", "\\PC{0,30}"]
}

fn amount() -> impl Strategy<Value = Option<i64>> {
    let any_size = (0..19u32, -MOST..=MOST).prop_map(|(digits, number)| number % 10i64.pow(digits));
    let trailing_zeros = (0..18u32, -9_999..=9_999i64).prop_map(|(zeros, number)| {
        let wide = i128::from(number) * 10i128.pow(zeros);
        i64::try_from(wide.clamp(-i128::from(MOST), i128::from(MOST))).unwrap()
    });
    let edges = prop::sample::select(vec![0, 1, -1, 99, 100, 9_999, 10_000, 1_000_000, MOST, -MOST]);
    prop::option::of(prop_oneof![any_size, trailing_zeros, edges])
}

/// From 0001-01-01 to 9999-12-31.
fn date() -> impl Strategy<Value = i32> {
    prop_oneof![
        -719_162..=2_932_896,
        Just(-719_162),
        Just(2_932_896),
        Just(10_957)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rows_are_those_of_pgpq(
        rows in prop::collection::vec((text(), text(), date(), prop::array::uniform3(amount())), 0..60)
    ) {
        prop_assert_eq!(ours(&rows), pgpqs(&rows));
    }
}

#[test]
fn each_row_ends_in_its_stamp() {
    let stamp = Stamp {
        microseconds_since_2000: 1,
        run_id: "r",
    };
    let ending = Ending::of_stamp(Some(stamp));
    assert_eq!(ending.values, 2);
    assert_eq!(&ending.bytes[..], b"\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x01r");
    assert_eq!(Ending::of_stamp(None).values, 0);
}
