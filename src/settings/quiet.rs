//! Quiet hours: when alerts tell nothing.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The hours of a day in which nothing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    until: Time,
}

impl QuietHours {
    /// Makes quiet hours, which may last over midnight.
    pub fn new(from: Time, until: Time) -> Self {
        Self { from, until }
    }

    /// Returns when the quiet hours end in which a moment lies; `None` if it lies in none.
    pub fn end_after(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = now.to_zoned(zone.clone());
        let time = local.time();
        let is_quiet = match self.from <= self.until {
            true => self.from <= time && time < self.until,
            false => self.from <= time || time < self.until,
        };
        if !is_quiet {
            return None;
        }
        let end = |day: jiff::civil::Date| day.to_datetime(self.until).to_zoned(zone.clone()).ok();
        let today = end(local.date()).filter(|end| *end > local);
        let end = today.or_else(|| end(local.date().checked_add(1.day()).ok()?));
        Some(end.map_or(now, |end| end.timestamp()))
    }
}

/// Reads quiet hours; `"never"` are none.
pub(super) fn quiet_hours(text: &str) -> Result<Option<QuietHours>, String> {
    let help = || format!("{text:?} are no hours: write \"22:00-06:00\", or \"never\"");
    if text == "never" {
        return Ok(None);
    }
    let (from, until) = text.split_once('-').ok_or_else(help)?;
    let [from, until] = [from, until].map(|text| text.trim().parse::<Time>());
    match (from, until) {
        (Ok(from), Ok(until)) if from != until => Ok(Some(QuietHours::new(from, until))),
        _ => Err(help()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quiet_hours_end_in_their_zone() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let night = quiet_hours("22:00-06:00").unwrap().unwrap();
        let noon = quiet_hours("12:00 - 13:00").unwrap().unwrap();
        // 21:59, 22:00, 05:59 and 06:00 in Chicago, which is 6 hours behind in winter.
        for (quiet, now, end) in [
            (night, "2026-01-10T03:59:00Z", None),
            (night, "2026-01-10T04:00:00Z", Some("2026-01-10T12:00:00Z")),
            (night, "2026-01-10T11:59:00Z", Some("2026-01-10T12:00:00Z")),
            (night, "2026-01-10T12:00:00Z", None),
            (noon, "2026-01-10T18:30:00Z", Some("2026-01-10T19:00:00Z")),
            // The night in which clocks go forward has an hour less.
            (night, "2026-03-08T04:30:00Z", Some("2026-03-08T11:00:00Z")),
        ] {
            assert_eq!(quiet.end_after(moment(now), &zone), end.map(moment), "{now}");
        }
        assert_eq!(quiet_hours("never"), Ok(None));
        for bad in ["", "22:00", "22-06:00:", "6:00-6:00", "25:00-06:00"] {
            assert!(quiet_hours(bad).is_err(), "{bad}");
        }
    }
}
