//! What objects of a file have in common: their names, nesting and blanks. Only values differ from one to the next.
//!
//! A [`Template`] is what stands between the values of an object that was parsed. Another text in which the same stands
//! between valid values is an object with the same members, so it need not be parsed: this is how nearly all objects of a
//! file are read. Values stay where they stand.

use std::ops::Range;

use super::tree::Tree;

/// Objects with more values, or more text between them, are parsed each time.
const MOST_VALUES: usize = 64;
const MOST_BETWEEN: usize = 4096;

/// Bytes that are compared at a time, and that must be readable behind an object.
const STEP: usize = 16;

/// A value that was found in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: CellKind,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CellKind {
    /// Null, or there is no such member.
    #[default]
    Empty,
    /// What stands between two quotes, without escapes.
    Text,
    /// A number of digits alone, perhaps with a minus sign.
    Whole,
    /// A number with decimal places.
    Decimal,
    /// `true` or `false`.
    Word,
}

impl Cell {
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// What stands between the values of an object.
pub(super) struct Template {
    /// What stands before the first value, before each further one, and behind the last.
    between: Vec<Text>,
    /// For each field, the number of its value, if the object has it.
    fields: Vec<Option<usize>>,
}

/// A text, in words.
struct Text {
    words: Vec<Word>,
    length: usize,
}

/// Some bytes of a text, and a mask of those that count.
struct Word {
    bytes: u128,
    mask: u128,
}

impl Template {
    /// Takes what is between the values of an object, given the values that its fields are read from. `None` if a field is
    /// no single value, or if the object is too large.
    pub(super) fn of(object: &[u8], tree: &Tree, fields: &[Option<&Tree>]) -> Option<Self> {
        let mut leaves = Vec::new();
        leaves_of(tree, &mut leaves);
        if leaves.len() > MOST_VALUES {
            return None;
        }
        let number = |field: &Option<&Tree>| match field {
            None => Some(None),
            Some(value) => {
                let number = leaves.iter().position(|leaf| std::ptr::eq(*leaf, *value))?;
                Some(Some(number))
            }
        };
        let fields: Vec<Option<usize>> = fields.iter().map(number).collect::<Option<_>>()?;
        let (mut between, mut at, mut all) = (Vec::new(), 0, 0);
        for leaf in &leaves {
            let range = extent(leaf)?;
            between.push(Text::of(&object[at..range.start]));
            all += range.start - at;
            at = range.end;
        }
        between.push(Text::of(&object[at..]));
        all += object.len() - at;
        (all <= MOST_BETWEEN).then_some(Self { between, fields })
    }

    /// Finds the fields of the object at `range` of a text that is UTF-8, if it is one like this whose values have neither
    /// escapes nor exponents. `values` is scratch space. An object at the very end of the text is not found.
    #[inline]
    pub(super) fn find(
        &self,
        text: &[u8],
        range: &Range<usize>,
        values: &mut Vec<Cell>,
        cells: &mut Vec<Cell>,
    ) -> bool {
        let mut at = range.start;
        values.clear();
        let (last, between) = match self.between.split_last() {
            Some(split) => split,
            None => return false,
        };
        for before in between {
            if !before.is_at(text, at) {
                return false;
            }
            let Some((cell, behind)) = value(text, at + before.length) else {
                return false;
            };
            values.push(cell);
            at = behind;
        }
        if !last.is_at(text, at) || at + last.length != range.end {
            return false;
        }
        cells.clear();
        let cell = |number: &Option<usize>| number.map_or(Cell::default(), |number| values[number]);
        cells.extend(self.fields.iter().map(cell));
        true
    }
}

impl Text {
    fn of(text: &[u8]) -> Self {
        let word = |bytes: &[u8]| {
            let (mut word, mut mask) = ([0; STEP], [0; STEP]);
            word[..bytes.len()].copy_from_slice(bytes);
            mask[..bytes.len()].fill(0xFF);
            Word {
                bytes: u128::from_le_bytes(word),
                mask: u128::from_le_bytes(mask),
            }
        };
        Self {
            words: text.chunks(STEP).map(word).collect(),
            length: text.len(),
        }
    }

    #[inline(always)]
    fn is_at(&self, text: &[u8], mut at: usize) -> bool {
        for word in &self.words {
            match sixteen(text, at) {
                Some(bytes) if (bytes ^ word.bytes) & word.mask == 0 => at += STEP,
                _ => return false,
            }
        }
        true
    }
}

/// Finds the values of a tree, in the order of the text.
fn leaves_of<'t>(tree: &'t Tree, leaves: &mut Vec<&'t Tree>) {
    match tree {
        Tree::Array(members) | Tree::Object(members) => {
            for (_, member) in members {
                leaves_of(member, leaves);
            }
        }
        leaf => leaves.push(leaf),
    }
}

/// Returns where a value stands, with its quotes.
fn extent(leaf: &Tree) -> Option<Range<usize>> {
    match leaf {
        Tree::Null(range) | Tree::Word(range) | Tree::Number(range) => Some(range.clone()),
        Tree::Text(range) => Some(range.start - 1..range.end + 1),
        Tree::Array(_) | Tree::Object(_) => None,
    }
}

#[inline(always)]
fn sixteen(text: &[u8], at: usize) -> Option<u128> {
    let bytes = text.get(at..at.checked_add(STEP)?)?;
    Some(u128::from_le_bytes(bytes.try_into().ok()?))
}

/// Finds the value that begins there, and what follows it. `None` if it is no single value, or one with escapes or an
/// exponent.
#[inline(always)]
fn value(text: &[u8], at: usize) -> Option<(Cell, usize)> {
    match *text.get(at)? {
        b'"' => {
            let start = at + 1;
            let end = end_of_text(text, start)?;
            let kind = CellKind::Text;
            Some((Cell { start, end, kind }, end + 1))
        }
        b'-' | b'0'..=b'9' => number(text, at),
        _ => word(text, at),
    }
}

/// Finds the quote that ends a text, if nothing before it is an escape or a control character.
#[inline(always)]
fn end_of_text(text: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u128 = u128::from_le_bytes([1; STEP]);
    const HIGH: u128 = u128::from_le_bytes([0x80; STEP]);
    const QUOTES: u128 = u128::from_le_bytes([b'"'; STEP]);
    const ESCAPES: u128 = u128::from_le_bytes([b'\\'; STEP]);
    const BLANKS: u128 = u128::from_le_bytes([b' '; STEP]);
    loop {
        let bytes = sixteen(text, at)?;
        // In each of these, the lowest byte with its high bit set is the first that was looked for; what is above it means
        // nothing.
        let (quotes, escapes) = (bytes ^ QUOTES, bytes ^ ESCAPES);
        let found = quotes.wrapping_sub(ONES) & !quotes
            | escapes.wrapping_sub(ONES) & !escapes
            | bytes.wrapping_sub(BLANKS) & !bytes;
        match found & HIGH {
            0 => at += STEP,
            found => {
                let end = at + (found.trailing_zeros() / 8) as usize;
                return (text[end] == b'"').then_some(end);
            }
        }
    }
}

#[inline(always)]
fn number(text: &[u8], start: usize) -> Option<(Cell, usize)> {
    let byte = |at: usize| text.get(at).copied().unwrap_or_default();
    let digits = |mut at: usize| {
        while byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    };
    let first = start + usize::from(byte(start) == b'-');
    let mut end = match byte(first) {
        b'0' => first + 1,
        b'1'..=b'9' => digits(first + 1),
        _ => return None,
    };
    let mut kind = CellKind::Whole;
    if byte(end) == b'.' {
        let behind = digits(end + 1);
        if behind == end + 1 {
            return None;
        }
        (end, kind) = (behind, CellKind::Decimal);
    }
    let has_more = matches!(byte(end), b'e' | b'E' | b'0'..=b'9');
    (!has_more).then_some((Cell { start, end, kind }, end))
}

#[inline(never)]
fn word(text: &[u8], start: usize) -> Option<(Cell, usize)> {
    let words = [
        (&b"null"[..], CellKind::Empty),
        (b"true", CellKind::Word),
        (b"false", CellKind::Word),
    ];
    let (word, kind) = words
        .into_iter()
        .find(|(word, _)| text[start..].starts_with(word))?;
    let end = start + word.len();
    // What is null has no text.
    let end_of_cell = if kind == CellKind::Empty { start } else { end };
    Some((
        Cell {
            start,
            end: end_of_cell,
            kind,
        },
        end,
    ))
}
