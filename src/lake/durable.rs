//! Syncs files and folders to disk, many at a time.
//!
//! Each `fsync` waits for the disk separately, which would be most of the cost of small files. A large group is synced
//! with the whole file system at once; a small group is synced file by file, in parallel.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use rayon::prelude::*;

/// From this many files on, the whole file system is synced. That may write data of other programs too, which for a few
/// files could be far more than their own.
const MANY: usize = 32;

/// Syncs the contents of these files to disk. `folder` is on the same file system.
pub(super) fn sync_files(folder: &Path, files: &[&Path]) -> io::Result<()> {
    if files.len() >= MANY && sync_file_system(folder)? {
        return Ok(());
    }
    files.par_iter().try_for_each(|file| sync(file))
}

/// Syncs the names of these files to disk, and those of the folders that contain them, up to `root`.
pub(super) fn sync_names(root: &Path, files: &[&Path]) -> io::Result<()> {
    if files.len() >= MANY && sync_file_system(root)? {
        return Ok(());
    }
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| {
            file.ancestors()
                .skip(1)
                .take_while(|folder| folder.starts_with(root))
        })
        .collect();
    folders.par_iter().try_for_each(|folder| sync(folder))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs a whole file system to disk. Returns `false` if the kernel cannot do so, or does not report errors.
#[cfg(target_os = "linux")]
fn sync_file_system(folder: &Path) -> io::Result<bool> {
    if !reports_errors() {
        return Ok(false);
    }
    rustix::fs::syncfs(File::open(folder)?)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Returns whether `syncfs` reports write errors, which it does since Linux 5.8.
#[cfg(target_os = "linux")]
fn reports_errors() -> bool {
    static REPORTS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        std::fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| is_since_5_8(&release))
    });
    *REPORTS
}

#[cfg(target_os = "linux")]
fn is_since_5_8(release: &str) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(5), Some(8))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_not_trusted_to_tell_of_errors() {
        assert!(is_since_5_8("5.8.0-generic") && is_since_5_8("6.1.0-13-amd64") && is_since_5_8("5.15.2"));
        assert!(!is_since_5_8("4.18.0-553.el8") && !is_since_5_8("5.7.19") && !is_since_5_8("unknown"));
    }
}
