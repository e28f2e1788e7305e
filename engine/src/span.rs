//! Spans of time as people write them: `1s`, `30 minutes`, `1 day`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses a span of time. Weeks are the largest unit; a day has 24 hours.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let help = || format!("{text:?} is not a time span: write \"1s\", \"30 minutes\", \"1 day\", …");
    let span: Span = text.parse().map_err(|_| help())?;
    let span = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| help())?;
    span.try_into().map_err(|_| help())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!(parse_span("1s").unwrap(), Duration::from_secs(1));
        assert_eq!(parse_span("1 day").unwrap(), Duration::from_secs(86_400));
        assert_eq!(parse_span("1h 30m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(parse_span("500ms").unwrap(), Duration::from_millis(500));
        for bad in ["", "1", "soon", "-1s", "1 year"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
