//! The scan for processors with AVX-512: 64 bytes are compared at once, and positions are written 16 at a time.
#![allow(
    unsafe_code,
    reason = "vector instructions; the reasons why each use is sound stand beside it"
)]

use std::arch::x86_64::{
    __m128i, __m512i, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_min_epu8,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_testn_epi8_mask, _mm512_xor_si512,
};

use super::room::{Places, Room};
use super::{CR, Ends, QUOTE, STEP, Scan, portable};

/// This scan, if the processor has what it needs.
pub(super) fn scan_if_available() -> Option<Scan> {
    let has_all = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt");
    has_all.then_some(checked as Scan)
}

/// Handed out by [`scan_if_available`] only.
fn checked(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    // SAFETY: the one function that gives this one out has found the features, and processors do not lose them.
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
    // The least value of each place tells whether there was a zero: cheaper than a word of bits for each kind of byte.
    let (mut least, mut least_odd) = (_mm512_set1_epi8(-1), _mm512_set1_epi8(-1));
    let places = load(&std::array::from_fn(|place| place as u8));
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
        let positions = _mm512_maskz_compress_epi8(found, places);
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
    // SAFETY: there are the 64 bytes that are read, and an unaligned load asks for no more than that.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Writes the first `count` of some places in a step, and what stands behind them, as positions counted from `base`.
#[target_feature(enable = "avx512f")]
fn write(base: u32, places: __m512i, count: u32, free: &mut Places) {
    let base = _mm512_set1_epi32(base.cast_signed());
    let moved = |sixteen: __m128i| _mm512_add_epi32(base, _mm512_cvtepu8_epi32(sixteen));
    let free = free.as_mut_ptr().cast::<u32>();
    // SAFETY: 64 positions are free: four times the 16 that each store writes.
    unsafe {
        _mm512_storeu_si512(free.cast(), moved(_mm512_castsi512_si128(places)));
        if count > 16 {
            _mm512_storeu_si512(free.add(16).cast(), moved(_mm512_extracti32x4_epi32::<1>(places)));
            _mm512_storeu_si512(free.add(32).cast(), moved(_mm512_extracti32x4_epi32::<2>(places)));
            _mm512_storeu_si512(free.add(48).cast(), moved(_mm512_extracti32x4_epi32::<3>(places)));
        }
    }
}
