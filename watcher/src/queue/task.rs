//! The task that receives messages, keeps them invisible while their files are worked on, and deletes them.
//!
//! It dies with the watcher at any moment: messages in hand then become visible again, and are received twice, which
//! does no harm.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName,
};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{debug, warn};

use super::Queue;
use super::in_hand::InHand;
use super::message::objects;
use crate::bucket::Bucket;
use crate::error::causes;

/// Everything in hand is extended so many times before it would become visible.
const EXTENSIONS: u32 = 3;

/// How long the queue waits for a message before it answers that there is none, in seconds: its own limit.
const LONG_POLL: i32 = 20;

/// The most messages of one request: the queue's own limit.
const BATCH: usize = 10;

/// No more are received while so many are in hand.
const MOST_IN_HAND: usize = 1000;

/// Messages that cannot be understood come again and again until the queue sets them aside; each is told once, as far
/// as so many are remembered.
const MOST_REFUSED: usize = 10_000;

/// The pauses after a failed request.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What the task tells the watcher.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Something was told of these paths, relative to the bucket's prefix.
    Look(Vec<String>),
    /// A message that cannot be understood: its id, and why.
    Refused(String, String),
    Trouble(String),
    Recovered,
}

/// What came of a path as it was seen at this moment is durable, or nothing is to come of it.
pub(crate) type Done = (String, Instant);

/// Receives messages about `bucket` until nobody wants notices any more.
pub(crate) async fn listen(
    queue: Queue,
    bucket: Bucket,
    notices: mpsc::Sender<Notice>,
    mut done: mpsc::UnboundedReceiver<Done>,
) {
    let mut listener = Listener {
        queue: queue.clone(),
        bucket,
        unsent: VecDeque::new(),
        in_hand: InHand::default(),
        refused: HashSet::new(),
    };
    let mut extend = every(queue.visibility / EXTENSIONS);
    // A receive is never given up: its messages would be invisible, and known to nobody. It may rest, though.
    let mut receiving = Box::pin(queue.receive(Duration::ZERO));
    let mut pause = Duration::ZERO;
    loop {
        let mut ended = Vec::new();
        let has_news = !listener.unsent.is_empty();
        tokio::select! {
            // A watcher that is held up must not keep messages from being extended. No more are received until it has
            // taken these.
            room = notices.reserve(), if has_news => {
                // If the watcher has ended, so will this task.
                let Ok(room) = room else { return };
                if let Some(notice) = listener.unsent.pop_front() {
                    room.send(notice);
                }
            }
            received = &mut receiving, if !has_news && listener.in_hand.len() < MOST_IN_HAND => {
                let (next, notice) = match received {
                    Ok(messages) => {
                        let recovered = pause > Duration::ZERO;
                        listener.take(messages).await;
                        (Duration::ZERO, recovered.then_some(Notice::Recovered))
                    }
                    Err(error) => {
                        let next = (pause * 2).clamp(PAUSES.0, PAUSES.1);
                        (next, Some(Notice::Trouble(error)))
                    }
                };
                pause = next;
                receiving = Box::pin(queue.receive(pause));
                listener.unsent.extend(notice);
            }
            count = done.recv_many(&mut ended, MOST_IN_HAND) => {
                if count == 0 {
                    return;
                }
                listener.end(ended).await;
            }
            _ = extend.tick() => listener.extend().await,
        }
    }
}

fn every(pause: Duration) -> Interval {
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Queue {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn receive(&self, pause: Duration) -> Result<Vec<Message>, String> {
        tokio::time::sleep(pause).await;
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH as i32)
            .visibility_timeout(self.visibility.as_secs() as i32)
            .wait_time_seconds(LONG_POLL)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await;
        let answer = answer.map_err(|error| {
            format!(
                "cannot receive from the queue {}: {}. Until this ends, files are found by listing only",
                self.url,
                causes(&error)
            )
        })?;
        Ok(answer.messages.unwrap_or_default())
    }
}

struct Listener {
    queue: Queue,
    bucket: Bucket,
    /// What the watcher has yet to be told.
    unsent: VecDeque<Notice>,
    in_hand: InHand,
    /// The ids of messages that were refused.
    refused: HashSet<String>,
}

impl Listener {
    async fn take(&mut self, messages: Vec<Message>) {
        let at = Instant::now();
        let (mut look, mut void) = (Vec::new(), Vec::new());
        for message in messages {
            let count = times_received(&message);
            let (Some(id), Some(receipt)) = (message.message_id, message.receipt_handle) else {
                continue;
            };
            match self.paths(message.body.as_deref().unwrap_or_default()) {
                Ok(paths) if paths.is_empty() => void.push(receipt),
                Ok(paths) => {
                    debug!(id, ?paths, "a message tells of objects");
                    self.in_hand.receive(id, receipt, &paths, at);
                    look.extend(paths);
                }
                Err(reason) => self.refuse(id, reason, count),
            }
        }
        self.delete(void).await;
        if !look.is_empty() {
            self.unsent.push_back(Notice::Look(look));
        }
    }

    /// The paths below the bucket's prefix that a message's body names.
    fn paths(&self, body: &str) -> Result<Vec<String>, String> {
        let told = objects(body).map_err(|error| error.to_string())?;
        if let Some(told) = told.iter().find(|told| told.bucket != self.bucket.name()) {
            return Err(format!(
                "is about the bucket {}, not {}: a queue serves one source",
                told.bucket,
                self.bucket.name()
            ));
        }
        Ok(told
            .iter()
            .filter_map(|told| self.bucket.path(&told.key).map(ToOwned::to_owned))
            .collect())
    }

    /// Leaves a message to the queue's own redrive policy, and tells of it, once.
    fn refuse(&mut self, id: String, reason: String, count: u32) {
        if self.refused.len() == MOST_REFUSED {
            self.refused.clear();
        }
        if self.refused.insert(id.clone()) {
            let reason = format!("the message {reason} (received {count} times)");
            self.unsent.push_back(Notice::Refused(id, reason));
        }
    }

    async fn end(&mut self, ended: Vec<Done>) {
        let receipts = ended
            .into_iter()
            .flat_map(|(path, seen_at)| self.in_hand.done(&path, seen_at))
            .collect();
        self.delete(receipts).await;
    }

    /// Tells of a batch that the queue has refused in whole or in part.
    fn tell_failed(&self, failed: Result<Vec<BatchResultErrorEntry>, String>, what: &str) {
        let error = failed.map_or_else(Some, |entries| entries.first().map(|entry| entry.code.clone()));
        if let Some(error) = error {
            warn!(queue = self.queue.url, error, "{what}; they will come again");
        }
    }

    async fn delete(&self, receipts: Vec<String>) {
        for batch in receipts.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(number, receipt)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
                entry.receipt_handle(receipt).build().ok()
            });
            let request = self.queue.client.delete_message_batch();
            let request = request.queue_url(&self.queue.url);
            let answer = request.set_entries(Some(entries.collect())).send().await;
            let answer = answer.map(|answer| answer.failed).map_err(|error| causes(&error));
            self.tell_failed(answer, "cannot delete messages");
        }
    }

    async fn extend(&self) {
        for batch in self.in_hand.receipts().chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(number, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(number.to_string());
                let entry = entry
                    .receipt_handle(receipt)
                    .visibility_timeout(self.queue.visibility.as_secs() as i32);
                entry.build().ok()
            });
            let request = self.queue.client.change_message_visibility_batch();
            let request = request.queue_url(&self.queue.url);
            let answer = request.set_entries(Some(entries.collect())).send().await;
            let answer = answer.map(|answer| answer.failed).map_err(|error| causes(&error));
            self.tell_failed(answer, "cannot keep messages invisible");
        }
    }
}

fn times_received(message: &Message) -> u32 {
    message
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount))
        .and_then(|count| count.parse().ok())
        .unwrap_or(1)
}
