//! Stops a test's servers, however the test ends.
//!
//! A small shell process, the keeper, reads from a pipe whose other end only this process holds. When that end closes,
//! whether through `Drop`, a panic, an exit or a kill, the keeper stops the server and removes its folder.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits for its input to close, then stops the server whose process id is the first line of file `$2`, and removes
/// folder `$1` and the paths in the remaining arguments. The process id is trusted only if that process has `$3` as
/// its working folder: the system may have given the number to another process.
const KEEPER: &str = r#"
folder=$1 pid_file=$2 work=$3
shift 3
cat > /dev/null
pid=$(head -n 1 "$pid_file" 2>/dev/null)
alive() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$work" ]; }
if alive; then kill -QUIT "$pid"; fi
for _ in $(seq 100); do alive || break; sleep 0.1; done
if alive; then kill -KILL "$pid"; fi
rm -rf "$folder" "$@"
"#;

/// The keeper of a server.
pub(crate) struct Keeper(Child);

impl Keeper {
    /// Starts the keeper of a server that has its process id in `pid_file` and its working folder in `work`, and that
    /// leaves files only in `folder` and `leftovers`.
    pub(crate) fn of(folder: &Path, pid_file: &Path, work: &Path, leftovers: &[PathBuf]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]);
        command
            .args([folder, pid_file, work])
            .args(leftovers)
            .current_dir("/")
            .process_group(0);
        // If the keeper inherited the test's output, it would keep it open, and a program that reads the test's output
        // from a pipe would wait for the keeper.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("cannot run sh"))
    }

    /// Makes the keeper stop the server. If the server is a child of this process, the caller must also wait for it.
    pub(crate) fn stop(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
        let _ = self.0.wait();
    }
}

/// Returns a port that nobody listens on. Another process may take it before it is used.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no port is free");
    listener.local_addr().expect("a listener has an address").port()
}
