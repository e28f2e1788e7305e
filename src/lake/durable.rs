//! Forcing files and folders to disk, many at a time.
//!
//! Each `fsync` waits for the disk by itself: for a queue of small files that would be most of their cost. A large group
//! is forced to disk with the whole file system at once, a small one file by file, side by side.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use rayon::prelude::*;

/// From so many files on, the whole file system is forced to disk. It may have to write what other programs have left
/// there, which for a few files could be the larger part by far.
const MANY: usize = 32;

/// Forces what these files hold to disk. `folder` lies on the same file system.
pub(super) fn sync_files(folder: &Path, files: &[&Path]) -> io::Result<()> {
    if files.len() >= MANY && sync_file_system(folder)? {
        return Ok(());
    }
    files.par_iter().try_for_each(|file| sync(file))
}

/// Forces the names of these files to disk, and those of the folders that they lie in, up to `root`.
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

/// Forces a whole file system to disk, where the kernel can and tells what went wrong; `false` elsewhere.
#[cfg(target_os = "linux")]
fn sync_file_system(folder: &Path) -> io::Result<bool> {
    if !tells_of_errors() {
        return Ok(false);
    }
    rustix::fs::syncfs(File::open(folder)?)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Whether `syncfs` tells of what could not be written: since Linux 5.8.
#[cfg(target_os = "linux")]
fn tells_of_errors() -> bool {
    static TELLS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        std::fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| is_since_5_8(&release))
    });
    *TELLS
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
