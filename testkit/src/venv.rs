//! The private Python of the tests, with the packages of `testkit/requirements.txt`.

use std::path::{Path, PathBuf};

/// Returns the Python of `target/test-venv`.
///
/// # Panics
/// When it is not there: `scripts/test --setup` makes it.
pub fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("testkit lies in the workspace");
    let python = root.join("target/test-venv/bin/python");
    assert!(
        python.exists(),
        "the tests' Python is not at {}: run `scripts/test --setup`",
        python.display()
    );
    python
}
