//! Decides what is told of what a look has found: each thing once, again as often as the alert asks for, and when it is
//! over. Quiet hours hold all of that back; what was over before it was told is never told.

use std::collections::HashMap;

use gristmill_state::{AlertChanges, Firing, NewNotice, NoticeKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::finding::{Finding, sooner};
use super::message::{Message, Subject};
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
    let mut subjects: [Vec<Subject>; 3] = Default::default();
    let [new, repeated, over] = &mut subjects;
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
                let kind = if firing.told.is_none() {
                    &mut *new
                } else {
                    &mut *repeated
                };
                kind.push(of(&firing));
                firing.told = Some(now);
                sooner(
                    &mut decision.next,
                    alert.repeat.and_then(|repeat| now.checked_add(repeat).ok()),
                );
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
    for (kind, subjects) in kinds.into_iter().zip(subjects) {
        if !subjects.is_empty() {
            let message = Message::new(&alert.name, &alert.when, now, subjects);
            let content =
                serde_json::to_string(&message).expect("texts, numbers and lists of them always serialize");
            decision.changes.notices.push(NewNotice { kind, content });
        }
    }
    decision
}

fn of(firing: &Firing) -> Subject {
    Subject {
        subject: firing.subject.clone(),
        facts: firing.facts.clone(),
        since: firing.since,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{QuietHours, When};

    fn at(hour: i64) -> Timestamp {
        let start: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        start + jiff::SignedDuration::from_hours(hour)
    }

    fn alert(quiet: Option<QuietHours>) -> Alert {
        Alert {
            name: "a".to_owned(),
            when: When::Held { feeds: Vec::new() },
            to: vec!["hook".to_owned()],
            repeat: Some(std::time::Duration::from_secs(4 * 3600)),
            quiet,
        }
    }

    fn found(subjects: &[&str], now: Timestamp) -> Vec<Finding> {
        let finding = |subject: &&str| Finding {
            subject: (*subject).to_owned(),
            facts: "is held".to_owned(),
            since: now,
        };
        subjects.iter().map(finding).collect()
    }

    /// Decides, records what was decided, and returns what is told, as `kind: subjects`.
    fn step(alert: &Alert, state: &mut Vec<Firing>, subjects: &[&str], now: Timestamp) -> Vec<String> {
        let changes = decide(alert, state.clone(), found(subjects, now), now, &TimeZone::UTC).changes;
        state.retain(|firing| {
            !changes.forget.contains(&firing.subject)
                && !changes.keep.iter().any(|kept| kept.subject == firing.subject)
        });
        state.extend(changes.keep);
        let sent = changes.notices.iter().map(|notice| {
            let message: Message = serde_json::from_str(&notice.content).unwrap();
            let subjects: Vec<_> = message
                .subjects
                .iter()
                .map(|about| about.subject.as_str())
                .collect();
            format!("{}: {}", notice.kind, subjects.join(" "))
        });
        sent.collect()
    }

    #[test]
    fn each_thing_is_told_when_it_begins_again_and_when_it_is_over() {
        let (alert, mut state) = (alert(None), Vec::new());
        assert_eq!(step(&alert, &mut state, &["x"], at(0)), ["firing: x"]);
        assert_eq!(step(&alert, &mut state, &["x", "y"], at(1)), ["firing: y"]);
        assert!(step(&alert, &mut state, &["x", "y"], at(3)).is_empty());
        assert_eq!(step(&alert, &mut state, &["x", "y"], at(4)), ["repeated: x"]);
        assert_eq!(
            state.iter().find(|firing| firing.subject == "x").unwrap().since,
            at(0)
        );
        assert_eq!(
            step(&alert, &mut state, &["y", "z"], at(5)),
            ["firing: z", "repeated: y", "resolved: x"]
        );
        assert_eq!(step(&alert, &mut state, &[], at(6)), ["resolved: y z"]);
        assert!(state.is_empty());
    }

    #[test]
    fn what_does_not_change_is_not_written() {
        let (alert, mut state) = (alert(None), Vec::new());
        step(&alert, &mut state, &["x"], at(0));
        let decision = decide(&alert, state, found(&["x"], at(1)), at(1), &TimeZone::UTC);
        assert!(decision.changes.is_empty(), "{decision:?}");
        assert_eq!(decision.next, Some(at(4)));
    }

    #[test]
    fn quiet_hours_hold_back_the_beginning_and_the_end() {
        let quiet = QuietHours::new("22:00".parse().unwrap(), "06:00".parse().unwrap());
        let (alert, mut state) = (alert(Some(quiet)), Vec::new());
        assert_eq!(step(&alert, &mut state, &["before"], at(21)), ["firing: before"]);
        assert!(step(&alert, &mut state, &["before", "short", "long"], at(22)).is_empty());
        // Over in the night: one was told, the other never was.
        assert!(step(&alert, &mut state, &["long"], at(24)).is_empty());
        assert_eq!(state.len(), 2, "{state:?}");
        assert_eq!(
            step(&alert, &mut state, &["long"], at(30)),
            ["firing: long", "resolved: before"]
        );
        // What is over and begins anew in one night is not told again.
        assert!(step(&alert, &mut state, &[], at(47)).is_empty());
        assert!(step(&alert, &mut state, &["long"], at(48)).is_empty());
        assert_eq!(step(&alert, &mut state, &["long"], at(54)), ["repeated: long"]);
        assert_eq!(step(&alert, &mut state, &[], at(55)), ["resolved: long"]);
    }
}
