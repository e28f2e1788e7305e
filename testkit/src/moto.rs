//! A private moto server: S3 and SQS in one, with S3's events in queues.
//!
//! It keeps everything in memory and needs no real credentials. The server's [keeper](crate::keeper) stops it when
//! this process ends.

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

/// How long the server may take to become ready on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account that all of moto's resources belong to.
const ACCOUNT: &str = "123456789012";

/// A moto server that only this process uses, on a free port of 127.0.0.1, in region us-east-1.
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
    /// If moto is not installed (`scripts/test --setup` installs it) or does not start.
    pub fn start() -> Self {
        // Another process may take the free port before the server does.
        for _ in 0..5 {
            if let Some(moto) = Self::try_start() {
                return moto;
            }
        }
        panic!("moto does not start");
    }

    fn try_start() -> Option<Self> {
        let folder = TempDir::with_prefix("gristmill-moto-").expect("cannot create a temporary folder");
        let port = free_port();
        let server = Command::new(venv::program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(folder.path())
            // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start moto");
        let pid = folder.path().join("pid");
        fs::write(&pid, server.id().to_string()).expect("cannot write the server's process id");
        let keeper = Keeper::of(folder.path(), &pid, folder.path(), &[]);
        // The keeper removes the folder.
        let _ = folder.keep();
        let mut moto = Self { port, server, keeper };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = moto.server.try_wait().expect("cannot query the server's state");
            if ended.is_some() || start.elapsed() > PATIENCE {
                return None;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    /// Returns the server's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates a bucket.
    pub fn create_bucket(&self, name: &str) {
        self.request("PUT", &format!("/{name}"), "s3", "");
    }

    /// Puts a small object. The key is encoded as in a URL, and may be one that clients do not allow.
    pub fn put_object(&self, bucket: &str, encoded_key: &str, text: &str) {
        self.request("PUT", &format!("/{bucket}/{encoded_key}"), "s3", text);
    }

    /// Returns the head of the answer to a HEAD request for an object.
    pub fn object_headers(&self, bucket: &str, encoded_key: &str) -> String {
        self.request("HEAD", &format!("/{bucket}/{encoded_key}"), "s3", "")
    }

    /// Creates a queue and returns its URL.
    pub fn create_queue(&self, name: &str) -> String {
        self.request(
            "POST",
            "/",
            "sqs",
            &format!("Action=CreateQueue&QueueName={name}"),
        );
        format!("{}/{ACCOUNT}/{name}", self.url())
    }

    /// Sends the bucket's events to the queue from now on, beginning with S3's test event.
    pub fn notify(&self, bucket: &str, queue: &str) {
        let rule = format!(
            "<NotificationConfiguration><QueueConfiguration>\
             <Queue>arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}</Queue><Event>s3:ObjectCreated:*</Event>\
             <Event>s3:ObjectRemoved:*</Event></QueueConfiguration></NotificationConfiguration>"
        );
        self.request("PUT", &format!("/{bucket}?notification"), "s3", &rule);
    }

    /// Sends a request to one of moto's services. moto reads the service's name from the signature, and does not check
    /// it.
    fn request(&self, method: &str, target: &str, service: &str, body: &str) -> String {
        let form = if service == "sqs" {
            "application/x-www-form-urlencoded"
        } else {
            "application/xml"
        };
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).expect("cannot connect to moto");
        write!(
            server,
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: {form}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=none\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .expect("cannot send to moto");
        let mut answer = String::new();
        server
            .read_to_string(&mut answer)
            .expect("cannot read moto's answer");
        let is_fine = answer.split(' ').nth(1) == Some("200");
        assert!(is_fine, "moto refuses {method} {target}: {answer}");
        answer
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.keeper.stop();
        let _ = self.server.wait();
    }
}
