-- Views for people.

CREATE VIEW alerts AS
    -- What alerts have found and is not over.
    SELECT alert, subject, facts, since_timestamp AS since, told_timestamp AS last_told
      FROM alert_firing WHERE resolved_timestamp IS NULL
     ORDER BY since_timestamp, alert, subject;

CREATE VIEW decisions AS
    -- What people decided about files, newest first.
    SELECT i.at, i.who, i.action, f.file_url, i.detail
      FROM intervention i JOIN ingested_file_status f ON f.file_id = i.file_id
     ORDER BY i.intervention_id DESC;

CREATE VIEW files AS
    -- Every file with the counts of the version in force.
    SELECT f.file_url, f.feed, f.store_id, f.business_date, f.last_update_status AS status,
           f.submitted_timestamp AS submitted, f.last_validated_timestamp AS last_validated,
           (SELECT v.lines FROM file_version v WHERE v.version_id = f.version_id) AS `lines`,
           (SELECT v.rows FROM file_version v WHERE v.version_id = f.version_id) AS `rows`,
           (SELECT v.ignored FROM file_version v WHERE v.version_id = f.version_id) AS ignored,
           (SELECT v.skipped FROM file_version v WHERE v.version_id = f.version_id) AS skipped,
           (SELECT v.rejects FROM file_version v WHERE v.version_id = f.version_id) AS rejects,
           (SELECT v.drift_lines FROM file_version v WHERE v.version_id = f.version_id) AS drift_lines,
           (SELECT v.first_date FROM file_version v WHERE v.version_id = f.version_id) AS first_date,
           (SELECT v.last_date FROM file_version v WHERE v.version_id = f.version_id) AS last_date,
           (SELECT v.bytes FROM file_version v WHERE v.version_id = f.version_id) AS bytes,
           f.last_error, f.file_id, f.version_id,
           f.to_look_at AS look_again
      FROM ingested_file_status f;

CREATE VIEW held AS
    -- What waits for `gristmill accept`: whole files (store_id and trans_date are NULL), and single store-days.
    SELECT f.file_url AS file_url, NULL AS store_id, NULL AS trans_date, f.last_error AS reason, o.file_url AS other_file,
           v.rows AS `lines`, s.submitted_timestamp AS submitted, f.held_version_id AS version_id, f.file_id
      FROM ingested_file_status f
     JOIN file_version v ON v.version_id = f.held_version_id
      JOIN submission s ON s.submission_id = f.held_submission_id
      LEFT JOIN ingested_file_status o ON o.file_id = f.held_for_file_id
     WHERE f.held_version_id IS NOT NULL
    UNION ALL
    SELECT f.file_url, d.store_id, d.trans_date, d.reason, o.file_url, v.lines, s.submitted_timestamp, d.version_id,
           d.file_id
      FROM file_day d
     JOIN ingested_file_status f ON f.file_id = d.file_id
      JOIN submission s ON s.submission_id = d.since_submission
      LEFT JOIN version_day v ON v.version_id = d.version_id AND v.store_id = d.store_id AND v.trans_date = d.trans_date
      LEFT JOIN ingested_file_status o ON o.file_id = d.other_file_id
     WHERE d.standing = 'HELD' AND d.standing <> 'STANDS'
     ORDER BY 1, 2, 3;

CREATE VIEW job_history AS
    -- Every change of a job's configuration, newest first.
    SELECT at, who, action, job_config_id AS job, `before`, after, edit_id FROM job_edit ORDER BY edit_id DESC;

CREATE VIEW jobs AS
    -- Every job with its last run and the number of runs that wait or work.
    SELECT j.job_config_id AS job, j.job_enabled AS enabled, j.job_feed AS feed, j.job_input_pattern AS pattern,
           j.job_min_file_count AS min_files, j.job_trigger AS `trigger`, j.last_exec_status, j.last_run_timestamp,
           j.last_run_id, r.outcome AS last_outcome, r.error AS last_error,
           (SELECT count(*) FROM job_run a
             WHERE a.job_config_id = j.job_config_id AND a.state IN ('QUEUED', 'RUNNING')) AS active_runs
      FROM aggr_job_configuration j LEFT JOIN job_run r ON r.run_id = j.last_run_id
     ORDER BY j.job_config_id;

CREATE VIEW notices AS
    -- The messages of alerts, newest first.
    SELECT notice_id, receiver, alert, kind, queued_timestamp AS queued, sent_timestamp AS sent, failures, last_error,
           content
      FROM alert_notice ORDER BY notice_id DESC;

CREATE VIEW outages AS
    -- What waits for an outage to end: runs, files and the service.
    SELECT kind, subject, since_timestamp AS since, reason, failures, next_try_timestamp AS next_try
      FROM waiting ORDER BY since_timestamp;

CREATE VIEW run_duration AS
    -- How long completed runs took, in seconds to the millisecond, apart from those that had nothing to do.
    -- 'run': from start to end; 'merge': from start to summary; 'load': from summary to end; 'lag': from the newest
    -- submission that the run read to its end, for runs that files brought about.
    SELECT run_id, 'run' AS kind,
           round(timestampdiff(MICROSECOND, left(started_timestamp, 26), left(finished_timestamp, 26)) / 1e6, 3) AS seconds
      FROM job_run
     WHERE state = 'COMPLETED' AND outcome <> 'UNCHANGED' AND started_timestamp IS NOT NULL
     UNION ALL
    SELECT run_id, 'merge',
           round(timestampdiff(MICROSECOND, left(started_timestamp, 26), left(summarized_timestamp, 26)) / 1e6, 3)
      FROM job_run
     WHERE state = 'COMPLETED' AND outcome = 'LOADED' AND summarized_timestamp >= started_timestamp
     UNION ALL
    SELECT run_id, 'load',
           round(timestampdiff(MICROSECOND, left(summarized_timestamp, 26), left(finished_timestamp, 26)) / 1e6, 3)
      FROM job_run
     WHERE state = 'COMPLETED' AND outcome = 'LOADED' AND summarized_timestamp >= started_timestamp
     UNION ALL
    SELECT r.run_id, 'lag',
           round(timestampdiff(MICROSECOND, left(s.submitted_timestamp, 26), left(r.finished_timestamp, 26)) / 1e6, 3)
      FROM job_run r
      JOIN submission s
        ON s.submission_id = (SELECT max(i.submission_id) FROM job_run_input i WHERE i.run_id = r.run_id)
     WHERE r.state = 'COMPLETED' AND r.outcome = 'LOADED' AND r.cause IN ('preconditions', 'deadline', 'retry');

CREATE VIEW run_duration_bound AS
    -- The same, with the bound of the bucket that each lies in.
    SELECT run_id, kind, seconds, bound_of(seconds) AS up_to FROM run_duration WHERE seconds IS NOT NULL;

CREATE VIEW run_files AS
    -- Every file of every run, in the version that the run read.
    SELECT r.run_id, r.job_config_id AS job, r.wave, f.file_url, f.store_id, v.rows, v.content_hash,
           s.submitted_timestamp AS submitted, v.converted_object, v.partial_object, i.version_id, i.submission_id
      FROM job_run r
      JOIN job_run_input i ON i.run_id = coalesce(r.inputs_of, r.run_id)
      JOIN ingested_file_status f ON f.file_id = i.file_id
      JOIN file_version v ON v.version_id = i.version_id
      JOIN submission s ON s.submission_id = i.submission_id;

CREATE VIEW runs AS
    -- Every run, newest first, with the number of files it reads.
    SELECT r.run_id, r.job_config_id AS job, r.wave, r.state, r.outcome, r.cause, r.incomplete, r.completeness_percent,
           (SELECT count(DISTINCT i.file_id) FROM job_run_input i WHERE i.run_id = coalesce(r.inputs_of, r.run_id)) AS files,
           r.summary_rows, r.rows_inserted, r.rows_updated, r.rows_deleted, r.rows_unchanged,
           r.queued_timestamp AS queued, r.started_timestamp AS started, r.finished_timestamp AS finished,
           r.attempts, r.error, r.summary_object, r.cluster_operation
      FROM job_run r
     ORDER BY r.sequence DESC;

CREATE VIEW store_days AS
    -- What each file reports of each store and day, and whether it counts.
    SELECT d.store_id, d.trans_date, f.file_url, d.standing, v.lines, d.reason, d.version_id, d.file_id
      FROM file_day d
      JOIN ingested_file_status f ON f.file_id = d.file_id
      LEFT JOIN version_day v ON v.version_id = d.version_id AND v.store_id = d.store_id AND v.trans_date = d.trans_date;

CREATE VIEW submissions AS
    -- Every arrival, newest first.
    SELECT s.submission_id, s.submitted_timestamp AS submitted, f.file_url, f.feed, s.outcome, s.error,
           v.rows, v.rejects, v.content_hash, s.version_id, s.file_id
      FROM submission s
      JOIN ingested_file_status f ON f.file_id = s.file_id
      LEFT JOIN file_version v ON v.version_id = s.version_id
     ORDER BY s.submission_id DESC;

CREATE VIEW unmatched_files AS
    -- The files in the sources that no feed matches.
    SELECT file_url, bytes, noticed_timestamp AS noticed FROM unmatched_file ORDER BY file_url;

CREATE VIEW versions AS
    -- Every version of every file, newest first; in_force marks the one that runs read.
    SELECT f.file_url, v.version_id = f.version_id AS in_force, v.accepted, v.reject_reason, v.created_timestamp AS created,
           v.lines, v.rows, v.ignored, v.skipped, v.rejects, v.drift_lines, v.first_date, v.last_date, v.bytes,
           v.content_hash, v.converted_object, v.partial_object, v.rejects_object, v.version_id, v.file_id
      FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id
     ORDER BY f.file_url, v.version_id DESC;
