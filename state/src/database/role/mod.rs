//! Answers a SELECT that a person wrote on a server, as a role of its own.
//!
//! What may be read, and that nothing is written, rests on the rights of the role, which are looked at first, and on a
//! read-only transaction that is never committed.

mod mysql;
mod postgres;

use std::time::Duration;

use super::select::is_select;
use crate::answerer::{ReaderRole, RoleServer};
use crate::error::{CriterionError, QueryError};
use crate::query::Answer;

/// Where the rights of the role are described.
const DOCS: &str = "docs/configuration.md#a-role-for-criteria-and-questions";

/// Why there is no answer.
enum Unanswered {
    /// The statement begins with this word.
    NotSelect(String),
    /// It took longer than this.
    TimedOut(Duration),
    /// Something was refused, or failed.
    Failed(String),
}

/// Returns that the role cannot be used.
fn cannot(role: &ReaderRole, reason: &str) -> Unanswered {
    let shown = role.shown();
    Unanswered::Failed(format!(
        "cannot ask as the role of state.criteria_url ({shown}): {reason}"
    ))
}

/// Returns whether a SELECT yields at least one row.
pub(super) async fn criterion(role: &ReaderRole, sql: &str, limit: Duration) -> Result<bool, CriterionError> {
    is_select(sql).map_err(Unanswered::NotSelect)?;
    Ok(match role.server().map_err(|reason| cannot(role, &reason))? {
        RoleServer::Postgres(server) => postgres::criterion(role, &server, sql, limit).await?,
        RoleServer::MySql(server) => mysql::criterion(role, &server, sql, limit).await?,
    })
}

/// Answers a SELECT.
pub(super) async fn query(role: &ReaderRole, sql: &str, limit: Duration) -> Result<Answer, QueryError> {
    is_select(sql).map_err(Unanswered::NotSelect)?;
    Ok(match role.server().map_err(|reason| cannot(role, &reason))? {
        RoleServer::Postgres(server) => postgres::query(role, &server, sql, limit).await?,
        RoleServer::MySql(server) => mysql::query(role, &server, sql, limit).await?,
    })
}

impl From<Unanswered> for CriterionError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSelect(found) => Self::NotSelect { found },
            Unanswered::TimedOut(limit) => Self::TimedOut { limit },
            Unanswered::Failed(message) => Self::Failed { message },
        }
    }
}

impl From<Unanswered> for QueryError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSelect(found) => Self::NotSelect { found },
            Unanswered::TimedOut(limit) => Self::TimedOut { limit },
            Unanswered::Failed(message) => Self::Failed { message },
        }
    }
}
