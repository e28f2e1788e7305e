//! Answers a SELECT that somebody wrote in a process of its own.
//!
//! It may run long, also within a single function of SQLite, where nothing interrupts it, and may take any amount of memory.
//! So gristmill starts itself once more for it. That process is killed when its time is up, its memory is bounded, and
//! whatever happens to it, this one goes on.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long it may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How much longer to wait for a process that ends itself when its time is up, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The exit status of the process when its time is up.
const TIME_IS_UP: i32 = 124;

/// Why a process gave no answer.
pub(crate) enum Unanswered {
    /// Its time was up.
    TimedOut,
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It ended without an answer.
    Ended(ExitStatus),
}

/// Has a hidden command of this program answer a SELECT on the state database with JSON.
pub(crate) async fn answer<T: serde::de::DeserializeOwned>(
    command: &str,
    state: &Path,
    sql: &str,
) -> Result<T, Unanswered> {
    let mut child = Command::new(this_program().map_err(Unanswered::NotStarted)?)
        .arg(command)
        .arg(state)
        // It needs nothing of it, and passwords may be in it.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(Unanswered::NotStarted)?;
    let mut input = child.stdin.take();
    let answered = async {
        if let Some(input) = &mut input {
            // If it is gone already, its output says so.
            let _ = input.write_all(sql.as_bytes()).await;
        }
        drop(input);
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(LIMIT + GRACE, answered).await {
        Err(_) => return Err(Unanswered::TimedOut),
        Ok(output) => output.map_err(Unanswered::NotStarted)?,
    };
    match serde_json::from_slice(&output.stdout) {
        Ok(answer) => Ok(answer),
        Err(_) if output.status.code() == Some(TIME_IS_UP) => Err(Unanswered::TimedOut),
        Err(_) => Err(Unanswered::Ended(output.status)),
    }
}

/// Ends this process when the time for an answer is up, whatever it is doing.
pub(crate) fn end_in_time() {
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        std::process::exit(TIME_IS_UP);
    });
}

/// Returns the path of this program, also if its file was replaced by that of another version meanwhile.
fn this_program() -> std::io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}
