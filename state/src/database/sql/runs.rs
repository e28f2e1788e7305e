//! Statements about runs.

pub(in crate::database) const ACTIVE: &str = "
    SELECT run_id FROM job_run WHERE job_config_id = ?1 AND wave = ?2 AND state IN ('QUEUED', 'RUNNING')";

pub(in crate::database) const LAST_FINISHED: &str = "
    SELECT outcome, inputs_digest, coalesce(inputs_of, run_id) AS inputs_of FROM job_run
     WHERE job_config_id = ?1 AND wave = ?2 AND state IN ('COMPLETED', 'FAILED')
     ORDER BY sequence DESC LIMIT 1";

/// The newest run after a given one whose result is in the warehouse, also if only the ledger knows it.
pub(in crate::database) const COMPLETED_LATER: &str = "
    SELECT run_id FROM (
        SELECT run_id, sequence FROM job_run
         WHERE job_config_id = ?1 AND wave = ?2 AND sequence > ?3
           AND state = 'COMPLETED' AND outcome IN ('LOADED', 'UNCHANGED')
        UNION ALL
        SELECT run_id, sequence FROM ledger_run WHERE job_config_id = ?1 AND wave = ?2 AND sequence > ?3) later
     ORDER BY sequence DESC LIMIT 1";

/// The newest run before a given one whose summary was loaded.
pub(in crate::database) const LOADED_BEFORE: &str = "
    SELECT * FROM job_run
     WHERE job_config_id = ?1 AND wave = ?2 AND sequence < ?3
       AND state = 'COMPLETED' AND outcome = 'LOADED' AND summary_object IS NOT NULL
     ORDER BY sequence DESC LIMIT 1";

/// The newest run of each wave whose summary was loaded, ordered by wave.
pub(in crate::database) const LAST_LOADS: &str = "
    SELECT r.* FROM job_run r
      JOIN (SELECT max(sequence) AS sequence FROM job_run
             WHERE job_config_id = ?1 AND state = 'COMPLETED' AND outcome = 'LOADED' AND summary_object IS NOT NULL
             GROUP BY wave) newest
        ON newest.sequence = r.sequence
     ORDER BY r.wave";

/// The next place in the order of loads: the time, or a step after the last place if the clock stands still or went
/// back. The ledger's places count too: somebody's clock may have been ahead.
pub(in crate::database) const NEXT_SEQUENCE: &str = "
    SELECT greatest(?1, (SELECT coalesce(max(sequence), 0) + ?2:int FROM job_run),
               (SELECT coalesce(max(sequence), 0) + ?2:int FROM ledger_run))";

pub(in crate::database) const ADD: &str = "
    INSERT INTO job_run
           (run_id, job_config_id, wave, sequence, state, cause, incomplete, completeness_percent, inputs_digest,
            as_of_submission, queued_timestamp)
    VALUES (?1, ?2, ?3, ?4, 'QUEUED', ?5, ?6, ?7, ?8, ?9, ?10)";

pub(in crate::database) const ADD_INPUTS: &str = "
    INSERT INTO job_run_input (run_id, file_id, version_id, submission_id, others_count)
    SELECT ?1, r.file_id, r.version_id, r.submission_id, r.others_count
      FROM rows(?2 file_id int, version_id int, submission_id int, others_count bool) r";

pub(in crate::database) const ADD_INPUT: &str = "
    INSERT INTO job_run_input (run_id, file_id, version_id, submission_id) VALUES (?1, ?2, ?3, ?4)";

pub(in crate::database) const REMOVE_INPUT: &str =
    "DELETE FROM job_run_input WHERE run_id = ?1 AND version_id = ?2";

pub(in crate::database) const REMOVE_INPUT_DAYS: &str =
    "DELETE FROM job_run_input_day WHERE run_id = ?1 AND version_id = ?2";

pub(in crate::database) const SET_INPUTS_DIGEST: &str =
    "UPDATE job_run SET inputs_digest = ?2 WHERE run_id = ?1";

pub(in crate::database) const ADD_INPUT_DAYS: &str = "
    INSERT INTO job_run_input_day (run_id, version_id, store_id, trans_date, effect)
    SELECT ?1, r.version_id, r.store_id, r.trans_date, r.effect
      FROM rows(?2 version_id int, store_id text, trans_date text, effect text) r";

pub(in crate::database) const INPUT_DAYS: &str = "
    SELECT version_id, store_id, trans_date, effect FROM job_run_input_day
     WHERE run_id = (SELECT coalesce(inputs_of, run_id) FROM job_run WHERE run_id = ?1) ORDER BY version_id, store_id, trans_date";

pub(in crate::database) const COMPLETE_UNCHANGED: &str = "
    UPDATE job_run
       SET state = 'COMPLETED', outcome = 'UNCHANGED', started_timestamp = ?2, finished_timestamp = ?2, inputs_of = ?3
     WHERE run_id = ?1";

/// The oldest queued run that may be claimed. Some stay queued: the runs of a job of which the ledger knows more than
/// this database; those of a wave whose last load the warehouse lost, unless a person asked for them; those whose
/// partials the lake lost, until their files have been read again; those that hold a store-day which a running run of
/// another job holds too; those in `?1`, a JSON array; and those that wait until after `?2`. A pause is never long, so a
/// time after `?3` is none: the clock was set back. The queue is looked through from its head, and no further than to the
/// run that is found.
pub(in crate::database) const NEXT: &str = "
    WITH busy (job, store_id, trans_date) AS MATERIALIZED (
        SELECT DISTINCT r.job_config_id, d.store_id, d.trans_date
          FROM job_run r
         CROSS JOIN job_run_input i ON i.run_id = r.run_id
         CROSS JOIN version_day d ON d.version_id = i.version_id
         WHERE r.state = 'RUNNING')
    SELECT q.* FROM job_run q
     WHERE q.state = 'QUEUED'
       AND q.run_id NOT IN (SELECT value FROM list(?1 text))
       AND NOT EXISTS (SELECT 1 FROM waiting w
                        WHERE w.kind = 'run' AND w.subject = q.run_id
                          AND w.next_try_timestamp > ?2 AND w.next_try_timestamp < ?3)
       AND NOT EXISTS (SELECT 1 FROM ledger_run l
                        WHERE l.job_config_id = q.job_config_id AND l.accepted_timestamp IS NULL)
       AND (q.cause NOT IN ('preconditions', 'deadline') OR NOT EXISTS (
                SELECT 1 FROM job_run lost
                 WHERE lost.job_config_id = q.job_config_id AND lost.wave = q.wave
                   AND lost.lost_timestamp IS NOT NULL
                   AND lost.sequence = (SELECT max(last.sequence) FROM job_run last
                                         WHERE last.job_config_id = q.job_config_id AND last.wave = q.wave
                                           AND last.state = 'COMPLETED' AND last.outcome = 'LOADED')))
       AND NOT EXISTS (
                SELECT 1 FROM job_run_input i
                 CROSS JOIN file_version v ON v.version_id = i.version_id
                 CROSS JOIN ingested_file_status f ON f.file_id = i.file_id
                 WHERE i.run_id = q.run_id AND v.partial_removed_timestamp IS NOT NULL AND f.stamp_bytes IS NULL)
       AND NOT (EXISTS (SELECT 1 FROM busy)
            AND EXISTS (SELECT 1 FROM job_run_input i
                         CROSS JOIN version_day d ON d.version_id = i.version_id
                         CROSS JOIN busy x ON x.store_id = d.store_id AND x.trans_date = d.trans_date
                         WHERE i.run_id = q.run_id AND x.job <> q.job_config_id))
     ORDER BY q.sequence LIMIT 1";

pub(in crate::database) const CLAIM: &str = "
    UPDATE job_run
       SET state = 'RUNNING', owner = ?1, attempts = attempts + 1, started_timestamp = ?2, heartbeat_timestamp = ?2
     WHERE run_id = ?3
    others{RETURNING job_config_id, wave, sequence, attempts, incomplete}
    mysql{; SELECT job_config_id, wave, sequence, attempts, incomplete FROM job_run WHERE run_id = ?3}";

/// The stores of a run's lines, and whether no version had one before the job's last run. Before its first run, none
/// counts as new.
pub(in crate::database) const STORES: &str = "
    WITH last (version_id) AS MATERIALIZED (
         SELECT max(i.version_id) FROM job_run_input i
          WHERE i.run_id = (SELECT coalesce(p.inputs_of, p.run_id) FROM job_run r JOIN job_run p ON p.job_config_id = r.job_config_id
                             WHERE r.run_id = ?1 AND p.state = 'COMPLETED' AND p.sequence < r.sequence
                             ORDER BY p.sequence DESC LIMIT 1))
    SELECT s.store_id,
           (SELECT version_id FROM last) IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM version_day o
                            WHERE o.store_id = s.store_id AND o.version_id <= (SELECT version_id FROM last)) AS is_new
      FROM (SELECT DISTINCT d.store_id FROM job_run_input i JOIN version_day d ON d.version_id = i.version_id
             WHERE i.run_id = ?1) s
     ORDER BY s.store_id";

pub(in crate::database) const HEARTBEAT: &str =
    "UPDATE job_run SET heartbeat_timestamp = ?2 WHERE run_id = ?1 AND state = 'RUNNING'";

pub(in crate::database) const SUMMARIZED: &str = "
    UPDATE job_run SET summary_object = ?2, coverage_object = ?3, summary_rows = ?4, summary_digest = ?5,
                       summarized_timestamp = ?6
     WHERE run_id = ?1 AND state = 'RUNNING'";

pub(in crate::database) const SET_CLUSTER_OPERATION: &str =
    "UPDATE job_run SET cluster_operation = ?2 WHERE run_id = ?1 AND state = 'RUNNING'";

/// The operations of runs that are not over.
pub(in crate::database) const CLUSTER_OPERATIONS: &str = "
    SELECT cluster_operation FROM job_run WHERE state IN ('QUEUED', 'RUNNING') AND cluster_operation IS NOT NULL";

pub(in crate::database) const COMPLETE: &str = "
    UPDATE job_run
       SET state = 'COMPLETED', finished_timestamp = ?2, outcome = ?3,
           rows_inserted = ?4, rows_updated = ?5, rows_deleted = ?6, rows_unchanged = ?7
     WHERE run_id = ?1 AND state = 'RUNNING'";

pub(in crate::database) const FAIL: &str = "
    UPDATE job_run SET state = 'FAILED', finished_timestamp = ?2, error = ?3
     WHERE run_id = ?1 AND state = 'RUNNING'";

pub(in crate::database) const FAIL_QUEUED: &str = "
    UPDATE job_run SET state = 'FAILED', finished_timestamp = ?2, error = ?3
     WHERE run_id = ?1 AND state = 'QUEUED'";

pub(in crate::database) const REQUEUE: &str = "
    UPDATE job_run SET state = 'QUEUED', owner = NULL, heartbeat_timestamp = NULL
     WHERE run_id = ?1 AND state = 'RUNNING'";

pub(in crate::database) const RUNNING: &str = "
    SELECT run_id, greatest(attempts, 0) AS attempts FROM job_run WHERE state = 'RUNNING' ORDER BY sequence DESC";

pub(in crate::database) const ONE: &str = "SELECT * FROM job_run WHERE run_id = ?1";

/// The runs whose names are in `?1`.
pub(in crate::database) const THESE: &str =
    "SELECT * FROM job_run WHERE run_id IN (SELECT value FROM list(?1 text))";

/// Lists runs, newest first. `?1` names a job and `?2` a state, unless they are NULL; `?3` is the most runs.
macro_rules! list {
    ($which:literal, $order:literal) => {
        concat!(
            "SELECT * FROM job_run WHERE ",
            $which,
            " AND (?4:text IS NULL OR queued_timestamp >= ?4) AND (?5:int = 0 OR incomplete = 1 OR completeness_percent < 100)
              AND (?6:text IS NULL OR outcome = ?6)
             ORDER BY ",
            $order,
            " DESC LIMIT ?3"
        )
    };
}

pub(in crate::database) const LIST: &str = list!("?1:text IS NULL AND ?2:text IS NULL", "sequence");
pub(in crate::database) const LIST_OF_STATE: &str = list!("?1:text IS NULL AND state = ?2", "sequence");
/// Only the runs of the job are sorted: the runs of all jobs, which have their order already, may be far more.
pub(in crate::database) const LIST_OF_JOB: &str = list!(
    "job_config_id = ?1 AND (?2:text IS NULL OR state = ?2)",
    "+sequence"
);

pub(in crate::database) const INPUT_FILES: &str = "
    SELECT v.*, f.file_url, f.feed, f.store_id, f.business_date,
           i.submission_id, i.others_count, s.submitted_timestamp AS input_submitted, s.written_ns AS input_written_ns
      FROM job_run_input i
     CROSS JOIN ingested_file_status f ON f.file_id = i.file_id
     CROSS JOIN file_version v ON v.version_id = i.version_id
     CROSS JOIN submission s ON s.submission_id = i.submission_id
     WHERE i.run_id = (SELECT coalesce(inputs_of, run_id) FROM job_run WHERE run_id = ?1)
     ORDER BY f.file_url, i.version_id";

/// Which of a run's versions have some days (an array of stores and days).
pub(in crate::database) const INPUTS_WITH_DAYS: &str = "
    SELECT d.store_id, d.trans_date, d.version_id FROM rows(?2 store_id text, trans_date text) p
     CROSS JOIN version_day d ON d.store_id = p.store_id AND d.trans_date = p.trans_date
     CROSS JOIN job_run_input i ON i.version_id = d.version_id
     WHERE i.run_id = (SELECT coalesce(inputs_of, run_id) FROM job_run WHERE run_id = ?1)";

/// The places of submissions in the order of files.
pub(in crate::database) const AGES: &str = "
    SELECT s.submission_id, s.written_ns FROM list(?1 int) j CROSS JOIN submission s ON s.submission_id = j.value";

pub(in crate::database) const INPUTS: &str = "SELECT file_id, version_id, submission_id, others_count FROM job_run_input WHERE run_id = ?1 ORDER BY version_id";
