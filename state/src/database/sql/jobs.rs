//! Statements about jobs.

pub(in crate::database) const ADD: &str = "
    INSERT INTO aggr_job_configuration
           (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger, job_addl_criteria, job_params,
            job_enabled)
    SELECT ?1, ?2, ?3, ?4:int, ?5, ?6, ?7, ?8:int
     WHERE NOT EXISTS (SELECT 1 FROM aggr_job_configuration WHERE job_config_id = ?1)";

/// Adds or overwrites a job; changes no row if the stored job is the same.
pub(in crate::database) const APPLY: &str = "
    INSERT INTO aggr_job_configuration
           (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger, job_addl_criteria, job_params,
            job_enabled)
    SELECT ?1, ?2, ?3, ?4:int, ?5, ?6, ?7, ?8:int
     WHERE NOT EXISTS (
           SELECT 1 FROM aggr_job_configuration
            WHERE job_config_id = ?1 AND job_feed IS NOT DISTINCT FROM ?2 AND job_input_pattern IS NOT DISTINCT FROM ?3
              AND job_min_file_count IS NOT DISTINCT FROM ?4:int AND job_trigger IS NOT DISTINCT FROM ?5
              AND job_addl_criteria IS NOT DISTINCT FROM ?6 AND job_params IS NOT DISTINCT FROM ?7
              AND job_enabled IS NOT DISTINCT FROM ?8:int)
    ON CONFLICT (job_config_id) DO UPDATE
       SET job_feed = excluded.job_feed, job_input_pattern = excluded.job_input_pattern,
           job_min_file_count = excluded.job_min_file_count, job_trigger = excluded.job_trigger,
           job_addl_criteria = excluded.job_addl_criteria, job_params = excluded.job_params,
           job_enabled = excluded.job_enabled";

pub(in crate::database) const ALL: &str = "SELECT * FROM aggr_job_configuration ORDER BY job_config_id";

pub(in crate::database) const NAMES: &str = "SELECT job_config_id FROM aggr_job_configuration";

pub(in crate::database) const ONE: &str = "SELECT * FROM aggr_job_configuration WHERE job_config_id = ?1";

/// The jobs whose names are in `?1`.
pub(in crate::database) const THESE: &str =
    "SELECT * FROM aggr_job_configuration WHERE job_config_id IN (SELECT value FROM list(?1 text))";

/// The jobs that take none of the known files.
pub(in crate::database) const WITHOUT_FILES: &str = "
    SELECT j.job_config_id FROM aggr_job_configuration j
     WHERE NOT EXISTS (SELECT 1 FROM job_file f WHERE f.job_config_id = j.job_config_id)
     ORDER BY j.job_config_id";

pub(in crate::database) const SET_ENABLED: &str =
    "UPDATE aggr_job_configuration SET job_enabled = ?2 WHERE job_config_id = ?1";

/// Records in the job that a run of it has begun.
pub(in crate::database) const NOTE_BEGIN: &str = "
    UPDATE aggr_job_configuration SET last_exec_status = 'RUNNING', last_run_timestamp = ?3, last_run_id = ?2
     WHERE job_config_id = ?1";

/// Records in the job how a run of it ended, unless a later one has begun since.
pub(in crate::database) const NOTE_END: &str =
    "UPDATE aggr_job_configuration SET last_exec_status = ?2 WHERE last_run_id = ?1";
