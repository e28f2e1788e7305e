//! What can go wrong with a folder. These become the text of [`Event::Trouble`](crate::Event::Trouble): the watcher
//! never gives up, so nothing is returned to the caller.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot list {}: {source}. Check that it exists and that this user may read and enter it", folder.display())]
    List { folder: PathBuf, source: io::Error },

    #[error(
        "cannot watch {}: this user's inotify watches are used up. Raise the limit, for example \
         `sysctl fs.inotify.max_user_watches=1048576`; until then some files are found only by the periodic listing",
        folder.display()
    )]
    WatchLimit { folder: PathBuf },

    #[error(
        "cannot start watching: {source}. If too many files are open, raise fs.inotify.max_user_instances or the limit of \
         open files; until then files are found only by the periodic listing"
    )]
    Start { source: notify::Error },

    #[error(
        "cannot watch {}: {source}. Until this ends, some files are found only by the periodic listing",
        folder.display()
    )]
    Watch { folder: PathBuf, source: notify::Error },
}

impl Error {
    /// The error of `notify::Watcher::watch`, or nothing if the folder is merely gone: then there is nothing to watch.
    pub(crate) fn of_watch(folder: PathBuf, source: notify::Error) -> Option<Self> {
        match source.kind {
            notify::ErrorKind::PathNotFound => None,
            notify::ErrorKind::Io(ref error) if error.kind() == io::ErrorKind::NotFound => None,
            notify::ErrorKind::MaxFilesWatch => Some(Self::WatchLimit { folder }),
            _ => Some(Self::Watch { folder, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::ErrorKind;

    use super::*;

    fn text(kind: ErrorKind) -> Option<String> {
        Error::of_watch(PathBuf::from("/in"), notify::Error::new(kind)).map(|error| error.to_string())
    }

    #[test]
    fn used_up_watches_name_the_setting_to_raise() {
        let text = text(ErrorKind::MaxFilesWatch).unwrap();
        assert!(
            text.contains("cannot watch /in") && text.contains("fs.inotify.max_user_watches"),
            "{text}"
        );
    }

    #[test]
    fn a_folder_that_is_gone_needs_no_watch() {
        assert_eq!(text(ErrorKind::PathNotFound), None);
        assert_eq!(text(ErrorKind::Io(io::ErrorKind::NotFound.into())), None);
        assert!(
            text(ErrorKind::Io(io::ErrorKind::PermissionDenied.into()))
                .unwrap()
                .contains("cannot watch /in")
        );
    }
}
