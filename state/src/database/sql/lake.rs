//! Statements about the objects of the lake.

/// The next versions with their objects, after the number `?1`.
pub(in crate::database) const OBJECTS_OF_VERSIONS: &str = "
    SELECT version_id AS place, converted_object, partial_object, rejects_object FROM file_version
     WHERE version_id > ?1 ORDER BY version_id LIMIT ?2";

/// The next runs with their objects, after the place `?1`.
pub(in crate::database) const OBJECTS_OF_RUNS: &str = "
    SELECT sequence AS place, summary_object, coverage_object FROM job_run
     WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

/// What must hold of a version `v` for one of its objects to have expired: it has the object, and has not been submitted
/// since `?1`.
macro_rules! expired {
    ($object:literal) => {
        concat!(
            "v.",
            $object,
            " IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM submission s
                              WHERE s.file_id = v.file_id AND s.version_id = v.version_id
                                AND s.submitted_timestamp > ?1)"
        )
    };
}

/// The same for a partial. Versions in force stay, as do those that are held or give a day beside them; those that give an
/// older day, until each enabled job of the feed has completed a run since; and the inputs of runs that are queued or
/// running, or that failed and may be retried.
macro_rules! expired_partial {
    () => {
        concat!(
            expired!("partial_object"),
            " AND NOT EXISTS (SELECT 1 FROM ingested_file_status f
                       WHERE f.file_id = v.file_id AND v.version_id IN (f.version_id, f.held_version_id))
      AND NOT EXISTS (
              SELECT 1 FROM file_day s
               CROSS JOIN file_day d
                  ON d.store_id = s.store_id AND d.trans_date = s.trans_date AND d.file_id = s.file_id
               WHERE s.file_id = v.file_id AND s.standing <> 'STANDS' AND s.standing IN ('HELD', 'COUNTS')
                 AND d.version_id = v.version_id)
      AND NOT EXISTS (
              SELECT 1 FROM file_day d
               CROSS JOIN ingested_file_status f ON f.file_id = d.file_id
               CROSS JOIN aggr_job_configuration c ON c.job_feed = f.feed AND c.job_enabled = 1
               WHERE d.file_id = v.file_id AND d.version_id = v.version_id AND d.is_older = 1
                 AND d.standing = 'STANDS'
                 AND d.since_submission > coalesce((SELECT max(l.as_of_submission) FROM job_run l
                                                     WHERE l.job_config_id = c.job_config_id
                                                       AND l.state = 'COMPLETED' AND l.cause <> 'replay'), 0))
      AND v.version_id NOT IN (
              SELECT i.version_id FROM job_run r JOIN job_run_input i ON i.run_id = r.run_id
               WHERE r.state IN ('QUEUED', 'RUNNING')
                  OR (r.state = 'FAILED' AND NOT EXISTS (
                          SELECT 1 FROM job_run later
                           WHERE later.job_config_id = r.job_config_id AND later.wave = r.wave
                             AND later.state = 'COMPLETED' AND later.sequence > r.sequence)))"
        )
    };
}

/// The same for an object of a run `v`, which must have ended by `?1`. The last loaded run of each job and wave keeps its
/// objects: the next load compares with its summary.
macro_rules! expired_of_run {
    ($object:literal) => {
        concat!(
            "v.",
            $object,
            " IS NOT NULL
             AND +v.state IN ('COMPLETED', 'FAILED') AND v.finished_timestamp <= ?1
             AND (NOT (v.outcome IS NOT DISTINCT FROM 'LOADED') OR EXISTS (
                     SELECT 1 FROM job_run later
                      WHERE later.job_config_id = v.job_config_id AND later.wave = v.wave
                        AND later.state = 'COMPLETED' AND later.outcome = 'LOADED' AND later.sequence > v.sequence))"
        )
    };
}

/// Selects the keys and objects of what has expired.
macro_rules! find {
    ($table:literal, $key:literal, $object:literal, $expired:expr) => {
        concat!(
            "SELECT CAST(v.",
            $key,
            " AS TEXT), v.",
            $object,
            " FROM ",
            $table,
            " v WHERE ",
            $expired
        )
    };
}

/// Forgets the objects of the keys in `?2`, a JSON array, as far as they have still expired, and returns these keys.
macro_rules! forget {
    ($table:literal, $key:literal: $type:literal, $forgotten:literal, $expired:expr) => {
        concat!(
            "mysql{SELECT CAST(v.",
            $key,
            " AS TEXT) FROM list(?2 ",
            $type,
            ") l CROSS JOIN ",
            $table,
            " v ON v.",
            $key,
            " = l.value WHERE ",
            $expired,
            ";
             UPDATE (SELECT DISTINCT v.",
            $key,
            " FROM list(?2 ",
            $type,
            ") l CROSS JOIN ",
            $table,
            " v ON v.",
            $key,
            " = l.value WHERE ",
            $expired,
            ") expired CROSS JOIN ",
            $table,
            " AS v SET v.",
            $forgotten,
            "
              WHERE v.",
            $key,
            " = expired.",
            $key,
            "}
             others{UPDATE ",
            $table,
            " AS v SET ",
            $forgotten,
            "
              WHERE v.",
            $key,
            " IN (SELECT value FROM list(?2 ",
            $type,
            ")) AND ",
            $expired,
            "
             RETURNING CAST(",
            $key,
            " AS TEXT)}"
        )
    };
}

pub(in crate::database) const FIND_CONVERTED: &str = find!(
    "file_version",
    "version_id",
    "converted_object",
    expired!("converted_object")
);
pub(in crate::database) const FORGET_CONVERTED: &str = forget!(
    "file_version",
    "version_id": "int",
    "converted_object = NULL",
    expired!("converted_object")
);

pub(in crate::database) const FIND_REJECTS: &str = find!(
    "file_version",
    "version_id",
    "rejects_object",
    expired!("rejects_object")
);
pub(in crate::database) const FORGET_REJECTS: &str = forget!(
    "file_version",
    "version_id": "int",
    "rejects_object = NULL",
    expired!("rejects_object")
);

pub(in crate::database) const FIND_PARTIALS: &str =
    find!("file_version", "version_id", "partial_object", expired_partial!());

/// `?3` is the time, which is kept: a run that needs the partial says since when it is gone.
pub(in crate::database) const EXPIRE_PARTIALS: &str = forget!(
    "file_version",
    "version_id": "int",
    "partial_object = NULL, partial_removed_timestamp = ?3",
    expired_partial!()
);

pub(in crate::database) const FIND_SUMMARIES: &str = find!(
    "job_run",
    "run_id",
    "summary_object",
    expired_of_run!("summary_object")
);
pub(in crate::database) const FORGET_SUMMARIES: &str = forget!(
    "job_run",
    "run_id": "text",
    "summary_object = NULL",
    expired_of_run!("summary_object")
);

pub(in crate::database) const FIND_COVERAGES: &str = find!(
    "job_run",
    "run_id",
    "coverage_object",
    expired_of_run!("coverage_object")
);
pub(in crate::database) const FORGET_COVERAGES: &str = forget!(
    "job_run",
    "run_id": "text",
    "coverage_object = NULL",
    expired_of_run!("coverage_object")
);

/// Forgets partials that the lake has lost: paths of files, and the objects.
pub(in crate::database) const FORGET_PARTIALS: &str = "
    others{UPDATE file_version SET partial_object = NULL, partial_removed_timestamp = ?2
     WHERE version_id IN (SELECT v.version_id FROM}
    mysql{UPDATE}
           rows(?1 file_url text, object text) j
           CROSS JOIN ingested_file_status f ON f.file_url = j.file_url
           CROSS JOIN file_version v ON v.file_id = f.file_id AND v.partial_object = j.object
    others{)}
    mysql{SET v.partial_object = NULL, v.partial_removed_timestamp = ?2}";

/// Names partials again that the lake has once more: versions, and the objects. It leaves alone what is not missing.
pub(in crate::database) const NAME_PARTIALS: &str = "
    UPDATE file_version AS v SET partial_object = j.object, partial_removed_timestamp = NULL
      FROM rows(?1 version_id int, object text) j
     WHERE v.version_id = j.version_id AND v.partial_object IS NULL AND v.partial_removed_timestamp IS NOT NULL";

/// The files that are to be read again, and whose versions in force lack their partials.
pub(in crate::database) const WITHOUT_PARTIALS: &str = "
    SELECT f.file_url FROM ingested_file_status f CROSS JOIN file_version v ON v.version_id = f.version_id
     WHERE mysql{f.to_look_at = 1 AND} f.stamp_bytes IS NULL AND v.partial_removed_timestamp IS NOT NULL
     ORDER BY f.file_url";

/// The next partials of the versions in force, with their files, after the path `?1`.
pub(in crate::database) const PARTIALS_IN_FORCE: &str = "
    SELECT f.file_url, v.partial_object FROM ingested_file_status f CROSS JOIN file_version v ON v.version_id = f.version_id
     WHERE f.file_url > ?1 AND v.partial_object IS NOT NULL ORDER BY f.file_url LIMIT ?2";

/// Has the files of partials that the lake lost read again, if the partials are still those of a version.
pub(in crate::database) const LOOK_AGAIN_FOR: &str = "
    mysql{SELECT DISTINCT f.file_url FROM}
    others{UPDATE ingested_file_status SET stamp_bytes = NULL, stamp_modified_ns = NULL, stamp_inode = NULL
     WHERE file_id IN (SELECT f.file_id FROM}
           rows(?1 file_url text, object text) j
           CROSS JOIN ingested_file_status f ON f.file_url = j.file_url
           CROSS JOIN file_version v ON v.file_id = f.file_id AND v.partial_object = j.object
    others{)
    RETURNING file_url}
    mysql{;
    UPDATE rows(?1 file_url text, object text) j
     CROSS JOIN ingested_file_status f ON f.file_url = j.file_url
     CROSS JOIN file_version v ON v.file_id = f.file_id AND v.partial_object = j.object
       SET f.stamp_bytes = NULL, f.stamp_modified_ns = NULL, f.stamp_inode = NULL}";

/// The files that a queued run waits for: they are to be read again, because the lake lost the partials that it needs. It
/// goes from such files, of which there are mostly none, to the runs: the inputs of a long queue are too many to look at
/// for each run that is claimed.
pub(in crate::database) const AWAITED: &str = "
    SELECT r.run_id, f.file_url FROM ingested_file_status f
     CROSS JOIN job_run r ON r.state = 'QUEUED'
     CROSS JOIN job_run_input i ON i.run_id = r.run_id AND i.file_id = f.file_id
     CROSS JOIN file_version v ON v.version_id = i.version_id
     WHERE mysql{f.to_look_at = 1 AND} f.stamp_bytes IS NULL AND v.partial_removed_timestamp IS NOT NULL
     ORDER BY r.sequence, f.file_url";
