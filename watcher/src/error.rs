//! What can go wrong with a folder or a bucket. These errors become the text of
//! [`Event::Trouble`](crate::Event::Trouble): the watcher never gives up, so it returns none to the caller.

use std::io;
use std::path::PathBuf;

/// The text of an error, followed by its causes.
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
        "the link {} leads out of the source and is not followed. If that is meant, set follow_links = true in \
         [source]; otherwise remove the link",
        link.display()
    )]
    LeadsOut { link: PathBuf },

    #[error(
        "cannot list {}: it is more than {depth} folders deep. Move its files up, or remove it",
        folder.display()
    )]
    TooDeep { folder: PathBuf, depth: usize },

    #[error(
        "cannot list {url}: {}. Until this is fixed, listings find no new files",
        causes(source)
    )]
    ListBucket {
        url: String,
        source: object_store::Error,
    },

    #[error("cannot look up {url}: {}. The watcher tries again", causes(source))]
    Look {
        url: String,
        source: object_store::Error,
    },

    #[error(
        "cannot watch every folder of {}: this user has no inotify watches left. Raise the limit, for example \
         with `sysctl fs.inotify.max_user_watches=1048576`; until then only the listing finds some of the files",
        root.display()
    )]
    WatchLimit { root: PathBuf },

    #[error(
        "cannot start watching {}: {source}. If too many files are open, raise fs.inotify.max_user_instances \
         or the limit of open files; until then only the listing finds files",
        root.display()
    )]
    Start { root: PathBuf, source: notify::Error },

    #[error(
        "cannot watch every folder of {}: {source}. Until this is fixed, only the listing finds some of the files",
        root.display()
    )]
    Watch { root: PathBuf, source: notify::Error },
}

impl Error {
    /// Returns why a folder below `root` is not watched. `None` if the folder is gone or may not be read: the listing
    /// finds and reports that.
    ///
    /// The text does not name the folder: which one fails first differs from listing to listing, but the
    /// problem is the same.
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
