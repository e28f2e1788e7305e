//! Short texts as numbers: ids, dates and codes of up to 16 bytes are read, compared and looked up as one 128-bit word.
//! Nearly all values of a point-of-sale line are that short.

use crate::scan::Field;

/// A text of one to [`ShortText::MAX`] bytes without NUL, padded with zeros. Two are equal exactly if their bytes are.
/// The default is not a text, and equals none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortText(u128);

/// For each length, at index length - 1: a mask of the bytes that hold the text.
const MASKS: [u128; ShortText::MAX] = {
    let mut masks = [0; ShortText::MAX];
    let mut length = 1;
    while length <= masks.len() {
        masks[length - 1] = u128::MAX >> (128 - 8 * length);
        length += 1;
    }
    masks
};

impl ShortText {
    /// The greatest length in bytes.
    pub(crate) const MAX: usize = 16;

    /// Reads a field, which must have no NUL. Returns `None` if the field is empty or too long.
    #[inline(always)]
    pub(crate) fn in_text(field: Field<'_>) -> Option<Self> {
        let mask = MASKS.get(field.len().wrapping_sub(1))?;
        Some(Self(field.sixteen_from_start() & mask))
    }

    /// Reads a whole slice. Returns `None` if it is empty, too long or has a NUL.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let is_short = (1..=Self::MAX).contains(&bytes.len()) && !bytes.contains(&0);
        is_short.then(|| {
            let mut padded = [0; 16];
            padded[..bytes.len()].copy_from_slice(bytes);
            Self(u128::from_le_bytes(padded))
        })
    }

    /// Returns a hash in which every bit depends on all bits of the text.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        let (low, high) = (self.0 as u64, (self.0 >> 64) as u64);
        folded(low ^ MULTIPLIER, high ^ OTHER_MULTIPLIER)
    }
}

/// Like [`ShortText`], but with one to eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShorterText(u64);

impl ShorterText {
    /// Reads a field, which must have no NUL. Returns `None` if the field is empty or too long.
    #[inline(always)]
    pub(crate) fn in_text(field: Field<'_>) -> Option<Self> {
        let is_short = (1..=8).contains(&field.len());
        is_short.then(|| Self(field.eight_from_start() & (u64::MAX >> (64 - 8 * field.len()))))
    }
}

/// A text that a [`Memo`] can hold. No text that is looked up equals the default.
pub(crate) trait MemoText: Copy + Default + Eq {
    /// Returns a hash in which every bit depends on all bits of the text.
    fn mixed(self) -> u64;
}

impl MemoText for ShortText {
    #[inline(always)]
    fn mixed(self) -> u64 {
        self.hash()
    }
}

impl MemoText for ShorterText {
    #[inline(always)]
    fn mixed(self) -> u64 {
        folded(self.0, MULTIPLIER)
    }
}

/// The fractional parts of the golden ratio and of the square root of two, times 2^64. Multiplying by them spreads
/// values that are close together.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const OTHER_MULTIPLIER: u64 = 0x6A09_E667_F3BC_C909;

/// Returns the two halves of a product combined by XOR, so that every bit depends on all bits of both factors.
#[inline(always)]
fn folded(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    product as u64 ^ (product >> 64) as u64
}

/// A cache of what short texts mean. A feed has few distinct days and codes, so each is parsed only now and then.
///
/// Each text has one slot; texts that share a slot replace each other. If they do so often, the cache grows.
pub(crate) struct Memo<T, V> {
    /// As many as a power of two.
    slots: Vec<(T, V)>,
    /// How far a hash is shifted right to give a slot.
    shift: u32,
    /// How often a text replaced another one since the cache last grew.
    replaced: usize,
}

impl<T: MemoText, V: Copy + Default> Memo<T, V> {
    const FEWEST_SLOTS: usize = 128;
    /// Enough for the days of some years. More texts than slots are damage, which no cache helps with.
    const MOST_SLOTS: usize = 1 << 13;

    pub(crate) fn new() -> Self {
        Self::with_slots(Self::FEWEST_SLOTS)
    }

    fn with_slots(count: usize) -> Self {
        Self {
            slots: vec![Default::default(); count],
            shift: u64::BITS - count.trailing_zeros(),
            replaced: 0,
        }
    }

    /// Returns what a text means; calls `meaning` if the cache does not hold it.
    #[inline(always)]
    pub(crate) fn get(&mut self, text: T, meaning: impl FnOnce() -> V) -> V {
        let slot = (text.mixed() >> self.shift) as usize;
        match self.slots[slot] {
            (known, value) if known == text => value,
            _ => self.learn(slot, text, meaning()),
        }
    }

    #[inline(never)]
    fn learn(&mut self, mut slot: usize, text: T, value: V) -> V {
        self.replaced += usize::from(self.slots[slot].0 != T::default());
        let count = self.slots.len();
        if self.replaced > count && count < Self::MOST_SLOTS {
            *self = Self::with_slots(count * 4);
            slot = (text.mixed() >> self.shift) as usize;
        }
        self.slots[slot] = (text, value);
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan::{Marks, READ_BEFORE, READ_BEHIND};

    proptest! {
        #[test]
        fn texts_are_equal_exactly_if_their_bytes_are(one in "[a ]{1,16}", two in "[a ]{1,16}") {
            let text = |bytes: &str| ShortText::of(bytes.as_bytes()).unwrap();
            prop_assert_eq!(text(&one) == text(&two), one == two);
            prop_assert_ne!(text(&one), ShortText::default());
        }

        #[test]
        fn a_field_is_the_same_as_its_slice(field in prop::collection::vec(1..=255_u8, 0..20)) {
            prop_assume!(!field.contains(&b'\t') && !field.contains(&b'\n'));
            let text = [&[b'x'; READ_BEFORE][..], b"\t", &field, b"\n", &[b'y'; READ_BEHIND]].concat();
            let mut marks = Marks::new(b'\t');
            let marked = marks.mark(&text, READ_BEFORE..text.len() - READ_BEHIND);
            let line = marked.lines().next().unwrap();
            prop_assert_eq!(line.field(1).bytes(), &field);
            prop_assert_eq!(ShortText::in_text(line.field(1)), ShortText::of(&field));
            let is_shorter = (1..=8).contains(&field.len());
            prop_assert_eq!(ShorterText::in_text(line.field(1)).is_some(), is_shorter);
        }
    }

    #[test]
    fn empty_text_long_text_and_text_with_a_nul_is_not_short() {
        for bytes in [&b""[..], b"seventeen letters", b"NUL\0", b"\0"] {
            assert_eq!(ShortText::of(bytes), None);
        }
    }

    #[test]
    fn a_memo_asks_once_for_what_it_knows() {
        let mut memo = Memo::<ShortText, i32>::new();
        let text = ShortText::of(b"2026-03-01").unwrap();
        assert_eq!(memo.get(text, || 7), 7);
        assert_eq!(memo.get(text, || unreachable!("it is known")), 7);
        for other in 0..2000 {
            let text = ShortText::of(format!("{other}").as_bytes()).unwrap();
            assert_eq!(memo.get(text, || other), other);
        }
    }

    #[test]
    fn a_memo_grows_until_most_texts_have_a_slot_of_their_own() {
        let mut memo = Memo::<ShortText, i32>::new();
        let mut asked = 0;
        for day in (0..1_000).cycle().take(100_000) {
            let text = crate::date::from_days(day).to_string();
            let text = ShortText::of(text.as_bytes()).unwrap();
            let meaning = memo.get(text, || {
                asked += 1;
                day
            });
            assert_eq!(meaning, day);
        }
        assert!(
            asked < 20_000,
            "each day was parsed {} times on average",
            asked / 1_000
        );
        for text in 0..1_000_000 {
            memo.get(ShortText::of(format!("{text}").as_bytes()).unwrap(), || text);
        }
        assert_eq!(memo.slots.len(), Memo::<ShortText, i32>::MOST_SLOTS);
    }
}
