//! The messages that were received and not yet deleted, and the paths that each waits for. Does no I/O and reads no
//! clock.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// A message, by its id.
struct Message {
    /// The latest receipt handle, which deletes it.
    receipt: String,
    /// The paths that are not done yet.
    open: HashSet<String>,
    received: Instant,
}

/// Messages by id, and message ids by the path that they wait for.
#[derive(Default)]
pub(super) struct InHand {
    messages: HashMap<String, Message>,
    waiting: HashMap<String, HashSet<String>>,
}

impl InHand {
    /// Adds a message that waits for these paths; there must be at least one. A message that was received before and
    /// became visible again waits anew under its new receipt.
    pub(super) fn receive(&mut self, id: String, receipt: String, paths: &[String], at: Instant) {
        for path in paths {
            self.waiting.entry(path.clone()).or_default().insert(id.clone());
        }
        let message = Message {
            receipt,
            open: paths.iter().cloned().collect(),
            received: at,
        };
        self.messages.insert(id, message);
    }

    /// Records that the outcome for a path, as seen at `seen_at`, is durable. Returns the receipts of the messages that
    /// wait for nothing more. A message received after that moment may be about something newer, and keeps waiting.
    pub(super) fn done(&mut self, path: &str, seen_at: Instant) -> Vec<String> {
        let Some(ids) = self.waiting.get_mut(path) else {
            return Vec::new();
        };
        let mut receipts = Vec::new();
        ids.retain(|id| {
            let Some(message) = self.messages.get_mut(id) else {
                return false;
            };
            if message.received > seen_at {
                return true;
            }
            message.open.remove(path);
            if message.open.is_empty()
                && let Some(message) = self.messages.remove(id)
            {
                receipts.push(message.receipt);
            }
            false
        });
        if ids.is_empty() {
            self.waiting.remove(path);
        }
        receipts
    }

    /// The receipts of all messages.
    pub(super) fn receipts(&self) -> Vec<String> {
        self.messages
            .values()
            .map(|message| message.receipt.clone())
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| path.to_string()).collect()
    }

    fn receive(hand: &mut InHand, id: &str, receipt: &str, of: &[&str], at: Instant) {
        hand.receive(id.to_owned(), receipt.to_owned(), &paths(of), at);
    }

    #[test]
    fn a_message_ends_with_the_last_of_its_paths() {
        let (mut hand, at) = (InHand::default(), Instant::now());
        receive(&mut hand, "m", "r", &["a", "b"], at);
        assert!(hand.done("a", at).is_empty());
        assert!(hand.done("a", at).is_empty());
        assert_eq!(hand.done("b", at), ["r"]);
        assert_eq!(hand.len(), 0);
        assert!(hand.waiting.is_empty());
    }

    #[test]
    fn duplicates_end_together() {
        let (mut hand, at) = (InHand::default(), Instant::now());
        receive(&mut hand, "m1", "r1", &["a"], at);
        receive(&mut hand, "m2", "r2", &["a"], at);
        let mut receipts = hand.done("a", at);
        receipts.sort();
        assert_eq!(receipts, ["r1", "r2"]);
    }

    #[test]
    fn a_message_received_after_the_look_waits_on() {
        let (mut hand, at) = (InHand::default(), Instant::now());
        let later = at + Duration::from_secs(1);
        receive(&mut hand, "old", "r1", &["a"], at);
        receive(&mut hand, "new", "r2", &["a"], later);
        assert_eq!(hand.done("a", at), ["r1"]);
        assert_eq!(hand.receipts(), ["r2"]);
        assert_eq!(hand.done("a", later), ["r2"]);
    }

    #[test]
    fn a_message_that_came_again_is_deleted_by_its_new_receipt() {
        let (mut hand, at) = (InHand::default(), Instant::now());
        let later = at + Duration::from_secs(1);
        receive(&mut hand, "m", "r1", &["a"], at);
        receive(&mut hand, "m", "r2", &["a"], later);
        assert_eq!(hand.len(), 1);
        assert!(hand.done("a", at).is_empty());
        assert_eq!(hand.done("a", later), ["r2"]);
    }

    #[test]
    fn paths_that_nobody_waits_for_end_nothing() {
        let (mut hand, at) = (InHand::default(), Instant::now());
        receive(&mut hand, "m", "r", &["a"], at);
        assert!(hand.done("b", at).is_empty());
        assert_eq!(hand.receipts(), ["r"]);
    }
}
