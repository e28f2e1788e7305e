//! Room for what a vectorised scan finds, and the way from words with a bit a byte to positions.
#![allow(
    unsafe_code,
    reason = "writes into reserved room; the reason why that is sound stands beside it"
)]

use std::mem::MaybeUninit;

use super::{Ends, STEP};

/// Places for the positions of one step.
pub(super) type Places = [MaybeUninit<u32>; STEP];

/// The free room of [`Ends`], enough for a text of some steps: a scan writes there and counts at the end.
pub(super) struct Room<'e> {
    ends: &'e mut Ends,
    /// Where the vectors of `ends` have their values. They do not grow while there is a room.
    fields: *mut u32,
    lines: *mut u32,
    field_count: usize,
    line_count: usize,
    /// How many more steps there is room for.
    steps: usize,
}

impl<'e> Room<'e> {
    pub(super) fn new(ends: &'e mut Ends, steps: usize) -> Self {
        // A step more, because places are written beyond those that count.
        ends.fields.reserve((steps + 1) * STEP);
        ends.lines.reserve((steps + 1) * STEP);
        Self {
            fields: ends.fields.as_mut_ptr(),
            lines: ends.lines.as_mut_ptr(),
            field_count: ends.fields.len(),
            line_count: ends.lines.len(),
            steps,
            ends,
        }
    }

    /// Adds what one step found: `found` has a bit for each delimiter and newline, `newlines` for the newlines among
    /// them.
    ///
    /// # Safety
    /// `write` writes as many positions as `found` has bits.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, found: u64, newlines: u64, write: impl FnOnce(&mut Places)) {
        assert!(self.steps > 0, "more steps than there is room for");
        self.steps -= 1;
        // SAFETY: each step adds 64 lines at most, and 64 were reserved for each and 64 more: so many are free here.
        let places = unsafe { &mut *self.lines.add(self.line_count).cast::<Places>() };
        write_lines(self.field_count as u32, found, newlines, places);
        self.line_count += newlines.count_ones() as usize;
        // SAFETY: each step adds 64 positions at most, and 64 were reserved for each and 64 more: so many are free here.
        write(unsafe { &mut *self.fields.add(self.field_count).cast::<Places>() });
        self.field_count += found.count_ones() as usize;
    }

    /// Counts what was added.
    pub(super) fn finish(self) {
        // SAFETY: `add` has written all lines up to this count, and its callers promise the same of the positions.
        unsafe {
            self.ends.fields.set_len(self.field_count);
            self.ends.lines.set_len(self.line_count);
        }
    }
}

/// Positions that are written without asking whether there are so many: most steps have no more, and a jump that
/// cannot be foretold costs more than some writes that are written over.
const UNASKED: usize = 12;

/// The same for lines.
const UNASKED_LINES: usize = 2;

/// Writes the place of each newline among the positions, of which there are `before` already.
#[inline(always)]
fn write_lines(before: u32, found: u64, newlines: u64, places: &mut Places) {
    let (unasked, asked) = places.split_at_mut(UNASKED_LINES);
    let mut left = newlines;
    let mut next = || {
        // All bits below the lowest; all bits at all where there is none left.
        let below = (left & left.wrapping_neg()).wrapping_sub(1);
        left &= left.wrapping_sub(1);
        before + (found & below).count_ones()
    };
    for place in unasked {
        place.write(next());
    }
    for place in asked
        .iter_mut()
        .take((newlines.count_ones() as usize).saturating_sub(UNASKED_LINES))
    {
        place.write(next());
    }
}

/// Writes the position of each bit, counted from `base`.
#[inline(always)]
pub(super) fn write_positions(base: u32, found: u64, places: &mut Places) {
    let (unasked, asked) = places.split_at_mut(UNASKED);
    let mut left = found;
    for place in unasked {
        place.write(base + left.trailing_zeros());
        left &= left.wrapping_sub(1);
    }
    for place in asked {
        if left == 0 {
            break;
        }
        place.write(base + left.trailing_zeros());
        left &= left - 1;
    }
}
