//! Compares the whole target with a summary, and mends what differs.

use super::load::{Staged, apply, stage_days, take_days};
use super::{Backend, Entries, Purpose, Session, Step, on_target};
use crate::{Load, LoadError, LoadMode, Verification};

/// As [`Warehouse::verify`](crate::Warehouse::verify).
pub(super) async fn verify<B: Backend>(
    backend: &B,
    load: &Load,
    mend: bool,
    listed: usize,
) -> Result<Verification, LoadError> {
    let purpose = if mend { Purpose::Mend } else { Purpose::Compare };
    let mut session = on_target(backend, purpose).await?;
    let found = compare(&mut session, backend.target().mode, load, (mend, listed)).await;
    // A load of the same run may be under way, and needs what it has staged.
    session.end(load, false).await;
    found
}

async fn compare<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
    (mend, listed): (bool, usize),
) -> Result<Verification, LoadError> {
    let mut found = newest(session, load).await?;
    if !found.is_overtaken(load.sequence) {
        let days = stage_days(session, mode, load).await?;
        let arrived = session.stage_rows(load, days.as_ref(), &|_| ()).await?;
        arrived.expect_whole(load)?;
        if session.lock().await? {
            found = newest(session, load).await?;
        }
    }
    if found.is_overtaken(load.sequence) {
        session.roll_back().await?;
        return Ok(found);
    }
    found.rows = load.rows;
    if mode != LoadMode::Reload {
        found.left_to_others = session.run(Step::LeaveDays(load)).await?;
    }
    if found.left_to_others > 0 {
        found.rows -= session.run(Step::LeaveRows).await?;
    }
    session
        .compare(&mut |difference| found.note(difference, listed))
        .await?;
    match mend {
        true => correct(session, mode, load, &mut found).await?,
        false => session.roll_back().await?,
    }
    Ok(found)
}

async fn newest<S: Session>(session: &mut S, load: &Load) -> Result<Verification, LoadError> {
    Ok(Verification {
        newest: session.ledger(Entries::Newest(&load.scope)).await?.pop(),
        ..Verification::default()
    })
}

/// Makes the target agree, and the ledger with it.
async fn correct<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
    found: &mut Verification,
) -> Result<(), LoadError> {
    let (counts, _) = apply(session, mode, load, &Staged::Whole(found.rows)).await?;
    found.mended = Some(counts);
    if found.left_to_others == 0 {
        take_days(session, mode, load).await?;
    }
    let newest = found.newest.as_ref();
    if newest.is_none_or(|newest| newest.run_id != load.run_id) {
        session.run(Step::Record(load)).await?;
    }
    fail::fail_point!("load-before-commit");
    session.commit("commit the repair of").await
}
