CREATE TABLE file_attempt (
    -- The files that are being converted, and those that were when their process died. What is recorded of a file, or
    -- ends without a record, removes it here.
    file_url          TEXT NOT NULL PRIMARY KEY,
    stamp_bytes       INTEGER NOT NULL,
    stamp_modified_ns INTEGER NOT NULL,
    stamp_inode       INTEGER NOT NULL,
    attempts          INTEGER NOT NULL CHECK (attempts >= 1)  -- how often a process began with just this file
) STRICT, WITHOUT ROWID;
