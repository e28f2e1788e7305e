//! Answers a SELECT that somebody wrote in a process of its own.
//!
//! It may run long, also within a single function of SQLite, where nothing interrupts it, and may take any amount of memory,
//! as may a value that a server sends. So gristmill starts itself once more for it. That process is killed when its time
//! is up, its memory is bounded, and whatever happens to it, this one goes on.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use gristmill_state::Answerer;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long it may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How much longer to wait for a process that ends itself when its time is up, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The exit status of the process when its time is up.
const TIME_IS_UP: i32 = 124;

/// How much the memory of the process may grow: twice what SQLite may take, which says so itself when it has no more.
const MOST_MEMORY: u64 = 128 << 20;

/// What the process is asked. It reads this from its standard input: its arguments can be seen by anybody, and a URL may
/// hold a password.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Who answers.
    pub(crate) answerer: Answerer,
    /// The SELECT.
    pub(crate) sql: String,
}

/// Why a process gave no answer.
pub(crate) enum Unanswered {
    /// Its time was up.
    TimedOut,
    /// It took too much memory.
    TooMuchMemory,
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It ended without an answer.
    Ended(ExitStatus),
}

/// Has a hidden command of this program answer a SELECT on the state database with JSON.
pub(crate) async fn answer<T: DeserializeOwned>(command: &str, asked: &Asked) -> Result<T, Unanswered> {
    let asked = serde_json::to_vec(asked).map_err(|error| Unanswered::NotStarted(error.into()))?;
    let mut child = Command::new(this_program().map_err(Unanswered::NotStarted)?)
        .arg(command)
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
            let _ = input.write_all(&asked).await;
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
        // So ends a program that gets no more memory.
        Err(_) if output.status.signal() == Some(Signal::ABORT.as_raw()) => Err(Unanswered::TooMuchMemory),
        Err(_) => Err(Unanswered::Ended(output.status)),
    }
}

/// Reads what this process is asked. From now on it ends when the time for an answer is up, or when it takes too much
/// memory, whatever it is doing.
pub(crate) fn asked() -> anyhow::Result<Asked> {
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        std::process::exit(TIME_IS_UP);
    });
    let mut asked = Vec::new();
    std::io::stdin().read_to_end(&mut asked)?;
    if cfg!(target_os = "linux") {
        bound_memory()?;
    }
    Ok(serde_json::from_slice(&asked)?)
}

/// Bounds what this process may write to in its memory. Other systems count differently, so there only the time is bounded,
/// and what SQLite takes.
fn bound_memory() -> anyhow::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let held = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let held = held.and_then(|held| held.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let held =
        held.ok_or_else(|| anyhow::anyhow!("/proc/self/status does not say how much memory it has"))?;
    let most = Some((held << 10) + MOST_MEMORY);
    // Whoever gets no more memory ends as from a mistake, and would leave a file with all that it knew.
    for (resource, most) in [(Resource::Data, most), (Resource::Core, Some(0))] {
        let limit = Rlimit {
            current: most,
            ..getrlimit(resource)
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Returns the path of this program, also if its file was replaced by that of another version meanwhile.
fn this_program() -> std::io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}
