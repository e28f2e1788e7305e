//! What a feed with `reference = true` must have, and what has no meaning there.

use super::{FeedSpec, FormatWord, Problem};
use crate::header::ColumnName;
use crate::values::ValuesSpec;

/// The columns of a reference feed.
#[derive(Clone, Debug)]
pub struct ReferenceLayout {
    /// Their names, in order.
    pub columns: Vec<String>,
    /// The same, as a header must name them.
    pub(crate) names: Vec<ColumnName>,
}

impl ReferenceLayout {
    pub(super) fn new(spec: &FeedSpec) -> Result<Self, Problem> {
        let no_meaning = |key| {
            (
                key,
                "has no meaning with reference = true: leave it out".to_owned(),
            )
        };
        if !spec.measures.is_empty() {
            return Err(no_meaning("measures"));
        }
        if !spec.fields.is_empty() {
            return Err(no_meaning("fields"));
        }
        if spec.values != ValuesSpec::default() {
            return Err(no_meaning("values"));
        }
        if spec.records.kind.is_some() {
            return Err(no_meaning("records.kind"));
        }
        if spec.records.trailer.is_some() {
            return Err(no_meaning("records.trailer"));
        }
        if spec.format != FormatWord::Delimited {
            let problem = "must be \"delimited\" with reference = true";
            return Err(("format", problem.into()));
        }
        if spec.columns.is_empty() {
            return Err(("columns", "is empty: name the columns in order".into()));
        }
        Ok(Self {
            columns: spec.columns.clone(),
            names: spec.columns.iter().map(ColumnName::own).collect(),
        })
    }
}
