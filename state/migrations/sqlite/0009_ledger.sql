-- What the warehouse's ledger says and this database did not know, or says no more.
CREATE TABLE ledger_run (
    -- Runs that the warehouse's ledger has and job_run lacks: this database was lost, or is an older copy. Until
    -- `gristmill state check --repair` accepts them, their job loads nothing.
    target             TEXT NOT NULL,     -- the table that they were loaded into
    run_id             TEXT NOT NULL,
    job_config_id      TEXT NOT NULL,
    wave               TEXT NOT NULL,
    sequence           INTEGER NOT NULL,  -- new runs get greater ones
    rows               INTEGER NOT NULL,
    loaded_timestamp   TEXT NOT NULL,     -- by the warehouse's clock
    found_timestamp    TEXT NOT NULL,
    accepted_timestamp TEXT,
    PRIMARY KEY (target, run_id)
) STRICT, WITHOUT ROWID;

-- When the warehouse was found to lack what the run loaded. NULL: it has it, or it has not been looked at since.
ALTER TABLE job_run ADD COLUMN lost_timestamp TEXT;

CREATE INDEX job_run_lost ON job_run (job_config_id) WHERE lost_timestamp IS NOT NULL;

CREATE TABLE loaded_day (
    -- For each store and day, the job that loaded it last, and the newest file that its run read of the day. Only kept
    -- where there are several jobs: a day of one job is not replaced by an older file of another.
    store_id      TEXT NOT NULL,
    trans_date    TEXT NOT NULL,
    job_config_id TEXT NOT NULL REFERENCES aggr_job_configuration (job_config_id),
    file_id       INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    written_ns    INTEGER NOT NULL,   -- as of the submission
    submission_id INTEGER NOT NULL REFERENCES submission (submission_id),
    PRIMARY KEY (store_id, trans_date)
) STRICT, WITHOUT ROWID;
CREATE INDEX loaded_day_of_job ON loaded_day (job_config_id);
