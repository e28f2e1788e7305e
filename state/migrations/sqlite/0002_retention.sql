-- What the lake's retention has removed. Converted rows, rejects and summaries lose their names alone; a version whose
-- partial was removed must be converted again before it can come into force.
ALTER TABLE file_version ADD COLUMN partial_removed_timestamp TEXT;
