//! How texts, paths and moments are shown to people, on a terminal and on a page.

use jiff::{SignedDuration, Timestamp};

/// Escapes control characters other than newlines, and characters that are invisible or change the direction of text.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_odd = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        match (c.is_control() && c != '\n') || is_odd {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Returns a file's path on one line: its name may contain newlines.
pub(crate) fn path(text: &str) -> String {
    shown(text).replace('\n', "\\n")
}

/// Formats a moment to the second, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Returns the value as text, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// Formats how long something took: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn duration(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    match seconds {
        ..10 => format!("{:.1} s", span.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let shown = [350, 12_900, 185_000, 7_800_000].map(|ms| duration(SignedDuration::from_millis(ms)));
        assert_eq!(shown, ["0.3 s", "12 s", "3 min 05 s", "2 h 10 min"]);
    }
}
