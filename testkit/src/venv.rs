//! The private Pythons of the tests: that with the packages of `testkit/requirements.txt`, and that with Spark.

use std::fs;
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
    let program = target().join("test-venv/bin").join(name);
    assert!(
        program.exists(),
        "the tests' Python has no {}: run `scripts/test --setup`",
        program.display()
    );
    program
}

/// Returns the folder of Spark in `target/bench-venv-spark`, which the benchmarks have, too.
///
/// # Panics
/// If it does not exist: `GRISTMILL_CLUSTERS=all scripts/test --setup` creates it.
pub fn spark_home() -> PathBuf {
    let libraries = target().join("bench-venv-spark/lib");
    let pythons = fs::read_dir(&libraries).into_iter().flatten().flatten();
    let mut homes = pythons.map(|python| python.path().join("site-packages/pyspark"));
    homes.find(|home| home.is_dir()).unwrap_or_else(|| {
        panic!(
            "there is no Spark below {}: run `GRISTMILL_CLUSTERS=all scripts/test --setup`",
            libraries.display()
        )
    })
}

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("testkit is in the workspace").join("target")
}
