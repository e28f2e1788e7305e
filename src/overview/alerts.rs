//! What alerts have found.

use gristmill_state::{Firing, StateDb, StateError};

/// Returns what alerts have found and is not over, the oldest first.
pub(crate) async fn firing(state: &StateDb) -> Result<Vec<Firing>, StateError> {
    let mut firing = state.firing().await?;
    firing.retain(|firing| firing.resolved.is_none());
    Ok(firing)
}
