-- Triggers of runs and of the warehouse's ledger: the waves that have to do with them are judged again, the tallies follow,
-- and what is to be told of runs is noted. What is looked up is joined in that order, as in 0030_6.

CREATE PROCEDURE tally_durations_of(run varchar(200), times bigint)
    -- Counts the durations of a run, or, where `times` is -1, no longer.
    INSERT INTO tally_duration (kind, up_to, durations, seconds)
    SELECT d.kind, d.up_to, times * count(*), times * sum(d.seconds) FROM run_duration_bound d
     WHERE d.run_id = run GROUP BY d.kind, d.up_to
        ON DUPLICATE KEY UPDATE
           durations = tally_duration.durations + VALUES(durations), seconds = tally_duration.seconds + VALUES(seconds);

CREATE TRIGGER run_added AFTER INSERT ON job_run FOR EACH ROW
BEGIN
    IF NEW.state IN ('COMPLETED', 'FAILED') THEN
        UPDATE revision SET number = number + 1 WHERE `of` = 'waves';
        UPDATE open_wave SET touched = (SELECT number FROM revision WHERE `of` = 'waves')
         WHERE job_config_id = NEW.job_config_id AND wave = NEW.wave;
        UPDATE job_follows f STRAIGHT_JOIN open_wave w ON w.job_config_id = f.job_config_id
           SET w.touched = (SELECT number FROM revision WHERE `of` = 'waves')
         WHERE f.after_job = NEW.job_config_id;
    END IF;

    INSERT INTO tally_run
    VALUES (NEW.state, NEW.cause, coalesce(NEW.outcome, ''), 1, coalesce(NEW.rows_inserted, 0),
            coalesce(NEW.rows_updated, 0), coalesce(NEW.rows_deleted, 0), coalesce(NEW.rows_unchanged, 0))
        ON DUPLICATE KEY UPDATE
           runs = runs + 1, inserted = inserted + VALUES(inserted), updated = updated + VALUES(updated),
           deleted = deleted + VALUES(deleted), unchanged = unchanged + VALUES(unchanged);
    IF NEW.state = 'COMPLETED' THEN CALL tally_durations_of(NEW.run_id, 1); END IF;
END;

CREATE TRIGGER run_not_timed BEFORE UPDATE ON job_run FOR EACH ROW
    IF OLD.state = 'COMPLETED' THEN CALL tally_durations_of(OLD.run_id, -1); END IF;

CREATE TRIGGER run_changed AFTER UPDATE ON job_run FOR EACH ROW
BEGIN
    IF (NEW.state IN ('COMPLETED', 'FAILED') OR OLD.state IN ('COMPLETED', 'FAILED'))
       AND (NEW.wave, NEW.sequence, NEW.state, NEW.cause, NEW.incomplete, NEW.as_of_submission)
           <> (OLD.wave, OLD.sequence, OLD.state, OLD.cause, OLD.incomplete, OLD.as_of_submission) THEN
        UPDATE revision SET number = number + 1 WHERE `of` = 'waves';
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT c.job, c.wave, (SELECT number FROM revision WHERE `of` = 'waves')
          FROM (SELECT OLD.job_config_id AS job, OLD.wave AS wave UNION SELECT NEW.job_config_id, NEW.wave) c
         WHERE c.wave = '' OR is_day(c.wave)
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
        UPDATE job_follows f STRAIGHT_JOIN open_wave w ON w.job_config_id = f.job_config_id
           SET w.touched = (SELECT number FROM revision WHERE `of` = 'waves')
         WHERE f.after_job = NEW.job_config_id;
    END IF;

    IF NOT NEW.lost_timestamp <=> OLD.lost_timestamp THEN
        UPDATE revision SET number = number + 1 WHERE `of` = 'waves';
        UPDATE open_wave SET touched = (SELECT number FROM revision WHERE `of` = 'waves')
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
    IF NEW.state = 'COMPLETED' THEN CALL tally_durations_of(NEW.run_id, 1); END IF;

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
            DECLARE last_dropped bigint DEFAULT (SELECT max(event_id) FROM lineage_event) - 10000;
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
    IF OLD.state = 'COMPLETED' THEN CALL tally_durations_of(OLD.run_id, -1); END IF;
END;

CREATE TRIGGER run_removed AFTER DELETE ON job_run FOR EACH ROW
BEGIN
    UPDATE revision SET number = number + 1 WHERE `of` = 'waves';
    IF OLD.wave = '' OR is_day(OLD.wave) THEN
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT OLD.job_config_id, OLD.wave, number FROM revision WHERE `of` = 'waves'
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
    END IF;
    UPDATE job_follows f STRAIGHT_JOIN open_wave w ON w.job_config_id = f.job_config_id
       SET w.touched = (SELECT number FROM revision WHERE `of` = 'waves')
     WHERE f.after_job = OLD.job_config_id;
END;

CREATE TRIGGER ledger_run_changed AFTER UPDATE ON ledger_run FOR EACH ROW
BEGIN
    UPDATE revision SET number = number + 1 WHERE `of` = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE `of` = 'waves')
     WHERE job_config_id = NEW.job_config_id;
END;

CREATE TRIGGER ledger_run_removed AFTER DELETE ON ledger_run FOR EACH ROW
BEGIN
    UPDATE revision SET number = number + 1 WHERE `of` = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE `of` = 'waves')
     WHERE job_config_id = OLD.job_config_id;
END;
