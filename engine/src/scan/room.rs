//! Room for what a vectorised scan finds, and the conversion of bit masks, with one bit per byte, to positions.
#![allow(
    unsafe_code,
    reason = "writes into reserved room; each comes with the reason why it is sound"
)]

use std::mem::MaybeUninit;

use super::{Ends, STEP};

/// Slots for the positions of one step.
pub(super) type Slots = [MaybeUninit<u32>; STEP];

/// The spare capacity of [`Ends`], enough for a given number of steps. A scan writes there; the lengths are set at the
/// end.
pub(super) struct Room<'e> {
    ends: &'e mut Ends,
    /// The buffers of the vectors of `ends`, which do not grow while this value exists.
    fields: *mut u32,
    lines: *mut u32,
    field_count: usize,
    line_count: usize,
    /// How many more steps there is room for.
    steps: usize,
}

impl<'e> Room<'e> {
    pub(super) fn new(ends: &'e mut Ends, steps: usize) -> Self {
        // One step more, because slots beyond those that count are written, too.
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

    /// Adds what one step found: `found` has a bit for each delimiter and newline, `newlines` only for the newlines.
    ///
    /// # Safety
    /// `write` must write as many positions as `found` has bits.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, found: u64, newlines: u64, write: impl FnOnce(&mut Slots)) {
        assert!(self.steps > 0, "more steps than there is room for");
        self.steps -= 1;
        // SAFETY: each step adds at most 64 lines. 64 were reserved for each step, and 64 more, so 64 are free here.
        let slots = unsafe { &mut *self.lines.add(self.line_count).cast::<Slots>() };
        write_lines(self.field_count as u32, found, newlines, slots);
        self.line_count += newlines.count_ones() as usize;
        // SAFETY: each step adds at most 64 positions. 64 were reserved for each step, and 64 more, so 64 are free
        // here.
        write(unsafe { &mut *self.fields.add(self.field_count).cast::<Slots>() });
        self.field_count += found.count_ones() as usize;
    }

    /// Sets the lengths of the vectors to include what was added.
    pub(super) fn finish(self) {
        // SAFETY: `add` has written all lines up to this count, and its callers guarantee the same for the positions.
        unsafe {
            self.ends.fields.set_len(self.field_count);
            self.ends.lines.set_len(self.line_count);
        }
    }
}

/// Positions that are written without checking whether there are that many. Most steps have no more, and a
/// mispredicted branch costs more than a few writes that are overwritten later.
const UNCONDITIONAL: usize = 12;

/// The same for lines.
const UNCONDITIONAL_LINES: usize = 2;

/// Writes the index of each newline among the positions; `before` positions precede this step.
#[inline(always)]
fn write_lines(before: u32, found: u64, newlines: u64, slots: &mut Slots) {
    let (always, rest) = slots.split_at_mut(UNCONDITIONAL_LINES);
    let mut left = newlines;
    let mut next = || {
        // All bits below the lowest one; all 64 bits if there is none left.
        let below = (left & left.wrapping_neg()).wrapping_sub(1);
        left &= left.wrapping_sub(1);
        before + (found & below).count_ones()
    };
    for slot in always {
        slot.write(next());
    }
    for slot in rest
        .iter_mut()
        .take((newlines.count_ones() as usize).saturating_sub(UNCONDITIONAL_LINES))
    {
        slot.write(next());
    }
}

/// Writes the position of each bit, counted from `base`.
#[inline(always)]
pub(super) fn write_positions(base: u32, found: u64, slots: &mut Slots) {
    let (always, rest) = slots.split_at_mut(UNCONDITIONAL);
    let mut left = found;
    for slot in always {
        slot.write(base + left.trailing_zeros());
        left &= left.wrapping_sub(1);
    }
    for slot in rest {
        if left == 0 {
            break;
        }
        slot.write(base + left.trailing_zeros());
        left &= left - 1;
    }
}
