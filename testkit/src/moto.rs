//! A private moto server: S3 and SQS in one, with S3's events in queues.
//!
//! It keeps all in memory and asks for no real credentials. The server's [keeper](crate::keeper) stops it when this
//! process is gone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keeper::{Keeper, free_port};
use crate::venv;

/// How long the server may take to be ready, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account that all of moto's resources belong to.
const ACCOUNT: &str = "123456789012";

/// A moto server of this process alone, on a free port of 127.0.0.1, in region us-east-1.
pub struct Moto {
    /// The port it listens on.
    pub port: u16,
    server: Child,
    keeper: Keeper,
}

impl Moto {
    /// Starts a server.
    ///
    /// # Panics
    /// When moto is not installed (`scripts/test --setup` does that) or does not start.
    pub fn start() -> Self {
        // Somebody else may take the free port before the server does.
        for _ in 0..5 {
            if let Some(moto) = Self::try_start() {
                return moto;
            }
        }
        panic!("moto does not start");
    }

    fn try_start() -> Option<Self> {
        let folder = TempDir::with_prefix("gristmill-moto-").expect("no temporary folder can be made");
        let port = free_port();
        let server = Command::new(venv::program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(folder.path())
            // A process group of its own, so that Ctrl-C at the test does not reach it before the keeper does.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start moto");
        let pid = folder.path().join("pid");
        fs::write(&pid, server.id().to_string()).expect("cannot write the server's process id");
        let keeper = Keeper::of(folder.path(), &pid, folder.path(), &[]);
        // The keeper removes it.
        let _ = folder.keep();
        let mut moto = Self { port, server, keeper };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = moto.server.try_wait().expect("cannot ask for the server's state");
            if ended.is_some() || start.elapsed() > PATIENCE {
                return None;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates a bucket.
    pub fn create_bucket(&self, name: &str) {
        self.request("PUT", &format!("/{name}"), "s3", "");
    }

    /// Puts a small object. The key stands as it does in a URL; other than a client's, it may be any.
    pub fn put_object(&self, bucket: &str, encoded_key: &str, text: &str) {
        self.request("PUT", &format!("/{bucket}/{encoded_key}"), "s3", text);
    }

    /// Creates a queue and gives its URL.
    pub fn create_queue(&self, name: &str) -> String {
        self.request(
            "POST",
            "/",
            "sqs",
            &format!("Action=CreateQueue&QueueName={name}"),
        );
        format!("{}/{ACCOUNT}/{name}", self.url())
    }

    /// Has the bucket's events sent to the queue from now on, beginning with S3's test event.
    pub fn notify(&self, bucket: &str, queue: &str) {
        let rule = format!(
            "<NotificationConfiguration><QueueConfiguration>\
             <Queue>arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}</Queue><Event>s3:ObjectCreated:*</Event>\
             <Event>s3:ObjectRemoved:*</Event></QueueConfiguration></NotificationConfiguration>"
        );
        self.request("PUT", &format!("/{bucket}?notification"), "s3", &rule);
    }

    /// A request that says which service it is for, which moto reads from the signature that it does not check.
    fn request(&self, method: &str, target: &str, service: &str, body: &str) {
        let form = if service == "sqs" {
            "application/x-www-form-urlencoded"
        } else {
            "application/xml"
        };
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).expect("moto is away");
        write!(
            server,
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: {form}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=none\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .expect("cannot ask moto");
        let mut answer = String::new();
        server.read_to_string(&mut answer).expect("moto breaks off");
        let is_fine = answer.split(' ').nth(1) == Some("200");
        assert!(is_fine, "moto refuses {method} {target}: {answer}");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.keeper.stop();
        let _ = self.server.wait();
    }
}
