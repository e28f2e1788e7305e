-- The operation of a cluster that merges for a run, or has merged: SESSION:OPERATION, as the cluster knows it. A restarted
-- gristmill finds it there. NULL for runs that were merged on this host.
ALTER TABLE job_run ADD COLUMN cluster_operation TEXT;

DROP VIEW runs;
CREATE VIEW runs AS
    -- Every run, newest first, with the number of files it reads.
    SELECT r.run_id, r.job_config_id AS job, r.wave, r.state, r.outcome, r.cause, r.incomplete, r.completeness_percent,
           (SELECT count(DISTINCT i.file_id) FROM job_run_input i WHERE i.run_id = coalesce(r.inputs_of, r.run_id)) AS files,
           r.summary_rows, r.rows_inserted, r.rows_updated, r.rows_deleted, r.rows_unchanged,
           r.queued_timestamp AS queued, r.started_timestamp AS started, r.finished_timestamp AS finished,
           r.attempts, r.error, r.summary_object, r.cluster_operation
      FROM job_run r
     ORDER BY r.sequence DESC;
