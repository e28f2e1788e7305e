//! Statements that count everything, for metrics.

use crate::measures::BOUNDS;

pub(in crate::sqlite) const FILES: &str = "
    SELECT feed, last_update_status, count(*) AS files FROM ingested_file_status GROUP BY feed, last_update_status";

pub(in crate::sqlite) const CONVERTED: &str = "
    SELECT f.feed, count(*) AS versions, sum(v.bytes) AS bytes, sum(v.lines) AS lines, sum(v.rows) AS rows,
           sum(v.ignored) AS ignored, sum(v.skipped) AS skipped, sum(v.rejects) AS rejects
      FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id GROUP BY f.feed";

pub(in crate::sqlite) const SUBMISSIONS: &str =
    "SELECT outcome, count(*) AS submissions FROM submission GROUP BY outcome";

pub(in crate::sqlite) const RUNS: &str = "
    SELECT state, cause, outcome, count(*) AS runs FROM job_run GROUP BY state, cause, outcome";

pub(in crate::sqlite) const CHANGES: &str = "
    SELECT sum(rows_inserted) AS rows_inserted, sum(rows_updated) AS rows_updated, sum(rows_deleted) AS rows_deleted,
           sum(rows_unchanged) AS rows_unchanged FROM job_run";

pub(in crate::sqlite) const LAST_COMPLETE: &str = "
    SELECT job_config_id, max(finished_timestamp) AS finished_timestamp FROM job_run
     WHERE state = 'COMPLETED' AND outcome IN ('LOADED', 'UNCHANGED') AND NOT incomplete
     GROUP BY job_config_id";

pub(in crate::sqlite) const WAITING: &str =
    "SELECT kind, count(*) AS things, sum(failures) AS failures FROM waiting GROUP BY kind";

pub(in crate::sqlite) const HELD: &str = "SELECT count(*) FROM held";

/// From start to end of completed runs.
pub(in crate::sqlite) const RUN_SECONDS: &str = "
    SELECT unixepoch(finished_timestamp, 'subsec') - unixepoch(started_timestamp, 'subsec') AS seconds FROM job_run
     WHERE state = 'COMPLETED' AND started_timestamp IS NOT NULL";

/// From start to summary.
pub(in crate::sqlite) const MERGE_SECONDS: &str = "
    SELECT unixepoch(summarized_timestamp, 'subsec') - unixepoch(started_timestamp, 'subsec') AS seconds FROM job_run
     WHERE state = 'COMPLETED' AND outcome = 'LOADED' AND summarized_timestamp >= started_timestamp";

/// From summary to end.
pub(in crate::sqlite) const LOAD_SECONDS: &str = "
    SELECT unixepoch(finished_timestamp, 'subsec') - unixepoch(summarized_timestamp, 'subsec') AS seconds FROM job_run
     WHERE state = 'COMPLETED' AND outcome = 'LOADED' AND summarized_timestamp >= started_timestamp";

/// From the newest submission that a run knew of to its end.
pub(in crate::sqlite) const LAG_SECONDS: &str = "
    SELECT unixepoch(r.finished_timestamp, 'subsec') - unixepoch(s.submitted_timestamp, 'subsec') AS seconds
      FROM job_run r JOIN submission s ON s.submission_id = r.as_of_submission
     WHERE r.state = 'COMPLETED' AND r.outcome = 'LOADED' AND r.cause IN ('preconditions', 'deadline')";

/// Counts durations by the buckets that they lie in, and adds them up.
pub(in crate::sqlite) fn histogram(durations: &str) -> String {
    let bounds = BOUNDS.iter().enumerate();
    let buckets: String = bounds
        .map(|(bucket, bound)| format!(" WHEN seconds <= {bound:?} THEN {bucket}"))
        .collect();
    format!(
        "SELECT CASE{buckets} ELSE {} END AS bucket, count(*) AS durations, sum(seconds) AS seconds
           FROM ({durations}) WHERE seconds IS NOT NULL GROUP BY bucket",
        BOUNDS.len()
    )
}
