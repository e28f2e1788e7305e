//! Splits statements into tokens: just enough to distinguish keywords from literals.

/// A word, a quoted name, a text literal or a sign of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'s> {
    /// A keyword, a plain name or a number, as written.
    Word(&'s str),
    /// A quoted name, with its quotes.
    Name(&'s str),
    /// A text literal, with its quotes.
    Text(&'s str),
    /// One other character.
    Sign(char),
}

impl Token<'_> {
    /// Returns whether this is the keyword, which is given in lower case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Returns the token as written.
    pub(crate) fn written(&self) -> String {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Text(text) => (*text).to_owned(),
            Self::Sign(sign) => sign.to_string(),
        }
    }

    /// Returns the content of a text literal.
    pub(crate) fn text(&self) -> Option<String> {
        let Self::Text(quoted) = self else { return None };
        let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
        Some(inner.replace("''", "'"))
    }
}

/// Returns the tokens of a statement, without comments and without its closing semicolon.
pub(crate) fn tokens<'s>(statement: &'s str) -> Vec<Token<'s>> {
    let mut tokens = Vec::new();
    let mut rest = statement.trim().trim_end_matches(';');
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return tokens;
        };
        let (length, token): (usize, fn(&'s str) -> Token<'s>) = match first {
            '\'' => (quoted(rest, '\''), Token::Text),
            '"' => (quoted(rest, '"'), Token::Name),
            _ if first.is_alphanumeric() || first == '_' => {
                let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (end, Token::Word)
            }
            _ if rest.starts_with("--") => {
                rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
                continue;
            }
            sign => {
                tokens.push(Token::Sign(sign));
                rest = &rest[sign.len_utf8()..];
                continue;
            }
        };
        tokens.push(token(&rest[..length]));
        rest = &rest[length..];
    }
}

/// Returns the length of a quoted token with its quotes; a doubled quote does not end it.
fn quoted(rest: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = rest[at..].find(quote) {
        at += end + 1;
        if rest[at..].starts_with(quote) {
            at += 1;
        } else {
            return at;
        }
    }
    rest.len()
}

/// Returns whether the keywords, given in lower case, follow one another somewhere in a statement.
pub(crate) fn has(tokens: &[Token<'_>], keywords: &[&str]) -> bool {
    let mut windows = tokens.windows(keywords.len());
    windows.any(|window| {
        window
            .iter()
            .zip(keywords)
            .all(|(token, keyword)| token.is(keyword))
    })
}

/// Returns whether a statement begins with the keywords, given in lower case.
pub(crate) fn begins(tokens: &[Token<'_>], keywords: &[&str]) -> bool {
    tokens.len() >= keywords.len() && has(&tokens[..keywords.len()], keywords)
}

/// Joins tokens to a statement again.
pub(crate) fn written(tokens: &[Token<'_>]) -> String {
    let mut statement = String::new();
    for (number, token) in tokens.iter().enumerate() {
        // A qualified name, a cast or an operator of two signs must not be split.
        let is_sign = |token: &Token<'_>| matches!(token, Token::Sign(_));
        let apart = number > 0 && !is_sign(token) && !is_sign(&tokens[number - 1]);
        if apart {
            statement.push(' ');
        }
        statement.push_str(&token.written());
    }
    statement
}
