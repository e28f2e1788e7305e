//! A private server for Azure Blob Storage: Azurite, from the tests' private Node.js.
//!
//! It takes a second or two to start, and keeps its data in a folder that its [keeper](crate::keeper) removes when
//! this process ends.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keeper::{Keeper, free_port};

/// How long the server may take to become ready on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that only this process uses, on a free port of 127.0.0.1.
pub struct Azurite {
    /// The port it listens on.
    pub port: u16,
    server: Child,
    keeper: Keeper,
}

impl Azurite {
    /// The name of its only storage account.
    pub const ACCOUNT: &'static str = "gristmill";
    /// The account's key.
    pub const KEY: &'static str = "dGVzdC1hY2NvdW50LWtleQ==";

    /// A shared access signature made with the key: it allows everything on containers and blobs until the year 2126.
    pub const SIGNATURE: &'static str = "sv=2023-11-03&ss=b&srt=co&sp=rwdlac&se=2126-01-01T00%3A00%3A00Z\
                                         &spr=https%2Chttp&sig=tJU8j9N0TEankrP%2FwAKNL7WddtluQQ6m3qWJP%2BuyfH8%3D";

    /// Starts a server with these containers.
    ///
    /// # Panics
    /// If Azurite is not installed (`scripts/test --setup` installs it) or does not start.
    pub fn start(containers: &[&str]) -> Self {
        // Another process may take the free port before the server does.
        for _ in 0..5 {
            if let Some(server) = Self::try_start() {
                for container in containers {
                    server.request(&format!("/{container}?restype=container&"), "");
                }
                return server;
            }
        }
        panic!("Azurite does not start");
    }

    fn try_start() -> Option<Self> {
        let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-node");
        let program = node.join("node_modules/azurite/dist/src/blob/main.js");
        assert!(
            program.exists(),
            "{} does not exist: run `scripts/test --setup`",
            program.display()
        );
        let folder = TempDir::with_prefix("gristmill-azure-").expect("cannot create a temporary folder");
        let port = free_port();
        let server = Command::new(node.join("node"))
            .arg(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .args(["--location", ".", "--silent", "--disableTelemetry"])
            .env("AZURITE_ACCOUNTS", format!("{}:{}", Self::ACCOUNT, Self::KEY))
            .current_dir(folder.path())
            // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start Azurite");
        let pid = folder.path().join("pid");
        fs::write(&pid, server.id().to_string()).expect("cannot write the server's process id");
        let keeper = Keeper::of(folder.path(), &pid, folder.path(), &[]);
        // The keeper removes the folder.
        let _ = folder.keep();
        let mut azurite = Self { port, server, keeper };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = azurite
                .server
                .try_wait()
                .expect("cannot query the server's state");
            if ended.is_some() || start.elapsed() > PATIENCE {
                return None;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Some(azurite)
    }

    /// Returns the account's URL by way of a port of 127.0.0.1: the server's own port, or that of a proxy.
    pub fn endpoint(port: u16) -> String {
        format!("http://127.0.0.1:{port}/{}", Self::ACCOUNT)
    }

    /// Puts a small blob. The key is encoded as in a URL, and may be one that clients do not allow.
    pub fn put_blob(&self, container: &str, encoded_key: &str, text: &str) {
        self.request(&format!("/{container}/{encoded_key}?"), text);
    }

    /// Sends a PUT to a target in the account; the target must end in `?` or `&`.
    fn request(&self, target: &str, body: &str) {
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).expect("cannot connect to Azurite");
        write!(
            server,
            "PUT /{}{target}{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nx-ms-version: 2023-11-03\r\n\
             x-ms-blob-type: BlockBlob\r\nContent-Length: {}\r\n\r\n{body}",
            Self::ACCOUNT,
            Self::SIGNATURE,
            self.port,
            body.len()
        )
        .expect("cannot send to Azurite");
        let mut answer = String::new();
        server
            .read_to_string(&mut answer)
            .expect("cannot read Azurite's answer");
        assert_eq!(
            answer.split(' ').nth(1),
            Some("201"),
            "Azurite refuses PUT {target}: {answer}"
        );
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.keeper.stop();
        let _ = self.server.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_and_leaves_nothing_behind() {
        let server = Azurite::start(&["one", "two"]);
        let folder = fs::read_link(format!("/proc/{}/cwd", server.server.id())).unwrap();
        let port = server.port;
        drop(server);
        assert!(!folder.exists());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
