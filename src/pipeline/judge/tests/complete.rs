//! The slow way: reads all files, all days and all runs, whatever a job has to do with them, and judges every wave.

use std::collections::BTreeMap;

use gristmill_state::{
    ActiveRun, Cause, Completion, DayFact, Facts, FileFact, InForce, RunFilter, RunRow, RunState, StateDb,
    WaveRuns,
};
use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::preconditions::{JobPlan, Verdict, judge};

const FILES: &str = "
    SELECT f.*, s.submitted_timestamp AS valid_submitted, v.layout_digest, v.bytes, v.rows,
           v.partial_removed_timestamp IS NOT NULL AS is_partial_lost
      FROM ingested_file_status f
      LEFT JOIN file_version v ON v.version_id = f.version_id
      LEFT JOIN submission s ON s.submission_id = f.valid_submission_id
     ORDER BY f.file_url";

const DAYS: &str = "
    WITH special AS (
        SELECT d.store_id, d.trans_date, d.file_id FROM file_day d
          JOIN ingested_file_status f ON f.file_id = d.file_id
         WHERE d.standing <> 'STANDS' AND f.feed = ?2
           AND (d.since_submission > coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                                WHERE r.job_config_id = ?1 AND r.wave IN ('', d.trans_date)
                                                  AND r.state = 'COMPLETED' AND r.cause <> 'replay'), 0)
                OR EXISTS (SELECT 1 FROM version_day v
                            WHERE v.version_id = f.version_id AND v.store_id = d.store_id
                              AND v.trans_date = d.trans_date))
         UNION
        SELECT d.store_id, d.trans_date, d.file_id FROM file_day d
          JOIN ingested_file_status f ON f.file_id = d.file_id
          JOIN file_version v ON v.version_id = d.version_id
         WHERE d.is_older = 1 AND d.standing = 'STANDS' AND f.feed = ?2
           AND f.version_id IS NOT NULL AND v.partial_object IS NOT NULL
           AND d.since_submission > coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                               WHERE r.job_config_id = ?1 AND r.wave IN ('', d.trans_date)
                                                 AND r.state = 'COMPLETED' AND r.cause <> 'replay'), 0))
    SELECT DISTINCT d.* FROM special s JOIN file_day d USING (store_id, trans_date, file_id)
     ORDER BY d.file_id, d.version_id, d.store_id, d.trans_date";

/// Judges every wave of a job.
pub(super) async fn verdicts(
    state: &StateDb,
    shell: &mut SqliteConnection,
    plan: &JobPlan,
    now: Timestamp,
) -> Vec<Verdict> {
    let files: Vec<FileFact> = sqlx::query(FILES)
        .fetch_all(&mut *shell)
        .await
        .unwrap()
        .iter()
        .map(file)
        .collect();
    let days = sqlx::query(DAYS)
        .bind(&plan.id)
        .bind(&plan.feed.name)
        .fetch_all(shell)
        .await
        .unwrap();
    let mut runs = state.runs(&RunFilter::default()).await.unwrap();
    runs.reverse();
    let (own, others): (Vec<RunRow>, Vec<RunRow>) = runs.into_iter().partition(|run| run.job_id == plan.id);
    let facts = Facts {
        required: files.clone(),
        files,
        days: days.iter().map(day).collect(),
        waves: waves(own),
        completions: others.iter().filter_map(completion).collect(),
        active_elsewhere: others.iter().filter_map(active).collect(),
        newest_submission: state.newest_submission().await.unwrap(),
        ledger: state.ledger_news(Some(&plan.id)).await.unwrap(),
        ..Facts::default()
    };
    let criterion = match &plan.criterion {
        Some(sql) => Some(
            gristmill_state::criterion(&state.answerer().unwrap(), sql, std::time::Duration::from_secs(5))
                .await,
        ),
        None => None,
    };
    judge(plan, &facts, &criterion, now)
}

fn waves(runs: Vec<RunRow>) -> BTreeMap<Option<Date>, WaveRuns> {
    let mut waves: BTreeMap<_, WaveRuns> = BTreeMap::new();
    for run in runs {
        let wave = waves.entry(run.wave).or_default();
        match run.state {
            RunState::Queued | RunState::Running => wave.active = Some(run),
            RunState::Failed => wave.failed = Some(run),
            RunState::Completed if run.cause == Cause::Replay => {}
            RunState::Completed => {
                if !run.incomplete {
                    wave.complete = Some(run.clone());
                }
                wave.completed = Some(run);
            }
        }
    }
    waves
}

fn completion(run: &RunRow) -> Option<Completion> {
    (run.state == RunState::Completed).then(|| Completion {
        job_id: run.job_id.clone(),
        wave: run.wave,
        run_id: run.run_id.clone(),
        sequence: run.sequence,
        finished: run.finished.unwrap(),
    })
}

fn active(run: &RunRow) -> Option<ActiveRun> {
    matches!(run.state, RunState::Queued | RunState::Running).then(|| ActiveRun {
        job_id: run.job_id.clone(),
        wave: run.wave,
        run_id: run.run_id.clone(),
        state: run.state,
    })
}

fn parsed<T: std::str::FromStr>(row: &SqliteRow, column: &str) -> Option<T> {
    let text: Option<String> = row.get(column);
    text.and_then(|text| text.parse().ok())
}

fn file(row: &SqliteRow) -> FileFact {
    let version_id: Option<i64> = row.get("version_id");
    FileFact {
        file_id: row.get("file_id"),
        file_url: row.get("file_url"),
        feed: row.get("feed"),
        status: parsed(row, "last_update_status").unwrap(),
        store_id: row.get("store_id"),
        business_date: parsed(row, "business_date"),
        in_force: version_id.map(|version_id| InForce {
            version_id,
            submission_id: row.get("valid_submission_id"),
            submitted: parsed(row, "valid_submitted").unwrap(),
            validated: parsed(row, "last_validated_timestamp").unwrap(),
            layout_digest: row.get("layout_digest"),
            bytes: row.get::<i64, _>("bytes").cast_unsigned(),
            rows: row.get::<i64, _>("rows").cast_unsigned(),
            is_partial_lost: row.get("is_partial_lost"),
        }),
        last_error: row.get("last_error"),
    }
}

fn day(row: &SqliteRow) -> DayFact {
    DayFact {
        file_id: row.get("file_id"),
        version_id: row.get("version_id"),
        store_id: row.get("store_id"),
        trans_date: parsed(row, "trans_date").unwrap(),
        standing: parsed(row, "standing").unwrap(),
        since_submission: row.get("since_submission"),
        reason: row.get("reason"),
        other_file_id: row.get("other_file_id"),
    }
}
