//! The warehouse's URL: only commands that use the warehouse need it, and nothing shows its password.

use std::fmt;

/// The URL of the warehouse, or why it is not known: an environment variable in it is not set.
#[derive(Clone)]
pub struct WarehouseUrl(Result<String, String>);

impl WarehouseUrl {
    pub(super) fn new(url: Result<String, String>) -> Self {
        Self(url)
    }

    /// Returns the URL, or what to do about a variable that is not set.
    pub fn get(&self) -> Result<&str, &str> {
        self.0.as_deref().map_err(String::as_str)
    }

    /// Returns whether it is a file, which other hosts do not have.
    pub fn is_file(&self) -> bool {
        self.get().is_ok_and(|url| super::sqlite_path(url).is_some())
    }
}

impl fmt::Debug for WarehouseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Ok(url) => f.write_str(&gristmill_servers::url::redacted(url)),
            Err(problem) => f.write_str(problem),
        }
    }
}
