//! Requests to the servers of others, such as webhooks and receivers of lineage events: the one client for them, and how long
//! a server asks to be left alone.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};

/// How long a server may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server is left alone at most, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Makes a client.
pub(crate) fn client() -> anyhow::Result<Client> {
    Client::builder()
        .timeout(PATIENCE)
        // A redirected POST would become a GET, and a key is for nobody else.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gristmill/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot set up HTTP")
}

/// How long a server asks to be left alone (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// From its answer on.
    For(Duration),
    /// Until a moment.
    Until(Timestamp),
}

impl RetryAfter {
    /// Returns what an answer asks for. Only servers that are busy, or away for a while, are left alone.
    pub(crate) fn of(answer: &Response) -> Option<Self> {
        let asks = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if !asks.contains(&answer.status()) {
            return None;
        }
        Self::parse(answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim())
    }

    /// Reads a number of seconds, or a date as today's servers write it. Whatever cannot be read asks for nothing.
    fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // So many seconds that no number holds them are too many in any case.
            return Some(Self::For(Duration::from_secs(text.parse().unwrap_or(u64::MAX))));
        }
        let moment = rfc2822::DateTimeParser::new().parse_timestamp(text);
        moment.ok().map(Self::Until)
    }
}

/// Returns how long to wait before a server is asked again: as long as usual, or longer if it `asked` for that.
pub(crate) fn pause(asked: Option<RetryAfter>, usual: Duration, now: Timestamp) -> Duration {
    let asked = match asked {
        None => Duration::ZERO,
        Some(RetryAfter::For(span)) => span,
        Some(RetryAfter::Until(moment)) => moment.duration_since(now).try_into().unwrap_or_default(),
    };
    usual.max(asked.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let moment: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        for (text, read) in [
            ("120", Some(RetryAfter::For(Duration::from_secs(120)))),
            ("0", Some(RetryAfter::For(Duration::ZERO))),
            (
                "99999999999999999999",
                Some(RetryAfter::For(Duration::from_secs(u64::MAX))),
            ),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(RetryAfter::Until(moment))),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(RetryAfter::parse(text), read, "{text:?}");
        }
    }

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asks_but_not_for_ever() {
        let now: Timestamp = "2026-03-02T06:00:00Z".parse().unwrap();
        let of = |asked| pause(asked, Duration::from_secs(5), now).as_secs();
        let until = |text: &str| Some(RetryAfter::Until(text.parse().unwrap()));
        assert_eq!(of(None), 5);
        assert_eq!(of(Some(RetryAfter::For(Duration::from_secs(90)))), 90);
        assert_eq!(of(Some(RetryAfter::For(Duration::ZERO))), 5);
        assert_eq!(of(Some(RetryAfter::For(Duration::MAX))), 3600);
        assert_eq!(of(until("2026-03-02T06:02:00Z")), 120);
        assert_eq!(of(until("2026-03-02T05:00:00Z")), 5);
        assert_eq!(of(until("2027-01-01T00:00:00Z")), 3600);
    }
}
