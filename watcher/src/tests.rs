//! Real folders, real inotify.
