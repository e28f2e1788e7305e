//! The hidden command that answers what somebody asks the views of the state database, in a process of its own.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::aside::{LIMIT, asked};

/// Answer a SELECT on the views, which is read from standard input, with JSON
#[derive(Debug, Args)]
pub(super) struct QueryArgs {}

pub(super) async fn run(_: QueryArgs) -> anyhow::Result<ExitCode> {
    let asked = asked()?;
    output::json(&gristmill_state::query(&asked.answerer, &asked.sql, LIMIT).await)?;
    Ok(ExitCode::SUCCESS)
}
