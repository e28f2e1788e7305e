//! A private PostgreSQL server, started from whatever version is installed on the machine, or from the folder of programs that
//! `GRISTMILL_POSTGRES` names.
//!
//! Tests of the warehouse need the real thing: its types, its locks, the way it crashes. A server takes about a second
//! to start; tests that do not stop it share one ([`shared`]), and each uses a database of its own.
//!
//! Its [keeper](crate::keeper) stops it and removes its folder when this process ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::keeper::{Keeper, free_port};
use crate::server_user::{as_server_user, folder, is_root, write};

const ABSENT: &str = "no PostgreSQL server found: run apt-get install postgresql (scripts/test does that)";

/// How long a server may take to start or stop on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the standby has all that there is.
const UNTIL_STANDBY_FOLLOWS: &str = "SET statement_timeout = '60s';
    DO $$ BEGIN
        WHILE NOT EXISTS (SELECT FROM pg_stat_get_wal_senders() WHERE sync_state = 'sync') LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
    END $$";

/// Waits until the standby has received all that there is.
const UNTIL_ALL_IS_SENT: &str = "SET statement_timeout = '60s';
    DO $$ BEGIN
        WHILE NOT EXISTS (SELECT FROM pg_stat_get_wal_senders() WHERE flush_lsn >= pg_current_wal_flush_lsn()) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
    END $$";

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// The server ends all sessions and shuts down cleanly.
    Fast,
    /// The server stops at once, and recovers when it starts again.
    Immediate,
    /// The server is killed as in a crash.
    Kill,
    /// The server is gone for good, with its disk: its [standby](Postgres::start_with_standby) starts in its place.
    Failover,
}

/// A PostgreSQL server that only this process uses, on a free port of 127.0.0.1; user `postgres`, no password.
pub struct Postgres {
    /// The port it listens on.
    pub port: u16,
    programs: PathBuf,
    folder: PathBuf,
    fsync: bool,
    small_disk: Option<u32>,
    server: Mutex<Option<Child>>,
    has_standby: bool,
    standby: Mutex<Option<Standby>>,
    keeper: Keeper,
}

/// A server that follows another one and has all that the other one has committed. Nobody else connects to it.
struct Standby {
    folder: PathBuf,
    server: Child,
    keeper: Keeper,
}

/// Returns the server that the tests of this process share. It runs without fsync, so no test may stop it.
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start_with(false, &[], None))
}

impl Postgres {
    /// Starts a server with fsync on: what it commits is on disk.
    pub fn start() -> Self {
        Self::start_with(true, &[], None)
    }

    /// Starts a server with the given files in its data folder, such as `pg_hba.conf`; put settings into
    /// `postgresql.auto.conf`.
    pub fn start_with_files(files: &[(&str, &str)]) -> Self {
        Self::start_with(true, files, None)
    }

    /// Starts a server with a standby: it tells nobody that something is committed before the standby has it, too.
    pub fn start_with_standby() -> Self {
        // A standby that was away for a moment finds what it has missed.
        let settings = "synchronous_standby_names = '*'\nwal_keep_size = '512MB'\n";
        let settings = [("postgresql.auto.conf", settings)];
        let mut postgres = Self::start_with(true, &settings, None);
        postgres.has_standby = true;
        postgres.add_standby();
        postgres
    }

    /// Starts a server that has a second disk of this size, for a tablespace at [`small_disk`](Self::small_disk).
    /// Returns `None` if this user may not mount one.
    pub fn start_with_small_disk(megabytes: u32) -> Option<Self> {
        let mut mount = Command::new("unshare");
        mount.args(["--mount", "true"]).stderr(Stdio::null());
        let may_mount = is_root() && mount.status().is_ok_and(|status| status.success());
        may_mount.then(|| Self::start_with(true, &[], Some(megabytes)))
    }

    fn start_with(fsync: bool, files: &[(&str, &str)], small_disk: Option<u32>) -> Self {
        let programs = programs();
        let folder = folder("gristmill-pg-");
        let keeper = Keeper::of(
            &folder,
            &folder.join("data/postmaster.pid"),
            &folder.join("data"),
            &[],
        );
        let mut init = as_server_user(&programs.join("initdb"), &folder);
        init.arg("-D").arg(folder.join("data"));
        init.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        let output = init.output().expect("cannot run initdb");
        assert!(
            output.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );

        let mut postgres = Self {
            port: 0,
            programs,
            folder,
            fsync,
            small_disk,
            server: Mutex::new(None),
            has_standby: false,
            standby: Mutex::new(None),
            keeper,
        };
        for (name, text) in files {
            write(&postgres.folder.join("data").join(name), text);
        }
        // Another process may take the free port before the server does.
        for attempt in 1.. {
            postgres.port = free_port();
            match postgres.try_start() {
                Ok(()) => break,
                Err(log) => assert!(attempt < 5, "PostgreSQL does not start: {log}"),
            }
        }
        postgres
    }

    /// Returns the URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the folder with its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder of the small disk that it was started with.
    pub fn small_disk(&self) -> PathBuf {
        self.folder.join("small")
    }

    /// Creates a database that no other test uses, and returns its URL.
    pub fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        execute(&self.url("postgres"), &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(&self, mode: StopMode) {
        let mut server = self.server.lock().expect("an earlier stop or start panicked");
        let mut child = server.take().expect("the server is already stopped");
        let signal = match mode {
            StopMode::Fast => "-INT",
            StopMode::Immediate => "-QUIT",
            StopMode::Kill | StopMode::Failover => "-KILL",
        };
        end(&mut child, signal);
        if mode == StopMode::Failover {
            let standby = self.standby().take();
            self.become_standby(standby.expect("the server has no standby"));
        }
    }

    /// Has the standby get nothing more, and the server not wait for it.
    pub fn leave_standby_behind(&self) {
        execute(
            &self.url("postgres"),
            "ALTER SYSTEM SET synchronous_standby_names = ''",
        );
        execute(&self.url("postgres"), "SELECT pg_reload_conf()");
        let mut standby = self.standby();
        let standby = standby.as_mut().expect("the server has no standby");
        end(&mut standby.server, "-INT");
    }

    /// Adds a standby that receives everything, and applies nothing before it is promoted.
    pub fn add_late_standby(&self) {
        execute(
            &self.url("postgres"),
            "ALTER SYSTEM SET recovery_min_apply_delay = '1d'",
        );
        self.add_standby();
    }

    /// Kills the server, and has its standby answer in its place, which is none yet that can be written.
    pub fn follow_late(&self) {
        execute(&self.url("postgres"), UNTIL_ALL_IS_SENT);
        self.stop(StopMode::Failover);
        fs::write(self.folder.join("data/standby.signal"), "").expect("cannot make it a standby");
        self.start_again();
    }

    /// Has the standby that follows apply what it has received, and be written.
    pub fn promote(&self) {
        execute(&self.url("postgres"), "SELECT pg_promote()");
    }

    fn standby(&self) -> MutexGuard<'_, Option<Standby>> {
        self.standby.lock().expect("an earlier failover panicked")
    }

    /// Puts what a standby has in the place of the server's data.
    fn become_standby(&self, mut standby: Standby) {
        let data = self.folder.join("data");
        let lost = self.folder.join("lost");
        if matches!(standby.server.try_wait(), Ok(None)) {
            end(&mut standby.server, "-INT");
        }
        fs::rename(&data, &lost).expect("cannot move the server's data away");
        fs::rename(standby.folder.join("data"), &data).expect("cannot move the standby's data");
        // Without it, a server is no standby.
        fs::remove_file(data.join("standby.signal")).expect("the standby was none");
        fs::remove_dir_all(&lost).expect("cannot remove the server's data");
    }

    /// Copies the server while it runs, and has the copy follow it.
    fn add_standby(&self) {
        let folder = folder("gristmill-pg-");
        let data = folder.join("data");
        let keeper = Keeper::of(&folder, &data.join("postmaster.pid"), &data, &[]);
        let mut copy = as_server_user(&self.programs.join("pg_basebackup"), &folder);
        copy.arg("-D").arg(&data).arg("-h").arg(&self.folder);
        copy.args(["-p", &self.port.to_string(), "-U", "postgres"]);
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        let output = copy.output().expect("cannot run pg_basebackup");
        assert!(
            output.status.success(),
            "pg_basebackup failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut command = as_server_user(&self.programs.join("postgres"), &folder);
        command.arg("-D").arg(&data).arg("-k").arg(&folder);
        command.args(["-c", "listen_addresses=", "-c", "max_connections=200"]);
        command.args(["-c", "wal_retrieve_retry_interval=100ms"]);
        let server =
            started(command, &folder).unwrap_or_else(|log| panic!("the standby does not start: {log}"));
        *self.standby() = Some(Standby {
            folder,
            server,
            keeper,
        });
    }

    /// Starts the server again after a stop, on the same port and data, and waits until it is ready.
    pub fn start_again(&self) {
        let deadline = Instant::now() + PATIENCE;
        // After a kill, the old server's processes keep its shared memory for a moment.
        while let Err(log) = self.try_start() {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not start again: {log}"
            );
            thread::sleep(Duration::from_millis(100));
        }
        if self.has_standby {
            if self.standby().is_none() {
                self.add_standby();
            }
            execute(&self.url("postgres"), UNTIL_STANDBY_FOLLOWS);
        }
    }

    /// Starts the server; returns its log as the error if it does not become ready.
    fn try_start(&self) -> Result<(), String> {
        let mut server = self.server.lock().expect("an earlier stop or start panicked");
        assert!(server.is_none(), "the server is already running");
        let mut command = as_server_user(&self.programs.join("postgres"), &self.folder);
        if let Some(megabytes) = self.small_disk {
            command = with_small_disk(&command, &self.small_disk(), megabytes);
        }
        command
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-k")
            .arg(&self.folder);
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            &format!("port={}", self.port),
        ]);
        command.args(["-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
        if !self.fsync {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        *server = Some(started(command, &self.folder)?);
        Ok(())
    }
}

/// Starts a server whose data is in a folder, and waits until it is ready; returns its log as the error if it is not.
fn started(mut command: Command, folder: &Path) -> Result<Child, String> {
    let log = folder.join("log");
    // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.stderr(File::create(&log).expect("cannot write the server's log"));
    let mut child = command.spawn().expect("cannot start PostgreSQL");
    let deadline = Instant::now() + PATIENCE;
    while !is_ready(folder, child.id()) {
        let ended = child.try_wait().expect("cannot query the server's state");
        if ended.is_some() || Instant::now() > deadline {
            // It has ended, or is about to; either way the log is what matters.
            let _ = child.kill();
            child.wait().expect("cannot wait for the server");
            return Err(fs::read_to_string(&log).unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

/// Returns whether this very server reports itself ready. The first line of its file is the process id, the eighth
/// the state.
fn is_ready(folder: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines();
    lines.next() == Some(&pid.to_string()) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Closing the pipe is the signal; the server is a child of this process and has to be waited for here.
        self.keeper.stop();
        if let Ok(Some(mut server)) = self.server.lock().map(|mut server| server.take()) {
            let _ = server.wait();
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.keeper.stop();
        let _ = self.server.wait();
    }
}

/// Signals a server, and waits until it is gone.
fn end(server: &mut Child, signal: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, &server.id().to_string()]).status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "cannot signal the server"
    );
    server.wait().expect("cannot wait for the server");
}

/// Runs statements in the database of a URL, on behalf of the test itself.
pub fn execute(url: &str, sql: &str) {
    // In a thread, because the caller may be inside a runtime of its own.
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("cannot start a runtime").block_on(async {
                let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
                let (client, connection) = connected.expect("cannot connect to the test's server");
                let connection = tokio::spawn(connection);
                client
                    .batch_execute(sql)
                    .await
                    .unwrap_or_else(|error| panic!("cannot run {sql}: {error:?}"));
                drop(client);
                connection
                    .await
                    .expect("the connection panicked")
                    .expect("the connection broke");
            });
        });
        run.join().expect("see the panic above");
    });
}

/// Returns the folder with `initdb` and `postgres`: the one that somebody names, else Debian's newest version, else the one that
/// `pg_config` names, else one on the PATH.
fn programs() -> PathBuf {
    let is_complete = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    if let Some(folder) = std::env::var_os("GRISTMILL_POSTGRES").map(PathBuf::from) {
        assert!(
            folder.is_absolute() && is_complete(&folder),
            "GRISTMILL_POSTGRES: no absolute path of a folder with initdb and postgres: {}",
            folder.display()
        );
        return folder;
    }
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, folder)| is_complete(folder))
        .collect();
    versions.sort();
    let configured = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())).filter(is_complete)
    };
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).find(is_complete);
    versions
        .pop()
        .map(|(_, folder)| folder)
        .or_else(configured)
        .or_else(on_path)
        .expect(ABSENT)
}

/// Returns the same command in a mount namespace of its own. The namespace has a disk at `folder`, and disappears with
/// its last process.
fn with_small_disk(command: &Command, folder: &Path, megabytes: u32) -> Command {
    const MOUNT: &str = r#"mkdir -p "$0"; mount -t tmpfs -o "size=$1m" tmpfs "$0"
chown --reference="$(dirname "$0")" "$0"; shift; exec "$@""#;
    let mut mounted = Command::new("unshare");
    mounted
        .args(["--mount", "sh", "-ec", MOUNT])
        .arg(folder)
        .arg(megabytes.to_string());
    mounted.arg(command.get_program()).args(command.get_args());
    mounted.env_clear().current_dir("/");
    mounted.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    mounted
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_standby_has_all_that_was_committed_and_is_followed_by_another() {
        let postgres = Postgres::start_with_standby();
        let url = postgres.create_database();
        execute(&url, "CREATE TABLE kept (n int)");
        for _ in 0..2 {
            execute(&url, "INSERT INTO kept VALUES (1)");
            postgres.stop(StopMode::Failover);
            postgres.start_again();
        }
        // Also where the standby has to find its way back to the server.
        for mode in [StopMode::Fast, StopMode::Kill] {
            postgres.stop(mode);
            postgres.start_again();
        }
        execute(&url, "SELECT 1 / (count(*) / 2) FROM kept");
        let standby = postgres.standby().as_ref().unwrap().folder.clone();
        drop(postgres);
        assert!(!standby.exists());
    }

    #[test]
    fn a_server_keeps_its_data_over_every_stop_and_leaves_nothing_behind() {
        let postgres = Postgres::start();
        let url = postgres.create_database();
        execute(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Kill] {
            postgres.stop(mode);
            postgres.start_again();
            execute(&url, "SELECT 1 / count(*) FROM kept");
        }
        let (folder, port) = (postgres.folder.clone(), postgres.port);
        drop(postgres);
        assert!(!folder.exists());
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
