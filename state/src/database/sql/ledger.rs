//! Statements about the warehouse's ledger. The ledger's entries come as JSON: target, run, job, wave, sequence, rows, time.
//!
//! Mostly nothing is lost or unknown. `+sequence` keeps SQLite from walking through all runs in their order to find that.

/// Notes the entries that this database does not know. Those of jobs that it does not have belong to somebody else.
pub(in crate::database) const NOTE_UNKNOWN: &str = "
    INSERT INTO ledger_run (target, run_id, job_config_id, wave, sequence, rows, loaded_timestamp, found_timestamp)
    SELECT r.target, r.run_id, r.job, r.wave, r.sequence, r.rows, r.loaded, ?2
      FROM rows(?1 target text, run_id text, job text, wave text, sequence int, rows int, loaded text) r
     WHERE r.job IN (SELECT job_config_id FROM aggr_job_configuration)
       AND r.run_id NOT IN (SELECT run_id FROM job_run)
    ON CONFLICT (target, run_id) DO NOTHING";

/// Forgets unknown entries that the ledger no longer has as the newest of their scopes.
pub(in crate::database) const FORGET_UNKNOWN: &str = "
    DELETE FROM ledger_run
     WHERE accepted_timestamp IS NULL
       AND (target, run_id) NOT IN (SELECT r.target, r.run_id FROM rows(?1 target text, run_id text) r)";

/// Marks the loads that are newer than all that the ledger has of their scope. Both are brought together by sorting, or on
/// MySQL by an index that it makes of texts of a limited length: to look through the ledger for each load would take minutes
/// where there are tens of thousands.
pub(in crate::database) const NOTE_LOST: &str = "
    others{WITH scope (job, wave, newest) AS MATERIALIZED
         (SELECT job, wave, max(sequence)
            FROM (SELECT e.job AS job, e.wave AS wave, e.sequence AS sequence
                    FROM rows(?1 target text, run_id text, job text, wave text, sequence int) e
                   UNION ALL
                  SELECT DISTINCT job_config_id, wave, -1 FROM job_run) either
           GROUP BY job, wave)
    UPDATE job_run SET lost_timestamp = ?2
     WHERE run_id IN (SELECT r.run_id FROM scope s
                       CROSS JOIN job_run r
                          ON r.job_config_id = s.job AND r.wave = s.wave AND r.state = 'COMPLETED'
                             AND r.sequence > s.newest
                       WHERE r.outcome = 'LOADED' AND r.lost_timestamp IS NULL)}
    mysql{UPDATE (SELECT DISTINCT r.run_id FROM job_run r
            LEFT JOIN (SELECT CAST(e.job AS CHAR(200)) AS job, CAST(e.wave AS CHAR(32)) AS wave, max(e.sequence) AS newest
                         FROM rows(?1 target text, run_id text, job text, wave text, sequence int) e
                        GROUP BY 1, 2) s
                   ON s.job = r.job_config_id AND s.wave = r.wave
           WHERE r.state = 'COMPLETED' AND r.outcome = 'LOADED' AND r.lost_timestamp IS NULL
             AND r.sequence > coalesce(s.newest, -1)) lost
     CROSS JOIN job_run AS j SET j.lost_timestamp = ?2 WHERE j.run_id = lost.run_id}";

pub(in crate::database) const NOTE_FOUND: &str = "
    UPDATE job_run SET lost_timestamp = NULL
     WHERE lost_timestamp IS NOT NULL AND run_id IN (SELECT r.run_id FROM rows(?1 target text, run_id text) r)";

/// The run is there, and with it all that still counts of the earlier loads of its wave.
pub(in crate::database) const FOUND: &str = "
    UPDATE job_run SET lost_timestamp = NULL
      FROM job_run found
     WHERE found.run_id = ?1 AND job_run.job_config_id = found.job_config_id AND job_run.wave = found.wave
       AND job_run.sequence <= found.sequence AND job_run.lost_timestamp IS NOT NULL";

/// All loads that the warehouse was found to lack, in the order of loads.
pub(in crate::database) const ALL_LOST: &str = "
    SELECT * FROM job_run WHERE lost_timestamp IS NOT NULL AND outcome = 'LOADED' ORDER BY +sequence";

pub(in crate::database) const UNKNOWN: &str = "
    SELECT * FROM ledger_run WHERE accepted_timestamp IS NULL AND (?1:text IS NULL OR job_config_id = ?1)
     ORDER BY +sequence";

/// The last load of each job and wave, if the warehouse was found to lack it.
pub(in crate::database) const LOST: &str = "
    SELECT r.* FROM job_run r
     WHERE r.lost_timestamp IS NOT NULL AND (?1:text IS NULL OR r.job_config_id = ?1)
       AND NOT EXISTS (SELECT 1 FROM job_run later
                        WHERE later.job_config_id = r.job_config_id AND later.wave = r.wave
                          AND later.state = 'COMPLETED' AND later.outcome = 'LOADED' AND later.sequence > r.sequence)
     ORDER BY +r.sequence";

/// Whether the ledger's newest entry of a scope (`?3` its run, `?4` its sequence) holds nothing new: the run is known,
/// and no newer load is missing that was not missed before.
pub(in crate::database) const AGREES: &str = "
    SELECT (?3:text IS NULL OR EXISTS (SELECT 1 FROM job_run WHERE run_id = ?3)
            OR EXISTS (SELECT 1 FROM ledger_run WHERE run_id = ?3 AND accepted_timestamp IS NOT NULL))
       AND NOT EXISTS (SELECT 1 FROM job_run
                        WHERE job_config_id = ?1 AND wave = ?2 AND state = 'COMPLETED' AND outcome = 'LOADED'
                          AND lost_timestamp IS NULL AND sequence > coalesce(?4:int, -1))";

/// Whether the warehouse holds something else than the last load that this database knows of a job and wave.
pub(in crate::database) const IS_OTHERS: &str = "
    WITH last (sequence, lost) AS
         (SELECT sequence, lost_timestamp FROM job_run
           WHERE job_config_id = ?1 AND wave = ?2 AND state = 'COMPLETED' AND outcome = 'LOADED'
           ORDER BY sequence DESC LIMIT 1)
    SELECT EXISTS (SELECT 1 FROM last WHERE lost IS NOT NULL)
        OR EXISTS (SELECT 1 FROM ledger_run
                    WHERE job_config_id = ?1 AND wave = ?2
                      AND sequence > coalesce((SELECT sequence FROM last), -1))";

pub(in crate::database) const ACCEPT: &str = "
    UPDATE ledger_run SET accepted_timestamp = ?3 WHERE target = ?1 AND run_id = ?2";

/// Takes files out of force until they are read again. What a person has withdrawn stays so.
pub(in crate::database) const FORGET_FILES: &str = "
    UPDATE ingested_file_status AS f
       SET version_id = NULL, valid_submission_id = NULL, last_update_status = 'SUBMITTED', last_update_timestamp = ?2,
           last_error = NULL, stamp_bytes = NULL, stamp_modified_ns = NULL, stamp_inode = NULL
      FROM list(?1 text) l
     WHERE f.file_url = l.value AND f.last_update_status <> 'WITHDRAWN'";

pub(in crate::database) const CANCEL_RUNS: &str = "
    UPDATE job_run SET state = 'FAILED', finished_timestamp = ?3, error = ?4
     WHERE job_config_id = ?1 AND wave = ?2 AND state IN ('QUEUED', 'RUNNING')";

/// Records in the job how its last run ended, if that run was given up.
pub(in crate::database) const NOTE_CANCELLED: &str = "
    UPDATE aggr_job_configuration SET last_exec_status = 'FAILED'
     WHERE job_config_id = ?1 AND last_exec_status = 'RUNNING'
       AND last_run_id IN (SELECT run_id FROM job_run WHERE state = 'FAILED')";
