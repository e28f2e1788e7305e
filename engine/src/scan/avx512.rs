//! The scan for processors with AVX-512: 64 bytes are compared at once, and positions are written 16 at a time.
#![allow(
    unsafe_code,
    reason = "vector instructions; each comes with the reason why its use is sound"
)]

use std::arch::x86_64::{
    __m128i, __m512i, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_min_epu8,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_testn_epi8_mask, _mm512_xor_si512,
};

use super::room::{Room, Slots};
use super::{CR, Ends, QUOTE, STEP, Scan, portable};

/// Returns this scan, if the processor supports it.
pub(super) fn scan_if_available() -> Option<Scan> {
    let has_all = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt");
    has_all.then_some(checked as Scan)
}

/// Runs the scan. Only [`scan_if_available`] hands this function out.
fn checked(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    // SAFETY: the only function that hands this one out has detected the features, and a processor does not lose them.
    unsafe { scan(text, offset, delimiter, ends) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi1,popcnt")]
fn scan(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    let delimiters = _mm512_set1_epi8(delimiter.cast_signed());
    let newlines = _mm512_set1_epi8(b'\n'.cast_signed());
    let (quotes, crs) = (
        _mm512_set1_epi8(QUOTE.cast_signed()),
        _mm512_set1_epi8(CR.cast_signed()),
    );
    // The least value at each offset tells whether there was a zero: cheaper than a bit mask for each kind of byte.
    let (mut least, mut least_odd) = (_mm512_set1_epi8(-1), _mm512_set1_epi8(-1));
    let offsets = load(&std::array::from_fn(|offset| offset as u8));
    let (steps, rest) = text.as_chunks::<STEP>();
    let mut room = Room::new(ends, steps.len());
    let mut base = offset;
    for step in steps {
        let bytes = load(step);
        let newline = _mm512_cmpeq_epi8_mask(bytes, newlines);
        let found = _mm512_cmpeq_epi8_mask(bytes, delimiters) | newline;
        least = _mm512_min_epu8(least, bytes);
        let odd = _mm512_min_epu8(_mm512_xor_si512(bytes, quotes), _mm512_xor_si512(bytes, crs));
        least_odd = _mm512_min_epu8(least_odd, odd);
        let positions = _mm512_maskz_compress_epi8(found, offsets);
        // SAFETY: the position of each bit is written.
        unsafe {
            room.add(found, newline, |free| {
                write(base, positions, found.count_ones(), free)
            })
        };
        base += STEP as u32;
    }
    room.finish();
    ends.has_odd |= _mm512_testn_epi8_mask(least_odd, least_odd) != 0;
    ends.has_nul |= _mm512_testn_epi8_mask(least, least) != 0;
    portable::scan(rest, base, delimiter, ends);
}

#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; STEP]) -> __m512i {
    // SAFETY: the 64 bytes that are read exist, and an unaligned load requires nothing else.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Writes the first `count` offsets of a step, and some that follow, as positions counted from `base`.
#[target_feature(enable = "avx512f")]
fn write(base: u32, offsets: __m512i, count: u32, free: &mut Slots) {
    let base = _mm512_set1_epi32(base.cast_signed());
    let moved = |sixteen: __m128i| _mm512_add_epi32(base, _mm512_cvtepu8_epi32(sixteen));
    let free = free.as_mut_ptr().cast::<u32>();
    // SAFETY: 64 positions are free: four times the 16 that each store writes.
    unsafe {
        _mm512_storeu_si512(free.cast(), moved(_mm512_castsi512_si128(offsets)));
        if count > 16 {
            _mm512_storeu_si512(
                free.add(16).cast(),
                moved(_mm512_extracti32x4_epi32::<1>(offsets)),
            );
            _mm512_storeu_si512(
                free.add(32).cast(),
                moved(_mm512_extracti32x4_epi32::<2>(offsets)),
            );
            _mm512_storeu_si512(
                free.add(48).cast(),
                moved(_mm512_extracti32x4_epi32::<3>(offsets)),
            );
        }
    }
}
