//! What can go wrong with a folder or a bucket. These become the text of [`Event::Trouble`](crate::Event::Trouble): the
//! watcher never gives up, so nothing is returned to the caller.

use std::io;
use std::path::PathBuf;

/// An error with all that led to it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors repeat their cause.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "cannot list {}: {source}. Check that it exists and that this user may read and enter it",
        folder.display()
    )]
    List { folder: PathBuf, source: io::Error },

    #[error(
        "cannot list {url}: {}. Until this ends, no new file is found by listing",
        causes(source)
    )]
    ListBucket {
        url: String,
        source: object_store::Error,
    },

    #[error("cannot ask for {url}: {}. It is asked for again", causes(source))]
    Look {
        url: String,
        source: object_store::Error,
    },

    #[error(
        "cannot watch every folder of {}: this user's inotify watches are used up. Raise the limit, for example \
         with `sysctl fs.inotify.max_user_watches=1048576`; until then some files are found only by the listing",
        root.display()
    )]
    WatchLimit { root: PathBuf },

    #[error(
        "cannot start to watch {}: {source}. If too many files are open, raise fs.inotify.max_user_instances \
         or the limit of open files; until then files are found only by the listing",
        root.display()
    )]
    Start { root: PathBuf, source: notify::Error },

    #[error(
        "cannot watch every folder of {}: {source}. Until this ends, some files are found only by the listing",
        root.display()
    )]
    Watch { root: PathBuf, source: notify::Error },
}

impl Error {
    /// Why a folder below `root` is not watched; nothing if it is gone or closed, which the listing will find
    /// and tell.
    ///
    /// The folder is not named: which one is the first to fail differs from listing to listing, the trouble
    /// does not.
    pub(crate) fn of_watch(root: PathBuf, mut source: notify::Error) -> Option<Self> {
        source.paths.clear();
        match &source.kind {
            notify::ErrorKind::PathNotFound => None,
            notify::ErrorKind::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                None
            }
            notify::ErrorKind::MaxFilesWatch => Some(Self::WatchLimit { root }),
            _ => Some(Self::Watch { root, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::ErrorKind;

    use super::*;

    fn text(kind: ErrorKind) -> Option<String> {
        let error = notify::Error::new(kind).add_path(PathBuf::from("/in/d"));
        Error::of_watch(PathBuf::from("/in"), error).map(|error| error.to_string())
    }

    #[test]
    fn used_up_watches_name_the_setting_to_raise() {
        let text = text(ErrorKind::MaxFilesWatch).unwrap();
        assert!(
            text.contains("cannot watch every folder of /in") && text.contains("fs.inotify.max_user_watches"),
            "{text}"
        );
    }

    #[test]
    fn a_folder_that_is_gone_or_closed_is_left_to_the_listing() {
        assert_eq!(text(ErrorKind::PathNotFound), None);
        assert_eq!(text(ErrorKind::Io(io::ErrorKind::NotFound.into())), None);
        assert_eq!(text(ErrorKind::Io(io::ErrorKind::PermissionDenied.into())), None);
        assert!(
            text(ErrorKind::Io(io::ErrorKind::OutOfMemory.into()))
                .unwrap()
                .contains("every folder of /in: ")
        );
    }
}
