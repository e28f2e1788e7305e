//! Where notices of alerts go: webhooks and mail. A receiver never shows more of its URL than scheme and host: paths,
//! queries and passwords are secrets.

use std::fmt;
use std::time::Duration;

use gristmill_engine::parse_span;
use lettre::message::Mailbox;
use reqwest::Url;
use serde::Deserialize;

use super::variable::Secret;

/// A `[[receiver]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiverTable {
    name: String,
    form: Form,
    url: Secret,
    token: Option<Secret>,
    from: Option<String>,
    to: Option<Vec<String>>,
    #[serde(default = "super::defaults::yes")]
    tls: bool,
}

/// The `[dead_man]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadManTable {
    url: Secret,
    #[serde(default = "minute")]
    every: String,
}

fn minute() -> String {
    "1 minute".to_owned()
}

/// The form of a receiver's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A JSON object of gristmill's own, for programs.
    Json,
    /// What an incoming webhook of Slack takes.
    Slack,
    /// What a workflow of Teams takes.
    Teams,
    /// A mail.
    Smtp,
}

/// Somebody who is told what alerts find.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// The form of its messages.
    pub form: Form,
    /// Where they go; or why that is not known.
    endpoint: Result<Endpoint, String>,
}

/// Where messages go.
#[derive(Clone)]
pub enum Endpoint {
    /// To a URL, with a POST.
    Web {
        /// The URL.
        url: Url,
        /// What goes into `Authorization: Bearer`.
        token: Option<String>,
    },
    /// To a mail server.
    Mail(Mail),
}

/// How mail is sent.
#[derive(Clone)]
pub struct Mail {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// The account and its password.
    pub account: Option<(String, String)>,
    /// The sender.
    pub from: Mailbox,
    /// The recipients.
    pub to: Vec<Mailbox>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From its beginning.
    Tls,
    /// From STARTTLS on, without which nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

/// A URL that is called while all is well.
#[derive(Clone)]
pub struct DeadMan {
    url: Result<Url, String>,
    /// The pause between two calls.
    pub every: Duration,
}

impl Receiver {
    /// Checks a table.
    pub(super) fn check(table: &ReceiverTable) -> Result<Self, String> {
        let fail = |problem: String| format!("receiver {:?}: {problem}", table.name);
        if table.name.is_empty() {
            return Err("receiver: name is empty: write a name that alerts can use in `to`".to_owned());
        }
        let is_mail = table.form == Form::Smtp;
        let misplaced = [
            ("token", table.token.is_some() && table.form != Form::Json),
            ("from", table.from.is_some() && !is_mail),
            ("to", table.to.is_some() && !is_mail),
            ("tls", !table.tls && !is_mail),
        ];
        if let Some((key, _)) = misplaced.iter().find(|(_, is_misplaced)| *is_misplaced) {
            let form = if *key == "token" { "json" } else { "smtp" };
            return Err(fail(format!(
                "{key} is only for form = {form:?}: remove it, or change the form"
            )));
        }
        let endpoint = match (&table.url.0, table.token.as_ref().map(|token| &token.0)) {
            (Err(problem), _) => Err(format!("receiver {:?}: url: {problem}", table.name)),
            (_, Some(Err(problem))) => Err(format!("receiver {:?}: token: {problem}", table.name)),
            (Ok(url), _) if is_mail => Ok(Endpoint::Mail(mail(url, table).map_err(fail)?)),
            (Ok(url), token) => Ok(Endpoint::Web {
                url: web(url).map_err(|problem| fail(format!("url: {problem}")))?,
                token: token.and_then(|token| token.as_ref().ok()).cloned(),
            }),
        };
        Ok(Self {
            name: table.name.clone(),
            form: table.form,
            endpoint,
        })
    }

    /// Returns where its messages go; or which variable is not set.
    pub fn endpoint(&self) -> Result<&Endpoint, &str> {
        self.endpoint.as_ref().map_err(String::as_str)
    }
}

impl DeadMan {
    /// Checks the table.
    pub(super) fn check(table: &DeadManTable) -> Result<Self, String> {
        let every = parse_span(&table.every).map_err(|problem| format!("dead_man.every: {problem}"))?;
        if every < Duration::from_secs(1) {
            return Err(format!(
                "dead_man.every: {:?} is too short: write \"1s\" or more",
                table.every
            ));
        }
        let url = match &table.url.0 {
            Ok(url) => Ok(web(url).map_err(|problem| format!("dead_man.url: {problem}"))?),
            Err(problem) => Err(format!("dead_man.url: {problem}")),
        };
        Ok(Self { url, every })
    }

    /// Returns the URL; or which variable is not set.
    pub fn url(&self) -> Result<&Url, &str> {
        self.url.as_ref().map_err(String::as_str)
    }
}

impl fmt::Debug for DeadMan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_ref().map(place);
        f.debug_struct("DeadMan")
            .field("url", &url)
            .field("every", &self.every)
            .finish()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web { url, .. } => f.write_str(&place(url)),
            Self::Mail(mail) => {
                let scheme = match mail.encryption {
                    Encryption::Tls => "smtps",
                    _ => "smtp",
                };
                write!(f, "{scheme}://{}:{}", mail.host, mail.port)
            }
        }
    }
}

/// Returns what of a URL may be shown: its scheme and host.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// Reads the URL of a webhook. Errors do not quote it.
fn web(text: &str) -> Result<Url, String> {
    let help = "write one such as \"https://hooks.example.com/…\"";
    let url = Url::parse(text).map_err(|error| format!("it is not a URL ({error}): {help}"))?;
    match url.scheme() {
        "https" | "http" if url.has_host() => Ok(url),
        scheme => Err(format!("{scheme:?} is no scheme of a webhook: {help}")),
    }
}

/// Reads how mail is sent. Errors name their key, and do not quote the URL.
fn mail(text: &str, table: &ReceiverTable) -> Result<Mail, String> {
    let help =
        "write \"smtps://USER:PASSWORD@HOST\", or \"smtp://…\" for a server that encrypts with STARTTLS";
    let url = Url::parse(text).map_err(|error| format!("url: it is not a URL ({error}): {help}"))?;
    let encryption = match (url.scheme(), table.tls) {
        ("smtps", true) => Encryption::Tls,
        ("smtp", true) => Encryption::StartTls,
        ("smtp", false) => Encryption::None,
        ("smtps", false) => {
            return Err("tls: false contradicts smtps://: remove it, or write \"smtp://…\"".to_owned());
        }
        (scheme, _) => return Err(format!("url: {scheme:?} is no scheme of a mail server: {help}")),
    };
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| format!("url: it names no host: {help}"))?;
    let decoded = |part: &str| {
        let text = percent_encoding::percent_decode_str(part).decode_utf8();
        text.map(String::from)
            .map_err(|_| "url: user or password are not UTF-8: encode them as %XX".to_owned())
    };
    let account = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?)),
    };
    if account.is_some() && encryption == Encryption::None {
        return Err(
            "tls: with tls = false the password would be sent for everybody to read: remove one of the two"
                .to_owned(),
        );
    }
    let address = |key: &str, text: &str| -> Result<Mailbox, String> {
        text.parse().map_err(|error| {
            format!("{key}: {text:?} is no mail address ({error}): write \"desk@example.com\" or \"Desk <desk@example.com>\"")
        })
    };
    let from = table
        .from
        .as_deref()
        .ok_or("from is missing: write the sender's address")?;
    let to = table.to.as_deref().unwrap_or_default();
    if to.is_empty() {
        return Err("to is missing: write a list of addresses, such as [\"desk@example.com\"]".to_owned());
    }
    Ok(Mail {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port().unwrap_or(match encryption {
            Encryption::Tls => 465,
            Encryption::StartTls => 587,
            Encryption::None => 25,
        }),
        encryption,
        account,
        from: address("from", from)?,
        to: to
            .iter()
            .map(|text| address("to", text))
            .collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(text: &str) -> Result<Receiver, String> {
        let table: ReceiverTable = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        Receiver::check(&table)
    }

    #[test]
    fn no_secret_is_shown() {
        let slack = "name = \"ops\"\nform = \"slack\"\nurl = \"https://hooks.slack.com/services/T0/B0/hush\"";
        let mail = "name = \"m\"\nform = \"smtp\"\nurl = \"smtps://u:hush@mail.example.com\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]";
        let json = "name = \"j\"\nform = \"json\"\nurl = \"http://h:8080/hush?t=hush\"\ntoken = \"hush\"";
        for (text, place) in [
            (slack, "https://hooks.slack.com"),
            (mail, "smtps://mail.example.com:465"),
            (json, "http://h:8080"),
        ] {
            let receiver = receiver(text).unwrap();
            assert_eq!(receiver.endpoint().unwrap().to_string(), place);
            assert!(!format!("{receiver:?}").contains("hush"), "{receiver:?}");
        }
        let table = DeadManTable {
            url: Secret(Ok("https://hc-ping.com/hush".into())),
            every: "1s".into(),
        };
        assert!(!format!("{:?}", DeadMan::check(&table).unwrap()).contains("hush"));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_url() {
        let smtp = "name = \"m\"\nform = \"smtp\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]\n";
        for (text, told) in [
            (
                "name = \"a\"\nform = \"slack\"\nurl = \"hooks.slack.com/hush\"".to_owned(),
                "not a URL",
            ),
            (
                "name = \"a\"\nform = \"slack\"\nurl = \"ftp://hush/\"".to_owned(),
                "\"ftp\" is no scheme of a webhook",
            ),
            (
                "name = \"a\"\nform = \"pager\"\nurl = \"https://hush/\"".to_owned(),
                "expected one of `json`, `slack`, `teams`, `smtp`",
            ),
            (
                "name = \"a\"\nform = \"slack\"\nurl = \"https://h/\"\ntoken = \"hush\"".to_owned(),
                "token is only for form = \"json\"",
            ),
            (
                format!("{smtp}url = \"smtp://u:hush@h\"\ntls = false"),
                "for everybody to read",
            ),
            (
                format!("{smtp}url = \"https://hush\""),
                "no scheme of a mail server",
            ),
            (
                "name = \"m\"\nform = \"smtp\"\nurl = \"smtp://h\"\nfrom = \"nobody\"\nto = [\"d@e.f\"]"
                    .to_owned(),
                "from: \"nobody\" is no mail address",
            ),
        ] {
            let error = receiver(&text).unwrap_err();
            assert!(error.contains(told) && !error.contains("hush"), "{error}");
        }
    }
}
