//! The queue of runs: which runs enter it, and who claims them.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::decode::{self, TextColumns, array, text, wave_text};
use super::sql::{jobs, ledger, runs as sql};
use super::whole::{About, whole};
use super::{StateDb, begin, days, others};
use crate::damage::Damage;
use crate::dialect::{Connection, DatabaseError, Result, query, query_as, query_scalar};
use crate::digest;
use crate::error::{During, StateError};
use crate::order::Age;
use crate::run::{
    Cause, ClaimedRun, DayOfOther, Enqueued, InputDays, InputFile, NewRun, RunInput, RunOutcome, RunRow,
    RunState,
};

/// No run waits longer than this for its next try.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// How far behind the last place the next one may be, in microseconds, where the time does not say. That is left to chance: a run
/// that a database which went back has forgotten shall not be followed by one with its name and other inputs.
const LONGEST_STEP: i64 = 10_000;

impl StateDb {
    /// Queues a run, unless one of the same job and wave is queued or running. A run that no person requested
    /// (preconditions, deadline) does not repeat work: see [`Enqueued::Unchanged`].
    pub async fn enqueue(&self, run: &NewRun) -> Result<Enqueued, StateError> {
        let (action, subject) = ("queue a run of job", run.job_id.as_str());
        // What nobody has asked for is decided again at the next start.
        let writer = match run.cause {
            Cause::Preconditions | Cause::Deadline => self.writer_unsynced().await,
            Cause::Manual | Cause::Retry | Cause::Replay => self.writer().await,
        };
        let mut writer = writer.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let known = query(jobs::ONE).bind(&run.job_id).fetch_optional(&mut *tx).await;
        if known.during(action, subject)?.is_none() {
            return Err(StateError::UnknownJob {
                job_id: run.job_id.clone(),
            });
        }
        let enqueued = enqueue(&mut tx, run, self.clock.now())
            .await
            .during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        tracing::debug!(job = run.job_id, ?enqueued, "requested a run");
        Ok(enqueued)
    }

    /// Queues a new run with the inputs of one that failed, unless one of the same job and wave is queued or running.
    /// Fails with [`StateError::Overtaken`] if a later one has completed: the old inputs would overwrite newer rows.
    pub async fn retry_run(&self, run_id: &str) -> Result<Enqueued, StateError> {
        let action = "retry";
        let mut writer = self.writer().await.during(action, run_id)?;
        let mut tx = begin(&mut writer).await.during(action, run_id)?;
        let failed = query(sql::ONE)
            .bind(run_id)
            .try_map(|row| decode::run_row(&row))
            .fetch_optional(&mut *tx)
            .await
            .during(action, run_id)?
            .ok_or_else(|| StateError::UnknownRun {
                run_id: run_id.to_owned(),
            })?;
        if failed.state != RunState::Failed {
            let (state, needed) = (failed.state, RunState::Failed);
            return Err(StateError::WrongState {
                action,
                run_id: failed.run_id,
                state,
                needed,
            });
        }
        let later = query_scalar(sql::COMPLETED_LATER)
            .bind(&failed.job_id)
            .bind(wave_text(failed.wave))
            .bind(failed.sequence)
            .fetch_optional(&mut *tx)
            .await;
        if let Some(later) = later.during(action, run_id)? {
            return Err(StateError::Overtaken {
                run_id: failed.run_id,
                later,
                job_id: failed.job_id,
                wave: failed.wave,
            });
        }
        let run = again(&mut tx, failed).await.during(action, run_id)?;
        let enqueued = enqueue(&mut tx, &run, self.clock.now())
            .await
            .during(action, run_id)?;
        tx.commit().await.during(action, run_id)?;
        Ok(enqueued)
    }

    /// Claims the oldest queued run, if there is one. No other caller gets it; this one must complete, fail or requeue
    /// it. The disk is not waited for: nothing of a run leaves this machine before its summary is recorded.
    pub async fn claim(&self, owner: &str) -> Result<Option<ClaimedRun>, StateError> {
        let (action, subject) = ("claim", "the next run");
        let mut writer = self.writer_unsynced().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let claimed = claim(&mut tx, owner, self.clock.now()).await;
        let (claimed, damages) = claimed.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        self.told.tell_of(&damages);
        Ok(claimed)
    }
}

async fn enqueue(tx: &mut Connection, run: &NewRun, now: Timestamp) -> Result<Enqueued> {
    let wave = wave_text(run.wave);
    let active = query_scalar(sql::ACTIVE)
        .bind(&run.job_id)
        .bind(&wave)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(active) = active {
        return Ok(Enqueued::Active(active));
    }
    let mut run = run.clone();
    others::leave_out(tx, &run.job_id, &mut run.inputs).await?;
    let run = &run;
    let ages = match run.order_matters {
        true => Some(ages(tx, &run.inputs).await?),
        false => None,
    };
    let inputs_digest = digest::of_inputs(&run.inputs, ages.as_deref());
    let done_by = match run.cause {
        Cause::Preconditions | Cause::Deadline => done_by(tx, run, &wave, &inputs_digest).await?,
        _ => None,
    };
    let run_id = add(tx, run, &wave, &inputs_digest, now).await?;
    let Some(done_by) = done_by else {
        add_inputs(tx, &run_id, run).await?;
        return Ok(Enqueued::Queued(run_id));
    };
    // The run counts as the wave's last, so the next one needs files that are newer than these.
    query(jobs::NOTE_BEGIN)
        .bind(&run.job_id)
        .bind(&run_id)
        .bind(text(now))
        .execute(&mut *tx)
        .await?;
    query(sql::COMPLETE_UNCHANGED)
        .bind(&run_id)
        .bind(text(now))
        .bind(done_by)
        .execute(&mut *tx)
        .await?;
    query(jobs::NOTE_END)
        .bind(&run_id)
        .bind(RunState::Completed.as_str())
        .execute(tx)
        .await?;
    Ok(Enqueued::Unchanged(run_id))
}

/// Returns the place of each input in the order of files.
pub(super) async fn ages(tx: &mut Connection, inputs: &[RunInput]) -> Result<Vec<Age>> {
    let numbers = inputs.iter().map(|input| json!(input.submission_id));
    let written: HashMap<i64, i64> = query_as(sql::AGES)
        .bind(array(numbers))
        .fetch_all(tx)
        .await?
        .into_iter()
        .collect();
    let age = |submission_id| {
        let written_ns = *written.get(&submission_id)?;
        Some(Age {
            written_ns,
            submission_id,
        })
    };
    let ages = inputs.iter().map(|input| age(input.submission_id));
    ages.collect::<Option<_>>().ok_or(DatabaseError::NoRow)
}

/// Returns the run that read exactly these inputs, if that was the wave's last finished run, or the one whose inputs that
/// had, and the result is in the warehouse.
async fn done_by(
    tx: &mut Connection,
    run: &NewRun,
    wave: &str,
    inputs_digest: &str,
) -> Result<Option<String>> {
    let last = query(sql::LAST_FINISHED)
        .bind(&run.job_id)
        .bind(wave)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(last) = last else { return Ok(None) };
    let is_same = last.get::<&str>("inputs_digest")? == inputs_digest;
    // A failed run has no outcome, and the result of a superseded one never reached the warehouse.
    let outcome = last.parsed_or_null("outcome")?;
    if !is_same || !matches!(outcome, Some(RunOutcome::Loaded | RunOutcome::Unchanged)) {
        return Ok(None);
    }
    let is_others: bool = query_scalar(ledger::IS_OTHERS)
        .bind(&run.job_id)
        .bind(wave)
        .fetch_one(tx)
        .await?;
    (!is_others).then(|| last.get("inputs_of")).transpose()
}

/// Adds a queued run, and names it after its job and sequence.
async fn add(
    tx: &mut Connection,
    run: &NewRun,
    wave: &str,
    inputs_digest: &str,
    now: Timestamp,
) -> Result<String> {
    let sequence: i64 = query_scalar(sql::NEXT_SEQUENCE)
        .bind(now.as_microsecond())
        .bind(fastrand::i64(1..=LONGEST_STEP))
        .fetch_one(&mut *tx)
        .await?;
    let moment =
        Timestamp::from_microsecond(sequence).map_err(|error| DatabaseError::column("sequence", error))?;
    let moment = moment
        .to_zoned(TimeZone::UTC)
        .strftime("%Y%m%dT%H%M%S.%6f")
        .to_string();
    let run_id = format!("{}-{moment}", run.job_id);
    query(sql::ADD)
        .bind(&run_id)
        .bind(&run.job_id)
        .bind(wave)
        .bind(sequence)
        .bind(run.cause.as_str())
        .bind(run.incomplete)
        .bind(run.completeness_percent)
        .bind(inputs_digest)
        .bind(run.as_of_submission)
        .bind(text(now))
        .execute(tx)
        .await?;
    Ok(run_id)
}

/// Adds what a run reads.
async fn add_inputs(tx: &mut Connection, run_id: &str, run: &NewRun) -> Result<()> {
    let inputs = run.inputs.iter().map(|input| {
        let others_count = i64::from(input.days.others_count);
        json!([input.file_id, input.version_id, input.submission_id, others_count])
    });
    query(sql::ADD_INPUTS)
        .bind(run_id)
        .bind(array(inputs))
        .execute(&mut *tx)
        .await?;
    days::add_input_days(tx, run_id, &run.inputs).await
}

/// Returns a new run with the inputs of a failed one.
async fn again(tx: &mut Connection, failed: RunRow) -> Result<NewRun> {
    let mut inputs: Vec<_> = query(sql::INPUTS)
        .bind(&failed.run_id)
        .try_map(|row| {
            Ok(RunInput {
                file_id: row.get("file_id")?,
                version_id: row.get("version_id")?,
                submission_id: row.get("submission_id")?,
                days: InputDays {
                    others_count: row.get("others_count")?,
                    named: Vec::new(),
                },
            })
        })
        .fetch_all(&mut *tx)
        .await?;
    let named = days::input_days(tx, &failed.run_id).await?;
    for input in &mut inputs {
        input.days.named = named.get(&input.version_id).cloned().unwrap_or_default();
    }
    Ok(NewRun {
        job_id: failed.job_id,
        wave: failed.wave,
        // A retried replay is still a replay: like the first attempt, it does not end the current wave.
        cause: match failed.cause {
            Cause::Replay => Cause::Replay,
            _ => Cause::Retry,
        },
        order_matters: digest::of_inputs(&inputs, None) != failed.inputs_digest,
        inputs,
        incomplete: failed.incomplete,
        completeness_percent: failed.completeness_percent,
        as_of_submission: failed.as_of_submission,
    })
}

/// Claims the oldest queued run that need not wait and whose rows can be read. Returns what is wrong with those that
/// cannot.
async fn claim(
    tx: &mut Connection,
    owner: &str,
    now: Timestamp,
) -> Result<(Option<ClaimedRun>, Vec<Damage>)> {
    let longest = text(now.checked_add(LONGEST_PAUSE).unwrap_or(Timestamp::MAX));
    let now = text(now);
    let mut passed_over: Vec<String> = Vec::new();
    let mut damages = Vec::new();
    loop {
        let next = query(sql::NEXT)
            .bind(array(passed_over.iter().map(|run_id| json!(run_id))))
            .bind(&now)
            .bind(&longest)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = next else {
            return Ok((None, damages));
        };
        let run_id: String = row.get("run_id")?;
        // Only the run that is about to be claimed is read, not the whole queue.
        let run = whole(vec![row], About::Runs, decode::run_row)?;
        let inputs = days::input_files(tx, &run_id).await?;
        if run.damages.is_empty() && inputs.damages.is_empty() {
            let claimed = take(tx, &run_id, inputs.rows, owner, &now).await?;
            return Ok((Some(claimed), damages));
        }
        damages.extend(run.damages);
        damages.extend(inputs.damages);
        passed_over.push(run_id);
    }
}

/// Claims a queued run whose inputs have been read.
async fn take(
    tx: &mut Connection,
    run_id: &str,
    mut inputs: Vec<InputFile>,
    owner: &str,
    now: &str,
) -> Result<ClaimedRun> {
    let row = query(sql::CLAIM)
        .bind(owner)
        .bind(now)
        .bind(run_id)
        .fetch_one(&mut *tx)
        .await?;
    let job_id: String = row.get("job_config_id")?;
    query(jobs::NOTE_BEGIN)
        .bind(&job_id)
        .bind(run_id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    let days_of_others = leave_to_others(tx, run_id, &job_id, &mut inputs).await?;
    Ok(ClaimedRun {
        run_id: run_id.to_owned(),
        job_id,
        wave: decode::wave(&row)?,
        sequence: row.get("sequence")?,
        attempts: row.get("attempts")?,
        incomplete: row.get("incomplete")?,
        inputs,
        days_of_others,
    })
}

/// Leaves out what other jobs have loaded since the run was queued. Returns what its files have in common with them.
async fn leave_to_others(
    tx: &mut Connection,
    run_id: &str,
    job_id: &str,
    inputs: &mut [InputFile],
) -> Result<Vec<DayOfOther>> {
    let mut chosen: Vec<RunInput> = inputs.iter().map(InputFile::as_input).collect();
    let digest_before = digest::of_inputs(&chosen, None);
    let (days, left_out) = others::leave_out(tx, job_id, &mut chosen).await?;
    if left_out.is_empty() {
        return Ok(days);
    }
    let row = query(sql::ONE).bind(run_id).fetch_one(&mut *tx).await?;
    let ages: Vec<Age> = inputs.iter().map(|input| input.age).collect();
    let order_matters = row.get::<&str>("inputs_digest")? != digest_before;
    let digest = digest::of_inputs(&chosen, order_matters.then_some(&ages[..]));
    others::note_left_out(tx, run_id, &left_out, &digest).await?;
    for (input, chosen) in inputs.iter_mut().zip(chosen) {
        input.days = chosen.days;
    }
    Ok(days)
}
