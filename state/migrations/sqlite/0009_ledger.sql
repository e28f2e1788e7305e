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
