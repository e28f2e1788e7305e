//! Parses one JSON value. Texts and numbers stay where they stand, so that amounts keep all their digits.

use std::ops::Range;

/// The deepest nesting. Deeper values are not valid here: they would be a trap rather than a list of sales.
const DEEPEST: usize = 64;

/// A JSON value, as ranges of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Null(Range<usize>),
    /// `true` or `false`.
    Word(Range<usize>),
    Number(Range<usize>),
    /// What stands between the quotes.
    Text(Range<usize>),
    Array(Vec<(Range<usize>, Tree)>),
    /// Names as they stand between their quotes, and values.
    Object(Vec<(Range<usize>, Tree)>),
}

/// Parses a text that is one value, with blanks around it. `None` if it is none.
pub(super) fn parse(text: &[u8]) -> Option<Tree> {
    std::str::from_utf8(text).ok()?;
    let mut parser = Parser { text, at: 0 };
    parser.blanks();
    let tree = parser.value(DEEPEST)?;
    parser.blanks();
    (parser.at == text.len()).then_some(tree)
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over a byte, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Option<Tree> {
        let start = self.at;
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => self.string().map(Tree::Text),
            b't' => self.word(b"true").map(|()| Tree::Word(start..self.at)),
            b'f' => self.word(b"false").map(|()| Tree::Word(start..self.at)),
            b'n' => self.word(b"null").map(|()| Tree::Null(start..self.at)),
            _ => self.number().map(Tree::Number),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_next = self.text[self.at..].starts_with(word);
        self.at += word.len();
        is_next.then_some(())
    }

    fn object(&mut self, depth: usize) -> Option<Tree> {
        self.at += 1;
        let mut members = Vec::new();
        self.blanks();
        if self.take(b'}') {
            return Some(Tree::Object(members));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.take(b':').then_some(())?;
            self.blanks();
            members.push((name, self.value(depth)?));
            self.blanks();
            if self.take(b'}') {
                return Some(Tree::Object(members));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn array(&mut self, depth: usize) -> Option<Tree> {
        self.at += 1;
        let mut elements = Vec::new();
        self.blanks();
        if self.take(b']') {
            return Some(Tree::Array(elements));
        }
        loop {
            self.blanks();
            let start = self.at;
            let element = self.value(depth)?;
            elements.push((start..self.at, element));
            self.blanks();
            if self.take(b']') {
                return Some(Tree::Array(elements));
            }
            self.take(b',').then_some(())?;
        }
    }

    /// Returns where the text between two quotes stands.
    fn string(&mut self) -> Option<Range<usize>> {
        self.take(b'"').then_some(())?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            let digits = self.text.get(self.at + 1..self.at + 5)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 5;
                        }
                        _ => return None,
                    }
                }
                0..=0x1F => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at - 1)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.take(b'-');
        // A number does not begin with zeros, but for its first digit.
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Some(start..self.at)
    }
}

/// Returns the text that stands between two quotes.
pub(super) fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let mut letters = escape.chars();
        let letter = letters.next();
        rest = letters.as_str();
        text.push(match letter {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (one, behind) = unit(rest);
                rest = behind;
                let other = behind.strip_prefix("\\u").map(unit);
                match (one, other) {
                    (0xD800..=0xDBFF, Some((low @ 0xDC00..=0xDFFF, behind))) => {
                        rest = behind;
                        let code = 0x10000 + ((one - 0xD800) << 10) + (low - 0xDC00);
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                    _ => char::from_u32(one).unwrap_or(char::REPLACEMENT_CHARACTER),
                }
            }
            Some(c) => c,
            None => break,
        });
    }
    text.push_str(rest);
    text
}

/// Reads the four hexadecimal digits of an escape.
fn unit(text: &str) -> (u32, &str) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    (u32::from_str_radix(digits, 16).unwrap_or(0xFFFD), rest)
}

/// Writes a number without an exponent, with as few decimal places as it has. One that would be very long stays as it is.
pub(in crate::formats) fn decimal(number: &str) -> String {
    const LONGEST: i64 = 40;
    let (sign, digits) = number
        .strip_prefix('-')
        .map_or(("", number), |digits| ("-", digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some(exponent) = exponent
        .parse::<i64>()
        .ok()
        .filter(|exponent| exponent.abs() <= LONGEST)
    else {
        return number.to_owned();
    };
    let all = format!("{whole}{places}");
    let point = whole.len() as i64 + exponent;
    let (whole, places) = if point <= 0 {
        (
            "0".to_owned(),
            format!("{}{all}", "0".repeat(point.unsigned_abs() as usize)),
        )
    } else {
        let point = point as usize;
        let padded = format!("{all:0<point$}");
        (padded[..point].to_owned(), padded[point..].to_owned())
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    match places.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        places => format!("{sign}{whole}.{places}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_json_and_what_is_not() {
        for good in [
            "{}",
            "[]",
            " {\"a\" : [1, -2.5e+3, 0, true, null, \"x\\u00e9\\n\"]} ",
            "0",
            "-0.10",
            "\"\"",
            "[[[]]]",
        ] {
            assert!(parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "[1] 2",
            "'a'",
            "NaN",
            "{\"a\":1 \"b\":2}",
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(parse(b"\"\xff\"").is_none());
        assert!(parse("[".repeat(100_000).as_bytes()).is_none());
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(deep(DEEPEST).as_bytes()).is_some() && parse(deep(DEEPEST + 1).as_bytes()).is_none());
    }

    #[test]
    fn escapes() {
        assert_eq!(unescaped(r#"a\"b\\c\/\n\u00e9\ud83c\udf54"#), "a\"b\\c/\né🍔");
        assert_eq!(unescaped(r"\ud83cx"), "\u{fffd}x");
    }

    #[test]
    fn numbers_without_exponents() {
        for (number, expected) in [
            ("2.5", "2.5"),
            ("2.500", "2.5"),
            ("10", "10"),
            ("1e1", "10"),
            ("1.25E+2", "125"),
            ("-12.5e-1", "-1.25"),
            ("5e-3", "0.005"),
            ("0.0", "0"),
            ("-0", "-0"),
            ("100e-2", "1"),
            ("12345678901234567.89", "12345678901234567.89"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(decimal(number), expected, "{number}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in "[\\[\\]{}\",:\\\\u0-9eE+.tfn -]{0,30}") {
            let _ = parse(text.as_bytes());
            let _ = unescaped(&text);
        }

        #[test]
        fn numbers_keep_their_value(number in "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,4})?([eE][+-]?[0-9])?") {
            let found: f64 = decimal(&number).parse().unwrap();
            let expected: f64 = number.parse().unwrap();
            prop_assert!((found - expected).abs() <= expected.abs() * 1e-12, "{} {}", number, decimal(&number));
        }
    }
}
