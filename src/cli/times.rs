//! Times on the command line, and spans of time in tables.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::failure::Usage;

/// Reads a day or a moment in UTC. A day stands for its first moment, or for its last if `is_end`.
pub(super) fn moment(option: &str, text: &str, is_end: bool) -> Result<Timestamp, Usage> {
    let bad = |_| {
        Usage::new(format!(
            "{option} {text:?}: write a date or a time in UTC, such as 2026-11-01 or 2026-11-01T06:00"
        ))
    };
    let at: DateTime = match text.parse::<Date>() {
        Ok(day) if !text.contains(['T', ' ']) => {
            if is_end {
                day.at(23, 59, 59, 999_999_999)
            } else {
                day.at(0, 0, 0, 0)
            }
        }
        _ => text.trim_end_matches('Z').parse().map_err(bad)?,
    };
    Ok(at.to_zoned(TimeZone::UTC).map_err(bad)?.timestamp())
}

/// Formats how long something took: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
pub(super) fn duration(span: SignedDuration) -> String {
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
    fn days_and_moments() {
        let at = |text, is_end| moment("--to", text, is_end).map(|at| at.to_string());
        assert_eq!(at("2026-11-01", false).unwrap(), "2026-11-01T00:00:00Z");
        assert_eq!(at("2026-11-01", true).unwrap(), "2026-11-01T23:59:59.999999999Z");
        assert_eq!(at("2026-11-01T06:30", true).unwrap(), "2026-11-01T06:30:00Z");
        assert_eq!(at("2026-11-01T06:30:00Z", true).unwrap(), "2026-11-01T06:30:00Z");
        assert!(at("yesterday", true).is_err());
    }

    #[test]
    fn durations() {
        let shown = [350, 12_900, 185_000, 7_800_000].map(|ms| duration(SignedDuration::from_millis(ms)));
        assert_eq!(shown, ["0.3 s", "12 s", "3 min 05 s", "2 h 10 min"]);
    }
}
