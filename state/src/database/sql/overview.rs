//! Statements that sum up files and runs for people, without reading all of them.

/// How many files have each status. Nearly all are VALIDATED, so only the others are looked at one by one.
pub(in crate::database) const STATUS_COUNTS: &str = "
    SELECT status, files FROM (
        SELECT 'VALIDATED' AS status,
               (SELECT count(*) FROM ingested_file_status)
               - (SELECT count(*) FROM ingested_file_status WHERE last_update_status <> 'VALIDATED') AS files
         UNION ALL
        SELECT last_update_status, count(*) FROM ingested_file_status
         WHERE last_update_status <> 'VALIDATED' GROUP BY last_update_status) counted
     ORDER BY status <> 'VALIDATED', status";

pub(in crate::database) const FAILED_FILES: &str = "
    SELECT file_url FROM ingested_file_status
     WHERE last_update_status = 'FAILED' AND last_update_status <> 'VALIDATED' ORDER BY file_url";

/// The files in force with rejects: path, rejects, lines.
pub(in crate::database) const WITH_REJECTS: &str = "
    SELECT f.file_url, v.rejects, v.lines FROM file_version v
     CROSS JOIN ingested_file_status f ON f.file_id = v.file_id AND f.version_id = v.version_id
     WHERE v.rejects > 0 ORDER BY f.file_url";

/// The files in force whose last line has no end, with their feeds.
pub(in crate::database) const WITHOUT_END: &str = "
    SELECT f.feed, f.file_url FROM file_version v
     CROSS JOIN ingested_file_status f ON f.file_id = v.file_id AND f.version_id = v.version_id
     WHERE v.last_line_ended = 0 AND (?1:text IS NULL OR f.feed = ?1) ORDER BY f.file_url";

/// Whether at least `?2` files in force of a feed end their last lines.
pub(in crate::database) const HAS_ENDS: &str = "
    SELECT count(*) >= ?2 FROM (
        SELECT 1 FROM ingested_file_status f JOIN file_version v ON v.version_id = f.version_id
         WHERE f.feed = ?1 AND v.last_line_ended = 1 LIMIT ?2) ends";

/// The newest run of each job and wave, if that run failed, newest first.
pub(in crate::database) const FAILED_RUNS: &str = "
    SELECT r.run_id FROM job_run r
     WHERE r.state = 'FAILED'
       AND NOT EXISTS (SELECT 1 FROM job_run later
                        WHERE later.job_config_id = r.job_config_id AND later.wave = r.wave
                          AND later.state IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED')
                          AND later.sequence > r.sequence)
     ORDER BY r.sequence DESC";

/// The loaded runs that may have read something of a store's day, or emptied it, newest first.
pub(in crate::database) const LOADS_OF_DAY: &str = "
    WITH version (version_id, file_id) AS MATERIALIZED (
        SELECT v.version_id, v.file_id FROM version_day d
         CROSS JOIN file_version v ON v.version_id = d.version_id
         WHERE d.store_id = ?1 AND d.trans_date = ?2
         UNION
        SELECT version_id, file_id FROM file_version
         WHERE days_counted = 0 AND first_date <= ?2 AND last_date >= ?2)
    SELECT r.* FROM (SELECT DISTINCT i.run_id FROM version given
                      CROSS JOIN job_run_input i ON i.file_id = given.file_id
                      WHERE i.version_id = given.version_id) read
     CROSS JOIN job_run r ON r.run_id = read.run_id
     WHERE r.state = 'COMPLETED' AND r.outcome = 'LOADED'
     ORDER BY r.sequence DESC";
