//! What is counted for metrics equals what is there, whoever wrote it; and what is to be told of runs.

use gristmill_state::{
    LineageKind, RowChanges, RunOutcome, RunResult, StateDb, SubmissionOutcome, SummaryRecord,
};

use crate::shell::Shell;
use crate::support::{Fixture, converted, job, run};

/// Each pair must give the same: what triggers have counted, and what is there.
const PAIRS: [(&str, &str); 5] = [
    (
        "SELECT feed || ' ' || status || ' ' || files FROM tally_file WHERE files <> 0 ORDER BY 1",
        "SELECT feed || ' ' || last_update_status || ' ' || count(*) FROM ingested_file_status
          GROUP BY feed, last_update_status ORDER BY 1",
    ),
    (
        "SELECT concat_ws(' ', feed, versions, bytes, rows, ignored, skipped, rejects) FROM tally_version
          WHERE versions <> 0 ORDER BY 1",
        "SELECT concat_ws(' ', f.feed, count(*), sum(v.bytes), sum(v.rows), sum(v.ignored), sum(v.skipped), sum(v.rejects))
           FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id GROUP BY f.feed ORDER BY 1",
    ),
    (
        "SELECT outcome || ' ' || submissions FROM tally_submission WHERE submissions <> 0 ORDER BY 1",
        "SELECT outcome || ' ' || count(*) FROM submission GROUP BY outcome ORDER BY 1",
    ),
    (
        "SELECT concat_ws(' ', state, cause, outcome, runs, inserted, updated, deleted, unchanged) FROM tally_run
          WHERE runs <> 0 ORDER BY 1",
        "SELECT concat_ws(' ', state, cause, coalesce(outcome, ''), count(*), coalesce(sum(rows_inserted), 0),
                          coalesce(sum(rows_updated), 0), coalesce(sum(rows_deleted), 0), coalesce(sum(rows_unchanged), 0))
           FROM job_run GROUP BY state, cause, outcome ORDER BY 1",
    ),
    (
        "SELECT concat_ws(' ', kind, up_to, durations, CAST(round(seconds * 1000) AS bigint)) FROM tally_duration WHERE durations <> 0
          ORDER BY 1",
        "SELECT concat_ws(' ', kind, up_to, count(*), CAST(round(sum(seconds) * 1000) AS bigint)) FROM run_duration_bound
          GROUP BY kind, up_to ORDER BY 1",
    ),
];

/// Compares what was counted with what is there.
pub async fn audit(shell: &mut Shell) {
    for (tally, truth) in PAIRS {
        let mut answers: Vec<Vec<String>> = Vec::new();
        for sql in [tally, truth] {
            answers.push(shell.column(sql).await);
        }
        assert_eq!(answers[0], answers[1], "{tally}");
    }
}

async fn complete(db: &StateDb, run_id: &str) {
    let summary = SummaryRecord {
        object: "summaries/x.parquet".to_owned(),
        coverage_object: None,
        rows: 9,
        digest: "d".to_owned(),
    };
    db.summarized(run_id, &summary).await.unwrap();
    let changes = Some(RowChanges {
        inserted: 4,
        updated: 3,
        deleted: 2,
        unchanged: 1,
    });
    let outcome = RunOutcome::Loaded;
    db.complete(run_id, &RunResult { outcome, changes })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_counted_equals_what_is_there() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    let mut shell = f.shell().await;
    let inputs = f.valid(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    f.record("IL-1.tdf", converted("c")).await;
    let failed = SubmissionOutcome::Failed {
        error: "unreadable".to_owned(),
    };
    f.record("IL-2.tdf", failed).await;
    audit(&mut shell).await;

    let run_id = f.running(&run("J101", &inputs)).await;
    audit(&mut shell).await;
    f.pass(40);
    complete(&f.db, &run_id).await;
    let run_id = f.running(&run("J102", &inputs)).await;
    f.db.fail(&run_id, "disk full").await.unwrap();
    audit(&mut shell).await;
    let measures = f.db.measures().await.unwrap();
    assert_eq!(measures.run_seconds.sum, 40.0);
    assert_eq!(measures.run_seconds.counts.iter().sum::<u64>(), 1);
    assert_eq!(measures.changes.deleted, 2);
    let jobs: Vec<_> = measures
        .jobs
        .iter()
        .map(|job| (job.is_failed, job.last_complete.is_some()))
        .collect();
    assert_eq!(jobs, [(false, true), (true, false)]);

    // What people change and remove counts too.
    shell.forget_foreign_keys().await;
    for sql in [
        "UPDATE ingested_file_status SET feed = 'other' WHERE file_url = 'IL-1.tdf'",
        "UPDATE file_version SET bytes = bytes + 7, lines = lines + 2, rows = rows + 2 WHERE version_id = 1",
        "UPDATE submission SET outcome = 'UNCHANGED' WHERE submission_id = 1",
        "UPDATE job_run SET finished_timestamp = '2026-11-23T09:15:00.000000Z', rows_inserted = 5, cause = 'retry'
          WHERE state = 'COMPLETED'",
        "DELETE FROM job_run WHERE state = 'FAILED'",
        "DELETE FROM job_run",
        "DELETE FROM submission WHERE submission_id = 2",
        "DELETE FROM file_version WHERE version_id = 2",
        "DELETE FROM ingested_file_status WHERE file_url = 'IL-2.tdf'",
    ] {
        shell.execute(sql).await.unwrap();
        audit(&mut shell).await;
    }
}

#[tokio::test]
async fn what_happens_to_runs_is_kept_until_it_was_told() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a")]).await;
    // Nobody wants to know.
    let untold = f.running(&run("J102", &inputs)).await;
    assert_eq!(f.db.lineage_events(9).await.unwrap(), []);

    f.db.switch_lineage(true).await.unwrap();
    f.db.fail(&untold, "disk full").await.unwrap();
    let run_id = f.running(&run("J101", &inputs)).await;
    // It is interrupted and claimed again, which is no second start.
    f.db.requeue(&run_id).await.unwrap();
    assert_eq!(f.db.claim("again").await.unwrap().unwrap().run_id, run_id);
    complete(&f.db, &run_id).await;
    let events = f.db.lineage_events(9).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.run_id.as_str(), event.kind))
        .collect();
    assert_eq!(
        told,
        [
            (untold.as_str(), LineageKind::Fail),
            (run_id.as_str(), LineageKind::Start),
            (run_id.as_str(), LineageKind::Complete),
        ]
    );
    f.db.end_lineage_event(events[0].event_id, false).await.unwrap();
    f.db.end_lineage_event(events[1].event_id, true).await.unwrap();
    assert_eq!(f.db.lineage_events(9).await.unwrap(), events[2..]);
    assert_eq!(f.db.lineage_dropped().await.unwrap(), 1);

    // Nobody has taken any for very long: the oldest are dropped, and counted.
    let many = "INSERT INTO lineage_event (run_id, event, at)
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10005)
                SELECT 'old', 'START', '2026-11-23T09:15:00.000000Z' FROM n";
    f.shell().await.execute(many).await.unwrap();
    f.running(&run("J102", &inputs)).await;
    let measures = f.db.measures().await.unwrap();
    assert_eq!((measures.lineage_pending, measures.lineage_dropped), (10_000, 8));
    f.db.switch_lineage(false).await.unwrap();
    assert_eq!(f.db.measures().await.unwrap().lineage_pending, 0);
}
