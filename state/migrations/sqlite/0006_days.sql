-- What versions report of each store and day, which of it counts, and what is held until a person decides.
--
-- Three tables are rebuilt, because SQLite cannot change a CHECK or a primary key. Foreign keys are not enforced while
-- migrations run, and with legacy_alter_table views and foreign keys go on naming the tables by their old names.
PRAGMA legacy_alter_table = ON;

CREATE TABLE rebuilt_file (
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
                                 'HELD',            -- valid, but not in force until `gristmill accept`: see last_error
                                 'REJECTED',        -- too many bad lines: the version before stays in force
                                 'FAILED',          -- could not be read: the version before stays in force
                                 'WITHDRAWN')),     -- taken out by `gristmill withdraw`, until it is submitted again
    last_update_timestamp    TEXT NOT NULL CHECK (last_update_timestamp LIKE '____-__-__T__:__:__.______Z'),
    submitted_timestamp      TEXT NOT NULL CHECK (submitted_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_validated_timestamp TEXT CHECK (last_validated_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_error               TEXT,                  -- why the newest submission is HELD, REJECTED or FAILED
    version_id               INTEGER REFERENCES file_version (version_id),    -- the version in force
    valid_submission_id      INTEGER REFERENCES submission (submission_id),   -- the newest submission of that version
    -- What the file looked like when it was last read. One of them NULL: look again.
    stamp_bytes              INTEGER,
    stamp_modified_ns        INTEGER,               -- nanoseconds since 1970
    stamp_inode              INTEGER,
    -- When the source's `after` was seen to for what was last read of a file. NULL: that is still to be done, or the
    -- source has no such setting.
    put_away_timestamp       TEXT,
    held_version_id          INTEGER REFERENCES file_version (version_id),    -- what `gristmill accept` brings in force
    held_submission_id       INTEGER REFERENCES submission (submission_id),
    held_for_file_id         INTEGER REFERENCES ingested_file_status (file_id),  -- the file whose days it holds as well
    last_note                TEXT,                  -- what else was noticed about the newest submission
    CHECK ((version_id IS NULL) = (valid_submission_id IS NULL)),
    CHECK ((held_version_id IS NULL) = (held_submission_id IS NULL)),
    CHECK (version_id IS NULL OR last_validated_timestamp IS NOT NULL)
) STRICT;
INSERT INTO rebuilt_file
       (file_id, file_url, feed, store_id, business_date, last_update_status, last_update_timestamp,
        submitted_timestamp, last_validated_timestamp, last_error, version_id, valid_submission_id, stamp_bytes,
        stamp_modified_ns, stamp_inode, put_away_timestamp)
SELECT file_id, file_url, feed, store_id, business_date, last_update_status, last_update_timestamp,
       submitted_timestamp, last_validated_timestamp, last_error, version_id, valid_submission_id, stamp_bytes,
       stamp_modified_ns, stamp_inode, put_away_timestamp
  FROM ingested_file_status;
DROP TABLE ingested_file_status;
ALTER TABLE rebuilt_file RENAME TO ingested_file_status;
CREATE INDEX file_to_put_away ON ingested_file_status (file_url) WHERE put_away_timestamp IS NULL;
CREATE INDEX file_held_for ON ingested_file_status (held_for_file_id) WHERE held_for_file_id IS NOT NULL;

CREATE TABLE rebuilt_submission (
    -- One row for each arrival of a file, and for each time that a person accepted or withdrew one. The number is the
    -- order of recording (of one file: of arrival); newness is judged by it, not by clocks.
    submission_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id             INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    version_id          INTEGER REFERENCES file_version (version_id),
    outcome             TEXT NOT NULL CHECK (outcome IN (
                            'VALIDATED',  -- converted, and in force since
                            'UNCHANGED',  -- bytes that were valid before: a fresh report, no new work
                            'HELD',       -- valid, but not in force
                            'ACCEPTED',   -- held before, and brought in force
                            'WITHDRAWN',  -- taken out
                            'REJECTED', 'FAILED')),
    error               TEXT,
    submitted_timestamp TEXT NOT NULL,
    stamp_bytes         INTEGER NOT NULL,
    stamp_modified_ns   INTEGER NOT NULL,
    stamp_inode         INTEGER NOT NULL,
    CHECK ((outcome = 'FAILED') = (version_id IS NULL)),
    CHECK ((outcome IN ('HELD', 'REJECTED', 'FAILED')) = (error IS NOT NULL))
) STRICT;
INSERT INTO rebuilt_submission
       (submission_id, file_id, version_id, outcome, error, submitted_timestamp, stamp_bytes, stamp_modified_ns,
        stamp_inode)
SELECT submission_id, file_id, version_id, outcome, error, submitted_timestamp, stamp_bytes, stamp_modified_ns,
       stamp_inode
  FROM submission;
-- Numbers are never given twice, even if the newest rows were deleted.
DELETE FROM sqlite_sequence WHERE name = 'rebuilt_submission';
INSERT INTO sqlite_sequence (name, seq) SELECT 'rebuilt_submission', seq FROM sqlite_sequence WHERE name = 'submission';
DROP TABLE submission;
ALTER TABLE rebuilt_submission RENAME TO submission;
CREATE INDEX submission_of_file ON submission (file_id, submission_id);

CREATE TABLE rebuilt_input (
    -- The file versions that a run reads, and the submission that each was reported by. A run may read an older version
    -- of a file beside the one in force, for single days.
    run_id        TEXT NOT NULL REFERENCES job_run (run_id),
    file_id       INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    version_id    INTEGER NOT NULL REFERENCES file_version (version_id),
    submission_id INTEGER NOT NULL REFERENCES submission (submission_id),
    others_count  INTEGER NOT NULL DEFAULT 1 CHECK (others_count IN (0, 1)),  -- days not named in job_run_input_day
    PRIMARY KEY (run_id, version_id)
) STRICT, WITHOUT ROWID;
INSERT INTO rebuilt_input (run_id, file_id, version_id, submission_id)
SELECT run_id, file_id, version_id, submission_id FROM job_run_input;
DROP TABLE job_run_input;
ALTER TABLE rebuilt_input RENAME TO job_run_input;
CREATE INDEX job_run_input_of_file ON job_run_input (file_id, run_id);

CREATE TABLE job_run_input_day (
    -- The store-days of a run's inputs that do not simply count as the rest of the version does. Mostly empty.
    run_id     TEXT NOT NULL REFERENCES job_run (run_id),
    version_id INTEGER NOT NULL REFERENCES file_version (version_id),
    store_id   TEXT NOT NULL,
    trans_date TEXT NOT NULL CHECK (trans_date = date(trans_date)),
    effect     TEXT NOT NULL CHECK (effect IN (
                   'LEFT_OUT',    -- not read
                   'COUNTS',      -- read
                   'ADDED',       -- read, and added to what newer files hold of the day
                   'EMPTIED')),   -- not read, but the run covers the day: the warehouse loses its rows
    PRIMARY KEY (run_id, version_id, store_id, trans_date)
) STRICT, WITHOUT ROWID;

-- 1 when version_day has what the version reports. Versions of earlier gristmills are counted from their partials.
ALTER TABLE file_version ADD COLUMN days_counted INTEGER NOT NULL DEFAULT 0 CHECK (days_counted IN (0, 1));

CREATE TABLE version_day (
    -- What a version reports of each store and day, by lines with a code that is asked for.
    version_id INTEGER NOT NULL REFERENCES file_version (version_id),
    store_id   TEXT NOT NULL,
    trans_date TEXT NOT NULL CHECK (trans_date = date(trans_date)),
    lines      INTEGER,            -- NULL: an earlier gristmill converted it, and only its sums are known
    turnover   INTEGER NOT NULL,   -- the totals of all measures without their signs, in cents
    PRIMARY KEY (version_id, store_id, trans_date)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_day_of_store ON version_day (store_id, trans_date);

CREATE TABLE file_day (
    -- For each store and day, the version of each file that gives it: also long after a newer version of the file, which
    -- no longer mentions the day, came into force.
    store_id         TEXT NOT NULL,
    trans_date       TEXT NOT NULL CHECK (trans_date = date(trans_date)),
    file_id          INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    version_id       INTEGER NOT NULL REFERENCES file_version (version_id),
    standing         TEXT NOT NULL CHECK (standing IN (
                         'STANDS',      -- what the file reports of the day
                         'COUNTS',      -- likewise, and runs must read it whichever version is in force
                         'HELD',        -- does not count until `gristmill accept`
                         'WITHDRAWN',   -- taken out by `gristmill withdraw`
                         'REPLACED')),  -- another file gives the day now
    since_submission INTEGER NOT NULL,  -- the submission that made it so
    reason           TEXT,              -- why it is HELD
    other_file_id    INTEGER REFERENCES ingested_file_status (file_id),  -- the file that gives the day instead
    PRIMARY KEY (store_id, trans_date, file_id, version_id),
    CHECK ((standing = 'HELD') = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX file_day_of_file ON file_day (file_id);
CREATE INDEX file_day_special ON file_day (file_id) WHERE standing <> 'STANDS';

CREATE TABLE intervention (
    -- What people decided about files: who, when and what.
    intervention_id INTEGER PRIMARY KEY,
    at              TEXT NOT NULL,
    who             TEXT NOT NULL,
    action          TEXT NOT NULL CHECK (action IN ('accept', 'withdraw')),
    file_id         INTEGER NOT NULL REFERENCES ingested_file_status (file_id),
    detail          TEXT NOT NULL
) STRICT;

DROP VIEW runs;
CREATE VIEW runs AS
    -- Every run, newest first, with the number of files it reads.
    SELECT r.run_id, r.job_config_id AS job, r.wave, r.state, r.outcome, r.cause, r.incomplete, r.completeness_percent,
           (SELECT count(DISTINCT i.file_id) FROM job_run_input i WHERE i.run_id = r.run_id) AS files,
           r.summary_rows, r.rows_inserted, r.rows_updated, r.rows_deleted, r.rows_unchanged,
           r.queued_timestamp AS queued, r.started_timestamp AS started, r.finished_timestamp AS finished,
           r.attempts, r.error, r.summary_object
      FROM job_run r
     ORDER BY r.sequence DESC;

CREATE VIEW held AS
    -- What waits for `gristmill accept`: whole files (store_id and trans_date are NULL), and single store-days.
    SELECT f.file_url, NULL AS store_id, NULL AS trans_date, f.last_error AS reason, o.file_url AS other_file,
           v.rows AS lines, s.submitted_timestamp AS submitted, f.held_version_id AS version_id, f.file_id
      FROM ingested_file_status f
      JOIN file_version v ON v.version_id = f.held_version_id
      JOIN submission s ON s.submission_id = f.held_submission_id
      LEFT JOIN ingested_file_status o ON o.file_id = f.held_for_file_id
    UNION ALL
    SELECT f.file_url, d.store_id, d.trans_date, d.reason, o.file_url, v.lines, s.submitted_timestamp, d.version_id,
           d.file_id
      FROM file_day d
      JOIN ingested_file_status f ON f.file_id = d.file_id
      JOIN submission s ON s.submission_id = d.since_submission
      LEFT JOIN version_day v ON v.version_id = d.version_id AND v.store_id = d.store_id AND v.trans_date = d.trans_date
      LEFT JOIN ingested_file_status o ON o.file_id = d.other_file_id
     WHERE d.standing = 'HELD'
     ORDER BY 1, 2, 3;

PRAGMA legacy_alter_table = OFF;
