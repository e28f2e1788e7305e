//! Statements about store-days that files of several jobs hold.

/// What other jobs loaded last of the store-days that some versions hold, for several jobs. `?1` is an array of the number
/// of the question, the job, and the job's versions (version, file, submission). The files that are among these are no
/// other's, but are told here, too.
pub(in crate::database) const DAYS_OF_OTHERS: &str = "
    WITH ours (asked, job, version_id, file_id, written_ns, submission_id) AS MATERIALIZED
         (SELECT j.asked, j.job, j.version_id, j.file_id, s.written_ns, s.submission_id
            FROM rows(?1 asked int, job text, version_id int, file_id int, submission_id int) j
           CROSS JOIN submission s ON s.submission_id = j.submission_id)
    SELECT o.asked, o.version_id, d.store_id, d.trans_date, mine.file_url, k.job_config_id AS other_job,
           k.file_id AS other_file_id, other.file_url AS other_file,
           (k.written_ns, k.submission_id) > (o.written_ns, o.submission_id) AS is_newer
      FROM ours o
     CROSS JOIN version_day d ON d.version_id = o.version_id
     CROSS JOIN loaded_day k ON k.store_id = d.store_id AND k.trans_date = d.trans_date AND k.job_config_id <> o.job
     CROSS JOIN ingested_file_status mine ON mine.file_id = o.file_id
     CROSS JOIN ingested_file_status other ON other.file_id = k.file_id
     ORDER BY o.asked, d.store_id, d.trans_date, o.version_id";

/// The first and the last of the jobs for which days are kept.
pub(in crate::database) const KEPT_FOR: &str =
    "SELECT (SELECT min(job_config_id) FROM loaded_day), (SELECT max(job_config_id) FROM loaded_day)";

/// Notes that the job of a run has loaded days which are not kept, because it is the only one.
pub(in crate::database) const KEEP_LATER: &str = "
    INSERT INTO job_to_keep SELECT job_config_id FROM job_run
     WHERE run_id = ?1 AND (SELECT count(*) FROM aggr_job_configuration) = 1
    ON CONFLICT (job_config_id) DO NOTHING";

/// The last loads of the jobs that loaded something while they were the only one, the oldest first. None as long as there
/// is only one job.
pub(in crate::database) const NOT_KEPT: &str = "
    SELECT r.run_id FROM job_run r
      JOIN (SELECT max(l.sequence) AS sequence FROM job_to_keep k
             CROSS JOIN job_run l ON l.job_config_id = k.job_config_id
             WHERE +l.state = 'COMPLETED' AND l.outcome = 'LOADED' GROUP BY l.job_config_id, l.wave) newest
        ON newest.sequence = r.sequence
     WHERE (SELECT count(*) FROM aggr_job_configuration) > 1
     ORDER BY r.sequence";

/// All days that were loaded are kept now.
pub(in crate::database) const ALL_KEPT: &str =
    "DELETE FROM job_to_keep WHERE (SELECT count(*) FROM aggr_job_configuration) > 1";

/// Keeps the days that a run has loaded, if there are several jobs.
pub(in crate::database) const KEEP_LOADED: &str = "
    INSERT INTO loaded_day (store_id, trans_date, job_config_id, file_id, written_ns, submission_id)
    SELECT store_id, trans_date, job_config_id, file_id, written_ns, submission_id FROM (
        SELECT d.store_id, d.trans_date, r.job_config_id, i.file_id, s.written_ns, s.submission_id,
               row_number() OVER (PARTITION BY d.store_id, d.trans_date
                                  ORDER BY s.written_ns DESC, s.submission_id DESC, i.version_id DESC) AS place
          FROM job_run r
          JOIN job_run_input i ON i.run_id = r.run_id
          JOIN submission s ON s.submission_id = i.submission_id
          JOIN version_day d ON d.version_id = i.version_id
          LEFT JOIN job_run_input_day n
            ON n.run_id = i.run_id AND n.version_id = i.version_id AND n.store_id = d.store_id
               AND n.trans_date = d.trans_date
         WHERE r.run_id = ?1 AND (SELECT count(*) FROM aggr_job_configuration) > 1
           AND CASE WHEN n.effect IS NULL THEN i.others_count = 1 ELSE n.effect IN ('COUNTS', 'ADDED') END) newest
     WHERE place = 1
    ON CONFLICT (store_id, trans_date) DO UPDATE
       SET job_config_id = excluded.job_config_id, file_id = excluded.file_id, written_ns = excluded.written_ns,
           submission_id = excluded.submission_id
     others{WHERE loaded_day.job_config_id <> excluded.job_config_id
               OR loaded_day.submission_id <> excluded.submission_id}";

/// Forgets the days that a run has emptied: they are free for other jobs.
pub(in crate::database) const FORGET_EMPTIED: &str = "
    others{DELETE FROM loaded_day
     WHERE (store_id, trans_date) IN (SELECT store_id, trans_date FROM job_run_input_day
                                       WHERE run_id = ?1 AND effect = 'EMPTIED')
       AND job_config_id = (SELECT job_config_id FROM job_run WHERE run_id = ?1)}
    mysql{DELETE loaded_day FROM job_run_input_day i CROSS JOIN loaded_day
        ON loaded_day.store_id = i.store_id AND loaded_day.trans_date = i.trans_date
     WHERE i.run_id = ?1 AND i.effect = 'EMPTIED'
       AND loaded_day.job_config_id = (SELECT job_config_id FROM job_run WHERE run_id = ?1)}";

/// Leaves days of a run's inputs out: version, store, day.
pub(in crate::database) const LEAVE_OUT: &str = "
    INSERT INTO job_run_input_day (run_id, version_id, store_id, trans_date, effect)
    SELECT ?1, r.version_id, r.store_id, r.trans_date, 'LEFT_OUT'
      FROM rows(?2 version_id int, store_id text, trans_date text) r WHERE true
    ON CONFLICT (run_id, version_id, store_id, trans_date) DO UPDATE SET effect = excluded.effect";

pub(in crate::database) const SET_DIGEST: &str = "UPDATE job_run SET inputs_digest = ?2 WHERE run_id = ?1";
