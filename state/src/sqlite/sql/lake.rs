//! Statements about the objects of the lake.

pub(in crate::sqlite) const OBJECTS: &str = "
    SELECT converted_object FROM file_version WHERE converted_object IS NOT NULL
     UNION ALL SELECT partial_object FROM file_version WHERE partial_object IS NOT NULL
     UNION ALL SELECT rejects_object FROM file_version WHERE rejects_object IS NOT NULL
     UNION ALL SELECT summary_object FROM job_run WHERE summary_object IS NOT NULL
     UNION ALL SELECT coverage_object FROM job_run WHERE coverage_object IS NOT NULL";

/// Selects an object of the versions that have not been submitted since a given time.
macro_rules! expired {
    ($object:literal) => {
        concat!(
            "SELECT v.",
            $object,
            " FROM file_version v WHERE v.",
            $object,
            " IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM submission s
                                 WHERE s.file_id = v.file_id AND s.version_id = v.version_id
                                   AND s.submitted_timestamp > ?1)"
        )
    };
}

/// Clears references to objects.
macro_rules! forget {
    ($table:literal, $object:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET ",
            $object,
            " = NULL
              WHERE ",
            $object,
            " IN (SELECT value FROM json_each(?1)) AND ?2 IS NOT NULL"
        )
    };
}

pub(in crate::sqlite) const EXPIRED_CONVERTED: &str = expired!("converted_object");
pub(in crate::sqlite) const FORGET_CONVERTED: &str = forget!("file_version", "converted_object");

pub(in crate::sqlite) const EXPIRED_REJECTS: &str = expired!("rejects_object");
pub(in crate::sqlite) const FORGET_REJECTS: &str = forget!("file_version", "rejects_object");

/// Versions in force stay, as do those that are held or give a day beside them; those that give an older day, until each
/// enabled job of the feed has completed a run since; and the inputs of runs that are queued or running, or that failed
/// and may be retried.
pub(in crate::sqlite) const EXPIRED_PARTIALS: &str = concat!(
    expired!("partial_object"),
    " AND NOT EXISTS (SELECT 1 FROM ingested_file_status f
                       WHERE f.file_id = v.file_id AND v.version_id IN (f.version_id, f.held_version_id))
      AND v.version_id NOT IN (
              SELECT d.version_id FROM file_day s
                JOIN file_day d ON d.store_id = s.store_id AND d.trans_date = s.trans_date AND d.file_id = s.file_id
               WHERE s.standing <> 'STANDS' AND s.standing IN ('HELD', 'COUNTS'))
      AND v.version_id NOT IN (
              SELECT d.version_id FROM aggr_job_configuration c
                JOIN file_day d ON d.is_older = 1 AND d.standing = 'STANDS'
                 AND d.since_submission > coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                                     WHERE r.job_config_id = c.job_config_id
                                                       AND r.state = 'COMPLETED' AND r.cause <> 'replay'), 0)
                JOIN ingested_file_status f ON f.file_id = d.file_id AND f.feed = c.job_feed
               WHERE c.job_enabled = 1)
      AND v.version_id NOT IN (
              SELECT i.version_id FROM job_run r JOIN job_run_input i ON i.run_id = r.run_id
               WHERE r.state IN ('QUEUED', 'RUNNING')
                  OR (r.state = 'FAILED' AND NOT EXISTS (
                          SELECT 1 FROM job_run later
                           WHERE later.job_config_id = r.job_config_id AND later.wave = r.wave
                             AND later.state = 'COMPLETED' AND later.sequence > r.sequence)))"
);
pub(in crate::sqlite) const FORGET_PARTIALS: &str = "
    UPDATE file_version SET partial_object = NULL, partial_removed_timestamp = ?2
     WHERE partial_object IN (SELECT value FROM json_each(?1))";

/// Selects an object of the runs that ended before a given time, except the last loaded run of each job and wave: the
/// next load compares with its summary.
macro_rules! expired_of_runs {
    ($object:literal) => {
        concat!(
            "SELECT r.",
            $object,
            " FROM job_run r WHERE r.",
            $object,
            " IS NOT NULL
                AND r.state IN ('COMPLETED', 'FAILED') AND r.finished_timestamp <= ?1
                AND r.sequence NOT IN (
                        SELECT max(sequence) FROM job_run
                         WHERE state = 'COMPLETED' AND outcome = 'LOADED' GROUP BY job_config_id, wave)"
        )
    };
}

pub(in crate::sqlite) const EXPIRED_SUMMARIES: &str = expired_of_runs!("summary_object");
pub(in crate::sqlite) const FORGET_SUMMARIES: &str = forget!("job_run", "summary_object");

pub(in crate::sqlite) const EXPIRED_COVERAGES: &str = expired_of_runs!("coverage_object");
pub(in crate::sqlite) const FORGET_COVERAGES: &str = forget!("job_run", "coverage_object");

/// The partials of the versions in force, with their files, ordered by path.
pub(in crate::sqlite) const PARTIALS_IN_FORCE: &str = "
    SELECT f.file_url, v.partial_object FROM ingested_file_status f JOIN file_version v ON v.version_id = f.version_id
     WHERE v.partial_object IS NOT NULL ORDER BY f.file_url";

/// Has the files of partials that the lake lost read again.
pub(in crate::sqlite) const LOOK_AGAIN_FOR: &str = "
    UPDATE ingested_file_status SET stamp_bytes = NULL, stamp_modified_ns = NULL, stamp_inode = NULL
     WHERE file_id IN (SELECT file_id FROM file_version
                        WHERE partial_object IN (SELECT value FROM json_each(?1)))
    RETURNING file_url";

/// The files that a queued run waits for: they are to be read again, because the lake lost the partials that it needs.
/// Mostly no file is to be read again, and then no run is looked at.
pub(in crate::sqlite) const AWAITED: &str = "
    SELECT r.run_id, f.file_url FROM job_run r
     CROSS JOIN job_run_input i ON i.run_id = r.run_id
     CROSS JOIN file_version v ON v.version_id = i.version_id
     CROSS JOIN ingested_file_status f ON f.file_id = i.file_id
     WHERE r.state = 'QUEUED' AND v.partial_removed_timestamp IS NOT NULL AND f.stamp_bytes IS NULL
       AND EXISTS (SELECT 1 FROM ingested_file_status
                    WHERE stamp_bytes IS NULL OR stamp_modified_ns IS NULL OR stamp_inode IS NULL)
     ORDER BY r.sequence, f.file_url";
