//! The scan for processors with NEON: 64 bytes are compared in four quarters.
#![allow(
    unsafe_code,
    reason = "vector instructions; each comes with the reason why its use is sound"
)]

use std::arch::aarch64::{
    uint8x16_t, vaddv_u8, vandq_u8, vceqq_u8, vdupq_n_u8, vget_high_u8, vget_low_u8, vld1q_u8, vmaxvq_u8,
    vorrq_u8,
};

use super::room::{Room, write_positions};
use super::{CR, Ends, QUOTE, STEP, Scan, portable};

/// Bytes of a quarter: one vector.
const QUARTER: usize = STEP / 4;

/// The bit that stands for each byte of half a vector.
const BITS: [u8; QUARTER] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// Returns this scan, if the processor supports it.
pub(super) fn scan_if_available() -> Option<Scan> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(checked as Scan)
}

/// Runs the scan. Only [`scan_if_available`] hands this function out.
fn checked(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    // SAFETY: the only function that hands this one out has detected the feature, and a processor does not lose it.
    unsafe { scan(text, offset, delimiter, ends) }
}

#[target_feature(enable = "neon")]
fn scan(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    let (delimiters, newlines) = (vdupq_n_u8(delimiter), vdupq_n_u8(b'\n'));
    let (quotes, crs) = (vdupq_n_u8(QUOTE), vdupq_n_u8(CR));
    let zero = vdupq_n_u8(0);
    let (mut odd, mut nul) = (zero, zero);
    let (steps, rest) = text.as_chunks::<STEP>();
    let mut room = Room::new(ends, steps.len());
    let mut base = offset;
    for step in steps {
        let (quarters, _) = step.as_chunks::<QUARTER>();
        let (mut found, mut newline) = (0, 0);
        for (quarter, shift) in quarters.iter().zip((0..).step_by(QUARTER)) {
            let bytes = load(quarter);
            newline |= matches(bytes, newlines) << shift;
            found |= matches(bytes, delimiters) << shift;
            odd = vorrq_u8(odd, vorrq_u8(vceqq_u8(bytes, quotes), vceqq_u8(bytes, crs)));
            nul = vorrq_u8(nul, vceqq_u8(bytes, zero));
        }
        found |= newline;
        // SAFETY: the position of each bit is written.
        unsafe { room.add(found, newline, |slots| write_positions(base, found, slots)) };
        base += STEP as u32;
    }
    room.finish();
    ends.has_odd |= vmaxvq_u8(odd) != 0;
    ends.has_nul |= vmaxvq_u8(nul) != 0;
    portable::scan(rest, base, delimiter, ends);
}

#[target_feature(enable = "neon")]
fn load(bytes: &[u8; QUARTER]) -> uint8x16_t {
    // SAFETY: the 16 bytes that are read exist.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Returns a bit for each byte, set if it equals the wanted one.
#[target_feature(enable = "neon")]
fn matches(bytes: uint8x16_t, wanted: uint8x16_t) -> u64 {
    let hits = vandq_u8(vceqq_u8(bytes, wanted), load(&BITS));
    u64::from(vaddv_u8(vget_low_u8(hits))) | u64::from(vaddv_u8(vget_high_u8(hits))) << 8
}
