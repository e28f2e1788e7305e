//! `job_addl_criteria` in a process of its own.
//!
//! Somebody's SELECT may run long, also within a single function of SQLite, where nothing interrupts it, and may take any
//! amount of memory. So gristmill starts itself once more for it. That process is killed when its time is up, its memory
//! is bounded, and whatever happens to it, this one goes on.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gristmill_state::CriterionError;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// How long it may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How much longer to wait for a process that ends itself when its time is up, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The most of these processes at the same time.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// The hidden command that answers a criterion.
pub(crate) const COMMAND: &str = "answer-criterion";

/// Returns whether a SELECT on the state database yields a row.
pub(crate) async fn ask(state: &Path, sql: &str) -> Result<bool, CriterionError> {
    if cfg!(test) {
        // The program of the unit tests has no such command.
        return gristmill_state::criterion(state, sql, LIMIT).await;
    }
    let _turn = AT_ONCE.acquire().await;
    let failed = |error: std::io::Error| CriterionError::Failed {
        message: format!("its process cannot be started: {error}"),
    };
    let mut child = Command::new(this_program().map_err(failed)?)
        .arg(COMMAND)
        .arg(state)
        // It needs nothing of it, and passwords may be in it.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
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
        Err(_) => return Err(CriterionError::TimedOut { limit: LIMIT }),
        Ok(output) => output.map_err(failed)?,
    };
    match serde_json::from_slice(&output.stdout) {
        Ok(answer) => answer,
        Err(_) if output.status.code() == Some(TIME_IS_UP) => Err(CriterionError::TimedOut { limit: LIMIT }),
        Err(_) => Err(CriterionError::Failed {
            message: format!("its process ended without an answer ({})", output.status),
        }),
    }
}

/// The exit status of the process when its time is up.
const TIME_IS_UP: i32 = 124;

/// Ends this process when the time for a criterion is up, whatever it is doing.
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
