//! Statements that read the facts of a decision. `?1` names the job, `?2` the waves as a JSON array; none of them reads
//! more than these waves hold.

/// Selects what a decision needs to know about a file.
macro_rules! file_facts {
    ($from:literal) => {
        concat!(
            "SELECT f.file_id, f.file_url, f.feed, f.last_update_status, f.last_error, f.store_id, f.business_date,
                    f.last_validated_timestamp, f.version_id, f.valid_submission_id,
                    s.submitted_timestamp AS valid_submitted, v.layout_digest, v.bytes, v.rows,
                    v.partial_removed_timestamp IS NOT NULL AS is_partial_lost ",
            $from,
            " LEFT JOIN file_version v ON v.version_id = f.version_id
              LEFT JOIN submission s ON s.submission_id = f.valid_submission_id"
        )
    };
}

/// The files of the job's waves.
pub(in crate::sqlite) const FILES: &str = file_facts!(
    "FROM jsonb_each(?2) w
     CROSS JOIN job_file j ON j.job_config_id = ?1 AND j.wave = w.value
     CROSS JOIN ingested_file_status f ON f.file_id = j.file_id"
);

/// The files of a feed that no job takes.
pub(in crate::sqlite) const STRAYS: &str = concat!(
    file_facts!("FROM file_without_job n CROSS JOIN ingested_file_status f ON f.file_id = n.file_id"),
    " WHERE f.feed = ?1"
);

/// The newest files in force that match the patterns in `?1`: of each day in their names among those in `?2`, or, if that
/// is NULL, of all days together.
pub(in crate::sqlite) const REQUIRED: &str = concat!(
    "WITH newest (file_id) AS MATERIALIZED (
         SELECT file_id FROM (
             SELECT q.file_id, max(f.last_validated_timestamp || f.file_url)
               FROM jsonb_each(?1) p CROSS JOIN required_file q ON q.pattern = p.value
              CROSS JOIN ingested_file_status f ON f.file_id = q.file_id
              WHERE f.version_id IS NOT NULL
                AND (?2 IS NULL OR q.wave = '' OR q.wave IN (SELECT value FROM jsonb_each(?2)))
              GROUP BY p.value, CASE WHEN ?2 IS NULL THEN '' ELSE q.wave END))
    ",
    file_facts!("FROM newest n CROSS JOIN ingested_file_status f ON f.file_id = n.file_id")
);

/// The days of these files for which not simply the version in force counts, as far as a run must know of them: those
/// that the version in force mentions, and those that no completed run of their wave has seen yet. Among the latter are
/// the days that a file reported before its name was used for newer days, as long as the lake has them. Also such days of
/// other files that have to do with these. `?3` is the feed.
pub(in crate::sqlite) const SPECIAL_DAYS: &str = "
    WITH ours (file_id) AS MATERIALIZED (
        SELECT j.file_id FROM jsonb_each(?2) w CROSS JOIN job_file j ON j.job_config_id = ?1 AND j.wave = w.value),
    marked AS (
        SELECT d.store_id, d.trans_date, d.file_id, d.since_submission
          FROM ours o CROSS JOIN file_day d ON d.file_id = o.file_id
         WHERE d.standing <> 'STANDS'
         UNION
        SELECT d.store_id, d.trans_date, d.file_id, d.since_submission
          FROM ours o CROSS JOIN file_day d ON d.other_file_id = o.file_id
         WHERE d.standing <> 'STANDS'),
    special AS (
        SELECT m.store_id, m.trans_date, m.file_id FROM marked m
         CROSS JOIN ingested_file_status f ON f.file_id = m.file_id
         WHERE f.feed = ?3
           AND (m.since_submission > max(
                    coalesce((SELECT max(r.as_of_submission) FROM job_run r
                               WHERE r.job_config_id = ?1 AND r.wave = '' AND r.state = 'COMPLETED'
                                 AND r.cause <> 'replay'), 0),
                    coalesce((SELECT max(r.as_of_submission) FROM job_run r
                               WHERE r.job_config_id = ?1 AND r.wave = m.trans_date AND r.state = 'COMPLETED'
                                 AND r.cause <> 'replay'), 0))
                OR EXISTS (SELECT 1 FROM version_day v
                            WHERE v.version_id = f.version_id AND v.store_id = m.store_id
                              AND v.trans_date = m.trans_date))
         UNION ALL
        SELECT d.store_id, d.trans_date, d.file_id
          FROM ours o
         CROSS JOIN file_day d
            ON d.file_id = o.file_id AND d.is_older = 1 AND d.standing = 'STANDS'
               AND d.since_submission > coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                                   WHERE r.job_config_id = ?1 AND r.wave = ''
                                                     AND r.state = 'COMPLETED' AND r.cause <> 'replay'), 0)
         CROSS JOIN ingested_file_status f ON f.file_id = d.file_id
         CROSS JOIN file_version v ON v.version_id = d.version_id
         WHERE f.feed = ?3 AND f.version_id IS NOT NULL AND v.partial_object IS NOT NULL
           AND d.since_submission > coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                               WHERE r.job_config_id = ?1 AND r.wave = d.trans_date
                                                 AND r.state = 'COMPLETED' AND r.cause <> 'replay'), 0))
    SELECT DISTINCT d.file_id, d.version_id, d.store_id, d.trans_date, d.standing, d.since_submission, d.reason,
           d.other_file_id
      FROM special s
     CROSS JOIN file_day d
        ON d.store_id = s.store_id AND d.trans_date = s.trans_date AND d.file_id = s.file_id
     ORDER BY d.file_id, d.version_id, d.store_id, d.trans_date";

/// The newest runs of each wave: the one that is queued or running, the last that completed, the last that completed and
/// left nothing open, and the last that failed. Completed replays are left out: they read earlier submissions, so the
/// current wave goes on as if they had not run. Oldest first.
pub(in crate::sqlite) const NEWEST_RUNS: &str = "
    SELECT DISTINCT r.* FROM jsonb_each(?2) w
     CROSS JOIN job_run r ON r.sequence IN (
           (SELECT max(sequence) FROM job_run
             WHERE job_config_id = ?1 AND wave = w.value AND state = 'QUEUED'),
           (SELECT max(sequence) FROM job_run
             WHERE job_config_id = ?1 AND wave = w.value AND state = 'RUNNING'),
           (SELECT max(sequence) FROM job_run
             WHERE job_config_id = ?1 AND wave = w.value AND state = 'FAILED'),
           (SELECT sequence FROM job_run
             WHERE job_config_id = ?1 AND wave = w.value AND state = 'COMPLETED' AND cause <> 'replay'
             ORDER BY sequence DESC LIMIT 1),
           (SELECT sequence FROM job_run
             WHERE job_config_id = ?1 AND wave = w.value AND state = 'COMPLETED' AND cause <> 'replay'
               AND incomplete = 0
             ORDER BY sequence DESC LIMIT 1))
     ORDER BY r.sequence";

/// The newest completion of each of the jobs in `?1`, in each of the waves in `?2` and in that without a day.
pub(in crate::sqlite) const COMPLETIONS_OF_WAVES: &str = "
    SELECT r.job_config_id, r.wave, r.run_id, r.sequence, r.finished_timestamp
      FROM jsonb_each(?1) j CROSS JOIN (SELECT value FROM jsonb_each(?2) UNION SELECT '') w
     CROSS JOIN job_run r
        ON r.sequence = (SELECT sequence FROM job_run
                          WHERE job_config_id = j.value AND wave = w.value AND state = 'COMPLETED'
                          ORDER BY sequence DESC LIMIT 1)
     ORDER BY r.sequence";

/// The newest completion of each of the jobs in `?1`, in whatever wave.
pub(in crate::sqlite) const COMPLETIONS: &str = "
    SELECT r.job_config_id, r.wave, r.run_id, r.sequence, r.finished_timestamp
      FROM jsonb_each(?1) j
     CROSS JOIN job_run r
        ON r.sequence = (SELECT sequence FROM job_run WHERE job_config_id = j.value AND state = 'COMPLETED'
                          ORDER BY sequence DESC LIMIT 1)
     ORDER BY r.sequence";

/// The runs of the jobs in `?1` that are queued or running, in the order of the queue.
pub(in crate::sqlite) const ACTIVE: &str = "
    SELECT r.job_config_id, r.wave, r.run_id, r.state
      FROM jsonb_each(?1) j
     CROSS JOIN job_run r ON r.job_config_id = j.value AND r.state IN ('QUEUED', 'RUNNING')
     ORDER BY r.sequence";
