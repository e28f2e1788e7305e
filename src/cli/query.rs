//! The hidden command that answers what somebody asks the views of the state database, in a process of its own.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::aside::{LIMIT, end_in_time};

/// Answer a SELECT on the views, which is read from standard input, with JSON
#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// The state database's file
    state: PathBuf,
}

pub(super) async fn run(args: QueryArgs) -> anyhow::Result<ExitCode> {
    end_in_time();
    let mut sql = String::new();
    std::io::stdin().read_to_string(&mut sql)?;
    output::json(&gristmill_state::query(&args.state, &sql, LIMIT).await)?;
    Ok(ExitCode::SUCCESS)
}
