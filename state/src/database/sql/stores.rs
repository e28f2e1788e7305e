//! Statements about one store: its files, its days, and when its files came.

/// The files of the store `?1`: those that its name is in, by their feed or by a job, and those that hold days of it.
macro_rules! of_store {
    ($rest:literal) => {
        concat!(
            "
    WITH of_store (file_id, is_named) AS MATERIALIZED (
        SELECT file_id, max(is_named) FROM (
            SELECT file_id, 1 AS is_named FROM ingested_file_status WHERE store_id = ?1
             UNION ALL
            SELECT file_id, 1 FROM job_file WHERE store_id = ?1
             UNION ALL
            SELECT file_id, 0 FROM file_day WHERE store_id = ?1) named
         GROUP BY file_id)",
            $rest
        )
    };
}

/// A part of the files of a store, those first that were submitted last. A file whose name does not say the store is shared
/// if its version in force has days of other stores, too.
pub(in crate::database) const FILES: &str = of_store!(
    "
    SELECT v.*, f.*,
           part.is_named = 0 AND (f.version_id IS NULL OR EXISTS (
               SELECT 1 FROM version_day d WHERE d.version_id = f.version_id AND d.store_id <> ?1)) AS is_shared
      FROM (SELECT f.file_id, o.is_named FROM of_store o
             CROSS JOIN ingested_file_status f ON f.file_id = o.file_id
             WHERE ?2:text IS NULL OR f.submitted_timestamp >= ?2
             ORDER BY f.submitted_timestamp DESC, f.file_url LIMIT ?3 OFFSET ?4) part
     CROSS JOIN ingested_file_status f ON f.file_id = part.file_id
      LEFT JOIN file_version v ON v.version_id = f.version_id
     ORDER BY f.submitted_timestamp DESC, f.file_url"
);

/// How many files of a store have each status.
pub(in crate::database) const STATUS_COUNTS: &str = of_store!(
    "
    SELECT f.last_update_status AS status, count(*) AS files FROM of_store o
     CROSS JOIN ingested_file_status f ON f.file_id = o.file_id
     GROUP BY f.last_update_status ORDER BY f.last_update_status"
);

/// What is held of a store: its days, and its files as a whole.
pub(in crate::database) const HELD: &str = of_store!(
    "
    SELECT * FROM held
     WHERE store_id = ?1 OR store_id IS NULL AND file_id IN (SELECT file_id FROM of_store)"
);

pub(in crate::database) const JOBS: &str =
    "SELECT DISTINCT job_config_id FROM job_file WHERE store_id = ?1 ORDER BY job_config_id";

/// What files report of a store's days in a span.
pub(in crate::database) const DAYS: &str = "
    SELECT d.store_id, d.trans_date, d.standing, d.reason, f.file_url, v.lines FROM file_day d
     CROSS JOIN ingested_file_status f ON f.file_id = d.file_id
      LEFT JOIN version_day v ON v.version_id = d.version_id AND v.store_id = d.store_id AND v.trans_date = d.trans_date
     WHERE d.store_id = ?1 AND d.trans_date BETWEEN ?2 AND ?3
     ORDER BY d.trans_date, f.file_url";

/// The days of a job that runs by day, in a span: those in the names of its files.
pub(in crate::database) const DAYS_OF_JOB: &str = "
    SELECT DISTINCT wave FROM job_file WHERE job_config_id = ?1 AND wave BETWEEN ?2 AND ?3
     ORDER BY wave";

/// The minutes in which files of a job without days came, in a span of time. Submissions are numbered in their order, so
/// those from before are not looked at.
pub(in crate::database) const MINUTES_OF_JOB: &str = "
    SELECT DISTINCT substr(s.submitted_timestamp, 1, 16) || ':00Z' AS minute FROM job_file j
     CROSS JOIN submission s ON s.file_id = j.file_id
     WHERE j.job_config_id = ?1 AND j.wave = ''
       AND s.submission_id >= (SELECT submission_id FROM submission WHERE submitted_timestamp >= ?2
                                ORDER BY submitted_timestamp LIMIT 1)
       AND s.submitted_timestamp >= ?2 AND s.submitted_timestamp < ?3";

/// The first day in the names of a store's files of a job, and when the first of its files came.
pub(in crate::database) const FIRST_REPORT: &str = "
    SELECT min(nullif(j.wave, '')) AS wave,
           min((SELECT s.submitted_timestamp FROM submission s
                 WHERE s.file_id = j.file_id ORDER BY s.submission_id LIMIT 1)) AS submitted
      FROM job_file j WHERE j.store_id = ?1 AND j.job_config_id = ?2";
