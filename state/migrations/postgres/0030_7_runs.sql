-- Triggers of runs and of the warehouse's ledger: the waves that have to do with them are judged again, the tallies follow,
-- and what is to be told of runs is noted. Runs are changed one by one, so these work for each row.

CREATE FUNCTION run_added() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE (job_config_id = NEW.job_config_id AND wave = NEW.wave)
        OR job_config_id IN (SELECT job_config_id FROM job_follows WHERE after_job = NEW.job_config_id);
    RETURN NULL;
END $$;
CREATE TRIGGER run_added AFTER INSERT ON job_run FOR EACH ROW
    WHEN (NEW.state IN ('COMPLETED', 'FAILED')) EXECUTE FUNCTION run_added();

CREATE FUNCTION run_changed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT job, wave, (SELECT number FROM revision WHERE of = 'waves')
      FROM (SELECT OLD.job_config_id AS job, OLD.wave AS wave UNION SELECT NEW.job_config_id, NEW.wave) changed
     WHERE wave = '' OR is_day(wave)
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id IN (SELECT job_config_id FROM job_follows WHERE after_job = NEW.job_config_id);
    RETURN NULL;
END $$;
CREATE TRIGGER run_changed AFTER UPDATE OF wave, sequence, state, cause, incomplete, as_of_submission
    ON job_run FOR EACH ROW
    WHEN (NEW.state IN ('COMPLETED', 'FAILED') OR OLD.state IN ('COMPLETED', 'FAILED')) EXECUTE FUNCTION run_changed();

CREATE FUNCTION run_removed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT OLD.job_config_id, OLD.wave, (SELECT number FROM revision WHERE of = 'waves')
     WHERE OLD.wave = '' OR is_day(OLD.wave)
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id IN (SELECT job_config_id FROM job_follows WHERE after_job = OLD.job_config_id);
    RETURN NULL;
END $$;
CREATE TRIGGER run_removed AFTER DELETE ON job_run FOR EACH ROW EXECUTE FUNCTION run_removed();

CREATE FUNCTION run_found() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = NEW.job_config_id AND wave = NEW.wave;
    RETURN NULL;
END $$;
CREATE TRIGGER run_found AFTER UPDATE OF lost_timestamp ON job_run FOR EACH ROW
    WHEN (OLD.lost_timestamp IS DISTINCT FROM NEW.lost_timestamp) EXECUTE FUNCTION run_found();

CREATE FUNCTION ledger_run_changed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = coalesce(NEW.job_config_id, OLD.job_config_id);
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_run_changed AFTER UPDATE OR DELETE ON ledger_run
    FOR EACH ROW EXECUTE FUNCTION ledger_run_changed();

CREATE FUNCTION tally_run_as(run job_run, times bigint) RETURNS void LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    -- Counts a run as what it is, or, where `times` is -1, no longer.
    INSERT INTO tally_run AS t (state, cause, outcome, runs, inserted, updated, deleted, unchanged)
    VALUES (run.state, run.cause, coalesce(run.outcome, ''), times, times * coalesce(run.rows_inserted, 0),
            times * coalesce(run.rows_updated, 0), times * coalesce(run.rows_deleted, 0),
            times * coalesce(run.rows_unchanged, 0))
    ON CONFLICT (state, cause, outcome) DO UPDATE
       SET runs = t.runs + excluded.runs, inserted = t.inserted + excluded.inserted,
           updated = t.updated + excluded.updated, deleted = t.deleted + excluded.deleted,
           unchanged = t.unchanged + excluded.unchanged;
END $$;

CREATE FUNCTION tally_durations_of(run text, times bigint) RETURNS void LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    INSERT INTO tally_duration AS t (kind, up_to, durations, seconds)
    SELECT kind, up_to, times * count(*), times * sum(seconds) FROM run_duration_bound
     WHERE run_id = run GROUP BY kind, up_to
    ON CONFLICT (kind, up_to) DO UPDATE
       SET durations = t.durations + excluded.durations, seconds = t.seconds + excluded.seconds;
END $$;

CREATE FUNCTION run_tallied() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM tally_run_as(NEW, 1);
    PERFORM tally_durations_of(NEW.run_id, 1);
    RETURN NULL;
END $$;
CREATE TRIGGER run_tallied AFTER INSERT ON job_run FOR EACH ROW EXECUTE FUNCTION run_tallied();

CREATE FUNCTION run_tallied_again() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM tally_run_as(OLD, -1);
    PERFORM tally_run_as(NEW, 1);
    RETURN NULL;
END $$;
CREATE TRIGGER run_tallied_again
    AFTER UPDATE OF state, cause, outcome, rows_inserted, rows_updated, rows_deleted, rows_unchanged
    ON job_run FOR EACH ROW
    WHEN ((OLD.state, OLD.cause, OLD.outcome, OLD.rows_inserted, OLD.rows_updated, OLD.rows_deleted, OLD.rows_unchanged)
          IS DISTINCT FROM (NEW.state, NEW.cause, NEW.outcome, NEW.rows_inserted, NEW.rows_updated, NEW.rows_deleted,
                            NEW.rows_unchanged))
    EXECUTE FUNCTION run_tallied_again();

CREATE FUNCTION run_not_timed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM tally_durations_of(OLD.run_id, -1);
    RETURN NEW;
END $$;
CREATE TRIGGER run_not_timed
    BEFORE UPDATE OF state, cause, outcome, started_timestamp, summarized_timestamp, finished_timestamp
    ON job_run FOR EACH ROW WHEN (OLD.state = 'COMPLETED') EXECUTE FUNCTION run_not_timed();

CREATE FUNCTION run_timed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM tally_durations_of(NEW.run_id, 1);
    RETURN NULL;
END $$;
CREATE TRIGGER run_timed
    AFTER UPDATE OF state, cause, outcome, started_timestamp, summarized_timestamp, finished_timestamp
    ON job_run FOR EACH ROW WHEN (NEW.state = 'COMPLETED') EXECUTE FUNCTION run_timed();

CREATE FUNCTION run_not_tallied() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM tally_run_as(OLD, -1);
    PERFORM tally_durations_of(OLD.run_id, -1);
    RETURN OLD;
END $$;
CREATE TRIGGER run_not_tallied BEFORE DELETE ON job_run FOR EACH ROW EXECUTE FUNCTION run_not_tallied();

CREATE FUNCTION run_told() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
DECLARE
    last_dropped bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM lineage WHERE is_on = 1) THEN
        RETURN NULL;
    END IF;
    IF NEW.state = 'RUNNING' AND NEW.attempts <= 1 OR NEW.state = 'FAILED' AND NEW.attempts = 0 THEN
        INSERT INTO lineage_event (run_id, event, at)
        VALUES (NEW.run_id, 'START', coalesce(NEW.started_timestamp, NEW.finished_timestamp, NEW.queued_timestamp));
    END IF;
    IF NEW.state <> 'RUNNING' THEN
        INSERT INTO lineage_event (run_id, event, at)
        VALUES (NEW.run_id, CASE NEW.state WHEN 'FAILED' THEN 'FAIL' ELSE 'COMPLETE' END, NEW.finished_timestamp);
    END IF;
    last_dropped := (SELECT max(event_id) FROM lineage_event) - 10000;
    IF EXISTS (SELECT 1 FROM lineage_event WHERE event_id <= last_dropped) THEN
        UPDATE lineage SET dropped = dropped + (SELECT count(*) FROM lineage_event WHERE event_id <= last_dropped);
        DELETE FROM lineage_event WHERE event_id <= last_dropped;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER run_told AFTER UPDATE OF state ON job_run FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NEW.state IN ('RUNNING', 'COMPLETED', 'FAILED')
          AND NEW.outcome IS DISTINCT FROM 'UNCHANGED')
    EXECUTE FUNCTION run_told();
