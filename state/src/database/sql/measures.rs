//! Statements about what is counted, for metrics. Triggers keep the tallies (migration 24), so none of these grows with the
//! history.

pub(in crate::database) const FILES: &str =
    "SELECT feed, status, files FROM tally_file ORDER BY feed, status";

pub(in crate::database) const CONVERTED: &str = "SELECT * FROM tally_version ORDER BY feed";

pub(in crate::database) const SUBMISSIONS: &str =
    "SELECT outcome, submissions FROM tally_submission ORDER BY outcome";

pub(in crate::database) const RUNS: &str =
    "SELECT state, cause, outcome, runs FROM tally_run ORDER BY state, cause, outcome";

pub(in crate::database) const CHANGES: &str = "
    SELECT CAST(coalesce(sum(inserted), 0) AS bigint), CAST(coalesce(sum(updated), 0) AS bigint),
           CAST(coalesce(sum(deleted), 0) AS bigint), CAST(coalesce(sum(unchanged), 0) AS bigint)
      FROM tally_run";

pub(in crate::database) const DURATIONS: &str =
    "SELECT kind, up_to, durations, seconds FROM tally_duration ORDER BY kind, up_to";

/// Each job, when its last complete run ended whose result is in the warehouse, and whether its last run failed.
pub(in crate::database) const JOBS: &str = "
    SELECT j.job_config_id, j.last_exec_status IS NOT DISTINCT FROM 'FAILED' AS is_failed,
           (SELECT max(r.finished_timestamp) FROM job_run r
             WHERE r.job_config_id = j.job_config_id AND r.state = 'COMPLETED' AND r.incomplete = 0
               AND r.outcome IN ('LOADED', 'UNCHANGED')) AS finished_timestamp
      FROM aggr_job_configuration j ORDER BY j.job_config_id";

pub(in crate::database) const WAITING: &str = "SELECT kind, count(*) AS things, CAST(sum(failures) AS bigint) AS failures FROM waiting GROUP BY kind ORDER BY kind";

/// As many as the view `held` has rows.
pub(in crate::database) const HELD: &str = "
    SELECT (SELECT count(*) FROM ingested_file_status WHERE held_version_id IS NOT NULL)
           + (SELECT count(*) FROM file_day WHERE standing = 'HELD' AND standing <> 'STANDS')";
