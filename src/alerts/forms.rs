//! The forms of messages: gristmill's own JSON, Slack's, Teams', and mail.
//!
//! Names of files and the like are never read as markup: Slack gets plain text in its blocks, Teams gets text runs.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::message::Message;

/// The most characters of a header in Slack, and of the text of a section.
const SLACK_HEADER: usize = 150;
const SLACK_SECTION: usize = 3000;

/// One message to one receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'m> {
    pub(super) message: &'m Message,
    /// What it tells: `firing`, `repeated`, `resolved` or `test`.
    pub(super) kind: &'static str,
    /// The number of the notice; 0 for a test.
    pub(super) notice: i64,
    /// When it was queued.
    pub(super) queued: Timestamp,
}

/// Returns what programs get.
pub(super) fn of_programs(outgoing: &Outgoing<'_>) -> Value {
    let message = outgoing.message;
    let subjects = message.subjects.iter();
    let subjects =
        subjects.map(|about| json!({ "subject": about.subject, "facts": about.facts, "since": about.since }));
    json!({
        "kind": outgoing.kind,
        "alert": message.alert,
        "when": message.when,
        "title": message.title(outgoing.kind),
        "at": message.at,
        "count": message.count,
        "subjects": subjects.collect::<Vec<_>>(),
        "notice": outgoing.notice,
        "queued": outgoing.queued,
    })
}

/// Returns what an incoming webhook of Slack takes: blocks, and the text of the notification beside them.
pub(super) fn of_slack(outgoing: &Outgoing<'_>, zone: &TimeZone) -> Value {
    let title = outgoing.message.title(outgoing.kind);
    let lines = outgoing.message.lines(zone).into_iter();
    let lines = lines.map(|(subject, facts)| format!("• {subject}: {facts}"));
    let mut sections: Vec<String> = Vec::new();
    for line in lines.chain(outgoing.message.rest()) {
        let line = cut(&line, SLACK_SECTION);
        match sections.last_mut() {
            Some(section) if section.chars().count() + line.chars().count() < SLACK_SECTION => {
                section.push('\n');
                section.push_str(&line);
            }
            _ => sections.push(line),
        }
    }
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let header = json!({ "type": "header", "text": plain(&cut(&title, SLACK_HEADER)) });
    let sections = sections
        .iter()
        .map(|section| json!({ "type": "section", "text": plain(section) }));
    let blocks: Vec<_> = std::iter::once(header).chain(sections).collect();
    json!({ "text": escaped_for_slack(&title), "blocks": blocks })
}

/// Escapes what Slack would read as links, mentions and entities.
fn escaped_for_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Returns what a workflow of Teams takes that posts to a channel when a webhook request is received: a message with an
/// adaptive card.
pub(super) fn of_teams(outgoing: &Outgoing<'_>, zone: &TimeZone) -> Value {
    let run = |text: String, is_bold: bool| {
        let weight = if is_bold { "Bolder" } else { "Default" };
        json!({ "type": "TextRun", "text": text, "weight": weight })
    };
    let block = |inlines: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": inlines });
    let title = outgoing.message.title(outgoing.kind);
    let title = json!({ "type": "TextRun", "text": title, "weight": "Bolder", "size": "Large" });
    let lines = outgoing.message.lines(zone).into_iter();
    let lines =
        lines.map(|(subject, facts)| block(vec![run(format!("{subject}: "), true), run(facts, false)]));
    let rest = outgoing.message.rest().map(|rest| block(vec![run(rest, false)]));
    let body: Vec<_> = std::iter::once(block(vec![title]))
        .chain(lines)
        .chain(rest)
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "msteams": { "width": "Full" },
                "body": body,
            },
        }],
    })
}

/// Returns the subject and the text of a mail.
pub(super) fn of_mail(outgoing: &Outgoing<'_>, zone: &TimeZone) -> (String, String) {
    let message = outgoing.message;
    let title = message.title(outgoing.kind);
    let mut text = format!("{title}\n\n");
    for (subject, facts) in message.lines(zone) {
        text.push_str(&format!("{subject}\n    {facts}\n"));
    }
    if let Some(rest) = message.rest() {
        text.push_str(&format!("{rest}\n"));
    }
    (title, text)
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::Subject;
    use crate::settings::When;

    fn message(subjects: usize, facts: &str) -> Message {
        let subject = |number: usize| Subject {
            subject: format!("file IL_{number}_<!channel>.tdf"),
            facts: facts.to_owned(),
            since: "2026-03-01T12:00:00Z".parse().unwrap(),
        };
        let when = When::Held { feeds: Vec::new() };
        let at = "2026-03-01T12:00:01Z".parse().unwrap();
        Message::new("held", &when, at, (0..subjects).map(subject).collect())
    }

    fn outgoing(message: &Message) -> Outgoing<'_> {
        Outgoing {
            message,
            kind: "firing",
            notice: 7,
            queued: message.at,
        }
    }

    #[test]
    fn forms_are_as_their_services_document_them() {
        let message = message(1, "is held: *fewer* lines");
        let outgoing = outgoing(&message);
        let zone = TimeZone::get("America/Chicago").unwrap();
        let title = "gristmill: held: file IL_0_<!channel>.tdf";
        let facts = "is held: *fewer* lines (since 2026-03-01 06:00 CST)";
        assert_eq!(
            of_programs(&outgoing),
            json!({
                "kind": "firing", "alert": "held", "when": "held", "title": title, "at": "2026-03-01T12:00:01Z", "count": 1,
                "subjects": [{
                    "subject": "file IL_0_<!channel>.tdf", "facts": "is held: *fewer* lines", "since": "2026-03-01T12:00:00Z",
                }],
                "notice": 7, "queued": "2026-03-01T12:00:01Z",
            })
        );
        // https://docs.slack.dev/reference/block-kit/blocks: texts in blocks are plain, only that of the notification is
        // escaped.
        assert_eq!(
            of_slack(&outgoing, &zone),
            json!({
                "text": "gristmill: held: file IL_0_&lt;!channel&gt;.tdf",
                "blocks": [
                    { "type": "header", "text": { "type": "plain_text", "text": title, "emoji": false } },
                    { "type": "section", "text": {
                        "type": "plain_text", "text": format!("• file IL_0_<!channel>.tdf: {facts}"), "emoji": false,
                    } },
                ],
            })
        );
        // What the workflow "Post to a channel when a webhook request is received" takes: a message whose attachments are
        // adaptive cards.
        assert_eq!(
            of_teams(&outgoing, &zone),
            json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": null,
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.2",
                        "msteams": { "width": "Full" },
                        "body": [
                            { "type": "RichTextBlock", "inlines": [
                                { "type": "TextRun", "text": title, "weight": "Bolder", "size": "Large" },
                            ] },
                            { "type": "RichTextBlock", "inlines": [
                                { "type": "TextRun", "text": "file IL_0_<!channel>.tdf: ", "weight": "Bolder" },
                                { "type": "TextRun", "text": facts, "weight": "Default" },
                            ] },
                        ],
                    },
                }],
            })
        );
        let (subject, text) = of_mail(&outgoing, &zone);
        assert_eq!(subject, title);
        assert_eq!(
            text,
            format!("{title}\n\nfile IL_0_<!channel>.tdf\n    {facts}\n")
        );
    }

    #[test]
    fn no_message_is_longer_than_its_service_takes() {
        let message = message(500, &"x".repeat(5000));
        let outgoing = outgoing(&message);
        let slack = of_slack(&outgoing, &TimeZone::UTC);
        let blocks = slack["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{}", blocks.len());
        for block in blocks {
            let most = if block["type"] == "header" {
                SLACK_HEADER
            } else {
                SLACK_SECTION
            };
            let text = block["text"]["text"].as_str().unwrap();
            assert!((1..=most).contains(&text.chars().count()), "{text}");
        }
        let teams = of_teams(&outgoing, &TimeZone::UTC).to_string();
        assert!(teams.len() < 28_000, "{}", teams.len());
        assert!(teams.contains("and 480 more"), "{teams}");
    }
}
