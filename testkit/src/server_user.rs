//! Who runs a private database server: this user, or `nobody` where this user is root, as whom such servers refuse to run.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Creates a folder that the user who runs the server can access.
pub(crate) fn folder(prefix: &str) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in("/tmp")
        .expect("cannot write in /tmp");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))
        .expect("cannot set the folder's permissions");
    if is_root() {
        let owner = |flag| {
            let output = Command::new("id")
                .args([flag, "nobody"])
                .output()
                .expect("cannot run id");
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse::<u32>()
                .expect("there is no user nobody")
        };
        std::os::unix::fs::chown(folder.path(), Some(owner("-u")), Some(owner("-g"))).expect("cannot chown");
    }
    // The keeper removes the folder.
    folder.keep()
}

/// Returns a command that runs a program of the server with a clean environment, and as `nobody` if this process is
/// root, because these servers refuse to run as root.
pub(crate) fn as_server_user(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let group = Command::new("id")
            .args(["-gn", "nobody"])
            .output()
            .expect("cannot run id");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--clear-groups", "--inh-caps=-all"]);
        command
            .arg(format!(
                "--regid={}",
                String::from_utf8_lossy(&group.stdout).trim()
            ))
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/");
    command
}

/// Writes a file that only the user who runs the server can read.
pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("cannot write the server's file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("cannot set the file's permissions");
    let folder = path.parent().expect("a file is in a folder");
    let owner = fs::metadata(folder).expect("cannot read the folder's owner");
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).expect("cannot chown");
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
