//! A private PgBouncer, which lends out the sessions of a Postgres server.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::keeper::{Keeper, free_port};
use crate::server_user::{as_server_user, folder, write};

const ABSENT: &str = "no PgBouncer found: run apt-get install pgbouncer (scripts/test does that)";

/// How long it may take to start on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PgBouncer on a free port of 127.0.0.1.
pub struct PgBouncer {
    port: u16,
    server: Child,
    keeper: Keeper,
}

impl PgBouncer {
    /// Starts one before the server on a port. Its mode is `session` or `transaction`.
    pub fn start(server: u16, mode: &str) -> Self {
        let folder = folder("gristmill-pgbouncer-");
        let keeper = Keeper::of(&folder, &folder.join("pid"), &folder, &[]);
        // Another process may take the free port before it does.
        for attempt in 1.. {
            let port = free_port();
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\n\
                 unix_socket_dir =\npidfile = {}\n",
                folder.join("pid").display()
            );
            write(&folder.join("settings.ini"), &settings);
            match started(&folder, port) {
                Some(server) => {
                    return Self { port, server, keeper };
                }
                None => assert!(
                    attempt < 5,
                    "PgBouncer does not start: see {}",
                    folder.join("log").display()
                ),
            }
        }
        unreachable!("the loop ends by a return or a panic")
    }

    /// Returns the URL of a database of the server, as it is reached by this.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// Starts it, and waits until it takes connections, after which it writes its number. Returns `None` if it ends before that.
fn started(folder: &Path, port: u16) -> Option<Child> {
    let mut command = as_server_user(&program(), folder);
    command
        .arg(folder.join("settings.ini"))
        .current_dir(folder)
        .process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(folder.join("log")).expect("cannot write PgBouncer's log"));
    let mut child = command.spawn().expect("cannot start PgBouncer");
    let deadline = Instant::now() + PATIENCE;
    let number = child.id().to_string();
    let is_ready = || {
        let written = fs::read_to_string(folder.join("pid")).unwrap_or_default();
        written.trim() == number && TcpStream::connect(("127.0.0.1", port)).is_ok()
    };
    while !is_ready() {
        if child
            .try_wait()
            .expect("cannot query PgBouncer's state")
            .is_some()
        {
            return None;
        }
        assert!(Instant::now() < deadline, "PgBouncer takes no connections");
        thread::sleep(Duration::from_millis(20));
    }
    Some(child)
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // Closing the pipe is the signal; it is a child of this process and has to be waited for here.
        self.keeper.stop();
        let _ = self.server.wait();
    }
}

fn program() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&on_path).chain([PathBuf::from("/usr/sbin")]);
    let mut programs = folders.map(|folder| folder.join("pgbouncer"));
    programs.find(|program| program.exists()).expect(ABSENT)
}
