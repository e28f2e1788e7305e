-- What is still to be put away is asked for each time that something was recorded, and is mostly next to nothing.
CREATE INDEX file_to_put_away ON ingested_file_status (file_url) WHERE put_away_timestamp IS NULL;
