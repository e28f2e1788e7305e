-- Days that only an older version of a file gives. A run must read them if no run has read them before.
ALTER TABLE file_day ADD COLUMN is_older INTEGER NOT NULL DEFAULT 0 CHECK (is_older IN (0, 1));  -- 1: the version is not in force
UPDATE file_day SET is_older = 1
 WHERE version_id IS NOT (SELECT f.version_id FROM ingested_file_status f WHERE f.file_id = file_day.file_id);
CREATE INDEX file_day_older ON file_day (since_submission) WHERE is_older = 1 AND standing = 'STANDS';

CREATE TRIGGER version_in_force AFTER UPDATE OF version_id ON ingested_file_status
WHEN new.version_id IS NOT old.version_id BEGIN
    UPDATE file_day SET is_older = (version_id IS NOT new.version_id) WHERE file_id = new.file_id;
END;
