//! Reads, changes and writes the heads of HTTP messages, for proxies.

use std::io::{self, BufRead, Write};

/// Reads the lines of a head, without their line ends.
pub(crate) fn read_head(from: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => return Ok(head),
            line => head.push(line.to_owned()),
        }
    }
}

/// Forwards a head with `Connection: close`, and with another length if one is given.
pub(crate) fn write_head(to: &mut impl Write, head: &[String], length: Option<usize>) -> io::Result<()> {
    let replaced = |line: &&String| {
        let name = line.split(':').next().unwrap_or("");
        name.eq_ignore_ascii_case("connection")
            || (length.is_some() && name.eq_ignore_ascii_case("content-length"))
    };
    let mut text = String::new();
    for line in head.iter().filter(|line| !replaced(line)) {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("Connection: close\r\n");
    if let Some(length) = length {
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    text.push_str("\r\n");
    to.write_all(text.as_bytes())
}

/// Returns the value of a header.
pub(crate) fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Returns the length of the body, if the head gives it.
pub(crate) fn length(head: &[String]) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}
