//! Tells, by the causes of an error, whether it passes by itself.
//!
//! What the operating system or an object store reports is one of three: an outage, a matter for a person, or neither
//! for certain.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;
use tokio::task::JoinError;

/// What a retry may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// It succeeds once an outage has ended.
    Outage,
    /// It may succeed.
    Doubtful,
    /// Only a person can help.
    None,
}

/// Returns what a retry may bring, by the first cause that says so.
pub(super) fn hope(error: &anyhow::Error) -> Hope {
    let mut said = causes(error).filter_map(|cause| {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return of_system(error);
        }
        if let Some(error) = cause.downcast_ref::<object_store::Error>() {
            return of_store(error);
        }
        // A panic.
        cause.downcast_ref::<JoinError>().map(|_| Hope::None)
    });
    said.next().unwrap_or(Hope::Doubtful)
}

/// Returns whether an error says that there is no room to write.
pub(super) fn is_of_room(error: &anyhow::Error) -> bool {
    causes(error).any(|cause| {
        let error = cause.downcast_ref::<io::Error>();
        error.is_some_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
            )
        })
    })
}

/// An error and its causes. An I/O error that wraps another one would skip it.
fn causes(error: &anyhow::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error.as_ref()), cause_of)
}

fn cause_of<'e>(error: &&'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let error = *error;
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn of_system(error: &io::Error) -> Option<Hope> {
    use ErrorKind as Kind;
    /// Those that the standard library gives no kind: an I/O error, and too many open files.
    const OUTAGES: [Errno; 3] = [Errno::IO, Errno::MFILE, Errno::NFILE];
    if Errno::from_io_error(error).is_some_and(|errno| OUTAGES.contains(&errno)) {
        return Some(Hope::Outage);
    }
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge | Kind::ReadOnlyFilesystem => {
            Some(Hope::Outage)
        }
        Kind::StaleNetworkFileHandle | Kind::TimedOut | Kind::OutOfMemory | Kind::ResourceBusy => {
            Some(Hope::Outage)
        }
        Kind::ConnectionRefused | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::NotConnected => {
            Some(Hope::Outage)
        }
        Kind::NetworkDown | Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::BrokenPipe => {
            Some(Hope::Outage)
        }
        Kind::Interrupted | Kind::WouldBlock => Some(Hope::Outage),
        Kind::PermissionDenied | Kind::NotADirectory | Kind::IsADirectory | Kind::AlreadyExists => {
            Some(Hope::None)
        }
        Kind::InvalidFilename | Kind::DirectoryNotEmpty => Some(Hope::None),
        _ => None,
    }
}

fn of_store(error: &object_store::Error) -> Option<Hope> {
    use object_store::Error as Store;
    match error {
        // Its source may say more: this is also how a local folder's errors come.
        Store::Generic { source, .. } => {
            let source: &(dyn Error + 'static) = &**source;
            let mut causes = std::iter::successors(Some(source), cause_of);
            let of_system = causes.find_map(|cause| of_system(cause.downcast_ref()?));
            // The server did not answer, asked for fewer requests, or failed, for longer than the usual retries.
            Some(of_system.unwrap_or(Hope::Outage))
        }
        Store::PermissionDenied { .. }
        | Store::Unauthenticated { .. }
        | Store::InvalidPath { .. }
        | Store::NotSupported { .. }
        | Store::UnknownConfigurationKey { .. } => Some(Hope::None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn of_number(number: i32) -> Hope {
        let error = Err::<(), _>(io::Error::from_raw_os_error(number));
        hope(&error.context("cannot write a/b").unwrap_err())
    }

    #[test]
    fn a_full_disk_passes_and_a_missing_right_does_not() {
        // EIO, EMFILE, ENOSPC, EDQUOT, EFBIG, EROFS, ESTALE, ETIMEDOUT, ECONNREFUSED.
        for number in [5, 24, 28, 122, 27, 30, 116, 110, 111] {
            assert_eq!(of_number(number), Hope::Outage, "{number}");
        }
        // EPERM, EACCES, ENOTDIR, EISDIR, EEXIST, ENAMETOOLONG.
        for number in [1, 13, 20, 21, 17, 36] {
            assert_eq!(of_number(number), Hope::None, "{number}");
        }
        assert_eq!(of_number(2), Hope::Doubtful);
        assert_eq!(hope(&anyhow::anyhow!("odd")), Hope::Doubtful);
    }

    #[test]
    fn a_wrapped_cause_counts() {
        let wrapped = io::Error::other(io::Error::from_raw_os_error(28));
        let error = anyhow::Error::new(wrapped).context("cannot write");
        assert_eq!(hope(&error), Hope::Outage);
        assert!(is_of_room(&error) && !is_of_room(&anyhow::anyhow!("odd")));
        let source = Box::new(io::Error::from_raw_os_error(13));
        let of_folder = object_store::Error::Generic {
            store: "folder",
            source,
        };
        assert_eq!(hope(&of_folder.into()), Hope::None);
    }
}
