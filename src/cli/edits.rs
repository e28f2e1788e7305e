//! `gristmill jobs history`: who edited which job, when, and what it was before.

use std::process::ExitCode;

use super::context::Context;
use super::{JsonArg, SettingsArg, output};
use crate::overview::describe_edit;

/// Lists the edits of one job, or of all, newest first.
pub(super) async fn history(
    settings: &SettingsArg,
    job: Option<&str>,
    json: JsonArg,
) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(settings).await?;
    let edits = context.state.job_history(job).await?;
    // A job that is gone has a history all the same.
    if let Some(job) = job
        && edits.is_empty()
        && context.state.job(job).await?.is_none()
    {
        let job_id = job.to_owned();
        return Err(gristmill_state::StateError::UnknownJob { job_id }.into());
    }
    if json.json {
        output::json(&edits)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = edits.iter().map(|edit| {
        [
            output::moment(edit.at),
            edit.who.clone(),
            edit.job_id.clone(),
            describe_edit(edit),
        ]
    });
    output::table(["when", "who", "job", "what"], rows, "No edit so far.")?;
    Ok(ExitCode::SUCCESS)
}
