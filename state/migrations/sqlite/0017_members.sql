-- Which files each job takes, and which waves may have to run. All of it is derived: people need not keep it, and
-- gristmill makes anew what is missing.

CREATE TABLE revision (
    -- Numbers that grow with each change: of the jobs' rows ('jobs'), and of what verdicts rest on ('waves').
    of     TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO revision VALUES ('jobs', 0), ('waves', 0);

CREATE TABLE job_to_match (
    -- Jobs that are new, or whose row has changed: it is not known yet which files they take.
    job_config_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
INSERT INTO job_to_match SELECT job_config_id FROM aggr_job_configuration;

CREATE TABLE file_to_match (
    -- Files that are new, or whose path, feed or store has changed: it is not known yet which jobs take them.
    file_id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE job_file (
    -- The files that each job takes, by wave.
    job_config_id TEXT NOT NULL,
    wave          TEXT NOT NULL,     -- the day in the file's name, '' for jobs without {date}
    file_id       INTEGER NOT NULL,
    store_id      TEXT,              -- by the job's pattern, or else by the feed's
    PRIMARY KEY (job_config_id, wave, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_file_of_file ON job_file (file_id);
-- Where the stores of a job by day are first seen.
CREATE INDEX job_file_of_store ON job_file (job_config_id, store_id, wave) WHERE wave <> '';

CREATE TABLE job_requires (
    -- The patterns in each job's `requires`.
    pattern       TEXT NOT NULL,
    job_config_id TEXT NOT NULL,
    PRIMARY KEY (pattern, job_config_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_requires_of_job ON job_requires (job_config_id);

CREATE TABLE required_file (
    -- The files that match these patterns.
    pattern TEXT NOT NULL,
    wave    TEXT NOT NULL,           -- the day in the file's name, '' for patterns without {date}
    file_id INTEGER NOT NULL,
    PRIMARY KEY (pattern, wave, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX required_file_of_file ON required_file (file_id);

CREATE TABLE job_follows (
    -- The jobs in each job's `after`.
    after_job     TEXT NOT NULL,
    job_config_id TEXT NOT NULL,
    PRIMARY KEY (after_job, job_config_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_follows_of_job ON job_follows (job_config_id);

CREATE TABLE file_without_job (
    -- Files that no job takes, those of reference feeds among them.
    file_id INTEGER PRIMARY KEY
) STRICT;
INSERT INTO file_without_job SELECT file_id FROM ingested_file_status;

CREATE TABLE open_wave (
    -- The waves that may have to run: all but those whose last run saw everything that there is. Only these are judged,
    -- and only when they are touched, or when a moment has come that matters to them.
    job_config_id TEXT NOT NULL,
    wave          TEXT NOT NULL,
    touched       INTEGER NOT NULL,  -- the revision of 'waves' when something last changed that the verdict rests on
    PRIMARY KEY (job_config_id, wave)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_wave_touched ON open_wave (touched);

-- Completions that `after` waits for, whatever their wave.
CREATE INDEX job_run_completed ON job_run (job_config_id, sequence) WHERE state = 'COMPLETED';
-- What the ledger says of a job and wave, and of the order of loads.
CREATE INDEX ledger_run_of_job ON ledger_run (job_config_id, wave, sequence);
CREATE INDEX ledger_run_unknown ON ledger_run (job_config_id) WHERE accepted_timestamp IS NULL;
CREATE INDEX ledger_run_sequence ON ledger_run (sequence);
-- What the runs of a wave have seen.
CREATE INDEX job_run_seen ON job_run (job_config_id, wave, as_of_submission)
 WHERE state = 'COMPLETED' AND cause <> 'replay';
-- The days that files reported before their names were used for newer days.
CREATE INDEX file_day_older_of_file ON file_day (file_id, since_submission) WHERE is_older = 1 AND standing = 'STANDS';
-- The days that files of other waves give, or have given up.
CREATE INDEX file_day_of_other ON file_day (other_file_id) WHERE other_file_id IS NOT NULL;

-- The triggers see to edits in SQL as they see to gristmill's own.

CREATE TRIGGER job_added AFTER INSERT ON aggr_job_configuration
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'jobs';
    INSERT INTO job_to_match VALUES (new.job_config_id) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER job_edited AFTER UPDATE OF job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger,
                                          job_addl_criteria, job_params, job_enabled ON aggr_job_configuration
BEGIN
    UPDATE revision SET number = number + 1;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = new.job_config_id;
END;

CREATE TRIGGER job_files_edited AFTER UPDATE OF job_config_id, job_feed, job_input_pattern, job_params
                                ON aggr_job_configuration
  WHEN (old.job_config_id, old.job_feed, old.job_input_pattern, old.job_params)
       IS NOT (new.job_config_id, new.job_feed, new.job_input_pattern, new.job_params)
BEGIN
    INSERT INTO job_to_match VALUES (new.job_config_id), (old.job_config_id) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER job_removed AFTER DELETE ON aggr_job_configuration
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'jobs';
    INSERT INTO job_to_match VALUES (old.job_config_id) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER file_added AFTER INSERT ON ingested_file_status
BEGIN
    INSERT INTO file_to_match VALUES (new.file_id) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER file_renamed AFTER UPDATE OF file_url, feed, store_id ON ingested_file_status
  WHEN (old.file_url, old.feed, old.store_id) IS NOT (new.file_url, new.feed, new.store_id)
BEGIN
    INSERT INTO file_to_match VALUES (new.file_id) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER file_changed AFTER UPDATE OF version_id, valid_submission_id, last_update_status, last_validated_timestamp
                            ON ingested_file_status
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job_config_id, wave, (SELECT number FROM revision WHERE of = 'waves') FROM job_file
     WHERE file_id = new.file_id
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id IN (SELECT r.job_config_id FROM required_file f CROSS JOIN job_requires r ON r.pattern = f.pattern
                              WHERE f.file_id = new.file_id);
END;

CREATE TRIGGER file_removed AFTER DELETE ON ingested_file_status
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job_config_id, wave, (SELECT number FROM revision WHERE of = 'waves') FROM job_file
     WHERE file_id = old.file_id
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
    DELETE FROM job_file WHERE file_id = old.file_id;
    DELETE FROM required_file WHERE file_id = old.file_id;
    DELETE FROM file_to_match WHERE file_id = old.file_id;
    DELETE FROM file_without_job WHERE file_id = old.file_id;
END;

CREATE TRIGGER version_changed AFTER UPDATE OF bytes, rows, layout_digest, partial_removed_timestamp ON file_version
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE (job_config_id, wave) IN (SELECT job_config_id, wave FROM job_file WHERE file_id = new.file_id);
END;

CREATE TRIGGER day_added AFTER INSERT ON file_day WHEN new.standing <> 'STANDS'
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job_config_id, wave, (SELECT number FROM revision WHERE of = 'waves') FROM job_file
     WHERE file_id IN (new.file_id, new.other_file_id)
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
END;

CREATE TRIGGER day_changed AFTER UPDATE ON file_day WHEN old.standing <> 'STANDS' OR new.standing <> 'STANDS'
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job_config_id, wave, (SELECT number FROM revision WHERE of = 'waves') FROM job_file
     WHERE file_id IN (new.file_id, new.other_file_id, old.other_file_id)
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
END;

CREATE TRIGGER day_removed AFTER DELETE ON file_day WHEN old.standing <> 'STANDS'
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job_config_id, wave, (SELECT number FROM revision WHERE of = 'waves') FROM job_file
     WHERE file_id IN (old.file_id, old.other_file_id)
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
END;

CREATE TRIGGER run_added AFTER INSERT ON job_run WHEN new.state IN ('COMPLETED', 'FAILED')
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE (job_config_id = new.job_config_id AND wave = new.wave)
        OR job_config_id IN (SELECT job_config_id FROM job_follows WHERE after_job = new.job_config_id);
END;

-- A wave that is no day cannot run.
CREATE TRIGGER run_changed AFTER UPDATE OF wave, sequence, state, cause, incomplete, as_of_submission ON job_run
  WHEN new.state IN ('COMPLETED', 'FAILED') OR old.state IN ('COMPLETED', 'FAILED')
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job, wave, (SELECT number FROM revision WHERE of = 'waves')
      FROM (SELECT old.job_config_id AS job, old.wave AS wave UNION SELECT new.job_config_id, new.wave)
     WHERE wave = '' OR wave IS date(wave, '+0 days')
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id IN (SELECT job_config_id FROM job_follows WHERE after_job = new.job_config_id);
END;

CREATE TRIGGER run_removed AFTER DELETE ON job_run
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT old.job_config_id, old.wave, (SELECT number FROM revision WHERE of = 'waves')
     WHERE old.wave = '' OR old.wave IS date(old.wave, '+0 days')
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id IN (SELECT job_config_id FROM job_follows WHERE after_job = old.job_config_id);
END;

CREATE TRIGGER run_found AFTER UPDATE OF lost_timestamp ON job_run
  WHEN old.lost_timestamp IS NOT new.lost_timestamp
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = new.job_config_id AND wave = new.wave;
END;

CREATE TRIGGER ledger_run_changed AFTER UPDATE ON ledger_run
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = new.job_config_id;
END;

CREATE TRIGGER ledger_run_removed AFTER DELETE ON ledger_run
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = old.job_config_id;
END;
