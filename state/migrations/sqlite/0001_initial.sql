-- The state database of gristmill.
--
-- Times are ISO 8601 in UTC with microseconds (2026-11-23T08:15:00.123456Z): text sorts as time does, and SQLite's
-- date functions read them. Days are ISO dates. Yes and no are 1 and 0. The views at the end join the tables for people.
-- The comments stand inside the statements so that `.schema` in the sqlite3 shell shows them.

CREATE TABLE ingested_file_status (
    -- One row for each file that was ever seen, with what its newest submission led to.
    -- To have a file looked at again:  UPDATE ingested_file_status SET stamp_bytes = NULL WHERE file_url = '…';
    file_id                  INTEGER PRIMARY KEY,
    file_url                 TEXT NOT NULL UNIQUE,  -- the path relative to the source
    feed                     TEXT NOT NULL,
    store_id                 TEXT,                  -- taken from the file's name, where its pattern has {store}
    business_date            TEXT CHECK (business_date = date(business_date)),  -- likewise, {date}
    last_update_status       TEXT NOT NULL CHECK (last_update_status IN (
                                 'SUBMITTED',       -- arrived, not judged yet
                                 'VALIDATED',       -- its newest submission is in force
                                 'REJECTED',        -- too many bad lines: the version before stays in force
                                 'FAILED')),        -- could not be read: the version before stays in force
    last_update_timestamp    TEXT NOT NULL CHECK (last_update_timestamp LIKE '____-__-__T__:__:__.______Z'),
    submitted_timestamp      TEXT NOT NULL CHECK (submitted_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_validated_timestamp TEXT CHECK (last_validated_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_error               TEXT,                  -- why the newest submission is REJECTED or FAILED
    version_id               INTEGER REFERENCES file_version (version_id),    -- the version in force
    valid_submission_id      INTEGER REFERENCES submission (submission_id),   -- the newest submission of that version
    -- What the file looked like when it was last read. One of them NULL: look again.
    stamp_bytes              INTEGER,
    stamp_modified_ns        INTEGER,               -- nanoseconds since 1970
    stamp_inode              INTEGER,
    CHECK ((version_id IS NULL) = (valid_submission_id IS NULL)),
    CHECK (version_id IS NULL OR last_validated_timestamp IS NOT NULL)
) STRICT;

CREATE TABLE file_version (
    -- The bytes of a submission under one feed layout, and what conversion made of them.
    version_id        INTEGER PRIMARY KEY,
    file_id           INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    content_hash      TEXT NOT NULL,
    layout_digest     TEXT NOT NULL,      -- the feed's layout that the bytes were read with
    bytes             INTEGER NOT NULL CHECK (bytes >= 0),
    lines             INTEGER NOT NULL CHECK (lines >= 0),
    rows              INTEGER NOT NULL CHECK (rows >= 0),
    ignored           INTEGER NOT NULL CHECK (ignored >= 0),      -- codes that are not asked for
    skipped           INTEGER NOT NULL CHECK (skipped >= 0),      -- blank lines, comments, the header
    rejects           INTEGER NOT NULL CHECK (rejects >= 0),
    drift_lines       INTEGER NOT NULL CHECK (drift_lines >= 0),  -- lines with extra columns
    first_date        TEXT,
    last_date         TEXT,
    accepted          INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    reject_reason     TEXT,               -- why the file as a whole was rejected
    converted_object  TEXT,               -- lake paths
    partial_object    TEXT,
    rejects_object    TEXT,
    created_timestamp TEXT NOT NULL,
    UNIQUE (file_id, content_hash, layout_digest),
    CHECK (lines = rows + ignored + skipped + rejects),
    CHECK ((accepted = 0) = (reject_reason IS NOT NULL))
) STRICT;

CREATE TABLE submission (
    -- One row for each arrival of a file. The number is the order of recording (of one file: of arrival);
    -- newness is judged by it, not by clocks.
    submission_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id             INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    version_id          INTEGER REFERENCES file_version (version_id),
    outcome             TEXT NOT NULL CHECK (outcome IN (
                            'VALIDATED',  -- converted, and in force since
                            'UNCHANGED',  -- bytes that were valid before: a fresh report, no new work
                            'REJECTED', 'FAILED')),
    error               TEXT,
    submitted_timestamp TEXT NOT NULL,
    stamp_bytes         INTEGER NOT NULL,
    stamp_modified_ns   INTEGER NOT NULL,
    stamp_inode         INTEGER NOT NULL,
    CHECK ((outcome = 'FAILED') = (version_id IS NULL)),
    CHECK ((outcome IN ('REJECTED', 'FAILED')) = (error IS NOT NULL))
) STRICT;

CREATE INDEX submission_of_file ON submission (file_id, submission_id);

CREATE TABLE aggr_job_configuration (
    -- The jobs. Edit this table while the service runs: the next decision uses what stands here.
    -- The settings file adds jobs that are missing here; only `gristmill jobs apply` overwrites them.
    job_config_id      TEXT NOT NULL PRIMARY KEY,
    job_feed           TEXT NOT NULL,
    job_input_pattern  TEXT NOT NULL,
    job_min_file_count INTEGER NOT NULL CHECK (job_min_file_count BETWEEN 0 AND 1000000),
    job_trigger        TEXT NOT NULL CHECK (job_trigger IN (
                           'all',         -- runs when every matching file is newer than the last run
                           'any')),       -- runs when one is
    job_addl_criteria  TEXT,              -- a SELECT on this database that must return a row
    job_params         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(job_params)),  -- the other preconditions
    job_enabled        INTEGER NOT NULL DEFAULT 1 CHECK (job_enabled IN (0, 1)),
    last_exec_status   TEXT CHECK (last_exec_status IN ('RUNNING', 'COMPLETED', 'FAILED')),
    last_run_timestamp TEXT CHECK (last_run_timestamp LIKE '____-__-__T__:__:__.______Z'),  -- when the last run began
    last_run_id        TEXT
) STRICT;

CREATE TABLE job_run (
    -- One execution of a job over a fixed set of file versions.
    run_id               TEXT NOT NULL PRIMARY KEY,
    job_config_id        TEXT NOT NULL REFERENCES aggr_job_configuration (job_config_id),
    wave                 TEXT NOT NULL CHECK (wave = '' OR wave = date(wave)),  -- the business day, '' for jobs without
    sequence             INTEGER NOT NULL UNIQUE,  -- microseconds since 1970 when queued; orders loads in the warehouse
    state                TEXT NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED')),
    cause                TEXT NOT NULL CHECK (cause IN ('preconditions', 'deadline', 'manual', 'retry', 'replay')),
    incomplete           INTEGER NOT NULL CHECK (incomplete IN (0, 1)),
    completeness_percent REAL,
    inputs_digest        TEXT NOT NULL,
    as_of_submission     INTEGER NOT NULL,         -- the newest submission when the inputs were chosen
    attempts             INTEGER NOT NULL DEFAULT 0,
    owner                TEXT,                     -- the process that works on it
    queued_timestamp     TEXT NOT NULL,
    started_timestamp    TEXT,
    heartbeat_timestamp  TEXT,
    finished_timestamp   TEXT,
    summary_object       TEXT,                     -- lake paths
    coverage_object      TEXT,
    summary_rows         INTEGER,
    summary_digest       TEXT,
    rows_inserted        INTEGER,                  -- what the load changed in the warehouse
    rows_updated         INTEGER,
    rows_deleted         INTEGER,
    rows_unchanged       INTEGER,
    outcome              TEXT CHECK (outcome IN (
                             'LOADED',
                             'UNCHANGED',          -- the same inputs as the run before: nothing to do
                             'SUPERSEDED')),       -- a newer run had been loaded before it
    error                TEXT,
    CHECK ((state = 'COMPLETED') = (outcome IS NOT NULL)),
    CHECK ((state = 'FAILED') = (error IS NOT NULL)),
    CHECK ((state IN ('COMPLETED', 'FAILED')) = (finished_timestamp IS NOT NULL))
) STRICT;

-- Two decisions about the same wave cannot both queue a run, whoever takes them.
CREATE UNIQUE INDEX job_run_active ON job_run (job_config_id, wave) WHERE state IN ('QUEUED', 'RUNNING');
CREATE INDEX job_run_of_wave ON job_run (job_config_id, wave, state, sequence);
CREATE INDEX job_run_by_state ON job_run (state, sequence);

CREATE TABLE job_run_input (
    -- The file versions that a run reads, and the submission that each was reported by.
    run_id        TEXT NOT NULL REFERENCES job_run (run_id),
    file_id       INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    version_id    INTEGER NOT NULL REFERENCES file_version (version_id),
    submission_id INTEGER NOT NULL REFERENCES submission (submission_id),
    PRIMARY KEY (run_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE VIEW files AS
    -- Every file with the counts of the version in force.
    SELECT f.file_url, f.feed, f.store_id, f.business_date, f.last_update_status AS status,
           f.submitted_timestamp AS submitted, f.last_validated_timestamp AS last_validated,
           v.lines, v.rows, v.ignored, v.skipped, v.rejects, v.drift_lines, v.first_date, v.last_date, v.bytes,
           f.last_error, f.file_id, f.version_id,
           f.stamp_bytes IS NULL OR f.stamp_modified_ns IS NULL OR f.stamp_inode IS NULL AS look_again
      FROM ingested_file_status f LEFT JOIN file_version v ON v.version_id = f.version_id
     ORDER BY f.file_url;

CREATE VIEW versions AS
    -- Every version of every file, newest first; in_force marks the one that runs read.
    SELECT f.file_url, v.version_id = f.version_id AS in_force, v.accepted, v.reject_reason, v.created_timestamp AS created,
           v.lines, v.rows, v.ignored, v.skipped, v.rejects, v.drift_lines, v.first_date, v.last_date, v.bytes,
           v.content_hash, v.converted_object, v.partial_object, v.rejects_object, v.version_id, v.file_id
      FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id
     ORDER BY f.file_url, v.version_id DESC;

CREATE VIEW submissions AS
    -- Every arrival, newest first.
    SELECT s.submission_id, s.submitted_timestamp AS submitted, f.file_url, f.feed, s.outcome, s.error,
           v.rows, v.rejects, v.content_hash, s.version_id, s.file_id
      FROM submission s
      JOIN ingested_file_status f ON f.file_id = s.file_id
      LEFT JOIN file_version v ON v.version_id = s.version_id
     ORDER BY s.submission_id DESC;

CREATE VIEW jobs AS
    -- Every job with its last run and the number of runs that wait or work.
    SELECT j.job_config_id AS job, j.job_enabled AS enabled, j.job_feed AS feed, j.job_input_pattern AS pattern,
           j.job_min_file_count AS min_files, j.job_trigger AS "trigger", j.last_exec_status, j.last_run_timestamp,
           j.last_run_id, r.outcome AS last_outcome, r.error AS last_error,
           (SELECT count(*) FROM job_run a
             WHERE a.job_config_id = j.job_config_id AND a.state IN ('QUEUED', 'RUNNING')) AS active_runs
      FROM aggr_job_configuration j LEFT JOIN job_run r ON r.run_id = j.last_run_id
     ORDER BY j.job_config_id;

CREATE VIEW runs AS
    -- Every run, newest first, with the number of files it reads.
    SELECT r.run_id, r.job_config_id AS job, r.wave, r.state, r.outcome, r.cause, r.incomplete, r.completeness_percent,
           (SELECT count(*) FROM job_run_input i WHERE i.run_id = r.run_id) AS files,
           r.summary_rows, r.rows_inserted, r.rows_updated, r.rows_deleted, r.rows_unchanged,
           r.queued_timestamp AS queued, r.started_timestamp AS started, r.finished_timestamp AS finished,
           r.attempts, r.error, r.summary_object
      FROM job_run r
     ORDER BY r.sequence DESC;

CREATE VIEW run_files AS
    -- Every file of every run, in the version that the run read.
    SELECT i.run_id, r.job_config_id AS job, r.wave, f.file_url, f.store_id, v.rows, v.content_hash,
           s.submitted_timestamp AS submitted, v.converted_object, v.partial_object, i.version_id, i.submission_id
      FROM job_run_input i
      JOIN job_run r ON r.run_id = i.run_id
      JOIN ingested_file_status f ON f.file_id = i.file_id
      JOIN file_version v ON v.version_id = i.version_id
      JOIN submission s ON s.submission_id = i.submission_id
     ORDER BY r.sequence DESC, f.file_url;
