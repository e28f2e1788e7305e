//! Creates the target and the ledger where they are absent, and checks a target that is there.

use super::{Backend, PREPARE, Purpose, Relation, Session, Step};
use crate::LoadError;

/// As [`Warehouse::prepare`](crate::Warehouse::prepare).
pub(super) async fn prepare<B: Backend>(backend: &B) -> Result<(), LoadError> {
    let target = backend.target();
    let mut session = backend.open(Purpose::Prepare).await?;
    session.create_ledger().await?;
    match session.kind(&target.table).await? {
        None => {
            // Someone may have dropped a table of this name: the records about its rows are no longer true. They go first:
            // where CREATE TABLE commits by itself, a crash then leaves no new target with old loads.
            session.run(Step::ForgetDays).await?;
            session.run(Step::ForgetLoads).await?;
            session.run(Step::CreateTarget).await?;
        }
        Some(Relation::Table) => session.check_target().await?,
        Some(other) => {
            let problems = match other {
                Relation::View => "it is a view, not a table; name the table behind it",
                _ => "it is not a table but a view or similar; name the table behind it",
            };
            return Err(LoadError::TargetMismatch {
                table: target.name(),
                problems: problems.into(),
            });
        }
    }
    session.commit(PREPARE).await
}
