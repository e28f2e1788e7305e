//! References between rows, which are compared once for each statement.

use std::sync::Arc;

use gristmill_state::{StateDb, TestClock};

use crate::place::new_place;
use crate::shell::Shell;

const NOW: &str = "'2026-11-23T08:15:00.000000Z'";

/// The columns whose references are compared once for each statement, each with an update that breaks one of them.
const REFERENCES: [(&str, &str, &str); 16] = [
    (
        "ingested_file_status",
        "version_id",
        "valid_submission_id = 1, last_validated_timestamp = submitted_timestamp",
    ),
    (
        "ingested_file_status",
        "valid_submission_id",
        "version_id = 1, last_validated_timestamp = submitted_timestamp",
    ),
    (
        "ingested_file_status",
        "held_version_id",
        "held_submission_id = 1",
    ),
    (
        "ingested_file_status",
        "held_submission_id",
        "held_version_id = 1",
    ),
    ("ingested_file_status", "held_for_file_id", ""),
    ("file_version", "file_id", ""),
    ("submission", "file_id", ""),
    ("submission", "version_id", ""),
    ("version_day", "version_id", ""),
    ("file_day", "file_id", ""),
    ("file_day", "version_id", ""),
    ("file_day", "other_file_id", ""),
    ("job_run_input", "run_id", ""),
    ("job_run_input", "file_id", ""),
    ("job_run_input", "version_id", ""),
    ("job_run_input", "submission_id", ""),
];

#[tokio::test]
async fn no_row_refers_to_one_that_does_not_exist() {
    let clock = Arc::new(TestClock::new("2026-11-23T08:15:00.123456Z".parse().unwrap()));
    let (server, _kept) = new_place();
    StateDb::open(&server, clock).await.unwrap();
    let mut shell = Shell::open(&server).await;
    let mut statements = Vec::new();
    for number in [1, 2] {
        statements.push(format!(
            "INSERT INTO ingested_file_status
                    (file_id, file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp)
             VALUES ({number}, 'file {number}', 'f', 'SUBMITTED', {NOW}, {NOW})"
        ));
        statements.push(format!(
            "INSERT INTO file_version (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped,
                                       rejects, drift_lines, accepted, created_timestamp)
             VALUES ({number}, {number}, 'h{number}', 'l', 1, 1, 1, 0, 0, 0, 0, 1, {NOW})"
        ));
        statements.push(format!(
            "INSERT INTO submission (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes,
                                     stamp_modified_ns, stamp_inode)
             VALUES ({number}, {number}, {number}, 'VALIDATED', {NOW}, 1, 1, 1)"
        ));
    }
    statements.extend(
        [
            "INSERT INTO aggr_job_configuration
                    (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
             VALUES ('A', 'f', '*', 1, 'all')",
            "INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest,
                                  as_of_submission, queued_timestamp)
             VALUES ('r', 'A', '', 1, 'QUEUED', 'manual', 0, 'd', 1, '2026-11-23T08:15:00.000000Z')",
            "INSERT INTO job_run_input (run_id, file_id, version_id, submission_id) VALUES ('r', 1, 1, 1)",
            "INSERT INTO version_day VALUES (1, 's', '2026-11-01', 1, 1)",
            "INSERT INTO file_day (store_id, trans_date, file_id, version_id, standing, since_submission)
             VALUES ('s', '2026-11-01', 1, 1, 'STANDS', 1)",
            "UPDATE ingested_file_status SET held_version_id = 2, held_submission_id = 2, held_for_file_id = 1
              WHERE file_id = 2",
        ]
        .map(str::to_owned),
    );
    for statement in &statements {
        let done = shell.execute(statement).await;
        done.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    for (table, column, besides) in REFERENCES {
        let besides = if besides.is_empty() {
            String::new()
        } else {
            format!(", {besides}")
        };
        let broken = format!("UPDATE {table} SET {column} = '999'{besides}");
        let refused = shell.execute(&broken).await.unwrap_err();
        let said = format!("{table}.{column} = 999 refers to a row that does not exist");
        assert_eq!(refused, said, "{broken}");
    }
    let added = shell
        .execute("INSERT INTO version_day VALUES (1, 's', '2026-11-02', 1, 1), (99, 's', '2026-11-02', 1, 1)")
        .await;
    assert_eq!(
        added.unwrap_err(),
        "version_day.version_id = 99 refers to a row that does not exist"
    );
    let moved = shell
        .execute("UPDATE submission SET submission_id = 77 WHERE submission_id = 2")
        .await;
    assert_eq!(
        moved.unwrap_err(),
        "submission.submission_id never changes: other rows refer to it"
    );
    for (removal, by) in [
        (
            "DELETE FROM ingested_file_status WHERE file_id = 1",
            "ingested_file_status.held_for_file_id",
        ),
        (
            "DELETE FROM file_version WHERE version_id = 2",
            "ingested_file_status.held_version_id",
        ),
        (
            "DELETE FROM submission WHERE submission_id = 2",
            "ingested_file_status.held_submission_id",
        ),
        ("DELETE FROM job_run", "job_run_input.run_id"),
    ] {
        let refused = shell.execute(removal).await.unwrap_err();
        assert!(
            refused.starts_with(&format!("{by} still refers to ")),
            "{removal}: {refused}"
        );
    }
}
