//! A private moto server: S3 and SQS in one, with S3's events in queues.
//!
//! It keeps all in memory and asks for no real credentials. A small shell process holds it and ends it when the other
//! end of a pipe closes, be it through `Drop`, a panic, an exit or a kill.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::venv;

/// How long the server may take to be ready, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server, and stops it when the input closes.
const KEEPER: &str = r#"
"$@" & server=$!
cat > /dev/null
kill "$server"
"#;

/// The account that all of moto's resources belong to.
const ACCOUNT: &str = "123456789012";

/// A moto server of this process alone, on a free port of 127.0.0.1, in region us-east-1.
pub struct Moto {
    /// The port it listens on.
    pub port: u16,
    keeper: Child,
}

impl Moto {
    /// Starts a server.
    ///
    /// # Panics
    /// When moto is not installed or does not start.
    pub fn start() -> Self {
        let program = venv::python().with_file_name("moto_server");
        assert!(
            program.exists(),
            "moto is not installed: run `scripts/test --setup`"
        );
        let port = free_port();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot run sh");
        let moto = Self { port, keeper };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "moto does not start");
            thread::sleep(Duration::from_millis(50));
        }
        moto
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates a bucket.
    pub fn create_bucket(&self, name: &str) {
        self.request("PUT", &format!("/{name}"), "s3", "");
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
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("no free port")
        .port()
}
