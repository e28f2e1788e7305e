-- Whether the last line of a version's file had an end: 0 if not, as of a file that was cut while it was sent. NULL for
-- versions of before this was recorded.
ALTER TABLE file_version ADD COLUMN last_line_ended INTEGER CHECK (last_line_ended IN (0, 1));
