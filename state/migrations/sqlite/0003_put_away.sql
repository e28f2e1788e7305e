-- When the source's `after` was seen to for what was last read of a file. NULL: that is still to be done, or the source
-- has no such setting.
ALTER TABLE ingested_file_status ADD COLUMN put_away_timestamp TEXT;
