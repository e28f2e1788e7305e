//! One load: all of it or nothing, and once, however often it is tried.

use std::sync::Arc;

use super::{Backend, Entries, Progress, Purpose, Session, Step};
use crate::days::Days;
use crate::delta::{self, Delta, Fault, Tally};
use crate::{Base, Load, LoadCounts, LoadError, LoadMode, LoadOutcome};

/// As [`Warehouse::load`](crate::Warehouse::load).
pub(super) async fn load<B: Backend>(
    backend: &B,
    load: &Load,
    progress: Progress<'_>,
) -> Result<LoadOutcome, LoadError> {
    let mode = backend.target().mode;
    // A reload replaces all rows, so it compares all rows.
    let base = load.base.as_ref().filter(|_| mode != LoadMode::Reload);
    // The files are compared while the session is opened and the ledger is read.
    let mut difference = match base {
        Some(base) => Some((base, delta::begin(load, base, backend.measures(), mode).await)),
        None => None,
    };
    // A try that has no outcome is followed by one in full. That has one, unless another session has loaded the run or a
    // newer one meanwhile, and then the next try finds it in the ledger.
    loop {
        let mut session = backend.open(Purpose::Load).await?;
        let done = attempt(&mut session, mode, load, difference.take(), progress).await;
        session.end(load, matches!(done, Ok(Some(_)))).await;
        if let Some(outcome) = done? {
            return Ok(outcome);
        }
    }
}

/// A base, and how the load differs from it.
type OnBase<'l> = (&'l Base, Result<Delta, Fault>);

/// Makes one attempt. `None`: what was to be staged cannot be, or does not fit, and nothing was done.
async fn attempt<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
    difference: Option<OnBase<'_>>,
    progress: Progress<'_>,
) -> Result<Option<LoadOutcome>, LoadError> {
    if let Some(outcome) = settled(session, load).await? {
        return Ok(Some(outcome));
    }
    let mut standing = None;
    if let Some((base, delta)) = difference
        && session.stands(load, base).await?
    {
        standing = Some((base, delta));
    }
    let base = standing.as_ref().map(|(base, _)| *base);
    let staged = match standing {
        Some((_, delta)) => stage_changes(session, load, delta).await,
        None => stage_whole(session, mode, load, progress).await.map(Some),
    };
    let staged = match staged {
        Ok(staged) => staged,
        Err(Fault::Load(error)) => return Err(error),
        Err(Fault::Base(error)) => {
            tracing::warn!("cannot use the summary loaded last, comparing in full: {error}");
            None
        }
        Err(Fault::Overtaken(error)) => {
            tracing::debug!(
                "another session has loaded this run or a newer one, so rows cannot be staged: {error}"
            );
            None
        }
    };
    let Some(staged) = staged else {
        session.roll_back().await?;
        return Ok(None);
    };
    if session.lock().await? {
        let settled = settled(session, load).await?;
        let is_unusable = match base {
            Some(base) if settled.is_none() => !session.stands(load, base).await?,
            _ => false,
        };
        if settled.is_some() || is_unusable {
            session.roll_back().await?;
            return Ok(settled);
        }
    }
    let (counts, fits) = apply(session, mode, load, &staged).await?;
    if let Some(base) = base
        && !fits
    {
        tracing::warn!(
            run_id = load.run_id,
            base = base.run_id,
            "the warehouse no longer holds what was loaded last, because something else changed it; comparing in full"
        );
        session.roll_back().await?;
        return Ok(None);
    }
    progress(load.rows);
    take_days(session, mode, load).await?;
    session.run(Step::Record(load)).await?;
    load.until_safe().await?;
    fail::fail_point!("load-before-commit");
    session.commit("commit the load into").await?;
    fail::fail_point!("load-after-commit");
    tracing::debug!(
        run_id = load.run_id,
        target = session.name(),
        base = base.map(|base| base.run_id.as_str()),
        ?counts,
        "loaded a summary"
    );
    Ok(Some(LoadOutcome::Loaded(counts)))
}

/// The outcome, if the ledger already has this run or a newer one.
async fn settled<S: Session>(session: &mut S, load: &Load) -> Result<Option<LoadOutcome>, LoadError> {
    if let Some(entry) = session.ledger(Entries::OfRun(&load.run_id)).await?.pop() {
        return Ok(Some(LoadOutcome::AlreadyLoaded(entry)));
    }
    let mut newer = session.ledger(Entries::After(&load.scope, load.sequence)).await?;
    Ok(newer.pop().map(|by| LoadOutcome::Superseded { by }))
}

/// What was staged.
pub(super) enum Staged {
    /// Nothing: the rows are in the target already, which had none to compare with.
    Filled,
    /// The whole summary, or what is left of it: so many rows.
    Whole(u64),
    /// What differs from the base, with the totals. `has_days`: on the staged days the base has no rows, so what the
    /// target holds there has to be compared.
    Changes { tally: Tally, has_days: bool },
}

/// Stages the whole summary, or fills the target with it.
async fn stage_whole<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
    progress: Progress<'_>,
) -> Result<Staged, Fault> {
    let days = stage_days(session, mode, load).await?;
    if let Some(arrived) = session.fill(load, days.as_ref(), progress).await? {
        arrived.expect_whole(load)?;
        return Ok(Staged::Filled);
    }
    let arrived = session.stage_rows(load, days.as_ref(), progress).await?;
    arrived.expect_whole(load)?;
    Ok(Staged::Whole(arrived.rows))
}

/// Stages all days of the coverage. A reload covers every day, and reads no coverage.
pub(super) async fn stage_days<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
) -> Result<Option<Arc<Days>>, LoadError> {
    let days = match mode {
        LoadMode::Reload => None,
        LoadMode::ReplaceDays | LoadMode::Upsert => Some(Arc::new(Days::read(&load.coverage).await?)),
    };
    session.stage_days(load, days.as_deref()).await?;
    Ok(days)
}

/// Stages what differs from the base. `None`: the walk over both summaries died.
async fn stage_changes<S: Session>(
    session: &mut S,
    load: &Load,
    difference: Result<Delta, Fault>,
) -> Result<Option<Staged>, Fault> {
    let mut delta = difference?;
    let has_days = !delta.added.is_empty();
    session.stage_days(load, Some(&delta.added)).await?;
    let staged = session.stage_changes(load, &mut delta.pieces, has_days).await?;
    let Some(tally) = staged else {
        return Ok(None);
    };
    load.expect_rows(tally.rows)?;
    load.expect_covered(tally.uncovered)?;
    Ok(Some(Staged::Changes { tally, has_days }))
}

/// Makes the target match what is staged, by key. Returns whether the changes were those that a target holding the base
/// needs.
pub(super) async fn apply<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
    staged: &Staged,
) -> Result<(LoadCounts, bool), LoadError> {
    match *staged {
        Staged::Filled => Ok((LoadCounts::of(load.rows, load.rows, load.rows, 0), true)),
        Staged::Whole(rows) => {
            let deleted = session.run(Step::DeleteSurplus).await?;
            let (inserted, written) = session.write(load, rows).await?;
            Ok((LoadCounts::of(rows, inserted, written, deleted), true))
        }
        Staged::Changes { tally, has_days } => {
            let removed = match tally.removed {
                0 => 0,
                _ => session.run(Step::DeleteRemoved).await?,
            };
            let surplus = match has_days {
                false => 0,
                true => session.run(Step::DeleteSurplus).await?,
            };
            let (inserted, written) = session.write(load, tally.inserted + tally.changed).await?;
            let exactly = !has_days && mode == LoadMode::ReplaceDays;
            let fits = tally.fits(exactly, inserted, written, removed);
            let counts = LoadCounts::of(load.rows, inserted, written, removed + surplus);
            Ok((counts, fits))
        }
    }
}

/// Records which days belong to the load's scope.
pub(super) async fn take_days<S: Session>(
    session: &mut S,
    mode: LoadMode,
    load: &Load,
) -> Result<(), LoadError> {
    let step = match mode {
        // All days belong to this scope now; the next load in another mode compares in full.
        LoadMode::Reload => Step::ForgetDays,
        LoadMode::ReplaceDays | LoadMode::Upsert => Step::TakeDays(load),
    };
    session.run(step).await.map(drop)
}
