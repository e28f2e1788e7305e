//! Statements that read the facts of decisions about several jobs at once. Mostly, `?1` is a JSON array of the waves that are
//! asked about: the number of the question, the job, the wave, and the job's feed. None of them reads more than these waves
//! hold. The column `asked` is the number of the question.

/// Selects what a decision needs to know about a file.
macro_rules! file_facts {
    ($asked:literal, $from:literal) => {
        concat!(
            "SELECT ",
            $asked,
            " AS asked, f.file_id, f.file_url, f.feed, f.last_update_status, f.last_error, f.store_id, f.business_date,
                    f.last_validated_timestamp, f.version_id, f.valid_submission_id,
                    s.submitted_timestamp AS valid_submitted, v.layout_digest, v.bytes, v.rows,
                    v.partial_removed_timestamp IS NOT NULL AS is_partial_lost ",
            $from,
            " LEFT JOIN file_version v ON v.version_id = f.version_id
              LEFT JOIN submission s ON s.submission_id = f.valid_submission_id"
        )
    };
}

/// The files of the waves.
pub(in crate::database) const FILES: &str = file_facts!(
    "w.asked",
    "FROM rows(?1 asked int, job text, wave text, feed text) w
     CROSS JOIN job_file j ON j.job_config_id = w.job AND j.wave = w.wave
     CROSS JOIN ingested_file_status f ON f.file_id = j.file_id"
);

/// The files that no job takes, of feeds: `?1` is an array of the number of the question, and the feed.
pub(in crate::database) const STRAYS: &str = file_facts!(
    "q.asked",
    "FROM rows(?1 asked int, feed text) q CROSS JOIN file_without_job n ON true
     CROSS JOIN ingested_file_status f ON f.file_id = n.file_id AND f.feed = q.feed"
);

/// Of the files in force that match a pattern, the newest: of a day in their names, or of all days together. `?1` is an
/// array of patterns and days; the column `asked` is the place in it.
macro_rules! required {
    ($of_day:literal) => {
        concat!(
            "WITH newest (asked, file_id) AS MATERIALIZED (
                 SELECT asked, file_id FROM (
                     sqlite{SELECT p.key AS asked, q.file_id, max(f.last_validated_timestamp || f.file_url)}
                     postgres{SELECT DISTINCT ON (p.key) p.key AS asked, q.file_id}
                     mysql{SELECT p.key AS asked, q.file_id,
                                  row_number() OVER (PARTITION BY p.key
                                                     ORDER BY f.last_validated_timestamp DESC, f.file_url DESC) AS place}
                       FROM rows(?1 pattern text, day text) p CROSS JOIN required_file q ON q.pattern = p.pattern",
            $of_day,
            "         CROSS JOIN ingested_file_status f ON f.file_id = q.file_id
                      WHERE f.version_id IS NOT NULL
                      sqlite{GROUP BY p.key}
                      postgres{ORDER BY p.key, f.last_validated_timestamp DESC, f.file_url DESC}) newest
                  mysql{WHERE place = 1})
            ",
            file_facts!(
                "n.asked",
                "FROM newest n CROSS JOIN ingested_file_status f ON f.file_id = n.file_id"
            )
        )
    };
}

pub(in crate::database) const REQUIRED_OF_DAYS: &str = required!(" AND q.wave = p.day ");
pub(in crate::database) const REQUIRED: &str = required!(" ");

/// The days of the waves' files for which not simply the version in force counts, as far as a run must know of them: those
/// that the version in force mentions, and those that no completed run of their wave has seen yet. Among the latter are
/// the days that a file reported before its name was used for newer days, as long as the lake has them. Also such days of
/// other files that have to do with these. (MySQL is told the index: most days have no other file, so it takes that for one
/// that finds half of them.)
pub(in crate::database) const SPECIAL_DAYS: &str = "
    WITH wave (asked, job, wave, feed, seen) AS MATERIALIZED (
        SELECT q.asked, q.job, q.wave, q.feed,
               coalesce((SELECT max(r.as_of_submission) FROM job_run r
                          WHERE r.job_config_id = q.job AND r.wave = '' AND r.state = 'COMPLETED'
                            AND r.cause <> 'replay'), 0)
          FROM rows(?1 asked int, job text, wave text, feed text) q),
    ours (asked, job, feed, seen, file_id) AS MATERIALIZED (
        SELECT w.asked, w.job, w.feed, w.seen, j.file_id
          FROM wave w CROSS JOIN job_file j ON j.job_config_id = w.job AND j.wave = w.wave),
    marked AS (
        SELECT o.asked, o.job, o.feed, o.seen, d.store_id, d.trans_date, d.file_id, d.since_submission
          FROM ours o CROSS JOIN file_day d mysql{FORCE INDEX (file_day_of_file)} ON d.file_id = o.file_id
         WHERE d.standing <> 'STANDS'
         UNION
        SELECT o.asked, o.job, o.feed, o.seen, d.store_id, d.trans_date, d.file_id, d.since_submission
          FROM ours o CROSS JOIN file_day d mysql{FORCE INDEX (file_day_of_other)} ON d.other_file_id = o.file_id
         WHERE d.standing <> 'STANDS'),
    special AS (
        SELECT m.asked, m.store_id, m.trans_date, m.file_id FROM marked m
         CROSS JOIN ingested_file_status f ON f.file_id = m.file_id
         WHERE f.feed = m.feed
           AND (m.since_submission > greatest(
                    m.seen,
                    coalesce((SELECT max(r.as_of_submission) FROM job_run r
                               WHERE r.job_config_id = m.job AND r.wave = m.trans_date AND r.state = 'COMPLETED'
                                 AND r.cause <> 'replay'), 0))
                OR EXISTS (SELECT 1 FROM version_day v
                            WHERE v.version_id = f.version_id AND v.store_id = m.store_id
                              AND v.trans_date = m.trans_date))
         UNION ALL
        SELECT o.asked, d.store_id, d.trans_date, d.file_id
          FROM ours o
         CROSS JOIN file_day d mysql{FORCE INDEX (file_day_of_file)}
            ON d.file_id = o.file_id AND d.is_older = 1 AND d.standing = 'STANDS' AND d.since_submission > o.seen
         CROSS JOIN ingested_file_status f ON f.file_id = d.file_id
         CROSS JOIN file_version v ON v.version_id = d.version_id
         WHERE f.feed = o.feed AND f.version_id IS NOT NULL AND v.partial_object IS NOT NULL
           AND d.since_submission > coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                               WHERE r.job_config_id = o.job AND r.wave = d.trans_date
                                                 AND r.state = 'COMPLETED' AND r.cause <> 'replay'), 0))
    SELECT DISTINCT s.asked, d.file_id, d.version_id, d.store_id, d.trans_date, d.standing, d.since_submission, d.reason,
           d.other_file_id
      FROM special s
     CROSS JOIN file_day d
        ON d.store_id = s.store_id AND d.trans_date = s.trans_date AND d.file_id = s.file_id
     ORDER BY s.asked, d.file_id, d.version_id, d.store_id, d.trans_date";

/// The newest runs of each wave: the one that is queued or running, the last that completed, the last that completed and
/// left nothing open, and the last that failed. Completed replays are left out: they read earlier submissions, so the
/// current wave goes on as if they had not run. Oldest first.
pub(in crate::database) const NEWEST_RUNS: &str = "
    SELECT DISTINCT w.asked AS asked, r.* FROM rows(?1 asked int, job text, wave text, feed text) w
     CROSS JOIN job_run r ON r.sequence IN (
           (SELECT max(sequence) FROM job_run
             WHERE job_config_id = w.job AND wave = w.wave AND state = 'QUEUED'),
           (SELECT max(sequence) FROM job_run
             WHERE job_config_id = w.job AND wave = w.wave AND state = 'RUNNING'),
           (SELECT max(sequence) FROM job_run
             WHERE job_config_id = w.job AND wave = w.wave AND state = 'FAILED'),
           (SELECT sequence FROM job_run
             WHERE job_config_id = w.job AND wave = w.wave AND state = 'COMPLETED' AND cause <> 'replay'
             ORDER BY sequence DESC LIMIT 1),
           (SELECT sequence FROM job_run
             WHERE job_config_id = w.job AND wave = w.wave AND state = 'COMPLETED' AND cause <> 'replay'
               AND incomplete = 0
             ORDER BY sequence DESC LIMIT 1))
     ORDER BY r.sequence";

/// The newest completion of a job in a wave. `?1` is an array of jobs and waves; the column `asked` is the place in it.
pub(in crate::database) const COMPLETIONS_OF_WAVES: &str = "
    SELECT q.key AS asked, r.job_config_id, r.wave, r.run_id, r.sequence, r.finished_timestamp
      FROM rows(?1 job text, wave text) q
     CROSS JOIN job_run r
        ON r.sequence = (SELECT sequence FROM job_run
                          WHERE job_config_id = q.job AND wave = q.wave AND state = 'COMPLETED'
                          ORDER BY sequence DESC LIMIT 1)
     ORDER BY r.sequence";

/// Likewise, in whatever wave.
pub(in crate::database) const COMPLETIONS: &str = "
    SELECT q.key AS asked, r.job_config_id, r.wave, r.run_id, r.sequence, r.finished_timestamp
      FROM rows(?1 job text) q
     CROSS JOIN job_run r
        ON r.sequence = (SELECT sequence FROM job_run WHERE job_config_id = q.job AND state = 'COMPLETED'
                          ORDER BY sequence DESC LIMIT 1)
     ORDER BY r.sequence";

/// The runs of the jobs in `?1` that are queued or running, in the order of the queue. The column `asked` is the place in
/// it.
pub(in crate::database) const ACTIVE: &str = "
    SELECT q.key AS asked, r.job_config_id, r.wave, r.run_id, r.state
      FROM list(?1 text) q
     CROSS JOIN job_run r ON r.job_config_id = q.value AND r.state IN ('QUEUED', 'RUNNING')
     ORDER BY r.sequence";
