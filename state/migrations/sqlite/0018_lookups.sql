-- What `status`, `retry`, `replay` and the service itself look for, found without reading all that was ever known.

-- Files that a person or gristmill itself has marked to be read again.
CREATE INDEX file_to_look_at ON ingested_file_status (file_url)
 WHERE stamp_bytes IS NULL OR stamp_modified_ns IS NULL OR stamp_inode IS NULL;
CREATE INDEX file_not_validated ON ingested_file_status (last_update_status) WHERE last_update_status <> 'VALIDATED';
CREATE INDEX file_held ON ingested_file_status (held_version_id) WHERE held_version_id IS NOT NULL;

CREATE INDEX version_with_rejects ON file_version (file_id) WHERE rejects > 0;
CREATE INDEX version_without_end ON file_version (file_id) WHERE last_line_ended = 0;
CREATE INDEX version_uncounted ON file_version (file_id) WHERE days_counted = 0;

CREATE INDEX submission_by_time ON submission (submitted_timestamp);
CREATE INDEX submission_ahead ON submission (file_id) WHERE stamp_modified_ns > written_ns;

DROP VIEW held;
CREATE VIEW held AS
    -- What waits for `gristmill accept`: whole files (store_id and trans_date are NULL), and single store-days.
    SELECT +f.file_url AS file_url, NULL AS store_id, NULL AS trans_date, f.last_error AS reason, o.file_url AS other_file,
           v.rows AS lines, s.submitted_timestamp AS submitted, f.held_version_id AS version_id, f.file_id
      FROM ingested_file_status f
     CROSS JOIN file_version v ON v.version_id = f.held_version_id
      JOIN submission s ON s.submission_id = f.held_submission_id
      LEFT JOIN ingested_file_status o ON o.file_id = f.held_for_file_id
     WHERE f.held_version_id IS NOT NULL
    UNION ALL
    SELECT f.file_url, d.store_id, d.trans_date, d.reason, o.file_url, v.lines, s.submitted_timestamp, d.version_id,
           d.file_id
      FROM file_day d
     CROSS JOIN ingested_file_status f ON f.file_id = d.file_id
      JOIN submission s ON s.submission_id = d.since_submission
      LEFT JOIN version_day v ON v.version_id = d.version_id AND v.store_id = d.store_id AND v.trans_date = d.trans_date
      LEFT JOIN ingested_file_status o ON o.file_id = d.other_file_id
     WHERE d.standing = 'HELD' AND d.standing <> 'STANDS'
     ORDER BY 1, 2, 3;
