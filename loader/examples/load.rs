//! Loads one summary, as the last step of a run does, and prints the outcome: `load JOB.json`.
//!
//! For `benches/compare load`, which measures a load by itself, and for trying the crate on its own. The JSON names the
//! warehouse's `url`, the `table`, its `measures`, and the run: `run_id`, `scope`, `sequence`, `rows`, `summary` and
//! `coverage`. An optional `base` names the run before: `run_id`, `rows`, `summary` and `coverage`.

use std::error::Error;
use std::fs::File;
use std::io::Write;

use gristmill_loader::{Base, Credentials, Load, LoadMode, Target, open};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: load JOB.json")?;
    let job: Value = serde_json::from_reader(File::open(path)?)?;
    let measures = job["measures"].as_array().into_iter().flatten();
    let measures = measures
        .map(|name| text(name).map(String::from))
        .collect::<Result<_, _>>()?;
    let target = Target::new(text(&job["table"])?, measures, LoadMode::ReplaceDays)?;
    let warehouse = open(text(&job["url"])?, target, &Credentials::default())?;
    let base = match &job["base"] {
        Value::Null => None,
        base => Some(Base {
            run_id: text(&base["run_id"])?.into(),
            summary: text(&base["summary"])?.into(),
            coverage: text(&base["coverage"])?.into(),
            rows: number(&base["rows"])?,
        }),
    };
    let load = Load {
        run_id: text(&job["run_id"])?.into(),
        scope: text(&job["scope"])?.into(),
        sequence: number(&job["sequence"])?.try_into()?,
        summary: text(&job["summary"])?.into(),
        coverage: text(&job["coverage"])?.into(),
        rows: number(&job["rows"])?,
        digest: String::new(),
        base,
        is_safe: None,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        warehouse.prepare().await?;
        warehouse.load(&load, &|_| ()).await
    })?;
    writeln!(std::io::stdout(), "{outcome:?}")?;
    Ok(())
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{value} is not text"))
}

fn number(value: &Value) -> Result<u64, String> {
    value
        .as_u64()
        .ok_or_else(|| format!("{value} is not a whole number"))
}
