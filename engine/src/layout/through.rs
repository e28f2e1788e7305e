//! The program that files go through before they are read. It is started elsewhere: this crate starts nothing.

use std::time::Duration;

use super::{FeedSpec, Problem};
use crate::span::parse_span;

/// A program that gets a file on its standard input, and writes what is to be read to its standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take for one file.
    pub limit: Duration,
}

impl Through {
    /// Checks the keys of a feed; `None` if its files go through nothing.
    pub(super) fn of(spec: &FeedSpec) -> Result<Option<Self>, Problem> {
        let limit = parse_span(&spec.through_limit).map_err(|problem| ("through_limit", problem))?;
        if limit.is_zero() {
            return Err(("through_limit", "must be more than nothing".into()));
        }
        let Some((program, arguments)) = spec.through.split_first() else {
            return Ok(None);
        };
        let has_nul = spec.through.iter().any(|part| part.contains('\0'));
        if program.is_empty() || has_nul {
            let problem =
                "must be a program and its arguments, such as [\"gpg\", \"--batch\", \"--decrypt\"]";
            return Err(("through", problem.into()));
        }
        Ok(Some(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            limit,
        }))
    }
}
