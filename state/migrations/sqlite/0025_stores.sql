-- The files of a store, whichever jobs take them; the files that came last; and views for what could only be read from tables before.
CREATE INDEX file_of_store ON ingested_file_status (store_id) WHERE store_id IS NOT NULL;
CREATE INDEX file_by_time ON ingested_file_status (submitted_timestamp);
CREATE INDEX job_file_by_store ON job_file (store_id) WHERE store_id IS NOT NULL;

CREATE VIEW store_days AS
    -- What each file reports of each store and day, and whether it counts.
    SELECT d.store_id, d.trans_date, f.file_url, d.standing, v.lines, d.reason, d.version_id, d.file_id
      FROM file_day d
      JOIN ingested_file_status f ON f.file_id = d.file_id
      LEFT JOIN version_day v ON v.version_id = d.version_id AND v.store_id = d.store_id AND v.trans_date = d.trans_date;

CREATE VIEW decisions AS
    -- What people decided about files, newest first.
    SELECT i.at, i.who, i.action, f.file_url, i.detail
      FROM intervention i JOIN ingested_file_status f ON f.file_id = i.file_id
     ORDER BY i.intervention_id DESC;

CREATE VIEW outages AS
    -- What waits for an outage to end: runs, files and the service.
    SELECT kind, subject, since_timestamp AS since, reason, failures, next_try_timestamp AS next_try
      FROM waiting ORDER BY since_timestamp;

CREATE VIEW unmatched_files AS
    -- The files in the sources that no feed matches.
    SELECT file_url, bytes, noticed_timestamp AS noticed FROM unmatched_file ORDER BY file_url;
