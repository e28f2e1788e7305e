//! The live parts of pages as they were last rendered, to be sent to all browsers that show them.

use std::sync::Arc;

use axum::response::sse::Event;
use maud::Markup;
use serde_json::json;

use super::layout::digest;

/// A live part as rendered.
pub(super) struct LivePart {
    pub(super) id: &'static str,
    pub(super) digest: String,
    /// What brings it to a browser. It is made once for all of them.
    pub(super) event: Event,
}

impl LivePart {
    pub(super) fn new(id: &'static str, markup: Markup) -> Self {
        let digest = digest(&markup);
        let data = json!({ "id": id, "digest": digest, "html": markup.into_string() });
        Self {
            id,
            digest,
            event: Event::default().event("part").data(data.to_string()),
        }
    }
}

/// The live parts of an address at a revision.
pub(super) struct Rendered {
    pub(super) revision: u64,
    pub(super) parts: Arc<Vec<LivePart>>,
}
