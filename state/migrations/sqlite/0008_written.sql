-- When each submission's file was written, bounded by its arrival: the order of files that hold the same store and day.
ALTER TABLE submission ADD COLUMN written_ns INTEGER NOT NULL DEFAULT 0;  -- nanoseconds since 1970
UPDATE submission
   SET written_ns = min(stamp_modified_ns,
                        CAST(strftime('%s', submitted_timestamp) AS INTEGER) * 1000000000
                        + CAST(substr(submitted_timestamp, 21, 6) AS INTEGER) * 1000);
