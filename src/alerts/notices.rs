//! Decides what is told of what a look has found: each thing once, again as often as the alert asks for, and when it is
//! over. Quiet hours hold all of that back; what was over before it was told is never told.

use std::collections::HashMap;

use gristmill_state::{AlertChanges, Firing, NewNotice, NoticeKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::conditions::Finding;
use super::message::{Message, Told};
use crate::settings::Alert;

/// What a look changes, and when time alone has something told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    pub(super) changes: AlertChanges,
    pub(super) next: Option<Timestamp>,
}

/// Compares what an alert has found with what it had found `before`.
pub(super) fn decide(
    alert: &Alert,
    before: Vec<Firing>,
    found: Vec<Finding>,
    now: Timestamp,
    zone: &TimeZone,
) -> Decision {
    let quiet_until = alert.quiet.and_then(|quiet| quiet.end_after(now, zone));
    let mut decision = Decision::default();
    let mut told: [Vec<Told>; 3] = Default::default();
    let [new, repeated, over] = &mut told;
    let mut before: HashMap<String, Firing> = before
        .into_iter()
        .map(|firing| (firing.subject.clone(), firing))
        .collect();
    for finding in found {
        let known = before.remove(&finding.subject);
        let mut firing = Firing {
            alert: alert.name.clone(),
            since: known.as_ref().map_or(finding.since, |known| known.since),
            told: known.as_ref().and_then(|known| known.told),
            resolved: None,
            subject: finding.subject,
            facts: finding.facts,
        };
        // A moment that no calendar has never comes.
        let again = firing.told.zip(alert.repeat);
        let again = again.and_then(|(told, repeat)| told.checked_add(repeat).ok());
        let is_due = firing.told.is_none() || again.is_some_and(|again| again <= now);
        match (is_due, quiet_until) {
            (true, None) => {
                let kind = if firing.told.is_none() { &mut *new } else { &mut *repeated };
                kind.push(of(&firing));
                firing.told = Some(now);
                sooner(&mut decision.next, alert.repeat.and_then(|repeat| now.checked_add(repeat).ok()));
            }
            (true, Some(end)) => sooner(&mut decision.next, Some(end)),
            (false, _) => sooner(&mut decision.next, again),
        }
        if known.as_ref() != Some(&firing) {
            decision.changes.keep.push(firing);
        }
    }
    let mut gone: Vec<_> = before.into_values().collect();
    gone.sort_by(|one, other| one.subject.cmp(&other.subject));
    for firing in gone {
        match (firing.told, quiet_until) {
            (Some(_), Some(end)) => {
                sooner(&mut decision.next, Some(end));
                if firing.resolved.is_none() {
                    let resolved = Some(now);
                    decision.changes.keep.push(Firing { resolved, ..firing });
                }
            }
            (told, _) => {
                if told.is_some() {
                    over.push(of(&firing));
                }
                decision.changes.forget.push(firing.subject);
            }
        }
    }
    let kinds = [NoticeKind::Firing, NoticeKind::Repeated, NoticeKind::Resolved];
    for (kind, told) in kinds.into_iter().zip(told) {
        if !told.is_empty() {
            let message = Message::new(&alert.name, &alert.when, now, told);
            let content = serde_json::to_string(&message).expect("texts, numbers and lists of them always serialize");
            decision.changes.notices.push(NewNotice { kind, content });
        }
    }
    decision
}

fn of(firing: &Firing) -> Told {
    Told {
        subject: firing.subject.clone(),
        facts: firing.facts.clone(),
        since: firing.since,
    }
}

/// Keeps the sooner of two moments.
pub(super) fn sooner(next: &mut Option<Timestamp>, moment: Option<Timestamp>) {
    *next = match (*next, moment) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}
