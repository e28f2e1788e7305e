//! Prometheus' tool that checks alert rules, and tries them on recorded series.

use std::path::{Path, PathBuf};

/// Returns promtool: the one that `scripts/test` took from Debian's package, or else the one on the path.
///
/// # Panics
/// If there is none: `scripts/test --setup` gets it.
pub fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("testkit is in the workspace");
    let taken = root.join("target/test-prometheus/usr/bin/promtool");
    if taken.exists() {
        return taken;
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join("promtool"));
    found
        .into_iter()
        .find(|program| program.exists())
        .expect("there is no promtool: run `scripts/test --setup`, or install prometheus")
}
