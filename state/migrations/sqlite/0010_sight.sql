-- The change time (ctime) of a file when it was last read. NULL: the version before had no such stamp, or it is an object.
-- Unlike the other parts of the stamp, NULL does not have the file looked at again.
ALTER TABLE ingested_file_status ADD COLUMN stamp_changed_ns INTEGER;
-- When a file that looked the same was last compared with what was read of it, and its bytes were the same too.
ALTER TABLE ingested_file_status ADD COLUMN compared_timestamp TEXT
    CHECK (compared_timestamp LIKE '____-__-__T__:__:__.______Z');
CREATE TABLE unmatched_file (
    -- The files in the sources that no feed matches, at the last full listing: the newest 10,000. Nothing is read of them.
    file_url          TEXT NOT NULL PRIMARY KEY,  -- the path relative to the source
    bytes             INTEGER NOT NULL,
    modified_ns       INTEGER NOT NULL,           -- when it was last written, in nanoseconds since 1970
    noticed_timestamp TEXT NOT NULL               -- when a listing first found it
) STRICT;
