-- The views with the most rows sort nothing: whoever asks for an order says so, and whoever counts does not wait for one.
DROP VIEW files;
CREATE VIEW files AS
    -- Every file with the counts of the version in force.
    SELECT f.file_url, f.feed, f.store_id, f.business_date, f.last_update_status AS status,
           f.submitted_timestamp AS submitted, f.last_validated_timestamp AS last_validated,
           v.lines, v.rows, v.ignored, v.skipped, v.rejects, v.drift_lines, v.first_date, v.last_date, v.bytes,
           f.last_error, f.file_id, f.version_id,
           f.stamp_bytes IS NULL OR f.stamp_modified_ns IS NULL OR f.stamp_inode IS NULL AS look_again
      FROM ingested_file_status f LEFT JOIN file_version v ON v.version_id = f.version_id;

DROP VIEW run_files;
CREATE VIEW run_files AS
    -- Every file of every run, in the version that the run read.
    SELECT r.run_id, r.job_config_id AS job, r.wave, f.file_url, f.store_id, v.rows, v.content_hash,
           s.submitted_timestamp AS submitted, v.converted_object, v.partial_object, i.version_id, i.submission_id
      FROM job_run r
      JOIN job_run_input i ON i.run_id = coalesce(r.inputs_of, r.run_id)
      JOIN ingested_file_status f ON f.file_id = i.file_id
      JOIN file_version v ON v.version_id = i.version_id
      JOIN submission s ON s.submission_id = i.submission_id;
