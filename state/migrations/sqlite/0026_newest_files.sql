-- The files that came last, in the order in which pages list them, with what most searches look at: no file is read for those
-- that are not shown.
DROP INDEX file_by_time;
CREATE INDEX file_by_time ON ingested_file_status (submitted_timestamp DESC, file_url, feed);
