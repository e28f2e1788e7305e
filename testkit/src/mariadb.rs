//! A private server of MariaDB, started from the version that is installed on the machine, or of what `GRISTMILL_MYSQL`
//! names: a folder with another MariaDB, or with MySQL. `scripts/mysql` makes such folders.
//!
//! As with [Postgres](crate::postgres), tests that do not stop it share one ([`shared`]), and each uses a database of its
//! own. Its [keeper](crate::keeper) stops it and removes its folder when this process ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

use crate::keeper::{Keeper, free_port};
use crate::server_user::{as_server_user, folder, write};

const ABSENT: &str = "no MariaDB server found: run apt-get install mariadb-server (scripts/test does that), or see GRISTMILL_MYSQL in CONTRIBUTING.md";

/// A quarter of the disk space that a server takes by default. MySQL does not know all of it.
const STORAGE: [&str; 2] = [
    "--loose-innodb-log-file-size=16M",
    "--loose-innodb-undo-tablespaces=0",
];

/// MySQL lets `root` in by its socket only.
const ROOT_BY_PORT: &str = "CREATE USER root@'127.0.0.1';
    GRANT ALL PRIVILEGES ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;";

/// MySQL, and MariaDB from 11.4 on, make certificates for themselves, unless they are told not to. A server is encrypted if a
/// test gives it a certificate.
const NO_TLS: [&str; 2] = ["--loose-auto-generate-certs=OFF", "--loose-skip-ssl"];

/// How long a server may take to start on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A MariaDB server that only this process uses, on a free port of 127.0.0.1; user `root`, no password.
pub struct MariaDb {
    /// The port it listens on.
    pub port: u16,
    program: PathBuf,
    folder: PathBuf,
    options: Vec<String>,
    server: Mutex<Option<Child>>,
    keeper: Keeper,
}

/// Returns the server that the tests of this process share. What it commits need not be on disk, so no test may stop it.
pub fn shared() -> &'static MariaDb {
    static SHARED: OnceLock<MariaDb> = OnceLock::new();
    SHARED.get_or_init(|| MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=0"], &[]))
}

impl MariaDb {
    /// Starts a server that keeps what it has committed.
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts a server with further options, in which `DIR` stands for its folder, and with these files there.
    pub fn start_with(options: &[&str], files: &[(&str, &str)]) -> Self {
        let program = server_program();
        let folder = folder("gristmill-maria-");
        let data = folder.join("data");
        let keeper = Keeper::of(&folder, &folder.join("pid"), &data, &[]);
        initialise(&program, &folder, &data, options);
        for (name, text) in files {
            write(&folder.join(name), text);
        }
        let here = folder.display().to_string();
        let mut server = Self {
            port: 0,
            program,
            options: options
                .iter()
                .map(|option| option.replace("DIR", &here))
                .collect(),
            folder,
            server: Mutex::new(None),
            keeper,
        };
        // Another process may take the free port before the server does.
        for attempt in 1.. {
            server.port = free_port();
            match server.try_start() {
                Ok(()) => break,
                Err(log) => assert!(attempt < 5, "MariaDB does not start: {log}"),
            }
        }
        server
    }

    /// Returns the URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Creates a database that no other test uses, and returns its URL.
    pub fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        execute(&self.url("mysql"), &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Kills the server as a crash does, and waits until it is gone.
    pub fn kill(&self) {
        let mut server = self.server.lock().expect("an earlier stop or start panicked");
        let mut child = server.take().expect("the server is already stopped");
        child.kill().expect("cannot kill the server");
        child.wait().expect("cannot wait for the server");
    }

    /// Keeps a copy of what the server has on its disk, and kills and starts it for that.
    pub fn leave_copy_behind(&self) {
        self.kill();
        let mut copy = Command::new("cp");
        copy.arg("-a")
            .args(["data", "copy"].map(|name| self.folder.join(name)));
        let status = copy.status().expect("cannot run cp");
        assert!(status.success(), "cannot copy the server's data");
        self.start_again();
    }

    /// Has the copy follow the killed server, as a standby does that received nothing since.
    pub fn follow_with_copy(&self) {
        self.kill();
        let [data, copy] = ["data", "copy"].map(|name| self.folder.join(name));
        fs::remove_dir_all(&data).expect("cannot remove the server's data");
        fs::rename(copy, data).expect("cannot move the copy");
        self.start_again();
    }

    /// Starts the server again after a stop, on the same port and data, and waits until it is ready.
    pub fn start_again(&self) {
        if let Err(log) = self.try_start() {
            panic!("MariaDB does not start again: {log}");
        }
    }

    /// Starts the server; returns its log as the error if it does not become ready.
    fn try_start(&self) -> Result<(), String> {
        let mut server = self.server.lock().expect("an earlier stop or start panicked");
        assert!(server.is_none(), "the server is already running");
        let log = self.folder.join("log");
        let of = |option: &str, name: &str| format!("--{option}={}", self.folder.join(name).display());
        let mut command = as_server_user(&self.program, &self.folder);
        command.env("TMPDIR", &self.folder);
        command.args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-log-bin",
        ]);
        command.args([
            of("datadir", "data"),
            of("socket", "socket"),
            of("pid-file", "pid"),
        ]);
        command.args([format!("--port={}", self.port), "--max-connections=200".into()]);
        command
            .arg("--innodb-buffer-pool-size=64M")
            .args(NO_TLS)
            .args(STORAGE);
        command.args(&self.options);
        // A process group of its own, so that Ctrl-C does not stop it before the keeper does.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(File::create(&log).expect("cannot write the server's log"));
        let mut child = command.spawn().expect("cannot start MariaDB");

        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if said.contains("ready for connections") {
                *server = Some(child);
                return Ok(());
            }
            let ended = child.try_wait().expect("cannot query the server's state");
            if ended.is_some() || Instant::now() > deadline {
                // It has ended, or is about to; either way the log is what matters.
                let _ = child.kill();
                child.wait().expect("cannot wait for the server");
                return Err(fs::read_to_string(&log).unwrap_or(said));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // Closing the pipe is the signal; the server is a child of this process and has to be waited for here.
        self.keeper.stop();
        if let Ok(Some(mut server)) = self.server.lock().map(|mut server| server.take()) {
            let _ = server.wait();
        }
    }
}

/// Runs statements in the database of a URL, on behalf of the test itself.
pub fn execute(url: &str, sql: &str) {
    ask(url, async |conn| conn.query_drop(sql).await, sql);
}

/// Asks the database of a URL. The values come as text; `||` joins texts, as in standard SQL.
pub fn query(url: &str, sql: &str) -> Vec<Vec<Option<String>>> {
    let text = |value: Value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8(bytes).expect("the test asks for text")),
        other => panic!("{sql}: {other:?} is no text"),
    };
    ask(
        url,
        async |conn| {
            conn.query_drop("SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')")
                .await?;
            let rows: Vec<Row> = conn.query(sql).await?;
            let texts = rows
                .into_iter()
                .map(|row| row.unwrap().into_iter().map(text).collect());
            Ok(texts.collect())
        },
        sql,
    )
}

/// In a thread, because the caller may be inside a runtime of its own.
fn ask<T: Send>(
    url: &str,
    what: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<T> + Send,
    sql: &str,
) -> T {
    let url = url.split('?').next().unwrap_or(url);
    let options = mysql_async::Opts::from_url(url).expect("the test has a good URL");
    let options = OptsBuilder::from_opts(options).prefer_socket(false);
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("cannot start a runtime").block_on(async {
                let mut conn = Conn::new(options)
                    .await
                    .expect("cannot connect to the test's server");
                let answer = what(&mut conn)
                    .await
                    .unwrap_or_else(|error| panic!("cannot run {sql}: {error:?}"));
                conn.disconnect().await.expect("the connection broke");
                answer
            })
        });
        run.join().expect("see the panic above")
    })
}

/// Whether the server that the tests use is MySQL, not MariaDB.
pub fn is_mysql() -> bool {
    is_mysqld(&server_program())
}

/// The collation by which texts are told apart by their bytes.
pub fn by_bytes() -> &'static str {
    match is_mysql() {
        true => "utf8mb4_0900_bin",
        false => "utf8mb4_nopad_bin",
    }
}

fn is_mysqld(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "mysqld")
}

/// Makes the server's data, with a user `root` who needs no password.
fn initialise(server: &Path, folder: &Path, data: &Path, options: &[&str]) {
    let mut command = if is_mysqld(server) {
        let users = folder.join("users.sql");
        write(&users, ROOT_BY_PORT);
        let mut command = as_server_user(server, folder);
        command
            .args(["--no-defaults", "--initialize-insecure"])
            .args(NO_TLS);
        command.arg(format!("--init-file={}", users.display()));
        // The data is made for one setting of this.
        let of_data = |option: &&&str| option.starts_with("--lower-case-table-names");
        command.args(options.iter().filter(of_data));
        command
    } else {
        let mut command = as_server_user(&program("mariadb-install-db").expect(ABSENT), folder);
        command.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]);
        command
    };
    // A starting server removes what looks like another one's leftovers, so each has its own folder for such files.
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("TMPDIR", folder);
    command.arg(format!("--datadir={}", data.display())).args(STORAGE);
    let output = command.output().expect("cannot make the server's data");
    assert!(
        output.status.success(),
        "cannot make the data of {}: {}{}",
        server.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Finds the server.
fn server_program() -> PathBuf {
    let mut programs = ["mariadbd", "mysqld"].into_iter().filter_map(program);
    programs.next().expect(ABSENT)
}

/// Finds a program of the server.
fn program(name: &str) -> Option<PathBuf> {
    let folders = match std::env::var_os("GRISTMILL_MYSQL") {
        Some(folder) => {
            let folder = PathBuf::from(folder);
            assert!(
                folder.is_absolute(),
                "GRISTMILL_MYSQL: no absolute path: {}",
                folder.display()
            );
            vec![folder]
        }
        None => {
            let on_path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&on_path)
                .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from))
                .collect()
        }
    };
    let mut programs = folders.into_iter().map(|folder| folder.join(name));
    programs.find(|program| program.exists())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_keeps_its_data_over_a_crash_and_leaves_nothing_behind() {
        let server = MariaDb::start();
        let url = server.create_database();
        execute(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        server.kill();
        server.start_again();
        assert_eq!(query(&url, "SELECT n || '' FROM kept"), [[Some("1".to_owned())]]);
        let (folder, port) = (server.folder.clone(), server.port);
        drop(server);
        assert!(!folder.exists());
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
