//! Statements for pages: parts of long lists, and the story of one file.

/// A part of the list of the files in `$of` in the order `$order`. The rows are read after the part is known.
macro_rules! files {
    ($of:literal, $order:literal) => {
        concat!(
            "
    SELECT v.*, f.* FROM (
        SELECT f.file_id FROM ",
            $of,
            "
         WHERE (?1:text IS NULL OR f.feed = ?1)
           AND (?2:text IS NULL OR f.last_update_status = ?2
                OR ?2 = 'HELD' AND EXISTS (SELECT 1 FROM file_day d
                                            WHERE d.file_id = f.file_id AND d.standing = 'HELD' AND d.standing <> 'STANDS'))
           AND (?3:text IS NULL OR instr(lower(f.file_url), lower(?3:text)) > 0)
           AND (?4:text IS NULL OR EXISTS (SELECT 1 FROM job_file j WHERE j.file_id = f.file_id AND j.job_config_id = ?4))
           AND (?5:text IS NULL OR f.store_id = ?5
                OR EXISTS (SELECT 1 FROM job_file j WHERE j.file_id = f.file_id AND +j.store_id = ?5))
         ORDER BY ",
            $order,
            " LIMIT ?6 OFFSET ?7) part
     CROSS JOIN ingested_file_status f ON f.file_id = part.file_id
      LEFT JOIN file_version v ON v.version_id = f.version_id
     ORDER BY ",
            $order
        )
    };
}

/// Two lists of the files in `$of`: by path, and those first that were submitted last.
macro_rules! lists {
    ($of:literal) => {
        [
            files!($of, "f.file_url"),
            files!($of, "f.submitted_timestamp DESC, f.file_url"),
        ]
    };
}

pub(in crate::database) const FILES: [&str; 2] = lists!("ingested_file_status f");
pub(in crate::database) const FILES_OF_STORE: [&str; 2] = lists!(
    "(SELECT file_id FROM ingested_file_status WHERE store_id = ?5
       UNION SELECT file_id FROM job_file WHERE store_id = ?5) s
      CROSS JOIN ingested_file_status f ON f.file_id = s.file_id"
);
/// Those with a status that few files have.
pub(in crate::database) const FILES_OF_STATUS: [&str; 2] = lists!(
    "(SELECT file_id FROM ingested_file_status WHERE last_update_status = ?2 AND last_update_status <> 'VALIDATED'
       UNION SELECT file_id FROM file_day WHERE ?2 = 'HELD' AND standing = 'HELD' AND standing <> 'STANDS') s
      CROSS JOIN ingested_file_status f ON f.file_id = s.file_id"
);
pub(in crate::database) const FILES_OF_JOB: [&str; 2] = lists!(
    "(SELECT DISTINCT file_id FROM job_file WHERE job_config_id = ?4) s
      CROSS JOIN ingested_file_status f ON f.file_id = s.file_id"
);

/// The versions of the newest submissions of some files (an array of ids) that are not in force.
pub(in crate::database) const REFUSED: &str = "
    SELECT v.*, f.file_url FROM list(?1 int) j
     CROSS JOIN ingested_file_status f ON f.file_id = j.value AND f.last_update_status <> 'VALIDATED'
     CROSS JOIN submission s
        ON s.submission_id = (SELECT max(n.submission_id) FROM submission n WHERE n.file_id = f.file_id)
     CROSS JOIN file_version v ON v.version_id = s.version_id";

/// The newest submissions of a file.
pub(in crate::database) const SUBMISSIONS_OF: &str = "
    SELECT s.submission_id, s.submitted_timestamp, s.outcome, s.error, s.version_id, v.content_hash, f.file_url
      FROM ingested_file_status f
     CROSS JOIN submission s ON s.file_id = f.file_id
      LEFT JOIN file_version v ON v.version_id = s.version_id
     WHERE f.file_url = ?1
     ORDER BY s.submission_id DESC LIMIT ?2";

pub(in crate::database) const INTERVENTIONS_OF: &str = "
    SELECT i.at, i.who, i.action FROM intervention i
      JOIN ingested_file_status f ON f.file_id = i.file_id
     WHERE f.file_url = ?1
     ORDER BY i.intervention_id DESC LIMIT ?2";

/// The newest runs that read a file.
pub(in crate::database) const RUNS_OF_FILE: &str = "
    SELECT r.* FROM (SELECT DISTINCT i.run_id FROM ingested_file_status f
                      CROSS JOIN job_run_input i ON i.file_id = f.file_id
                      WHERE f.file_url = ?1) read
     CROSS JOIN job_run r ON r.run_id = read.run_id
     ORDER BY r.sequence DESC LIMIT ?2";

/// The newest file of some stores of jobs. `?1` is an array of jobs and stores.
pub(in crate::database) const LAST_SEEN: &str = "
    sqlite{SELECT j.job_config_id, j.store_id, f.file_url, max(f.submitted_timestamp) AS submitted_timestamp}
    postgres{SELECT DISTINCT ON (q.key) j.job_config_id, j.store_id, f.file_url, f.submitted_timestamp}
    mysql{SELECT job_config_id, store_id, file_url, submitted_timestamp FROM (
          SELECT j.job_config_id, j.store_id, f.file_url, f.submitted_timestamp,
                 row_number() OVER (PARTITION BY q.key ORDER BY f.submitted_timestamp DESC) AS place}
      FROM rows(?1 job text, store_id text) q
     CROSS JOIN job_file j ON j.store_id = q.store_id AND j.job_config_id = q.job
     CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
     sqlite{GROUP BY q.key}
     postgres{ORDER BY q.key, f.submitted_timestamp DESC}
    mysql{) newest WHERE place = 1}";

/// The stores of a job, in their order, after a given one.
pub(in crate::database) const STORES_OF_JOB: &str = "
    SELECT DISTINCT store_id FROM job_file
     WHERE job_config_id = ?1 AND store_id IS NOT NULL
     ORDER BY store_id LIMIT ?2 OFFSET ?3";

/// What some stores have reported to a job: the submissions of files whose day lies in a span, or, of jobs without days,
/// those that were recorded in a span of time.
pub(in crate::database) const REPORTS: &str = "
    SELECT j.store_id, j.wave, f.file_url, s.outcome, s.submitted_timestamp
      FROM job_file j
     CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
     CROSS JOIN submission s ON s.file_id = f.file_id
     WHERE j.job_config_id = ?1 AND j.store_id IN (SELECT value FROM list(?2 text))
       AND (j.wave <> '' AND j.wave BETWEEN ?3 AND ?4
            OR j.wave = '' AND s.submitted_timestamp >= ?5 AND s.submitted_timestamp < ?6)
     ORDER BY s.submission_id";

/// The newest run of each of the jobs in `?1` that had everything, and whose result is in the warehouse.
pub(in crate::database) const LAST_COMPLETE: &str = "
    SELECT r.* FROM list(?1 text) q
     CROSS JOIN job_run r
        ON r.sequence = (SELECT sequence FROM job_run
                          WHERE job_config_id = q.value AND state = 'COMPLETED' AND incomplete = 0
                            AND outcome IN ('LOADED', 'UNCHANGED')
                          ORDER BY sequence DESC LIMIT 1)";
