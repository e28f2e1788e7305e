//! Sends messages to receivers. A failure says whether the receiver could not be reached, or refuses this one message. No
//! error shows more of a URL than its scheme and host.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use reqwest::{StatusCode, Url};

use super::forms::{Outgoing, of_mail, of_programs, of_slack, of_teams};
use super::message::Message;
use crate::causes;
use crate::settings::{Encryption, Endpoint, Form, Mail, Receiver, place};
use crate::web::{self, PATIENCE, RetryAfter};

/// The most characters of an answer's error code that are shown.
const CODE: usize = 60;

/// Sends messages.
#[derive(Debug)]
pub(crate) struct Courier {
    client: reqwest::Client,
    zone: TimeZone,
}

/// Why a message could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct SendError {
    problem: String,
    /// Whether the receiver refuses this message, and may take others.
    pub(super) is_of_message: bool,
    /// How long the receiver asks to be left alone.
    pub(super) asked: Option<RetryAfter>,
}

impl SendError {
    fn unreachable(problem: String) -> Self {
        Self {
            problem,
            is_of_message: false,
            asked: None,
        }
    }
}

impl Courier {
    /// Makes a courier that tells moments in a zone.
    pub(crate) fn new(zone: TimeZone) -> anyhow::Result<Self> {
        Ok(Self {
            client: web::client()?,
            zone,
        })
    }

    /// Sends the message that tries a receiver out.
    pub(crate) async fn send_test(&self, receiver: &Receiver, now: Timestamp) -> Result<(), SendError> {
        let message = Message::test(&receiver.name, now);
        let outgoing = Outgoing {
            message: &message,
            kind: "test",
            notice: 0,
            queued: now,
        };
        self.send(receiver, &outgoing).await
    }

    /// Sends a message, and returns once the receiver has taken it.
    pub(super) async fn send(&self, receiver: &Receiver, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let endpoint = receiver
            .endpoint()
            .map_err(|problem| SendError::unreachable(problem.to_owned()))?;
        match endpoint {
            Endpoint::Web { url, token } => {
                let body = match receiver.form {
                    Form::Slack => of_slack(outgoing, &self.zone),
                    Form::Teams => of_teams(outgoing, &self.zone),
                    Form::Json | Form::Smtp => of_programs(outgoing),
                };
                let request = self.client.post(url.clone());
                let request = match token {
                    Some(token) => request.bearer_auth(token),
                    None => request,
                };
                let request = request.header("Content-Type", "application/json");
                answered(url, request.body(body.to_string())).await
            }
            Endpoint::Mail(mail) => {
                let sending = self.mail(mail, outgoing);
                let silence = || {
                    let seconds = 3 * PATIENCE.as_secs();
                    SendError::unreachable(format!("{endpoint} did not answer for {seconds} s"))
                };
                tokio::time::timeout(PATIENCE * 3, sending)
                    .await
                    .map_err(|_| silence())?
                    .map_err(|error| SendError {
                        problem: format!("{endpoint}: {error}"),
                        ..error
                    })
            }
        }
    }

    /// Calls a URL, which must answer with success.
    pub(super) async fn call(&self, url: &Url) -> Result<(), SendError> {
        answered(url, self.client.get(url.clone())).await
    }

    async fn mail(&self, mail: &Mail, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let unsendable = |error: &dyn std::fmt::Display| SendError {
            problem: format!("the mail cannot be written: {error}"),
            is_of_message: true,
            asked: None,
        };
        let (subject, text) = of_mail(outgoing, &self.zone);
        let mut letter = lettre::Message::builder()
            .from(mail.from.clone())
            .subject(subject)
            .date(outgoing.queued.into())
            // The same whenever it is tried again, so that a mail that came twice is recognized.
            .message_id(Some(format!(
                "<gristmill.{}.{}@{}>",
                outgoing.notice,
                outgoing.queued.as_microsecond(),
                mail.from.email.domain()
            )));
        for to in &mail.to {
            letter = letter.to(to.clone());
        }
        let letter = letter.body(text).map_err(|error| unsendable(&error))?;
        type Transport = AsyncSmtpTransport<Tokio1Executor>;
        let builder = match mail.encryption {
            Encryption::Tls => Transport::relay(&mail.host),
            Encryption::StartTls => Transport::starttls_relay(&mail.host),
            Encryption::None => Ok(Transport::builder_dangerous(&mail.host)),
        };
        let builder = builder.map_err(|error| SendError::unreachable(error.to_string()))?;
        let mut builder = builder.port(mail.port).timeout(Some(PATIENCE));
        if let Some((user, password)) = &mail.account {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        let sent = builder.build().send(letter).await;
        sent.map(drop).map_err(|error| SendError {
            is_of_message: error.is_permanent(),
            asked: None,
            problem: causes::joined(&error.into(), ": "),
        })
    }
}

/// Sends a request, which must be answered with success.
async fn answered(url: &Url, request: reqwest::RequestBuilder) -> Result<(), SendError> {
    let place = place(url);
    let answer = request.send().await.map_err(|error| {
        // The URL is a secret.
        let error = anyhow::Error::new(error.without_url());
        SendError::unreachable(format!("{place}: {}", causes::joined(&error, ": ")))
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = RetryAfter::of(&answer);
    let code = code(url, &answer.text().await.unwrap_or_default());
    let waits = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    Err(SendError {
        problem: format!("{place} answered {status}{code}"),
        is_of_message: status.is_client_error() && !waits.contains(&status),
        asked,
    })
}

/// Returns the code of an error that an answer consists of, such as Slack's `invalid_payload`. Any other answer may quote
/// the URL, and is not shown.
fn code(url: &Url, answer: &str) -> String {
    let answer = answer.trim();
    let is_code = |c: char| c.is_ascii_lowercase() || c == '_';
    match !answer.is_empty()
        && answer.len() <= CODE
        && answer.chars().all(is_code)
        && !url.as_str().contains(answer)
    {
        true => format!(" ({answer})"),
        false => String::new(),
    }
}
