//! The life of a claimed run, and queries about runs.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::decode::{TextColumns, array};
use super::sql::{jobs, runs as sql, waiting as waits};
use super::whole::{About, Whole, whole};
use super::{StateDb, begin, days, decode, others, waiting};
use crate::dialect::{Connection, Plain, Row, query, query_as, query_scalar};
use crate::error::{During, StateError};
use crate::job::ExecStatus;
use crate::run::{
    InputFile, InterruptedRun, RunFilter, RunOutcome, RunResult, RunRow, RunState, SummaryRecord,
};
use crate::waiting::WaitKind;

impl StateDb {
    /// Records that a running run is still in progress.
    pub async fn heartbeat(&self, run_id: &str) -> Result<(), StateError> {
        let action = "record the heartbeat of";
        let now = self.now();
        let mut writer = self.writer_unsynced().await.during(action, run_id)?;
        let update = query(sql::HEARTBEAT).bind(run_id).bind(now);
        let done = update
            .execute(&mut *writer)
            .await
            .during(action, run_id)?
            .rows_affected();
        must_have_run(&mut writer, action, run_id, done).await
    }

    /// Records where the summary of a running run is. This is called before the load, so that after a crash a load that
    /// is in the warehouse's ledger can be traced to its summary.
    pub async fn summarized(&self, run_id: &str, summary: &SummaryRecord) -> Result<(), StateError> {
        let action = "record the summary of";
        let mut writer = self.writer().await.during(action, run_id)?;
        let update = query(sql::SUMMARIZED)
            .bind(run_id)
            .bind(&summary.object)
            .bind(&summary.coverage_object)
            .bind(summary.rows.cast_signed())
            .bind(&summary.digest)
            .bind(self.now());
        let done = update
            .execute(&mut *writer)
            .await
            .during(action, run_id)?
            .rows_affected();
        must_have_run(&mut writer, action, run_id, done).await
    }

    /// Records which operation of a cluster merges for a running run, before that operation begins, so that a restarted
    /// process finds it. `None` forgets it.
    pub async fn set_cluster_operation(
        &self,
        run_id: &str,
        operation: Option<&str>,
    ) -> Result<(), StateError> {
        let action = "record the operation of";
        let mut writer = self.writer().await.during(action, run_id)?;
        let update = query(sql::SET_CLUSTER_OPERATION).bind(run_id).bind(operation);
        let done = update
            .execute(&mut *writer)
            .await
            .during(action, run_id)?
            .rows_affected();
        must_have_run(&mut writer, action, run_id, done).await
    }

    /// Lists the operations of clusters that were recorded for queued and running runs.
    pub async fn cluster_operations(&self) -> Result<Vec<String>, StateError> {
        let operations = query_scalar(sql::CLUSTER_OPERATIONS).fetch_all(&self.readers);
        operations.await.during("list", "the operations of clusters")
    }

    /// Completes a running run.
    pub async fn complete(&self, run_id: &str, result: &RunResult) -> Result<(), StateError> {
        let changes = result.changes;
        let update = query(sql::COMPLETE)
            .bind(run_id)
            .bind(self.now())
            .bind(result.outcome.as_str())
            .bind(changes.map(|changes| changes.inserted.cast_signed()))
            .bind(changes.map(|changes| changes.updated.cast_signed()))
            .bind(changes.map(|changes| changes.deleted.cast_signed()))
            .bind(changes.map(|changes| changes.unchanged.cast_signed()));
        let is_loaded = result.outcome == RunOutcome::Loaded;
        self.end("complete", run_id, update, ExecStatus::Completed, is_loaded)
            .await
    }

    /// Marks a running run as failed; `error` is the reason, for people.
    pub async fn fail(&self, run_id: &str, error: &str) -> Result<(), StateError> {
        let update = query(sql::FAIL).bind(run_id).bind(self.now()).bind(error);
        self.end("fail", run_id, update, ExecStatus::Failed, false).await
    }

    /// Marks a queued run as failed, because what it waits for will not come; `error` says why. A run that is no longer
    /// queued is left as it is.
    pub async fn give_up(&self, run_id: &str, error: &str) -> Result<(), StateError> {
        let action = "give up";
        let mut writer = self.writer().await.during(action, run_id)?;
        let update = query(sql::FAIL_QUEUED).bind(run_id).bind(self.now()).bind(error);
        update.execute(&mut *writer).await.during(action, run_id)?;
        let note = query(jobs::NOTE_END)
            .bind(run_id)
            .bind(ExecStatus::Failed.as_str());
        note.execute(&mut *writer).await.during(action, run_id)?;
        waiting::end(&mut writer, WaitKind::Run, [json!(run_id)])
            .await
            .during(action, run_id)
    }

    async fn end(
        &self,
        action: &'static str,
        run_id: &str,
        update: Plain,
        status: ExecStatus,
        is_loaded: bool,
    ) -> Result<(), StateError> {
        let mut writer = self.writer().await.during(action, run_id)?;
        let mut tx = begin(&mut writer).await.during(action, run_id)?;
        let done = update
            .execute(&mut *tx)
            .await
            .during(action, run_id)?
            .rows_affected();
        must_have_run(&mut tx, action, run_id, done).await?;
        if is_loaded {
            others::note_loaded(&mut tx, run_id)
                .await
                .during(action, run_id)?;
        }
        let note = query(jobs::NOTE_END).bind(run_id).bind(status.as_str());
        note.execute(&mut *tx).await.during(action, run_id)?;
        waiting::end(&mut tx, WaitKind::Run, [json!(run_id)])
            .await
            .during(action, run_id)?;
        tx.commit().await.during(action, run_id)
    }

    /// Puts a running run back into the queue because of an outage, until `next_try`. Its inputs and its place in the
    /// order stay. The attempt does not count: only those count that ended with their process.
    pub async fn defer(&self, run_id: &str, reason: &str, next_try: Timestamp) -> Result<(), StateError> {
        let action = "defer";
        let now = self.now();
        let mut writer = self.writer().await.during(action, run_id)?;
        let mut tx = begin(&mut writer).await.during(action, run_id)?;
        let done = query(waits::DEFER).bind(run_id).execute(&mut *tx).await;
        let done = done.during(action, run_id)?.rows_affected();
        must_have_run(&mut tx, action, run_id, done).await?;
        waiting::note(
            &mut tx,
            WaitKind::Run,
            [json!([run_id, null, null, reason])],
            &now,
            next_try,
        )
        .await
        .during(action, run_id)?;
        tx.commit().await.during(action, run_id)
    }

    /// Puts a running run back into the queue, with the same inputs and the same place in the order.
    pub async fn requeue(&self, run_id: &str) -> Result<(), StateError> {
        let action = "requeue";
        let mut writer = self.writer().await.during(action, run_id)?;
        let update = query(sql::REQUEUE).bind(run_id);
        let done = update
            .execute(&mut *writer)
            .await
            .during(action, run_id)?
            .rows_affected();
        must_have_run(&mut writer, action, run_id, done).await
    }

    /// Lists the runs that are in progress, or were when their process died. Nothing else is read of them, so that
    /// an impossible value in such a row keeps none from being settled.
    pub async fn running(&self) -> Result<Vec<InterruptedRun>, StateError> {
        query(sql::RUNNING)
            .try_map(|row: Row| {
                Ok(InterruptedRun {
                    run_id: row.get("run_id")?,
                    attempts: row.get("attempts")?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the runs in progress")
    }

    /// Lists runs, newest first. Those with impossible values are left out, and warned of.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StateError> {
        let statement = match (&filter.job_id, filter.state) {
            (Some(_), _) => sql::LIST_OF_JOB,
            (None, Some(_)) => sql::LIST_OF_STATE,
            (None, None) => sql::LIST,
        };
        let rows = query(statement)
            .bind(&filter.job_id)
            .bind(filter.state.map(RunState::as_str))
            .bind(filter.limit.map_or(i64::MAX, i64::from))
            .bind(filter.since.map(decode::text))
            .bind(filter.incomplete)
            .bind(filter.outcome.map(RunOutcome::as_str))
            .fetch_all(&self.readers)
            .await;
        let runs = rows.and_then(|rows| whole(rows, About::Runs, decode::run_row));
        Ok(self.told.tell(runs.during("list", "the runs")?))
    }

    /// Returns the newest run of a job and wave, before `sequence`, whose summary was loaded.
    pub async fn loaded_before(
        &self,
        job_id: &str,
        wave: Option<Date>,
        sequence: i64,
    ) -> Result<Option<RunRow>, StateError> {
        query(sql::LOADED_BEFORE)
            .bind(job_id)
            .bind(decode::wave_text(wave))
            .bind(sequence)
            .try_map(|row| decode::run_row(&row))
            .fetch_optional(&self.readers)
            .await
            .during("look up the last load of job", job_id)
    }

    /// Returns the newest run of each wave of a job whose summary was loaded.
    pub async fn last_loads(&self, job_id: &str) -> Result<Vec<RunRow>, StateError> {
        query(sql::LAST_LOADS)
            .bind(job_id)
            .try_map(|row| decode::run_row(&row))
            .fetch_all(&self.readers)
            .await
            .during("list the last loads of job", job_id)
    }

    /// Returns one run.
    pub async fn run(&self, run_id: &str) -> Result<Option<RunRow>, StateError> {
        query(sql::ONE)
            .bind(run_id)
            .try_map(|row| decode::run_row(&row))
            .fetch_optional(&self.readers)
            .await
            .during("look up run", run_id)
    }

    /// Returns the stores of a run's lines, each with whether no version had it before the job's last run.
    pub async fn stores_of_run(&self, run_id: &str) -> Result<Vec<(String, bool)>, StateError> {
        let stores = query_as(sql::STORES).bind(run_id);
        let stores = stores.fetch_all(&self.readers).await;
        stores.during("list the stores of run", run_id)
    }

    /// Returns which versions that a run read have which of some days of stores.
    pub async fn inputs_with_days(
        &self,
        run_id: &str,
        days: &BTreeSet<(String, Date)>,
    ) -> Result<Vec<(String, Date, i64)>, StateError> {
        let pairs = days.iter().map(|(store, date)| json!([store, date.to_string()]));
        query(sql::INPUTS_WITH_DAYS)
            .bind(run_id)
            .bind(array(pairs))
            .try_map(|row: Row| {
                Ok((
                    row.get("store_id")?,
                    row.parsed("trans_date")?,
                    row.get("version_id")?,
                ))
            })
            .fetch_all(&self.readers)
            .await
            .during("look up the days of run", run_id)
    }

    /// Lists a run's inputs, ordered by path.
    pub async fn run_inputs(&self, run_id: &str) -> Result<Vec<InputFile>, StateError> {
        let action = "list the inputs of run";
        let mut reader = self.readers.acquire().await.during(action, run_id)?;
        let inputs = days::input_files(&mut reader, run_id).await;
        inputs.and_then(Whole::all).during(action, run_id)
    }
}

/// Returns an error that explains why an update of a running run changed no row.
async fn must_have_run(
    conn: &mut Connection,
    action: &'static str,
    run_id: &str,
    rows_affected: u64,
) -> Result<(), StateError> {
    if rows_affected > 0 {
        return Ok(());
    }
    let run = query(sql::ONE)
        .bind(run_id)
        .try_map(|row| decode::run_row(&row))
        .fetch_optional(conn)
        .await;
    match run.during(action, run_id)? {
        None => Err(StateError::UnknownRun {
            run_id: run_id.to_owned(),
        }),
        Some(RunRow { run_id, state, .. }) => Err(StateError::WrongState {
            action,
            run_id,
            state,
            needed: RunState::Running,
        }),
    }
}
