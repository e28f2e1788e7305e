//! The scan for processors with AVX2: 64 bytes are compared in two halves.
#![allow(
    unsafe_code,
    reason = "vector instructions; the reasons why each use is sound stand beside it"
)]

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256,
};

use super::room::{Room, write_positions};
use super::{CR, Ends, QUOTE, STEP, Scan, portable};

/// This scan, if the processor has what it needs.
pub(super) fn scan_if_available() -> Option<Scan> {
    let has_all = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt");
    has_all.then_some(checked as Scan)
}

/// Handed out by [`scan_if_available`] only.
fn checked(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    // SAFETY: the one function that gives this one out has found the features, and processors do not lose them.
    unsafe { scan(text, offset, delimiter, ends) }
}

#[target_feature(enable = "avx2,bmi1,popcnt")]
fn scan(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    let delimiters = _mm256_set1_epi8(delimiter.cast_signed());
    let newlines = _mm256_set1_epi8(b'\n'.cast_signed());
    let (quotes, crs) = (
        _mm256_set1_epi8(QUOTE.cast_signed()),
        _mm256_set1_epi8(CR.cast_signed()),
    );
    let zero = _mm256_setzero_si256();
    let (mut odd, mut nul) = (zero, zero);
    let (steps, rest) = text.as_chunks::<STEP>();
    let mut room = Room::new(ends, steps.len());
    let mut base = offset;
    for step in steps {
        let (low, high) = halves(step);
        let newline = matches(low, high, newlines);
        let found = matches(low, high, delimiters) | newline;
        for half in [low, high] {
            let either = _mm256_or_si256(_mm256_cmpeq_epi8(half, quotes), _mm256_cmpeq_epi8(half, crs));
            odd = _mm256_or_si256(odd, either);
            nul = _mm256_or_si256(nul, _mm256_cmpeq_epi8(half, zero));
        }
        // SAFETY: the position of each bit is written.
        unsafe { room.add(found, newline, |places| write_positions(base, found, places)) };
        base += STEP as u32;
    }
    room.finish();
    ends.has_odd |= _mm256_movemask_epi8(odd) != 0;
    ends.has_nul |= _mm256_movemask_epi8(nul) != 0;
    portable::scan(rest, base, delimiter, ends);
}

#[target_feature(enable = "avx2")]
fn halves(step: &[u8; STEP]) -> (__m256i, __m256i) {
    let (low, high) = step.split_at(STEP / 2);
    // SAFETY: each half has the 32 bytes that are read, and an unaligned load asks for no more than that.
    unsafe {
        (
            _mm256_loadu_si256(low.as_ptr().cast()),
            _mm256_loadu_si256(high.as_ptr().cast()),
        )
    }
}

/// A bit for each byte that equals the one wanted.
#[target_feature(enable = "avx2")]
fn matches(low: __m256i, high: __m256i, wanted: __m256i) -> u64 {
    let word = |half| u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(half, wanted)).cast_unsigned());
    word(low) | word(high) << 32
}
