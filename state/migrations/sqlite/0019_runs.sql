-- A run that had nothing to do does not repeat what it would have read: it names the run that read it.
ALTER TABLE job_run ADD COLUMN inputs_of TEXT REFERENCES job_run (run_id);

DROP VIEW runs;
CREATE VIEW runs AS
    -- Every run, newest first, with the number of files it reads.
    SELECT r.run_id, r.job_config_id AS job, r.wave, r.state, r.outcome, r.cause, r.incomplete, r.completeness_percent,
           (SELECT count(DISTINCT i.file_id) FROM job_run_input i WHERE i.run_id = coalesce(r.inputs_of, r.run_id)) AS files,
           r.summary_rows, r.rows_inserted, r.rows_updated, r.rows_deleted, r.rows_unchanged,
           r.queued_timestamp AS queued, r.started_timestamp AS started, r.finished_timestamp AS finished,
           r.attempts, r.error, r.summary_object
      FROM job_run r
     ORDER BY r.sequence DESC;

DROP VIEW run_files;
CREATE VIEW run_files AS
    -- Every file of every run, in the version that the run read.
    SELECT r.run_id, r.job_config_id AS job, r.wave, f.file_url, f.store_id, v.rows, v.content_hash,
           s.submitted_timestamp AS submitted, v.converted_object, v.partial_object, i.version_id, i.submission_id
      FROM job_run r
      JOIN job_run_input i ON i.run_id = coalesce(r.inputs_of, r.run_id)
      JOIN ingested_file_status f ON f.file_id = i.file_id
      JOIN file_version v ON v.version_id = i.version_id
      JOIN submission s ON s.submission_id = i.submission_id
     ORDER BY r.sequence DESC, f.file_url;

CREATE TABLE job_to_keep (
    -- The jobs that have loaded days which loaded_day does not have: there was only one job then.
    job_config_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
INSERT INTO job_to_keep
SELECT DISTINCT r.job_config_id FROM job_run r
 WHERE r.state = 'COMPLETED' AND r.outcome = 'LOADED'
   AND NOT EXISTS (SELECT 1 FROM loaded_day d WHERE d.job_config_id = r.job_config_id);
