//! Executes a merge as an operation of the cluster, and follows it to its end over as many connections as that takes.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::connection::{Answer, Connection};
use crate::endpoint::Endpoint;
use crate::error::ClusterError;
use crate::plan::Merge;
use crate::requests::{About, Response};
use crate::wire::Message;

/// How often in a row the connection to an operation may fail before that is the caller's matter.
const FAILURES: u32 = 3;

/// The pause after the first of them; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// The pause before an operation is attached to again whose stream ended at once without any response.
const SHORT_PAUSE: Duration = Duration::from_millis(200);

/// A stream that ends sooner than this without any response ended at once.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How many streams in a row may do so. Then the cluster counts as away, and is tried again later.
const EMPTY_STREAMS: u32 = 10;

/// How long the cluster may take to end an operation, or to forget it.
const ENDING: Duration = Duration::from_secs(10);

/// An operation of a cluster: the session that it belongs to, and its own id in it. Both are UUIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationId {
    /// The session, which has no other operation.
    pub session: String,
    /// The operation.
    pub operation: String,
}

impl OperationId {
    /// Makes an id of two hashes.
    pub fn of(session: &[u8; 32], operation: &[u8; 32]) -> Self {
        Self {
            session: uuid(session),
            operation: uuid(operation),
        }
    }
}

/// Writes the first half of a hash as a UUID of version 8, whose bits are whatever its maker likes.
fn uuid(hash: &[u8; 32]) -> String {
    let mut text = String::with_capacity(36);
    for (number, byte) in hash[..16].iter().enumerate() {
        if [4, 6, 8, 10].contains(&number) {
            text.push('-');
        }
        let byte = match number {
            6 => byte & 0x0F | 0x80,
            8 => byte & 0x3F | 0x80,
            _ => *byte,
        };
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.session, self.operation)
    }
}

impl FromStr for OperationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_id =
            |text: &&str| text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let ids = text
            .split_once(':')
            .filter(|(session, operation)| is_id(session) && is_id(operation));
        let (session, operation) = ids.ok_or("an operation is SESSION:OPERATION, two UUIDs")?;
        Ok(Self {
            session: session.to_owned(),
            operation: operation.to_owned(),
        })
    }
}

/// A cluster. It holds no connection: each call makes its own.
#[derive(Clone, Debug)]
pub struct Cluster {
    endpoint: Endpoint,
}

/// How far an operation was followed.
struct Follower<'c> {
    cluster: &'c Cluster,
    id: &'c OperationId,
    /// The id of the response that was read last.
    last: Option<String>,
    /// Whether the stream that is read now has given a response.
    has_progress: bool,
}

impl Cluster {
    /// Makes the client of a cluster. Nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Has the cluster merge files and write the result as Parquet files in `output`, a folder that must not exist.
    /// Returns when the operation is done. If the connection fails, the operation goes on, and can be attached to.
    pub async fn execute(&self, id: &OperationId, merge: &Merge, output: &str) -> Result<(), ClusterError> {
        let plan = merge.to_plan(output);
        self.follow(id, Some(&plan)).await
    }

    /// Waits for the end of an operation that [`execute`](Self::execute) has begun, maybe in another process.
    pub async fn attach(&self, id: &OperationId) -> Result<(), ClusterError> {
        self.follow(id, None).await
    }

    /// Ends an operation, if it is still going on.
    pub async fn interrupt(&self, id: &OperationId) -> Result<(), ClusterError> {
        let about = self.about(id);
        self.tell(&[
            ("Interrupt", about.interrupt()),
            ("ReleaseExecute", about.release_all()),
        ])
        .await
    }

    /// Lets the cluster forget an operation and its session.
    pub async fn release(&self, id: &OperationId) -> Result<(), ClusterError> {
        let about = self.about(id);
        self.tell(&[
            ("ReleaseExecute", about.release_all()),
            ("ReleaseSession", about.release_session()),
        ])
        .await
    }

    async fn tell(&self, requests: &[(&str, Message)]) -> Result<(), ClusterError> {
        let told = async {
            let connection = Connection::open(&self.endpoint).await?;
            for (method, request) in requests {
                connection.tell(method, request.clone()).await?;
            }
            Ok(())
        };
        let late = || ClusterError::Unavailable(format!("no answer within {} seconds", ENDING.as_secs()));
        tokio::time::timeout(ENDING, told)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    fn about<'o>(&'o self, id: &'o OperationId) -> About<'o> {
        About {
            id,
            user: &self.endpoint.user,
        }
    }

    /// Follows an operation to its end. With a plan it is begun first.
    async fn follow(&self, id: &OperationId, mut plan: Option<&Message>) -> Result<(), ClusterError> {
        let mut follower = Follower {
            cluster: self,
            id,
            last: None,
            has_progress: false,
        };
        let (mut failures, mut empty) = (0, 0);
        loop {
            let (begun, since) = (plan.is_none(), Instant::now());
            let error = match follower.read(&mut plan).await {
                Ok(true) => return Ok(()),
                // The server ended the stream to have it taken up again.
                Ok(false) if follower.has_progress || since.elapsed() >= AT_ONCE => {
                    (failures, empty) = (0, 0);
                    continue;
                }
                Ok(false) if empty == EMPTY_STREAMS => {
                    let problem = "it ends each answer without a word";
                    return Err(ClusterError::Unavailable(problem.to_owned()));
                }
                Ok(false) => {
                    tokio::time::sleep(SHORT_PAUSE).await;
                    empty += 1;
                    continue;
                }
                Err(error) => error,
            };
            failures = if follower.has_progress { 1 } else { failures + 1 };
            let is_over = match &error {
                // Whether the request arrived, nobody knows. If the operation was not begun, attaching to it says so.
                ClusterError::Unavailable(_) => failures > FAILURES,
                ClusterError::Unreachable { .. } => !begun || failures > FAILURES,
                _ => true,
            };
            if is_over {
                return Err(error);
            }
            let pause = PAUSE * 2_u32.pow(failures - 1);
            tracing::debug!(operation = %id, ?pause, "attaches to the operation again: {error}");
            tokio::time::sleep(pause).await;
        }
    }
}

impl Follower<'_> {
    /// Reads responses until the stream ends, and returns whether the operation is done. Takes the plan once it was sent.
    async fn read(&mut self, plan: &mut Option<&Message>) -> Result<bool, ClusterError> {
        self.has_progress = false;
        let about = self.cluster.about(self.id);
        let connection = Connection::open(&self.cluster.endpoint).await?;
        let mut answer: Answer = match plan.take() {
            Some(plan) => connection.call("ExecutePlan", about.execute(plan)).await?,
            None => {
                let request = about.reattach(self.last.as_deref());
                connection.call("ReattachExecute", request).await?
            }
        };
        while let Some(message) = answer.next().await? {
            let response = Response::read(&message).ok_or_else(|| ClusterError::Foreign {
                address: self.cluster.endpoint.address(),
                problem: "a response cannot be read".to_owned(),
            })?;
            self.has_progress = true;
            if response.is_complete {
                return Ok(true);
            }
            // Nothing is released on the way: another process may have to begin with the first response.
            self.last = response.id.or(self.last.take());
        }
        Ok(false)
    }
}
