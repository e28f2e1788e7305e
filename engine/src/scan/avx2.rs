//! The scan for processors with AVX2: 64 bytes are compared in two halves.
#![allow(
    unsafe_code,
    reason = "vector instructions; each comes with the reason why its use is sound"
)]

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256,
};

use super::room::{Room, write_positions};
use super::{CR, Ends, QUOTE, STEP, Scan, portable};

/// Returns this scan, if the processor supports it.
pub(super) fn scan_if_available() -> Option<Scan> {
    let has_all = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt");
    has_all.then_some(checked as Scan)
}

/// Runs the scan. Only [`scan_if_available`] hands this function out.
fn checked(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    // SAFETY: the only function that hands this one out has detected the features, and a processor does not lose them.
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
        unsafe { room.add(found, newline, |slots| write_positions(base, found, slots)) };
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
    // SAFETY: each half has the 32 bytes that are read, and an unaligned load requires nothing else.
    unsafe {
        (
            _mm256_loadu_si256(low.as_ptr().cast()),
            _mm256_loadu_si256(high.as_ptr().cast()),
        )
    }
}

/// Returns a bit for each byte, set if it equals the wanted one.
#[target_feature(enable = "avx2")]
fn matches(low: __m256i, high: __m256i, wanted: __m256i) -> u64 {
    let word = |half| u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(half, wanted)).cast_unsigned());
    word(low) | word(high) << 32
}
