//! A private S3 server: SeaweedFS, from the tests' private Python.
//!
//! It takes about a second to start. Its buckets exist once it is ready; each test uses a bucket or a prefix of its
//! own. The server's [keeper](crate::keeper) stops it and removes its folder when this process ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keeper::Keeper;
use crate::venv;

/// How long a server may take to become ready on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// One user, who may do everything.
const USERS: &str = r#"{"identities": [{"name": "test",
  "credentials": [{"accessKey": "test-access-key", "secretKey": "test-secret-key"}],
  "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}"#;

/// Anyone may do everything, without credentials.
const ANYONE: &str = r#"{"identities": [{"name": "anonymous",
  "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}"#;

/// For each port, SeaweedFS opens a second one: this much higher.
const GRPC: u16 = 10_000;

/// An S3 server that only this process uses, on 127.0.0.1.
pub struct SeaweedFs {
    /// The port of its S3 interface.
    pub port: u16,
    server: Child,
    keeper: Keeper,
}

impl SeaweedFs {
    /// The name of its only user's key.
    pub const ACCESS_KEY: &'static str = "test-access-key";
    /// The key.
    pub const SECRET_KEY: &'static str = "test-secret-key";
    /// The region to name; the server accepts any.
    pub const REGION: &'static str = "us-east-1";

    /// Starts a server with these buckets.
    ///
    /// # Panics
    /// If SeaweedFS is not installed (`scripts/test --setup` installs it) or does not start.
    pub fn start(buckets: &[&str]) -> Self {
        Self::start_for(buckets, USERS)
    }

    /// Starts a server that requires no credentials.
    ///
    /// # Panics
    /// As [`start`](Self::start) does.
    pub(crate) fn start_for_anyone(buckets: &[&str]) -> Self {
        Self::start_for(buckets, ANYONE)
    }

    fn start_for(buckets: &[&str], users: &str) -> Self {
        // Another process may take a free port before the server does.
        for attempt in 1.. {
            match Self::try_start(buckets, users) {
                Ok(server) => return server,
                Err(log) => assert!(attempt < 5, "SeaweedFS does not start: {log}"),
            }
        }
        unreachable!("the fifth attempt was the last")
    }

    /// Returns the URL of its S3 interface.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn try_start(buckets: &[&str], users: &str) -> Result<Self, String> {
        let folder = TempDir::with_prefix("gristmill-s3-").expect("cannot create a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("users.json"), users).expect("cannot write SeaweedFS's users");
        let [master, volume, filer, s3, admin] = free_ports();
        let mut command = Command::new(venv::program("weed"));
        command
            .arg("mini")
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=."])
            .args(["-webdav=false", "-admin.ui=false", "-master.telemetry=false"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.config=users.json"])
            .args(["-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock"])
            .arg(format!("-bucket={}", buckets.join(",")))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-admin.port={admin}"))
            .current_dir(folder.path());
        // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(at("log")).expect("cannot write the server's log"));
        let server = command.spawn().expect("cannot start SeaweedFS");
        fs::write(at("pid"), server.id().to_string()).expect("cannot write the server's process id");
        // Its parts also communicate through sockets whose paths cannot be configured.
        let parts = [
            ("master", master),
            ("volume", volume),
            ("filer", filer),
            ("s3", s3),
            ("admin", admin),
        ];
        let sockets = parts
            .map(|(part, port)| PathBuf::from(format!("/tmp/seaweedfs-{part}-grpc-{}.sock", port + GRPC)));
        let keeper = Keeper::of(folder.path(), &at("pid"), folder.path(), &sockets);
        // The keeper removes the folder.
        let folder = folder.keep();
        let mut started = Self {
            port: s3,
            server,
            keeper,
        };
        started.wait_until_ready(&folder, filer, buckets)?;
        Ok(started)
    }

    /// Waits until the server is healthy and has its buckets, which are folders of its filer and are created last.
    /// Returns the log as the error if it does not become ready.
    fn wait_until_ready(&mut self, folder: &Path, filer: u16, buckets: &[&str]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let is_ready = || {
            let mut buckets = buckets.iter();
            is_there(self.port, "/healthz")
                && buckets.all(|bucket| is_there(filer, &format!("/buckets/{bucket}/")))
        };
        while !is_ready() {
            let ended = self.server.try_wait().expect("cannot query the server's state");
            if ended.is_some() || Instant::now() > deadline {
                return Err(fs::read_to_string(folder.join("log")).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        self.keeper.stop();
        let _ = self.server.wait();
    }
}

/// Returns whether a plain GET succeeds.
fn is_there(port: u16, path: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

/// Returns ports that are free, as are those [`GRPC`] above them. All are below the range that the system gives to
/// clients.
fn free_ports() -> [u16; 5] {
    let is_free = |port: u16| {
        let both = [port, port + GRPC];
        both.iter()
            .all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
    };
    // Tests start servers in many processes at once, so each process begins its search elsewhere.
    let process = std::process::id() as u16;
    let mut ports = (0..10_000_u16).map(|step| 11_000 + (process.wrapping_mul(31) % 10_000 + step) % 10_000);
    std::array::from_fn(|_| ports.by_ref().find(|port| is_free(*port)).expect("no free ports"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_and_leaves_nothing_behind() {
        let server = SeaweedFs::start(&["one", "two"]);
        let folder = fs::read_link(format!("/proc/{}/cwd", server.server.id())).unwrap();
        let port = server.port;
        drop(server);
        assert!(!folder.exists());
        assert!(!is_there(port, "/healthz"));
    }
}
