//! A private S3 server: SeaweedFS, from the tests' private Python.
//!
//! It starts in about a second, and obeys conditions as S3 does. Like the PostgreSQL server it is stopped by a keeper,
//! which waits at a pipe that closes when this process ends.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::venv;

/// How long the server may take to answer, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for its input to close, then stops the process `$1` and removes the folder `$2`.
const KEEPER: &str = r#"cat > /dev/null; kill -KILL "$1"; sleep 0.2; rm -rf "$2""#;

/// An S3 server of this process alone, with one bucket.
#[derive(Debug)]
pub struct Seaweed {
    /// The URL that requests go to.
    pub endpoint: String,
    server: Child,
    keeper: Child,
}

impl Seaweed {
    /// The name of its bucket.
    pub const BUCKET: &str = "gristmill";
    /// The key that it knows.
    pub const KEY: &str = "AKIATESTSTESTSTESTS0";
    /// That key's secret.
    pub const SECRET: &str = "tests-secret-that-no-log-may-show";

    /// Starts a server, and waits until it answers.
    ///
    /// # Panics
    /// When there is none, or it does not answer within a minute.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("gristmill-s3-")
            .expect("a temporary folder can be made")
            .keep();
        let identities = format!(
            "{{\"identities\": [{{\"name\": \"tests\", \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \
             \"Tagging\"], \"credentials\": [{{\"accessKey\": \"{}\", \"secretKey\": \"{}\"}}]}}]}}",
            Self::KEY,
            Self::SECRET
        );
        fs::write(folder.join("s3.json"), identities).expect("the new folder can be written");
        let program = venv::python().with_file_name("weed");
        let [master, volume, filer, s3, admin] = free_ports();
        let log = fs::File::create(folder.join("log")).expect("the new folder can be written");
        let server = Command::new(&program)
            .arg("mini")
            .args([
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ])
            .args(["-webdav=false", "-admin.ui=false", "-master.telemetry=false"])
            .arg(format!("-dir={}", folder.display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-admin.port={admin}"))
            .arg(format!("-s3.config={}", folder.join("s3.json").display()))
            .arg(format!("-bucket={}", Self::BUCKET))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start {}: {error}; run `scripts/test --setup`",
                    program.display()
                )
            });
        let keeper = keeper(server.id(), &folder);
        let server = Self {
            endpoint: format!("http://127.0.0.1:{s3}"),
            server,
            keeper,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", s3)).is_err() {
            assert!(
                started.elapsed() < PATIENCE,
                "SeaweedFS does not answer:\n{}",
                fs::read_to_string(folder.join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Whatever they say, there is nobody to tell.
        let _ = self.keeper.wait();
        let _ = self.server.wait();
    }
}

fn keeper(server: u32, folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", KEEPER, "keeper", &server.to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be started")
}

/// Ports that nobody listens on now; the server listens 10,000 above each, too.
fn free_ports() -> [u16; 5] {
    let mut held = Vec::new();
    while held.len() < 10 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        if port < 55_000
            && let Ok(above) = TcpListener::bind(("127.0.0.1", port + 10_000))
        {
            held.extend([listener, above]);
        }
    }
    [0, 2, 4, 6, 8].map(|number: usize| held[number].local_addr().expect("it is bound").port())
}
