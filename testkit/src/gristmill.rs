//! The built binary in a folder of its own: a site with a settings file, an incoming folder and the files that runs
//! create.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a command may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A folder with `gristmill.toml` and `incoming/`, in which commands run. It is removed when the value is dropped.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    binary: PathBuf,
    variables: Vec<(String, String)>,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status: `status.code()` is `None` if a signal ended it.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// A command that runs in the background; it is killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    what: String,
    output: TempDir,
}

impl Site {
    /// Creates a new folder for `binary`, which a test of the root package knows as `env!("CARGO_BIN_EXE_gristmill")`.
    /// Relative paths in `settings` are relative to that folder; use `incoming` as the source.
    pub fn new(binary: impl Into<PathBuf>, settings: &str) -> Self {
        let folder = TempDir::with_prefix("gristmill-site-").expect("cannot create a temporary folder");
        let site = Self {
            folder,
            binary: binary.into(),
            variables: Vec::new(),
        };
        fs::create_dir(site.incoming()).expect("the new folder can be written");
        site.write_settings(settings);
        site
    }

    /// Returns the site's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder that files are submitted to.
    pub fn incoming(&self) -> PathBuf {
        self.folder().join("incoming")
    }

    /// Replaces the settings file.
    pub fn write_settings(&self, settings: &str) {
        fs::write(self.folder().join("gristmill.toml"), settings).expect("the settings file can be written");
    }

    /// Sets an environment variable for all later commands, such as `FAILPOINTS`.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.clear_variable(name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Removes a variable that was set with [`set_variable`](Self::set_variable).
    pub fn clear_variable(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// Submits a file as careful stores do: written under a hidden name, then renamed. `name` may contain folders.
    pub fn submit(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.incoming().join(name);
        let folder = path.parent().expect("a submitted file has a folder");
        fs::create_dir_all(folder).expect("the incoming folder can be written");
        let part = tempfile::Builder::new()
            .prefix(".")
            .suffix(".part")
            .tempfile_in(folder)
            .expect("a part can be made");
        fs::write(&part, bytes).expect("the part can be written");
        part.persist(&path)
            .unwrap_or_else(|error| panic!("cannot submit {}: {error}", path.display()));
        path
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it takes more than two minutes; the message contains its output.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
        self.start(arguments).wait()
    }

    /// Runs a command to its end and returns its standard output; panics unless the exit status is 0.
    pub fn run_ok(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let background = self.start(arguments);
        let what = background.what.clone();
        let finished = background.wait();
        assert!(finished.status.success(), "{what} failed: {finished}");
        finished.stdout
    }

    /// Starts a command in the background.
    pub fn start(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Background {
        // Output goes to files: a full pipe would block the command, and tests read the output while it runs.
        let output = TempDir::with_prefix("gristmill-output-").expect("a temporary folder can be made");
        let create = |name| File::create(output.path().join(name)).expect("the new folder can be written");
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(self.folder())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(create("stdout"))
            .stderr(create("stderr"));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}; is it built?", self.binary.display()));
        let what = command.get_args().fold("gristmill".to_owned(), |all, one| {
            format!("{all} {}", one.display())
        });
        Background { child, what, output }
    }
}

impl Background {
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.written("stdout")
    }

    /// Returns what it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.written("stderr")
    }

    /// Returns whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("cannot query the command's state")
            .is_none()
    }

    /// Asks it to stop, as a service manager does (SIGTERM), and waits until it ends.
    pub fn terminate(self) -> Finished {
        self.signal("TERM");
        self.wait()
    }

    /// Kills it (SIGKILL), and waits until it ends.
    pub fn kill(mut self) -> Finished {
        self.child
            .kill()
            .unwrap_or_else(|error| panic!("cannot kill {}: {error}", self.what));
        self.wait()
    }

    /// Sends it a signal by name: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot send {name} to {}",
            self.what
        );
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// If that takes more than two minutes; the process is killed, and the message contains its output.
    pub fn wait(mut self) -> Finished {
        if !patiently(|| !self.is_running()) {
            panic!(
                "{} did not end within {PATIENCE:?}\n{}{}",
                self.what,
                self.stdout(),
                self.stderr()
            );
        }
        let status = self.child.wait().expect("an ended child has a status");
        Finished {
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn written(&self, name: &str) -> String {
        let bytes = fs::read(self.output.path().join(name)).expect("the command's output can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It has already ended, or a test gave up on it: either way there is nobody to report an error to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n-- stdout\n{}\n-- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

/// Waits until `condition` holds, and checks it every few milliseconds.
///
/// # Panics
/// If it does not hold within two minutes; `what` completes the message "waited in vain until …".
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(patiently(condition), "waited {PATIENCE:?} in vain until {what}");
}

fn patiently(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests;
