//! The format of a binary COPY: the file's head and tail, and the encoding of each value.
//!
//! It follows the Postgres manual's "COPY, Binary Format" and the receive functions of the types. All numbers are in
//! network byte order, and each value follows its length in bytes.

use bytes::{BufMut, BytesMut};

/// Days from 1970-01-01, Arrow's epoch, to 2000-01-01, Postgres's.
const EPOCH_GAP: i32 = 10_957;

/// The groups that the largest i64 of cents needs: five for the 17 digits before the point, one for the two after it.
const MAX_GROUPS: usize = 6;

/// The signature, no flags, no extension.
pub(crate) fn put_head(out: &mut BytesMut) {
    out.put_slice(b"PGCOPY\n\xff\r\n\0");
    out.put_i32(0);
    out.put_i32(0);
}

/// The trailer, which says that no more rows follow.
pub(crate) fn put_tail(out: &mut BytesMut) {
    out.put_i16(-1);
}

/// The start of a row with this many values.
pub(crate) fn put_row(out: &mut BytesMut, values: usize) {
    // Postgres tables have at most 1,600 columns; creating the temporary table fails with more.
    out.put_i16(values as i16);
}

pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    // A value is at most as long as a Parquet page, far below 2 GiB.
    out.put_i32(text.len() as i32);
    out.put_slice(text.as_bytes());
}

pub(crate) fn put_date(out: &mut BytesMut, days_since_1970: i32) {
    out.put_i32(4);
    out.put_i32(days_since_1970 - EPOCH_GAP);
}

pub(crate) fn put_moment(out: &mut BytesMut, microseconds_since_2000: i64) {
    out.put_i32(8);
    out.put_i64(microseconds_since_2000);
}

pub(crate) fn put_bool(out: &mut BytesMut, value: bool) {
    out.put_i32(1);
    out.put_u8(u8::from(value));
}

/// A NUMERIC with two places, from cents.
///
/// NUMERIC is encoded in groups of four decimal digits, aligned on the point, without zero groups at either end. So the
/// two decimal places are the upper half of the group after the point.
pub(crate) fn put_amount(out: &mut BytesMut, cents: Option<i64>) {
    let Some(cents) = cents else {
        return out.put_i32(-1);
    };
    let mut groups = [0i16; MAX_GROUPS];
    let cents_only = cents.unsigned_abs() % 100;
    let mut rest = cents.unsigned_abs() / 100;
    groups[0] = cents_only as i16 * 100;
    // If the integer part is zero, there is at most the group after the point.
    let mut count = usize::from(rest > 0 || cents_only > 0);
    while rest > 0 {
        groups[count] = (rest % 10_000) as i16;
        rest /= 10_000;
        count += 1;
    }
    // `groups` starts with the group after the point, so its leading zeros are the number's trailing ones.
    let zeros = groups[..count].iter().take_while(|group| **group == 0).count();
    let written = count - zeros;
    let weight = if written == 0 { 0 } else { count as i16 - 2 };

    out.put_i32(8 + 2 * written as i32);
    out.put_i16(written as i16);
    out.put_i16(weight);
    out.put_i16(if cents < 0 { 0x4000 } else { 0 });
    out.put_i16(2);
    for group in groups[zeros..count].iter().rev() {
        out.put_i16(*group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(cents: i64) -> Vec<i16> {
        let mut out = BytesMut::new();
        put_amount(&mut out, Some(cents));
        assert_eq!(
            i32::from_be_bytes(out[..4].try_into().unwrap()) as usize,
            out.len() - 4
        );
        out[4..]
            .chunks(2)
            .map(|pair| i16::from_be_bytes(pair.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn amounts_have_the_form_of_numeric_send() {
        // Groups, weight, sign, places, then the groups; as `SELECT numeric_send(…)` shows them.
        assert_eq!(amount(0), [0, 0, 0, 2]);
        assert_eq!(amount(1), [1, -1, 0, 2, 100]);
        assert_eq!(amount(-5), [1, -1, 0x4000, 2, 500]);
        assert_eq!(amount(100), [1, 0, 0, 2, 1]);
        assert_eq!(amount(45_000), [1, 0, 0, 2, 450]);
        assert_eq!(amount(123_456), [2, 0, 0, 2, 1234, 5600]);
        assert_eq!(amount(1_000_000), [1, 1, 0, 2, 1]);
        assert_eq!(amount(1_000_001), [3, 1, 0, 2, 1, 0, 100]);
        assert_eq!(
            amount(999_999_999_999_999_999),
            [5, 3, 0, 2, 9999, 9999, 9999, 9999, 9900]
        );
        assert_eq!(
            amount(i64::MIN),
            [6, 4, 0x4000, 2, 9, 2233, 7203, 6854, 7758, 800]
        );
    }

    #[test]
    fn a_row_is_its_values_behind_their_lengths() {
        let mut out = BytesMut::new();
        put_row(&mut out, 3);
        put_text(&mut out, "é");
        put_date(&mut out, 10_958);
        put_amount(&mut out, None);
        put_tail(&mut out);
        assert_eq!(
            &out[..],
            b"\0\x03\0\0\0\x02\xc3\xa9\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff\xff\xff"
        );
    }

    #[test]
    fn the_head_is_the_manuals() {
        let mut out = BytesMut::new();
        put_head(&mut out);
        assert_eq!(&out[..], b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    }
}
