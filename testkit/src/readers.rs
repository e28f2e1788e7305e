//! Other programs that read our Parquet files, as oracles: DuckDB and Polars.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::venv;

/// The rows of an answer, each cell as text: amounts as `-12.50`, days as `2026-03-01`, none for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// A program that reads Parquet and answers SQL.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// DuckDB.
    DuckDb,
    /// Polars.
    Polars,
}

impl Reader {
    /// Answers SQL statements, one after the other in the same session.
    ///
    /// # Panics
    /// If the reader does not answer one of them; its own message is on standard error.
    pub fn query(self, statements: &[String]) -> Vec<Rows> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("query.py");
        let reader = match self {
            Self::DuckDb => "duckdb",
            Self::Polars => "polars",
        };
        let mut child = Command::new(venv::python())
            .arg(&script)
            .arg(reader)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {self:?}: {error}; `scripts/test --setup` installs it")
            });
        // The script reads all of its input before it writes: neither side can block the other.
        let mut input = child.stdin.take().expect("its input is piped");
        let statements = serde_json::to_vec(statements).expect("texts are JSON");
        input
            .write_all(&statements)
            .unwrap_or_else(|error| panic!("{self:?} does not read its input: {error}"));
        drop(input);
        let output = child
            .wait_with_output()
            .unwrap_or_else(|error| panic!("cannot wait for {self:?}: {error}"));
        assert!(
            output.status.success(),
            "{self:?} failed ({}): its own message is above",
            output.status
        );
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("cannot read the answer of {self:?}: {error}"))
    }
}
