-- What metrics count, kept by triggers: a scrape reads these few rows, and none of the tables that grow for years.
-- Whoever writes is counted, a person with a shell too.

CREATE TABLE tally_file (
    -- How many files of each feed have each status.
    feed   TEXT NOT NULL,
    status TEXT NOT NULL,
    files  INTEGER NOT NULL,
    PRIMARY KEY (feed, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally_version (
    -- What was converted of each feed: sums over all versions of the files that are recorded under it.
    feed     TEXT NOT NULL PRIMARY KEY,
    versions INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    rows     INTEGER NOT NULL,
    ignored  INTEGER NOT NULL,
    skipped  INTEGER NOT NULL,
    rejects  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tally_submission (
    -- How many submissions came to each outcome.
    outcome     TEXT NOT NULL PRIMARY KEY,
    submissions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tally_run (
    -- How many runs there are of each kind, and what their loads changed.
    state     TEXT NOT NULL,
    cause     TEXT NOT NULL,
    outcome   TEXT NOT NULL,  -- '' while there is none
    runs      INTEGER NOT NULL,
    inserted  INTEGER NOT NULL,
    updated   INTEGER NOT NULL,
    deleted   INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    PRIMARY KEY (state, cause, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally_duration (
    -- How many durations of each kind lie below each bound, and above the one before it; and their sum.
    kind      TEXT NOT NULL,  -- as in the view run_duration
    up_to     REAL NOT NULL,  -- in seconds; infinite for the longest
    durations INTEGER NOT NULL,
    seconds   REAL NOT NULL,
    PRIMARY KEY (kind, up_to)
) STRICT, WITHOUT ROWID;

CREATE VIEW run_duration AS
    -- How long completed runs took, in seconds to the millisecond, apart from those that had nothing to do.
    -- 'run': from start to end; 'merge': from start to summary; 'load': from summary to end; 'lag': from the newest
    -- submission that the run read to its end, for runs that files brought about.
    SELECT run_id, 'run' AS kind,
           round((julianday(finished_timestamp) - julianday(started_timestamp)) * 86400, 3) AS seconds
      FROM job_run
     WHERE state = 'COMPLETED' AND outcome <> 'UNCHANGED' AND started_timestamp IS NOT NULL
     UNION ALL
    SELECT run_id, 'merge', round((julianday(summarized_timestamp) - julianday(started_timestamp)) * 86400, 3)
      FROM job_run
     WHERE state = 'COMPLETED' AND outcome = 'LOADED' AND summarized_timestamp >= started_timestamp
     UNION ALL
    SELECT run_id, 'load', round((julianday(finished_timestamp) - julianday(summarized_timestamp)) * 86400, 3)
      FROM job_run
     WHERE state = 'COMPLETED' AND outcome = 'LOADED' AND summarized_timestamp >= started_timestamp
     UNION ALL
    SELECT r.run_id, 'lag', round((julianday(r.finished_timestamp) - julianday(s.submitted_timestamp)) * 86400, 3)
      FROM job_run r
      JOIN submission s
        ON s.submission_id = (SELECT max(i.submission_id) FROM job_run_input i WHERE i.run_id = r.run_id)
     WHERE r.state = 'COMPLETED' AND r.outcome = 'LOADED' AND r.cause IN ('preconditions', 'deadline', 'retry');

CREATE VIEW run_duration_bound AS
    -- The same, with the bound of the bucket that each lies in.
    SELECT run_id, kind, seconds,
           CASE WHEN seconds <= 0.1 THEN 0.1 WHEN seconds <= 0.25 THEN 0.25 WHEN seconds <= 0.5 THEN 0.5
                WHEN seconds <= 1 THEN 1.0 WHEN seconds <= 2.5 THEN 2.5 WHEN seconds <= 5 THEN 5.0
                WHEN seconds <= 10 THEN 10.0 WHEN seconds <= 30 THEN 30.0 WHEN seconds <= 60 THEN 60.0
                WHEN seconds <= 120 THEN 120.0 WHEN seconds <= 300 THEN 300.0 WHEN seconds <= 900 THEN 900.0
                WHEN seconds <= 3600 THEN 3600.0 WHEN seconds <= 21600 THEN 21600.0 ELSE 9e999 END AS up_to
      FROM run_duration WHERE seconds IS NOT NULL;

CREATE TRIGGER file_tallied AFTER INSERT ON ingested_file_status
BEGIN
    INSERT INTO tally_file VALUES (new.feed, new.last_update_status, 1)
    ON CONFLICT (feed, status) DO UPDATE SET files = files + 1;
END;

CREATE TRIGGER file_tallied_again AFTER UPDATE OF feed, last_update_status ON ingested_file_status
  WHEN (old.feed, old.last_update_status) IS NOT (new.feed, new.last_update_status)
BEGIN
    UPDATE tally_file SET files = files - 1 WHERE feed = old.feed AND status = old.last_update_status;
    INSERT INTO tally_file VALUES (new.feed, new.last_update_status, 1)
    ON CONFLICT (feed, status) DO UPDATE SET files = files + 1;
END;

-- The versions go with their file.
CREATE TRIGGER file_tallied_elsewhere AFTER UPDATE OF feed ON ingested_file_status WHEN old.feed IS NOT new.feed
BEGIN
    INSERT INTO tally_version
    SELECT feed, sum(times), sum(times * bytes), sum(times * rows), sum(times * ignored), sum(times * skipped),
           sum(times * rejects)
      FROM (SELECT old.feed AS feed, -1 AS times UNION ALL SELECT new.feed, 1)
      JOIN file_version ON file_id = new.file_id
     GROUP BY feed
    ON CONFLICT (feed) DO UPDATE
       SET versions = versions + excluded.versions, bytes = bytes + excluded.bytes, rows = rows + excluded.rows,
           ignored = ignored + excluded.ignored, skipped = skipped + excluded.skipped,
           rejects = rejects + excluded.rejects;
END;

CREATE TRIGGER file_not_tallied AFTER DELETE ON ingested_file_status
BEGIN
    UPDATE tally_file SET files = files - 1 WHERE feed = old.feed AND status = old.last_update_status;
END;

CREATE TRIGGER version_tallied AFTER INSERT ON file_version
BEGIN
    INSERT INTO tally_version
    SELECT feed, 1, new.bytes, new.rows, new.ignored, new.skipped, new.rejects
      FROM ingested_file_status WHERE file_id = new.file_id
    ON CONFLICT (feed) DO UPDATE
       SET versions = versions + 1, bytes = bytes + excluded.bytes, rows = rows + excluded.rows,
           ignored = ignored + excluded.ignored, skipped = skipped + excluded.skipped,
           rejects = rejects + excluded.rejects;
END;

CREATE TRIGGER version_tallied_again AFTER UPDATE OF bytes, rows, ignored, skipped, rejects ON file_version
  WHEN (old.bytes, old.rows, old.ignored, old.skipped, old.rejects)
       IS NOT (new.bytes, new.rows, new.ignored, new.skipped, new.rejects)
BEGIN
    UPDATE tally_version
       SET bytes = bytes - old.bytes + new.bytes, rows = rows - old.rows + new.rows,
           ignored = ignored - old.ignored + new.ignored, skipped = skipped - old.skipped + new.skipped,
           rejects = rejects - old.rejects + new.rejects
     WHERE feed = (SELECT feed FROM ingested_file_status WHERE file_id = new.file_id);
END;

-- Before, so that the file is still there if it is deleted in the same statement.
CREATE TRIGGER version_not_tallied BEFORE DELETE ON file_version
BEGIN
    UPDATE tally_version
       SET versions = versions - 1, bytes = bytes - old.bytes, rows = rows - old.rows,
           ignored = ignored - old.ignored, skipped = skipped - old.skipped, rejects = rejects - old.rejects
     WHERE feed = (SELECT feed FROM ingested_file_status WHERE file_id = old.file_id);
END;

CREATE TRIGGER submission_tallied AFTER INSERT ON submission
BEGIN
    INSERT INTO tally_submission VALUES (new.outcome, 1)
    ON CONFLICT (outcome) DO UPDATE SET submissions = submissions + 1;
END;

CREATE TRIGGER submission_tallied_again AFTER UPDATE OF outcome ON submission WHEN old.outcome IS NOT new.outcome
BEGIN
    UPDATE tally_submission SET submissions = submissions - 1 WHERE outcome = old.outcome;
    INSERT INTO tally_submission VALUES (new.outcome, 1)
    ON CONFLICT (outcome) DO UPDATE SET submissions = submissions + 1;
END;

CREATE TRIGGER submission_not_tallied AFTER DELETE ON submission
BEGIN
    UPDATE tally_submission SET submissions = submissions - 1 WHERE outcome = old.outcome;
END;

CREATE TRIGGER run_tallied AFTER INSERT ON job_run
BEGIN
    INSERT INTO tally_run
    VALUES (new.state, new.cause, coalesce(new.outcome, ''), 1, coalesce(new.rows_inserted, 0),
            coalesce(new.rows_updated, 0), coalesce(new.rows_deleted, 0), coalesce(new.rows_unchanged, 0))
    ON CONFLICT (state, cause, outcome) DO UPDATE
       SET runs = runs + 1, inserted = inserted + excluded.inserted, updated = updated + excluded.updated,
           deleted = deleted + excluded.deleted, unchanged = unchanged + excluded.unchanged;
    INSERT INTO tally_duration
    SELECT kind, up_to, 1, seconds FROM run_duration_bound WHERE run_id = new.run_id
    ON CONFLICT (kind, up_to) DO UPDATE
       SET durations = durations + 1, seconds = tally_duration.seconds + excluded.seconds;
END;

CREATE TRIGGER run_tallied_again
 AFTER UPDATE OF state, cause, outcome, rows_inserted, rows_updated, rows_deleted, rows_unchanged ON job_run
  WHEN (old.state, old.cause, old.outcome, old.rows_inserted, old.rows_updated, old.rows_deleted, old.rows_unchanged)
       IS NOT (new.state, new.cause, new.outcome, new.rows_inserted, new.rows_updated, new.rows_deleted,
               new.rows_unchanged)
BEGIN
    UPDATE tally_run
       SET runs = runs - 1, inserted = inserted - coalesce(old.rows_inserted, 0),
           updated = updated - coalesce(old.rows_updated, 0), deleted = deleted - coalesce(old.rows_deleted, 0),
           unchanged = unchanged - coalesce(old.rows_unchanged, 0)
     WHERE state = old.state AND cause = old.cause AND outcome = coalesce(old.outcome, '');
    INSERT INTO tally_run
    VALUES (new.state, new.cause, coalesce(new.outcome, ''), 1, coalesce(new.rows_inserted, 0),
            coalesce(new.rows_updated, 0), coalesce(new.rows_deleted, 0), coalesce(new.rows_unchanged, 0))
    ON CONFLICT (state, cause, outcome) DO UPDATE
       SET runs = runs + 1, inserted = inserted + excluded.inserted, updated = updated + excluded.updated,
           deleted = deleted + excluded.deleted, unchanged = unchanged + excluded.unchanged;
END;

-- The durations are read from the row as it was, and from the row as it is.
CREATE TRIGGER run_not_timed
BEFORE UPDATE OF state, cause, outcome, started_timestamp, summarized_timestamp, finished_timestamp ON job_run
  WHEN old.state = 'COMPLETED'
BEGIN
    UPDATE tally_duration SET durations = durations - d.many, seconds = tally_duration.seconds - d.sum
      FROM (SELECT kind, up_to, count(*) AS many, sum(seconds) AS sum FROM run_duration_bound
             WHERE run_id = old.run_id GROUP BY kind, up_to) AS d
     WHERE tally_duration.kind = d.kind AND tally_duration.up_to = d.up_to;
END;

CREATE TRIGGER run_timed
 AFTER UPDATE OF state, cause, outcome, started_timestamp, summarized_timestamp, finished_timestamp ON job_run
  WHEN new.state = 'COMPLETED'
BEGIN
    INSERT INTO tally_duration
    SELECT kind, up_to, 1, seconds FROM run_duration_bound WHERE run_id = new.run_id
    ON CONFLICT (kind, up_to) DO UPDATE
       SET durations = durations + 1, seconds = tally_duration.seconds + excluded.seconds;
END;

CREATE TRIGGER run_not_tallied BEFORE DELETE ON job_run
BEGIN
    UPDATE tally_run
       SET runs = runs - 1, inserted = inserted - coalesce(old.rows_inserted, 0),
           updated = updated - coalesce(old.rows_updated, 0), deleted = deleted - coalesce(old.rows_deleted, 0),
           unchanged = unchanged - coalesce(old.rows_unchanged, 0)
     WHERE state = old.state AND cause = old.cause AND outcome = coalesce(old.outcome, '');
    UPDATE tally_duration SET durations = durations - d.many, seconds = tally_duration.seconds - d.sum
      FROM (SELECT kind, up_to, count(*) AS many, sum(seconds) AS sum FROM run_duration_bound
             WHERE run_id = old.run_id GROUP BY kind, up_to) AS d
     WHERE tally_duration.kind = d.kind AND tally_duration.up_to = d.up_to;
END;

-- What was there before this was counted.
INSERT INTO tally_file SELECT feed, last_update_status, count(*) FROM ingested_file_status GROUP BY 1, 2;
INSERT INTO tally_version
SELECT f.feed, count(*), sum(v.bytes), sum(v.rows), sum(v.ignored), sum(v.skipped), sum(v.rejects)
  FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id GROUP BY f.feed;
INSERT INTO tally_submission SELECT outcome, count(*) FROM submission GROUP BY outcome;
INSERT INTO tally_run
SELECT state, cause, coalesce(outcome, ''), count(*), coalesce(sum(rows_inserted), 0), coalesce(sum(rows_updated), 0),
       coalesce(sum(rows_deleted), 0), coalesce(sum(rows_unchanged), 0)
  FROM job_run GROUP BY 1, 2, 3;
INSERT INTO tally_duration SELECT kind, up_to, count(*), sum(seconds) FROM run_duration_bound GROUP BY kind, up_to;

-- When each job was complete last.
CREATE INDEX job_run_complete ON job_run (job_config_id, finished_timestamp)
 WHERE state = 'COMPLETED' AND incomplete = 0 AND outcome IN ('LOADED', 'UNCHANGED');

-- OpenLineage: what is to be told of runs. An event itself is made when it is sent.
CREATE TABLE lineage (
    -- One row: whether the service tells anybody of runs, and how many events were dropped because nobody took them.
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    is_on   INTEGER NOT NULL CHECK (is_on IN (0, 1)),
    dropped INTEGER NOT NULL
) STRICT;
INSERT INTO lineage VALUES (1, 0, 0);

CREATE TABLE lineage_event (
    -- What is still to be told, the oldest first: at most 10,000 events.
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id   TEXT NOT NULL,
    event    TEXT NOT NULL CHECK (event IN ('START', 'COMPLETE', 'FAIL')),
    at       TEXT NOT NULL
) STRICT;

-- A run that is claimed again has started before. One that had nothing to do has neither read nor written.
CREATE TRIGGER run_told AFTER UPDATE OF state ON job_run
  WHEN old.state <> new.state AND new.state IN ('RUNNING', 'COMPLETED', 'FAILED') AND new.outcome IS NOT 'UNCHANGED'
       AND (SELECT is_on FROM lineage)
BEGIN
    INSERT INTO lineage_event (run_id, event, at)
    SELECT new.run_id, 'START', coalesce(new.started_timestamp, new.finished_timestamp, new.queued_timestamp)
     WHERE new.state = 'RUNNING' AND new.attempts <= 1 OR new.state = 'FAILED' AND new.attempts = 0;
    INSERT INTO lineage_event (run_id, event, at)
    SELECT new.run_id, iif(new.state = 'FAILED', 'FAIL', 'COMPLETE'), new.finished_timestamp
     WHERE new.state <> 'RUNNING';
    UPDATE lineage
       SET dropped = dropped + (SELECT count(*) FROM lineage_event
                                 WHERE event_id <= (SELECT max(event_id) FROM lineage_event) - 10000);
    DELETE FROM lineage_event WHERE event_id <= (SELECT max(event_id) FROM lineage_event) - 10000;
END;
