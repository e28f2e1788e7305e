//! Times on the command line.

use crate::usage::Usage;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

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
}
