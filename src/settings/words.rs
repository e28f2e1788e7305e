//! Messages about values of the wrong type, in words that name what to write instead of a type of the program.

/// What a parser expected, in its words, and what a person has to write.
const WORDS: [(&str, &str); 10] = [
    ("u8", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("f64", "a number"),
    ("a boolean", "true or false"),
    ("a string", "a text in quotes"),
    ("a sequence", "a list in brackets, such as [\"a\", \"b\"]"),
    ("a map", "a table in braces, such as { a = 1 }"),
];

/// Replaces what a parser expected by what a person has to write.
pub(crate) fn in_plain_words(message: &str) -> String {
    const MARK: &str = ", expected ";
    let Some(at) = message.rfind(MARK) else {
        return message.to_owned();
    };
    let (before, expected) = message.split_at(at + MARK.len());
    // JSON's parser adds the place.
    let (expected, place) = match expected.find(" at line ") {
        Some(end) => expected.split_at(end),
        None => (expected, ""),
    };
    match WORDS.iter().find(|(word, _)| *word == expected) {
        Some((_, plain)) => format!("{before}{plain}{place}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_what_to_write() {
        assert_eq!(
            in_plain_words("invalid type: string \"13\", expected u32"),
            "invalid type: string \"13\", expected a whole number, 0 or more"
        );
        assert_eq!(
            in_plain_words("invalid type: integer `1`, expected a sequence at line 1 column 9"),
            "invalid type: integer `1`, expected a list in brackets, such as [\"a\", \"b\"] at line 1 column 9"
        );
        assert_eq!(
            in_plain_words("unknown field `x`, expected `y`"),
            "unknown field `x`, expected `y`"
        );
    }
}
