//! For tests only: a server that behaves like Redshift, in front of a private Postgres.
//!
//! No emulator of Redshift supports COPY from Parquet with a manifest. This one speaks Postgres' protocol, reports
//! version 8.0.2, rejects what Redshift rejects, reads manifests and Parquet from an S3 server, and passes everything
//! else to a Postgres database, the backend. It supports the simple query protocol only, and returns results as text.
//!
//! It cannot show how Redshift's snapshots and locks work under load, what IAM allows, or how fast anything is. Nor
//! does it notice SQL that Redshift rejects, if it has no rule for it and Postgres accepts it.
//!
//! The rules come from the Amazon Redshift Database Developer Guide
//! (<https://docs.aws.amazon.com/redshift/latest/dg/>); each names its page.

mod copy;
mod dialect;
mod objects;
mod refusal;
mod server;
mod session;
mod sql;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use objects::S3;
pub use pgwire::tokio::TlsAcceptor;

/// A running stand-in. It stops when this value is dropped.
pub struct Standin {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Threads of its own, so that it runs on whatever the test's threads do.
    runtime: Option<Runtime>,
}

/// What all sessions share.
struct Shared {
    /// The URL of the backend database.
    backend: String,
    s3: S3,
    tls: Option<TlsAcceptor>,
    script: Mutex<Script>,
}

/// What a test has configured, and what it can query.
#[derive(Default)]
struct Script {
    passwords: HashMap<String, String>,
    statements: Vec<String>,
    faults: Vec<Planned>,
}

struct Planned {
    pattern: String,
    /// Matching statements that pass before the fault.
    skip: usize,
    fault: Fault,
}

/// How a statement can be made to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The statement is not run, and the answer is this error. It aborts the transaction, as every error does.
    Error {
        /// The SQLSTATE.
        code: &'static str,
        /// The message; where Redshift has an error number of its own, the number is the message.
        message: String,
        /// The DETAIL line.
        detail: String,
    },
    /// The connection is cut before the statement runs.
    CutBefore,
    /// The connection is cut after the statement has run, before its answer.
    CutAfter,
}

impl Fault {
    /// Returns a conflict of concurrent transactions: "Serializable isolation violation" (ERROR 1023). Source: page
    /// "Serializable isolation".
    pub fn isolation_violation() -> Self {
        Self::Error {
            code: "XX000",
            message: "1023".into(),
            detail:
                "Serializable isolation violation on table - 100101, transactions forming the cycle are: 1, 2"
                    .into(),
        }
    }

    /// Returns the error for a table that was dropped or replaced while the transaction ran (ERROR 1018). Source: page
    /// "Serializable isolation".
    pub fn relation_gone() -> Self {
        Self::Error {
            code: "XX000",
            message: "1018".into(),
            detail: "Relation does not exist.".into(),
        }
    }
}

impl Standin {
    /// The user that exists from the start.
    pub const USER: &'static str = "loader";
    /// That user's password.
    pub const PASSWORD: &'static str = "loader-password";

    /// Starts in front of a Postgres database, whose URL must name a superuser, and an S3 server. With `tls` it
    /// accepts TLS connections as well as plain ones.
    pub fn start(backend: &str, s3: S3, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("cannot start a runtime");
        let passwords = HashMap::from([(Self::USER.to_owned(), Self::PASSWORD.to_owned())]);
        let shared = Arc::new(Shared {
            backend: backend.to_owned(),
            s3,
            tls,
            script: Mutex::new(Script {
                passwords,
                ..Script::default()
            }),
        });
        let (sender, address) = std::sync::mpsc::channel();
        let for_server = Arc::clone(&shared);
        runtime.spawn(async move {
            session::prepare(&for_server.backend).await;
            let listener = TcpListener::bind(("127.0.0.1", 0))
                .await
                .expect("no port is free");
            let address = listener.local_addr().expect("a listener has an address");
            sender.send(address).expect("the starter waits for it");
            server::serve(listener, for_server).await;
        });
        Self {
            address: address.recv().expect("the stand-in could not start: see above"),
            shared,
            runtime: Some(runtime),
        }
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Adds a user, or changes a user's password.
    pub fn set_password(&self, user: &str, password: &str) {
        self.shared
            .script()
            .passwords
            .insert(user.into(), password.into());
    }

    /// Plans a fault that happens once, at a statement that contains the pattern, after `skip` others that do.
    pub fn plan(&self, pattern: &str, skip: usize, fault: Fault) {
        self.shared.script().faults.push(Planned {
            pattern: pattern.into(),
            skip,
            fault,
        });
    }

    /// Returns how many planned faults have not happened yet.
    pub fn pending(&self) -> usize {
        self.shared.script().faults.len()
    }

    /// Returns the statements of all connections so far, in the order in which they came.
    pub fn statements(&self) -> Vec<String> {
        self.shared.script().statements.clone()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("a session panicked")
    }

    /// Records a statement, and returns the fault that is planned for it.
    fn record(&self, statement: &str) -> Option<Fault> {
        let mut script = self.script();
        script.statements.push(statement.to_owned());
        let mut hit = None;
        for (number, planned) in script.faults.iter_mut().enumerate() {
            if statement.contains(&planned.pattern) {
                if planned.skip == 0 {
                    hit = hit.or(Some(number));
                } else {
                    planned.skip -= 1;
                }
            }
        }
        hit.map(|number| script.faults.remove(number).fault)
    }
}
