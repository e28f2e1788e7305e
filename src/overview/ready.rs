//! Whether files that arrive now are taken and loaded.

use gristmill_state::{StateDb, StateError, WaitKind};

/// Returns why a service is not ready; `None` if it is. `has_listed` says whether it has listed all sources.
pub(crate) async fn not_ready(state: &StateDb, has_listed: bool) -> Result<Option<String>, StateError> {
    if !has_listed {
        return Ok(Some("not every source has been listed so far".to_owned()));
    }
    let waiting = state.waiting().await?;
    let service = waiting.iter().find(|waits| waits.kind == WaitKind::Service);
    Ok(service.map(|waits| format!("{} is waited for: {}", waits.subject, waits.reason)))
}
