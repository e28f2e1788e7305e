//! A private Sail server: an engine in Rust that speaks Spark Connect, as Spark does.
//!
//! The server's [keeper](crate::keeper) stops it when this process ends.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keeper::{Keeper, free_port};
use crate::venv;

/// How long the server may take to become ready on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the server executes a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In its own process.
    Local,
    /// As a driver and workers do, which are all in its process.
    LocalCluster,
}

/// A Sail server that only this process uses, on a port of 127.0.0.1.
pub struct Sail {
    /// The port it listens on.
    pub port: u16,
    mode: Mode,
    running: Option<(Child, Keeper)>,
}

impl Sail {
    /// Starts a server.
    ///
    /// # Panics
    /// If Sail is not installed (`scripts/test --setup` installs it) or does not start.
    pub fn start(mode: Mode) -> Self {
        // Another process may take the free port before the server does.
        for _ in 0..5 {
            let mut sail = Self::stopped(mode);
            if sail.try_start() {
                return sail;
            }
        }
        panic!("Sail does not start");
    }

    /// Makes a server that has a port and was not started.
    pub fn stopped(mode: Mode) -> Self {
        Self {
            port: free_port(),
            mode,
            running: None,
        }
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(
            self.try_start(),
            "Sail does not start again on port {}",
            self.port
        );
    }

    fn try_start(&mut self) -> bool {
        let folder = TempDir::with_prefix("gristmill-sail-").expect("cannot create a temporary folder");
        let log = fs::File::create(folder.path().join("log")).expect("the new folder can be written");
        let mut server = Command::new(venv::program("sail"))
            .args([
                "spark",
                "server",
                "--ip",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
            ])
            .env(
                "SAIL_MODE",
                match self.mode {
                    Mode::Local => "local",
                    Mode::LocalCluster => "local-cluster",
                },
            )
            .current_dir(folder.path())
            // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("cannot start sail");
        let pid = folder.path().join("pid");
        fs::write(&pid, server.id().to_string()).expect("cannot write the server's process id");
        let keeper = Keeper::of(folder.path(), &pid, folder.path(), &[]);
        // The keeper removes the folder.
        let _ = folder.keep();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = server.try_wait().expect("cannot query the server's state");
            if ended.is_some() || start.elapsed() > PATIENCE {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.running = Some((server, keeper));
        true
    }

    /// Returns its address for gristmill's settings.
    pub fn url(&self) -> String {
        format!("sc://127.0.0.1:{}", self.port)
    }

    /// Stops its process for the time being: it answers nothing, and its connections stay.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Has its process go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let Some((server, _)) = &self.running else {
            panic!("Sail is not running");
        };
        let status = Command::new("kill")
            .args(["-s", name, &server.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot send {name} to Sail"
        );
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some((mut server, mut keeper)) = self.running.take() {
            // It may have ended already.
            let _ = server.kill();
            let _ = server.wait();
            keeper.stop();
        }
    }
}

impl Drop for Sail {
    fn drop(&mut self) {
        self.kill();
    }
}
