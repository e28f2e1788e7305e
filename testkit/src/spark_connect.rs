//! A private server of Spark Connect: Sail, which is an engine in Rust, or Spark itself.
//!
//! The server's [keeper](crate::keeper) stops it when this process ends.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keeper::{Keeper, free_port};
use crate::venv;

/// How long a server may take to become ready on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(300);

/// What executes the plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Sail, in its own process.
    Sail,
    /// Sail as a driver and workers, which are all in its process.
    SailCluster,
    /// Spark, in its own process. It takes ten seconds and more to start.
    Spark,
}

/// A server that only this process uses, on a port of 127.0.0.1.
pub struct ConnectServer {
    /// The port it listens on.
    pub port: u16,
    engine: Engine,
    variables: Vec<(String, String)>,
    running: Option<(Child, Keeper)>,
}

impl ConnectServer {
    /// Starts a server.
    ///
    /// # Panics
    /// If the engine is not installed or does not start. `scripts/test --setup` installs Sail, and with
    /// `GRISTMILL_CLUSTERS=all` also Spark.
    pub fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[])
    }

    /// Starts a server with further variables in its environment.
    ///
    /// # Panics
    /// As [`start`](Self::start) does.
    pub fn start_with(engine: Engine, variables: &[(&str, &str)]) -> Self {
        // Another process may take the free port before the server does.
        for _ in 0..5 {
            let mut server = Self::stopped(engine);
            server.variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            if server.try_start() {
                return server;
            }
        }
        panic!("{engine:?} does not start");
    }

    /// Makes a server that has a port and was not started.
    pub fn stopped(engine: Engine) -> Self {
        Self {
            port: free_port(),
            engine,
            variables: Vec::new(),
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
            "{:?} does not start again on port {}",
            self.engine,
            self.port
        );
    }

    fn try_start(&mut self) -> bool {
        let folder = TempDir::with_prefix("gristmill-connect-").expect("cannot create a temporary folder");
        let log = fs::File::create(folder.path().join("log")).expect("the new folder can be written");
        let mut server = match self.engine {
            Engine::Sail => sail(self.port, "local"),
            Engine::SailCluster => sail(self.port, "local-cluster"),
            Engine::Spark => spark(self.port, folder.path()),
        };
        let mut server = server
            .envs(self.variables.iter().cloned())
            .current_dir(folder.path())
            // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("cannot start the engine");
        let pid = folder.path().join("pid");
        fs::write(&pid, server.id().to_string()).expect("cannot write the server's process id");
        let keeper = Keeper::of(folder.path(), &pid, folder.path(), &[]);
        // The keeper removes the folder.
        let _ = folder.keep();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = server.try_wait().expect("cannot query the server's state");
            if ended.is_some() || start.elapsed() > PATIENCE {
                let _ = server.kill();
                let _ = server.wait();
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
            panic!("{:?} is not running", self.engine);
        };
        let status = Command::new("kill")
            .args(["-s", name, &server.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot send {name} to {:?}",
            self.engine
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

impl Drop for ConnectServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn sail(port: u16, mode: &str) -> Command {
    let mut command = Command::new(venv::program("sail"));
    command
        .args([
            "spark",
            "server",
            "--ip",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .env("SAIL_MODE", mode);
    command
}

/// Spark as its own script starts it, but not as a daemon. Its scripts replace themselves by the server's process.
fn spark(port: u16, folder: &Path) -> Command {
    let home = venv::spark_home();
    let mut command = Command::new(home.join("bin/spark-submit"));
    command
        .args([
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
        ])
        .args(["--master", "local[2]", "--driver-memory", "1g"])
        .args(["--conf", "spark.ui.enabled=false"])
        .args(["--conf", "spark.connect.grpc.binding.address=127.0.0.1"])
        .args(["--conf", &format!("spark.connect.grpc.binding.port={port}")])
        .env("SPARK_HOME", home)
        .env("SPARK_CONNECT_MODE", "0")
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("SPARK_LOCAL_DIRS", folder);
    command
}
