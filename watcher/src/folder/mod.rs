//! A local folder as the source: it is listed by blocking threads, inotify's notices are hints to look now, and files
//! have to settle before they are read.

mod folders;
mod listing;
mod notices;
mod open;
mod own;
mod settling;
#[cfg(test)]
mod tests;
mod watched;

pub use open::{OpenFileError, SourceFolder, open_named};
pub use own::OwnFiles;
pub(crate) use watched::WatchedFolder;
