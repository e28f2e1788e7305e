-- Triggers of runs and of the warehouse's ledger: the waves that have to do with them are judged again, the tallies follow,
-- and what is to be told of runs is noted. What is looked up is joined in that order, as in 0030_6.

-- Durations are counted as the view run_duration_bound has them. It is not read here, since not every server looks for one
-- run in it without making a table of all.

CREATE PROCEDURE tally_duration_of(what varchar(16), began varchar(32), ended varchar(32), times bigint)
BEGIN
    DECLARE lasted double DEFAULT round(timestampdiff(MICROSECOND, left(began, 26), left(ended, 26)) / 1e6, 3);
    IF lasted IS NOT NULL THEN
        INSERT INTO tally_duration VALUES (what, bound_of(lasted), times, times * lasted)
            ON DUPLICATE KEY UPDATE durations = durations + VALUES(durations), seconds = seconds + VALUES(seconds);
    END IF;
END;

CREATE PROCEDURE tally_durations_of(run varchar(255), outcome varchar(16), cause varchar(16), started varchar(32),
                                    summarized varchar(32), finished varchar(32), times bigint)
BEGIN
    -- Counts the durations of a completed run, or, where `times` is -1, no longer.
    IF outcome <> 'UNCHANGED' THEN
        CALL tally_duration_of('run', started, finished, times);
    END IF;
    IF outcome = 'LOADED' AND summarized >= started THEN
        CALL tally_duration_of('merge', started, summarized, times);
        CALL tally_duration_of('load', summarized, finished, times);
    END IF;
    IF outcome = 'LOADED' AND cause IN ('preconditions', 'deadline', 'retry') THEN
        CALL tally_duration_of('lag', (SELECT s.submitted_timestamp FROM submission s WHERE s.submission_id =
                                         (SELECT max(i.submission_id) FROM job_run_input i WHERE i.run_id = run)),
                               finished, times);
    END IF;
END;

CREATE TRIGGER run_added AFTER INSERT ON job_run FOR EACH ROW
copied: BEGIN
    IF @gristmill <=> 'copies' THEN LEAVE copied; END IF;
    IF NEW.state IN ('COMPLETED', 'FAILED') THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        UPDATE open_wave SET touched = last_insert_id()
         WHERE job_config_id = NEW.job_config_id AND wave = NEW.wave;
        UPDATE job_follows f STRAIGHT_JOIN open_wave w ON w.job_config_id = f.job_config_id
           SET w.touched = last_insert_id()
         WHERE f.after_job = NEW.job_config_id;
    END IF;

    INSERT INTO tally_run
    VALUES (NEW.state, NEW.cause, coalesce(NEW.outcome, ''), 1, coalesce(NEW.rows_inserted, 0),
            coalesce(NEW.rows_updated, 0), coalesce(NEW.rows_deleted, 0), coalesce(NEW.rows_unchanged, 0))
        ON DUPLICATE KEY UPDATE
           runs = runs + 1, inserted = inserted + VALUES(inserted), updated = updated + VALUES(updated),
           deleted = deleted + VALUES(deleted), unchanged = unchanged + VALUES(unchanged);
    IF NEW.state = 'COMPLETED' THEN
        CALL tally_durations_of(NEW.run_id, NEW.outcome, NEW.cause, NEW.started_timestamp, NEW.summarized_timestamp,
                                NEW.finished_timestamp, 1);
    END IF;
END;

CREATE TRIGGER run_changed AFTER UPDATE ON job_run FOR EACH ROW
BEGIN
    IF (NEW.state IN ('COMPLETED', 'FAILED') OR OLD.state IN ('COMPLETED', 'FAILED'))
       AND (NEW.wave, NEW.sequence, NEW.state, NEW.cause, NEW.incomplete, NEW.as_of_submission)
           <> (OLD.wave, OLD.sequence, OLD.state, OLD.cause, OLD.incomplete, OLD.as_of_submission) THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT c.job, c.wave, last_insert_id()
          FROM (SELECT OLD.job_config_id AS job, OLD.wave AS wave UNION SELECT NEW.job_config_id, NEW.wave) c
         WHERE c.wave = '' OR are_days(concat(c.wave, ' '))
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
        UPDATE job_follows f STRAIGHT_JOIN open_wave w ON w.job_config_id = f.job_config_id
           SET w.touched = last_insert_id()
         WHERE f.after_job = NEW.job_config_id;
    END IF;

    IF NOT NEW.lost_timestamp <=> OLD.lost_timestamp THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        UPDATE open_wave SET touched = last_insert_id()
         WHERE job_config_id = NEW.job_config_id AND wave = NEW.wave;
    END IF;

    IF NOT (NEW.state, NEW.cause, NEW.outcome, NEW.rows_inserted, NEW.rows_updated, NEW.rows_deleted, NEW.rows_unchanged)
           <=> (OLD.state, OLD.cause, OLD.outcome, OLD.rows_inserted, OLD.rows_updated, OLD.rows_deleted,
                OLD.rows_unchanged) THEN
        UPDATE tally_run
           SET runs = runs - 1, inserted = inserted - coalesce(OLD.rows_inserted, 0),
               updated = updated - coalesce(OLD.rows_updated, 0), deleted = deleted - coalesce(OLD.rows_deleted, 0),
               unchanged = unchanged - coalesce(OLD.rows_unchanged, 0)
         WHERE state = OLD.state AND cause = OLD.cause AND outcome = coalesce(OLD.outcome, '');
        INSERT INTO tally_run
        VALUES (NEW.state, NEW.cause, coalesce(NEW.outcome, ''), 1, coalesce(NEW.rows_inserted, 0),
                coalesce(NEW.rows_updated, 0), coalesce(NEW.rows_deleted, 0), coalesce(NEW.rows_unchanged, 0))
            ON DUPLICATE KEY UPDATE
               runs = runs + 1, inserted = inserted + VALUES(inserted), updated = updated + VALUES(updated),
               deleted = deleted + VALUES(deleted), unchanged = unchanged + VALUES(unchanged);
    END IF;

    IF NOT (NEW.state, NEW.cause, NEW.outcome, NEW.started_timestamp, NEW.summarized_timestamp, NEW.finished_timestamp)
           <=> (OLD.state, OLD.cause, OLD.outcome, OLD.started_timestamp, OLD.summarized_timestamp,
                OLD.finished_timestamp) THEN
        IF OLD.state = 'COMPLETED' THEN
            CALL tally_durations_of(OLD.run_id, OLD.outcome, OLD.cause, OLD.started_timestamp, OLD.summarized_timestamp,
                                    OLD.finished_timestamp, -1);
        END IF;
        IF NEW.state = 'COMPLETED' THEN
            CALL tally_durations_of(NEW.run_id, NEW.outcome, NEW.cause, NEW.started_timestamp, NEW.summarized_timestamp,
                                    NEW.finished_timestamp, 1);
        END IF;
    END IF;

    IF NEW.state <> OLD.state AND NEW.state IN ('RUNNING', 'COMPLETED', 'FAILED') AND NOT NEW.outcome <=> 'UNCHANGED'
       AND EXISTS (SELECT 1 FROM lineage WHERE is_on = 1) THEN
        IF NEW.state = 'RUNNING' AND NEW.attempts <= 1 OR NEW.state = 'FAILED' AND NEW.attempts = 0 THEN
            INSERT INTO lineage_event (run_id, event, at)
            VALUES (NEW.run_id, 'START', coalesce(NEW.started_timestamp, NEW.finished_timestamp, NEW.queued_timestamp));
        END IF;
        IF NEW.state <> 'RUNNING' THEN
            INSERT INTO lineage_event (run_id, event, at)
            VALUES (NEW.run_id, CASE NEW.state WHEN 'FAILED' THEN 'FAIL' ELSE 'COMPLETE' END, NEW.finished_timestamp);
        END IF;
        BEGIN
            -- The numbers have gaps here.
            DECLARE last_dropped bigint DEFAULT (
                SELECT event_id FROM lineage_event ORDER BY event_id DESC LIMIT 1 OFFSET 10000);
            UPDATE lineage SET dropped = dropped + (SELECT count(*) FROM lineage_event WHERE event_id <= last_dropped);
            DELETE FROM lineage_event WHERE event_id <= last_dropped;
        END;
    END IF;
END;

CREATE TRIGGER run_not_tallied BEFORE DELETE ON job_run FOR EACH ROW
BEGIN
    UPDATE tally_run
       SET runs = runs - 1, inserted = inserted - coalesce(OLD.rows_inserted, 0),
           updated = updated - coalesce(OLD.rows_updated, 0), deleted = deleted - coalesce(OLD.rows_deleted, 0),
           unchanged = unchanged - coalesce(OLD.rows_unchanged, 0)
     WHERE state = OLD.state AND cause = OLD.cause AND outcome = coalesce(OLD.outcome, '');
    IF OLD.state = 'COMPLETED' THEN
        CALL tally_durations_of(OLD.run_id, OLD.outcome, OLD.cause, OLD.started_timestamp, OLD.summarized_timestamp,
                                OLD.finished_timestamp, -1);
    END IF;
END;

CREATE TRIGGER run_removed AFTER DELETE ON job_run FOR EACH ROW
BEGIN
    UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
    IF OLD.wave = '' OR are_days(concat(OLD.wave, ' ')) THEN
        INSERT INTO open_wave VALUES (OLD.job_config_id, OLD.wave, last_insert_id())
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
    END IF;
    UPDATE job_follows f STRAIGHT_JOIN open_wave w ON w.job_config_id = f.job_config_id
       SET w.touched = last_insert_id()
     WHERE f.after_job = OLD.job_config_id;
END;

CREATE TRIGGER ledger_run_changed AFTER UPDATE ON ledger_run FOR EACH ROW
BEGIN
    UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
    UPDATE open_wave SET touched = last_insert_id()
     WHERE job_config_id = NEW.job_config_id;
END;

CREATE TRIGGER ledger_run_removed AFTER DELETE ON ledger_run FOR EACH ROW
BEGIN
    UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
    UPDATE open_wave SET touched = last_insert_id()
     WHERE job_config_id = OLD.job_config_id;
END;
