//! The hidden command that answers `job_addl_criteria` in a process of its own.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::aside::{LIMIT, asked};

/// Answer a job_addl_criteria, which is read from standard input, with JSON
#[derive(Debug, Args)]
pub(super) struct CriterionArgs {}

pub(super) async fn run(_: CriterionArgs) -> anyhow::Result<ExitCode> {
    let asked = asked()?;
    output::json(&gristmill_state::criterion(&asked.answerer, &asked.sql, LIMIT).await)?;
    Ok(ExitCode::SUCCESS)
}
