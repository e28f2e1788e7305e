use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;

fn columns() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.values().append_value("x");
    lists.append(true);
    lists.append(false);
    let arrays: Vec<(&str, ArrayRef)> = vec![
        ("store", Arc::new(Int32Array::from(vec![1, 2]))),
        ("lists", Arc::new(lists.finish())),
        (
            "amount",
            Arc::new(
                Decimal128Array::from(vec![12_5000, -7])
                    .with_precision_and_scale(18, 4)
                    .unwrap(),
            ),
        ),
        ("item", Arc::new(StringArray::from(vec![Some("COLA"), None]))),
        ("double", Arc::new(Float64Array::from(vec![2.5, f64::NAN]))),
        ("day", Arc::new(Date32Array::from(vec![16_953, 16_954]))),
        (
            "moment",
            Arc::new(TimestampMicrosecondArray::from(vec![1_464_788_700_000_000, -1])),
        ),
        ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
    ];
    RecordBatch::try_from_iter(arrays).unwrap()
}

fn written(batch: &RecordBatch, compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Result<ParquetRecords, String> {
    let folder = TempDir::new().unwrap();
    let spool = Spool::of(bytes, folder.path()).unwrap();
    ParquetFile::new(spool).map(ParquetRecords::new).map_err(told)
}

fn told(error: io::Error) -> String {
    crate::containers::unreadable(&error).unwrap_or_else(|| panic!("{error}"))
}

fn read(bytes: &[u8], positions: Option<&[usize]>) -> Result<Vec<String>, String> {
    let mut records = open(bytes)?;
    records.select(positions).map_err(told)?;
    let (mut record, mut all) = (Record::default(), Vec::new());
    while records.next(&mut record).map_err(told)? {
        assert_eq!(record.fields.len(), records.file.names.len());
        all.push(String::from_utf8_lossy(&record.text).into_owned());
    }
    Ok(all)
}

#[test]
fn values_have_types() {
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let bytes = written(&columns(), compression);
        let all = read(&bytes, None).unwrap();
        // Booleans and lists are left empty where all columns are asked for.
        assert_eq!(
            all.iter().map(|text| text.trim_matches('\t')).collect::<Vec<_>>(),
            [
                "1\t12.5\tCOLA\t2.5\t2016-06-01\t2016-06-01 13:45:00",
                "2\t-0.0007\t\tNaN\t2016-06-02\t1969-12-31 23:59:59",
            ],
            "{compression:?}"
        );
        assert_eq!(
            read(&bytes, Some(&[0, 5])).unwrap(),
            ["1\t2016-06-01", "2\t2016-06-02"]
        );
    }
}

#[test]
fn columns_that_hold_no_values_are_refused_by_name_if_they_are_asked_for() {
    let bytes = written(&columns(), Compression::SNAPPY);
    for (position, words) in [
        (1, "its column lists holds lists"),
        (7, "its column flag holds yes and no"),
    ] {
        let because = read(&bytes, Some(&[0, position])).unwrap_err();
        assert!(because.contains(words), "{because}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let whole = written(&columns(), Compression::SNAPPY);
    for (bytes, words) in [
        (&whole[..whole.len() - 1], "cut"),
        (&whole[..20], "cut"),
        (b"PAR1", "cut"),
        (b"1001,2.50", "no Parquet file"),
        (b"", "empty"),
        (b"PAR1\xff\xff\xff\x7fPAR1", "damaged"),
    ] {
        let because = read(bytes, None).unwrap_err();
        assert!(because.contains(words), "{because:?} lacks {words:?}");
    }
    // Whatever byte is wrong: there are rows, or a reason.
    for at in 4..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let _ = read(&bytes, Some(&[0, 2, 3, 5]));
    }
}
