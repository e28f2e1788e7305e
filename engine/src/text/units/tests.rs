use proptest::prelude::*;

use super::super::line_ends::tests::lines;
use super::*;

/// An input that yields its bytes in pieces of the given sizes, in a cycle; a size of 0 is an interrupted read.
struct Pieces<'t> {
    text: &'t [u8],
    sizes: &'t [usize],
    at: usize,
    /// Whether the input fails where its bytes end.
    fails: bool,
}

impl<'t> Pieces<'t> {
    fn new(text: &'t [u8], sizes: &'t [usize]) -> Self {
        Self {
            text,
            sizes,
            at: 0,
            fails: false,
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.text.is_empty() && self.fails {
            return Err(io::Error::other("the cable was pulled"));
        }
        let size = self.sizes[self.at % self.sizes.len()];
        self.at += 1;
        if size == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = size.min(buffer.len()).min(self.text.len());
        buffer[..size].copy_from_slice(&self.text[..size]);
        self.text = &self.text[size..];
        Ok(size)
    }
}

/// A line as a unit yields it: its text, and its length if it is too long and a unit of its own.
type Given = (Vec<u8>, Option<u64>);

/// Returns the lines of a text by definition.
fn by_definition(text: &[u8]) -> Vec<Given> {
    lines(text)
        .0
        .into_iter()
        .map(|line| match line.len() < MAX_LINE {
            true => (line, None),
            false => (line[..LONG_LINE_KEPT].to_vec(), Some(line.len() as u64)),
        })
        .collect()
}

/// Returns the lines that units yield. Also checks the room around their texts.
fn by_units(input: impl Read, size: usize) -> Vec<Given> {
    let (mut units, mut unit) = (Units::new(input, size, LineEnds::Any), Unit::new());
    let mut lines = Vec::new();
    let mut number = 0;
    while units.fill(&mut unit).unwrap() {
        assert_eq!(unit.number, number);
        number += 1;
        assert!(unit.lines.start >= READ_BEFORE);
        assert!(unit.lines.end + READ_BEHIND <= unit.text.len());
        let text = &unit.text[unit.lines.clone()];
        if let Some(length) = unit.long_line {
            lines.push((text.to_vec(), Some(length)));
            continue;
        }
        let last = if unit.ends_in_cr { CR } else { b'\n' };
        assert_eq!(text.last(), Some(&last), "a unit of whole lines");
        lines.extend(by_definition(text));
    }
    assert!(units.is_at_end());
    assert!(!units.fill(&mut unit).unwrap(), "the end stays the end");
    lines
}

proptest! {
    #[test]
    fn whatever_the_pieces_and_the_size_the_lines_are_the_same(
        text in prop::collection::vec(prop::sample::select(b"\n\nab\r\r\0".to_vec()), 0..200),
        sizes in prop::collection::vec(0..20_usize, 0..6),
        size in 1..70_usize,
    ) {
        // At least one piece has a byte, or no byte would ever arrive.
        let sizes = [sizes, vec![3]].concat();
        prop_assert_eq!(by_units(Pieces::new(&text, &sizes), size), by_definition(&text));
    }
}

#[test]
fn lines_around_the_greatest_length_at_any_position() {
    let long = |length: usize| vec![b'x'; length];
    let lengths = [
        MAX_LINE - 2,
        MAX_LINE - 1,
        MAX_LINE,
        MAX_LINE + 1,
        3 * MAX_LINE + 7,
    ];
    let ends: [&[u8]; 4] = [b"\n", b"\r\n", b"\r", b"\r\r\n"];
    for (length, end) in lengths
        .into_iter()
        .flat_map(|length| ends.map(|end| (length, end)))
    {
        let alone = long(length);
        let first = [&alone[..], end, b"b", end, b"c"].concat();
        let middle = [b"a", end, &alone[..], end, b"b", end].concat();
        let last = [b"a", end, b"b", end, &alone[..], end].concat();
        let two = [&alone[..], end, &alone[..], end, end].concat();
        for text in [alone, first, middle, last, two] {
            let expected = by_definition(&text);
            let sizes_of_units: &[usize] = match end {
                b"\n" => &[1, 1000, 256 << 10, MAX_LINE, 4 << 20],
                _ => &[1000, 4 << 20],
            };
            for &size in sizes_of_units {
                for sizes in [&[usize::MAX][..], &[4093, 0]] {
                    let found = by_units(Pieces::new(&text, sizes), size);
                    assert!(
                        found == expected,
                        "a line of {length} in units of {size}, read by {sizes:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_input_that_fails_ends_there() {
    let text = b"a\nb\nc\n".repeat(100);
    for size in [1, 7, 50, 10_000] {
        let mut input = Pieces::new(&text, &[5]);
        input.fails = true;
        let (mut units, mut unit) = (Units::new(input, size, LineEnds::Any), Unit::new());
        let error = loop {
            match units.fill(&mut unit) {
                Ok(more) => assert!(more, "the failure is not mistaken for the end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "the cable was pulled");
        // Other threads ask for more: they get nothing that comes after the failure.
        units.input.fails = false;
        units.input.text = b"behind\n";
        assert!(units.is_at_end());
        assert!(!units.fill(&mut unit).unwrap());
    }
}

#[test]
fn nothing_has_no_unit() {
    assert!(by_units(&b""[..], 10).is_empty());
}
