//! The scan for processors with AVX2: 64 bytes are compared at once, and the result is a word with a bit a byte.
#![allow(
    unsafe_code,
    reason = "vector instructions; the reasons why each use is sound stand beside it"
)]

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
};

use super::{QUOTE, Scan, portable};

/// Bytes looked at in one step: the bits of the word that tells what was found.
const STEP: usize = 64;

/// This scan, if the processor has AVX2 (and BMI1, which came with it).
pub(super) fn scan_if_available() -> Option<Scan> {
    let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1");
    has_both.then_some(checked as Scan)
}

/// Handed out by [`scan_if_available`] only.
fn checked(text: &[u8], offset: u32, delimiter: u8, positions: &mut Vec<u32>) {
    // SAFETY: the one function that gives this one out has found both features, and processors do not lose them.
    unsafe { scan(text, offset, delimiter, positions) }
}

#[target_feature(enable = "avx2,bmi1")]
fn scan(text: &[u8], offset: u32, delimiter: u8, positions: &mut Vec<u32>) {
    let wanted = [delimiter, b'\n', QUOTE].map(|byte| _mm256_set1_epi8(byte.cast_signed()));
    let (steps, rest) = text.as_chunks::<STEP>();
    let mut base = offset;
    for step in steps {
        let (low, high) = step.split_at(STEP / 2);
        let mut found =
            u64::from(matches(load(low), &wanted)) | u64::from(matches(load(high), &wanted)) << 32;
        positions.reserve(STEP);
        let mut end = positions.len();
        while found != 0 {
            // SAFETY: room for 64 more was reserved, and a word of 64 bits holds no more.
            unsafe {
                positions
                    .as_mut_ptr()
                    .add(end)
                    .write(base + found.trailing_zeros())
            };
            end += 1;
            found &= found - 1;
        }
        // SAFETY: every place up to `end` was written, above or before.
        unsafe { positions.set_len(end) };
        base += STEP as u32;
    }
    portable::scan(rest, base, delimiter, positions);
}

#[target_feature(enable = "avx2")]
fn load(half: &[u8]) -> __m256i {
    assert_eq!(half.len(), STEP / 2);
    // SAFETY: the slice has the 32 bytes that are read, and an unaligned load asks for no more than that.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

/// A bit for each byte that equals one of those wanted.
#[target_feature(enable = "avx2")]
fn matches(bytes: __m256i, wanted: &[__m256i; 3]) -> u32 {
    let [a, b, c] = wanted.map(|byte| _mm256_cmpeq_epi8(bytes, byte));
    _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(a, b), c)).cast_unsigned()
}
