//! Dates in other forms: the parts in another order or with fewer digits, months by name, a time of day behind.

use super::{Form, Need};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Returns the needs of a rejected date to be read, or `None` if it is no date in a known form.
pub(crate) fn date_form(text: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let day = without_time(text);
    let is_date = match day.len() {
        8 | 6 if day.bytes().all(|byte| byte.is_ascii_digit()) => is_packed(day),
        _ => is_divided(day),
    };
    is_date.then(|| Form::from([Need::Dates]))
}

/// Takes a time of day off: `13:45`, `13:45:00.000Z`, `1:45 PM`, behind a blank or a `T`.
fn without_time(text: &str) -> &str {
    let is_time = |time: &str| {
        let mut bytes = time.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_digit())
            && time.contains(':')
            && bytes.all(|byte| byte.is_ascii_digit() || b":.+- APMapmZ".contains(&byte))
    };
    let mut borders = text.char_indices().filter(|(_, c)| matches!(c, ' ' | 'T'));
    let border = borders.find(|(at, _)| is_time(text[at + 1..].trim_start()));
    border.map_or(text, |(at, _)| text[..at].trim_end())
}

/// Returns whether digits without marks are a date: `20160601`, `01062016`, `160601`.
fn is_packed(digits: &str) -> bool {
    let number = |from: usize, to: usize| digits[from..to].parse().unwrap_or(0);
    match digits.len() {
        8 => {
            is_day(number(0, 4), number(4, 6), number(6, 8))
                || is_day(number(4, 8), number(2, 4), number(0, 2))
                || is_day(number(4, 8), number(0, 2), number(2, 4))
        }
        _ => {
            is_day(2000 + number(0, 2), number(2, 4), number(4, 6))
                || is_day(2000 + number(4, 6), number(2, 4), number(0, 2))
                || is_day(2000 + number(4, 6), number(0, 2), number(2, 4))
        }
    }
}

/// Returns whether three parts with marks between them are a date: `1/6/2016`, `2016.06.01`, `1-Jun-16`, `Jun 1, 2016`.
fn is_divided(text: &str) -> bool {
    let parts: Vec<&str> = text
        .split(['/', '-', '.', ' ', ','])
        .filter(|part| !part.is_empty())
        .collect();
    let [one, two, three] = parts[..] else {
        return false;
    };
    let number = |part: &str| -> Option<u32> {
        let is_number = part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let year = |part: &str| match (part.len(), number(part)) {
        (4, Some(year)) => Some(year),
        (2, Some(year)) => Some(2000 + year),
        _ => None,
    };
    let month = |part: &str| number(part).or_else(|| month_by_name(part));
    // Year first, or last with day and month in either order.
    let orders = [(one, two, three), (three, two, one), (three, one, two)];
    orders
        .into_iter()
        .any(|(y, m, d)| match (year(y), month(m), number(d)) {
            (Some(year), Some(month), Some(day)) => is_day(year, month, day),
            _ => false,
        })
}

fn month_by_name(text: &str) -> Option<u32> {
    let start = text.get(..3)?.to_ascii_lowercase();
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == start);
    month.filter(|_| is_word).map(|(number, _)| number)
}

/// Returns whether it is a calendar day of a year in which tills have existed.
fn is_day(year: u32, month: u32, day: u32) -> bool {
    let [year, month, day] = [year, month, day].map(|number| i16::try_from(number).unwrap_or(0));
    (1900..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && jiff::civil::Date::new(year, month as i8, day as i8).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates() {
        for date in [
            "1/6/2016",
            "01/06/2016",
            "31/12/2016",
            "12/31/2016",
            "2016/06/01",
            "2016-6-1",
            "01.06.2016",
            "1/6/16",
            "20160601",
            "01062016",
            "160601",
            "1-Jun-2016",
            "01JUN 2016",
            "Jun 1, 2016",
            "June 1 2016",
            "2016-06-01 13:45:00",
            "2016-06-01T13:45:00Z",
            "2016-06-01T13:45:00.000+02:00",
            "1/6/2016 1:45 PM",
        ] {
            let expected = (date != "01JUN 2016").then(|| Form::from([Need::Dates]));
            assert_eq!(date_form(date.as_bytes()), expected, "{date}");
        }
        for text in [
            "",
            "x",
            "2016-02-30",
            "2016-13-01",
            "0000-01-01",
            "2016",
            "06/2016",
            "1/2/3/2016",
            "99999999",
            "13:45",
            "Jux 1 2016",
            "-",
            "12345",
            "1000/1/1",
        ] {
            assert_eq!(date_form(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_a_panic(text in "[0-9/.: TJunPMé-]{0,14}") {
            let _ = date_form(text.as_bytes());
        }
    }
}
