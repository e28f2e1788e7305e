//! `through`: a program that a file goes through before anything is told of it, such as `gpg --decrypt`.
//!
//! The program gets the file on its standard input, and what it writes to its standard output is read instead. It is
//! started as it is written, without a shell, in a process group of its own: when its time is up, when the process stops,
//! or when nobody reads on, it is killed with its children. What it writes is read in pieces that are waited for only
//! briefly, so that a program that hangs holds nothing up.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use gristmill_engine::{Through, check_unpacked};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a wait for the program takes before it is looked whether to go on waiting.
const TICK: Duration = Duration::from_millis(50);

/// How long a program may take to end once it has written everything.
const ENDING: Duration = Duration::from_secs(10);

/// What is kept of the program's last words, in bytes.
const WORDS: usize = 500;

/// Why a file could not be read through a program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThroughError {
    /// It could not be started.
    #[error(
        "cannot start {program} (through): {source}; install it, or correct through, then run `gristmill retry`"
    )]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended with a status other than 0, or by a signal.
    #[error("{program} (through) ended with {status}{words}")]
    Failed {
        /// The program, with its arguments.
        program: String,
        /// How it ended.
        status: String,
        /// What it said last, behind a colon.
        words: String,
    },
    /// It took too long.
    #[error("{program} (through) was killed, because it took longer than {limit:?} (through_limit){words}")]
    TimedOut {
        /// The program, with its arguments.
        program: String,
        /// How long it may take.
        limit: Duration,
        /// What it said last, behind a colon.
        words: String,
    },
    /// The pipeline stops.
    #[error("the process is stopping")]
    Stopped,
}

/// How reading what the program writes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It wrote nothing more.
    Whole,
    TimedOut,
    Stopped,
}

/// Has `read` read what a program makes of `input`. `is_stopped` says that nobody waits for the result any more.
///
/// All of `input` is read, even if the program does not want all of it. If reading it fails, the result is that of
/// `read`, whose input then ends.
pub(crate) fn read_through<T: Send>(
    through: &Through,
    input: &mut (dyn Read + Send),
    is_stopped: &(dyn Fn() -> bool + Sync),
    read: impl FnOnce(&mut (dyn Read + Send)) -> T + Send,
) -> Result<T, ThroughError> {
    let deadline = Instant::now() + through.limit;
    let mut running = Running::start(through)?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (
        running.child.stdin.take(),
        running.child.stdout.take(),
        running.child.stderr.take(),
    ) else {
        unreachable!("all three are pipes");
    };
    let passed = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let feeding = scope.spawn(|| feed(input, stdin, &passed));
        let listening = scope.spawn(|| last_words(stderr, &is_over));
        let mut output = Output {
            stdout,
            deadline,
            is_stopped,
            passed: &passed,
            written: 0,
            end: None,
        };
        let value = read(&mut output);
        let end = output.end;
        drop(output);
        let status = match end {
            Some(End::Whole) => running.wait(deadline.min(Instant::now() + ENDING), is_stopped),
            _ => None,
        };
        running.kill();
        is_over.store(true, Ordering::Relaxed);
        let fed = joined(feeding);
        let words = joined(listening).unwrap_or_default();
        let words = match words.is_empty() {
            true => String::new(),
            false => format!(": {words}"),
        };
        let program = shown(through);
        match (end, status) {
            (Some(End::Stopped), _) => Err(ThroughError::Stopped),
            (Some(End::Whole), None) if is_stopped() => Err(ThroughError::Stopped),
            (Some(End::TimedOut), _) | (Some(End::Whole), None) => Err(ThroughError::TimedOut {
                program,
                limit: through.limit,
                words,
            }),
            // Nobody wanted the rest: it was too much, or is to be read in another way.
            (None, _) => Ok(value),
            // What could not be read is no fault of the program's.
            (Some(End::Whole), Some(_)) if fed.is_some_and(|fed| fed.is_err()) => Ok(value),
            (Some(End::Whole), Some(status)) if status.success() => Ok(value),
            (Some(End::Whole), Some(status)) => Err(ThroughError::Failed {
                program,
                status: describe(status),
                words,
            }),
        }
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> Option<T> {
    thread.join().ok()
}

fn shown(through: &Through) -> String {
    let Through {
        program, arguments, ..
    } = through;
    let all = std::iter::once(program).chain(arguments).map(String::as_str);
    all.collect::<Vec<_>>().join(" ")
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// A program that is killed with its children when this is dropped.
struct Running {
    child: Child,
    is_reaped: bool,
}

impl Running {
    fn start(through: &Through) -> Result<Self, ThroughError> {
        let child = Command::new(&through.program)
            .args(&through.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        match child {
            Ok(child) => Ok(Self {
                child,
                is_reaped: false,
            }),
            Err(source) => Err(ThroughError::Start {
                program: through.program.clone(),
                source,
            }),
        }
    }

    /// Waits until the program has ended by itself.
    fn wait(&mut self, deadline: Instant, is_stopped: &dyn Fn() -> bool) -> Option<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                // Its children may live on; they are killed by the group, which its number still names.
                self.is_reaped = true;
                return Some(status);
            }
            if Instant::now() >= deadline || is_stopped() {
                return None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(TICK);
        }
    }

    fn kill(&mut self) {
        if let Ok(Some(group)) = i32::try_from(self.child.id()).map(Pid::from_raw) {
            // Nobody is left, if this fails.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if !self.is_reaped {
            let _ = self.child.wait();
            self.is_reaped = true;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
        }
    }
}

/// Gives the program its input. What it does not take is read all the same.
fn feed(input: &mut (dyn Read + Send), stdin: ChildStdin, passed: &AtomicU64) -> io::Result<()> {
    let mut stdin = Some(stdin);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        passed.fetch_add(read as u64, Ordering::Relaxed);
        if stdin
            .as_mut()
            .is_some_and(|stdin| stdin.write_all(&buffer[..read]).is_err())
        {
            stdin = None;
        }
    }
}

/// Returns the end of what a program says, on one line.
fn last_words(mut stderr: impl Read + std::os::fd::AsFd, is_over: &AtomicBool) -> String {
    let mut words: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if !is_ready(&stderr) {
            // A child of the program may hold this open for ever.
            match is_over.load(Ordering::Relaxed) {
                true => break,
                false => continue,
            }
        }
        match stderr.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                words.extend(&buffer[..read]);
                let extra = words.len().saturating_sub(WORDS);
                words.drain(..extra);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&words);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("; ");
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Waits a moment for something to read.
fn is_ready(pipe: &impl std::os::fd::AsFd) -> bool {
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: TICK.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&tick)), Ok(1..))
}

/// What the program writes.
struct Output<'p> {
    stdout: ChildStdout,
    deadline: Instant,
    is_stopped: &'p (dyn Fn() -> bool + Sync),
    /// How many bytes the program was given.
    passed: &'p AtomicU64,
    written: u64,
    end: Option<End>,
}

impl Read for Output<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.end {
                Some(End::Whole) => return Ok(0),
                Some(_) => return Err(io::Error::other("the program was killed")),
                None if (self.is_stopped)() => self.end = Some(End::Stopped),
                None if Instant::now() >= self.deadline => self.end = Some(End::TimedOut),
                None => {}
            }
            if self.end.is_some() {
                continue;
            }
            if is_ready(&self.stdout) {
                break;
            }
        }
        let read = self.stdout.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.end = Some(End::Whole);
        }
        self.written += read as u64;
        check_unpacked(self.written, self.passed.load(Ordering::Relaxed))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(program: &[&str], limit: Duration) -> Through {
        Through {
            program: program[0].to_owned(),
            arguments: program[1..].iter().map(|part| (*part).to_owned()).collect(),
            limit,
        }
    }

    fn read(program: &[&str], limit: Duration, input: &[u8]) -> Result<io::Result<Vec<u8>>, ThroughError> {
        let mut input = input;
        read_through(&through(program, limit), &mut input, &|| false, |output| {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_writes_is_read_instead() {
        let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        assert!(read(&["cat"], LONG, &input).unwrap().unwrap() == input);
        // It need not take everything.
        assert_eq!(
            read(&["head", "-c", "3"], LONG, &input).unwrap().unwrap(),
            input[..3]
        );
        // There is no shell.
        let out = read(&["printf", "%s", "$HOME; `ls` | cat"], LONG, b"")
            .unwrap()
            .unwrap();
        assert_eq!(out, b"$HOME; `ls` | cat");
    }

    #[test]
    fn a_program_that_fails_has_the_last_words() {
        let script = "cat >/dev/null; echo first >&2; echo 'no secret key' >&2; exit 2";
        let error = read(&["sh", "-c", script], LONG, b"x").unwrap_err().to_string();
        assert!(
            error.contains("ended with status 2: first; no secret key"),
            "{error}"
        );
        let error = read(&["sh", "-c", "kill -9 $$"], LONG, b"x")
            .unwrap_err()
            .to_string();
        assert!(error.contains("signal 9"), "{error}");
        let error = read(&["no-such-program"], LONG, b"x").unwrap_err().to_string();
        assert!(error.contains("cannot start no-such-program"), "{error}");
    }

    #[test]
    fn a_program_is_killed_with_its_children_when_its_time_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        // The child holds the output open, and tells its number.
        let script = format!("sleep 1000 & echo $! > {}; echo x; wait", pid.display());
        let begun = Instant::now();
        let error = read(&["sh", "-c", &script], Duration::from_millis(700), b"x").unwrap_err();
        assert!(matches!(error, ThroughError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        // A killed process whose parent is gone is reaped by another one, some time.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let is_gone = |state: &str| state.is_empty() || state.contains(") Z ") || state.contains(") X ");
        while !is_gone(&state()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", state());
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_is_killed_when_nobody_waits_or_reads_on() {
        let asked = AtomicU64::new(0);
        let is_stopped = || asked.fetch_add(1, Ordering::Relaxed) > 3;
        let sleeping = through(&["sleep", "1000"], LONG);
        let stopped = read_through(&sleeping, &mut &b"x"[..], &is_stopped, |output| {
            output.read(&mut [0; 8]).map(|_| ())
        });
        assert!(matches!(stopped, Err(ThroughError::Stopped)));
        let begun = Instant::now();
        let left = read_through(&sleeping, &mut &b"x"[..], &|| false, |_| 7);
        assert!(matches!(left, Ok(7)));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_a_program_writes_is_bounded() {
        let error = read(&["cat", "/dev/zero"], LONG, b"x").unwrap().unwrap_err();
        assert!(error.to_string().contains("200 times"), "{error}");
    }
}
