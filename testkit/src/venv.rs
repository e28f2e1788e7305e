//! The private Python of the tests, with the packages of `testkit/requirements.txt`.

use std::path::{Path, PathBuf};

/// Returns the Python of `target/test-venv`.
///
/// # Panics
/// If it does not exist: `scripts/test --setup` creates it.
pub fn python() -> PathBuf {
    program("python")
}

/// Returns a program of `target/test-venv`.
///
/// # Panics
/// If it does not exist: `scripts/test --setup` creates it.
pub fn program(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("testkit is in the workspace");
    let program = root.join("target/test-venv/bin").join(name);
    assert!(
        program.exists(),
        "the tests' Python has no {}: run `scripts/test --setup`",
        program.display()
    );
    program
}
