//! What ends a test's servers, however the test ends.
//!
//! A small shell process, the keeper, waits at the end of a pipe whose other end only this process holds. When that
//! closes, be it through `Drop`, a panic, an exit or a kill, the keeper stops the server and removes its folder.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits for its input to close, then stops the server whose process id is the first line of file `$2`, and removes
/// folder `$1` and what else is named. The process id is trusted only if that process works in folder `$3`: the number may
/// have gone to another.
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
    /// Keeps the server that writes its process id into a file, works in `work`, and has all it leaves in `folder` and
    /// `leftovers`.
    pub(crate) fn of(folder: &Path, pid_file: &Path, work: &Path, leftovers: &[PathBuf]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]);
        command
            .args([folder, pid_file, work])
            .args(leftovers)
            .current_dir("/")
            .process_group(0);
        // Without its own output the keeper would hold the test's open, and a pipe behind the test would wait for it.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("cannot run sh"))
    }

    /// Has the server stopped. Where it is a child of this process, it has to be waited for besides.
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

/// A port that nobody listens on. Somebody else may take it before it is used.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no port is free");
    listener.local_addr().expect("a listener has an address").port()
}
