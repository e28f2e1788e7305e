//! The two packed encodings of Parquet that are written here: runs and packed bits (RLE/bit-packed hybrid) for
//! dictionary indices and levels, and packed differences (DELTA_BINARY_PACKED) for whole numbers.
//! Source: the document "Encodings" of the Parquet format.

/// Returns how many bits the greatest of some values needs.
pub(super) fn width_of(greatest: u32) -> u32 {
    u32::BITS - greatest.leading_zeros()
}

/// A run shorter than this takes less space as packed values.
const SHORTEST_RUN: usize = 16;

/// Values per group of packed bits.
const GROUP: usize = 8;

/// Appends values of `width` bits as runs and packed groups.
pub(super) fn hybrid(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut packed_from, mut at) = (0, 0);
    // Runs are looked for group by group, because the processor cannot predict where runs of two or three values end: a
    // run that is worth it has at least one group of the same values.
    while let Some(group) = values[at..].first_chunk::<GROUP>() {
        let value = group[0];
        if group.iter().fold(0, |bits, other| bits | (other ^ value)) != 0 {
            at += GROUP;
            continue;
        }
        let same = |values: &[u32]| values.iter().take_while(|other| **other == value).count();
        let before = values[packed_from..at]
            .iter()
            .rev()
            .take_while(|other| **other == value);
        let start = at - before.count();
        let end = at + same(&values[at..]);
        // Packed values come in whole groups: an unfinished group before the run is filled up from the run.
        let taken = (start - packed_from).next_multiple_of(GROUP) - (start - packed_from);
        if end - start >= taken + SHORTEST_RUN {
            packed(&values[packed_from..start + taken], width, out);
            run(value, end - start - taken, width, out);
            packed_from = end;
        }
        at = end;
    }
    packed(&values[packed_from..], width, out);
}

/// Appends a run of one value.
pub(super) fn run(value: u32, length: usize, width: u32, out: &mut Vec<u8>) {
    varint((length as u64) << 1, out);
    let bytes = width.div_ceil(8) as usize;
    out.extend_from_slice(&value.to_le_bytes()[..bytes]);
}

/// Appends packed groups; the last is padded with zeros.
fn packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint((groups as u64) << 1 | 1, out);
    let (whole, rest) = values.as_chunks();
    bits(whole, width, out);
    if !rest.is_empty() {
        let mut last = [0; GROUP];
        last[..rest.len()].copy_from_slice(rest);
        bits(&[last], width, out);
    }
}

/// Reads `count` values of `width` bits, as written by [`hybrid`]. Returns `None` if some are missing, or if one has
/// more bits.
pub(super) fn unpacked(mut bytes: &[u8], width: u32, count: usize) -> Option<Vec<u32>> {
    let greatest = u32::MAX.checked_shr(u32::BITS.checked_sub(width)?).unwrap_or(0);
    let mut values = Vec::new();
    while values.len() < count {
        let header = read_varint(&mut bytes)?;
        let number = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at_checked(width.div_ceil(8) as usize)?;
            let mut whole = [0; 4];
            whole.get_mut(..value.len())?.copy_from_slice(value);
            let value = u32::from_le_bytes(whole);
            if value > greatest {
                return None;
            }
            let number = number.min(count - values.len());
            values.extend(std::iter::repeat_n(value, number));
            bytes = rest;
        } else {
            let (packed, rest) = bytes.split_at_checked(number.checked_mul(width as usize)?)?;
            let number = number.checked_mul(GROUP)?.min(count - values.len());
            values.extend((0..number).map(|value| {
                let bit = value * width as usize;
                (word(packed, bit / 8) >> (bit % 8)) as u32 & greatest
            }));
            bytes = rest;
        }
    }
    Some(values)
}

/// Returns the eight bytes at a position, with zeros past the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    if let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*word);
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(word)
}

/// Appends the lower `width` bits of each value.
fn bits<V: Copy + Into<u64>>(groups: &[[V; GROUP]], width: u32, out: &mut Vec<u8>) {
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => bits_of_width::<V, $width>(groups, out),)*
                _ => debug_assert_eq!(width, 0),
            }
        };
    }
    of_width!(
         1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
    );
}

/// A group of values of one width becomes as many bytes as a value has bits. Since the compiler knows the width, it unrolls
/// the loop, and nothing is left of `filled` and the branch.
fn bits_of_width<V: Copy + Into<u64>, const WIDTH: usize>(groups: &[[V; GROUP]], out: &mut Vec<u8>) {
    out.reserve(groups.len() * WIDTH);
    for group in groups {
        let mut words = [0_u64; GROUP];
        let mut filled = 0;
        for value in group {
            let value: u64 = (*value).into();
            let (at, bit) = (filled / 64, filled % 64);
            words[at] |= value << bit;
            if bit + WIDTH > 64 {
                words[at + 1] = value >> (64 - bit);
            }
            filled += WIDTH;
        }
        let mut bytes = [[0; 8]; GROUP];
        for (bytes, word) in bytes.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        out.extend_from_slice(&bytes.as_flattened()[..WIDTH]);
    }
}

/// Values per block of differences, and miniblocks per block, each of which has its own width.
const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;

/// Appends whole numbers as packed differences.
pub(super) fn deltas(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(MINIBLOCKS as u64, out);
    varint(values.len() as u64, out);
    zigzag(values.first().copied().unwrap_or(0), out);
    let mut block = [0; BLOCK];
    for (from, to) in values
        .chunks(BLOCK)
        .zip(values.get(1..).unwrap_or_default().chunks(BLOCK))
    {
        let count = to.len();
        for ((delta, from), to) in block.iter_mut().zip(from).zip(to) {
            *delta = to.wrapping_sub(*from);
        }
        let least = block[..count].iter().copied().min().unwrap_or(0);
        zigzag(least, out);
        // The last block may be short: its last miniblock is padded, and the ones after that are left out.
        block[count..].fill(least);
        let over = block.map(|delta| delta.wrapping_sub(least).cast_unsigned());
        let parts = over.as_chunks::<{ BLOCK / MINIBLOCKS }>().0;
        let width_of = |part: &[u64; BLOCK / MINIBLOCKS]| {
            u64::BITS - part.iter().fold(0, |bits, delta| bits | delta).leading_zeros()
        };
        out.extend(parts.iter().map(|part| width_of(part) as u8));
        for part in &parts[..count.div_ceil(BLOCK / MINIBLOCKS)] {
            bits(part.as_chunks().0, width_of(part), out);
        }
    }
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint((value << 1 ^ value >> 63).cast_unsigned(), out);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number that [`varint`] has written, and removes it from the front of `bytes`.
fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
