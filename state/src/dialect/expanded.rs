//! Statements as a database reads them. Each is expanded once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use super::Dialect;
use super::notation::expand;

/// Statements as each dialect writes them.
type Expanded = HashMap<(Dialect, &'static str), Arc<str>>;

/// The statements that were asked for so far.
static EXPANDED: LazyLock<RwLock<Expanded>> = LazyLock::new(RwLock::default);

/// Returns a statement in the dialect of a database.
pub(super) fn expanded(statement: &'static str, dialect: Dialect) -> Arc<str> {
    let key = (dialect, statement);
    // What is kept is whole even if another holder of the lock panicked.
    let known = EXPANDED.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = known.get(&key) {
        return text.clone();
    }
    drop(known);
    let text: Arc<str> = expand(statement, dialect).into();
    let mut known = EXPANDED.write().unwrap_or_else(PoisonError::into_inner);
    known.entry(key).or_insert(text).clone()
}
