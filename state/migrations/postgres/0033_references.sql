-- References between the tables that are written by the thousand rows.
--
-- A foreign key looks at each row by itself, and locks the row that it refers to: that was more than half of what it took to
-- record a file. These references are compared once for each statement instead. No lock is needed: whoever writes has the one of
-- `writer` (0030_8), so nobody else removes a row meanwhile.

CREATE FUNCTION refuse_reference(name text, of anyelement) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = format('%s = %s refers to a row that does not exist', name, of);
END $$;

CREATE FUNCTION refuse_removal(name text, of anyelement) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = format('%s still refers to %s: remove the rows that do first', name, of);
END $$;

ALTER TABLE ingested_file_status
    DROP CONSTRAINT ingested_file_status_version_id_fkey,
    DROP CONSTRAINT ingested_file_status_valid_submission_id_fkey,
    DROP CONSTRAINT ingested_file_status_held_version_id_fkey,
    DROP CONSTRAINT ingested_file_status_held_submission_id_fkey,
    DROP CONSTRAINT ingested_file_status_held_for_file_id_fkey;
CREATE FUNCTION ingested_file_status_references() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM refuse_reference('ingested_file_status.version_id', it)
      FROM (SELECT DISTINCT version_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_version r WHERE r.version_id = it);
    PERFORM refuse_reference('ingested_file_status.valid_submission_id', it)
      FROM (SELECT DISTINCT valid_submission_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM submission r WHERE r.submission_id = it);
    PERFORM refuse_reference('ingested_file_status.held_version_id', it)
      FROM (SELECT DISTINCT held_version_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_version r WHERE r.version_id = it);
    PERFORM refuse_reference('ingested_file_status.held_submission_id', it)
      FROM (SELECT DISTINCT held_submission_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM submission r WHERE r.submission_id = it);
    PERFORM refuse_reference('ingested_file_status.held_for_file_id', it)
      FROM (SELECT DISTINCT held_for_file_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.file_id = it);
    RETURN NULL;
END $$;
CREATE TRIGGER ingested_file_status_references AFTER INSERT ON ingested_file_status
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ingested_file_status_references();
CREATE TRIGGER ingested_file_status_references_again AFTER UPDATE ON ingested_file_status
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ingested_file_status_references();

ALTER TABLE file_version
    DROP CONSTRAINT file_version_file_id_fkey;
CREATE FUNCTION file_version_references() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM refuse_reference('file_version.file_id', it)
      FROM (SELECT DISTINCT file_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.file_id = it);
    RETURN NULL;
END $$;
CREATE TRIGGER file_version_references AFTER INSERT ON file_version
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION file_version_references();
CREATE TRIGGER file_version_references_again AFTER UPDATE ON file_version
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION file_version_references();

ALTER TABLE submission
    DROP CONSTRAINT submission_file_id_fkey,
    DROP CONSTRAINT submission_version_id_fkey;
CREATE FUNCTION submission_references() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM refuse_reference('submission.file_id', it)
      FROM (SELECT DISTINCT file_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.file_id = it);
    PERFORM refuse_reference('submission.version_id', it)
      FROM (SELECT DISTINCT version_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_version r WHERE r.version_id = it);
    RETURN NULL;
END $$;
CREATE TRIGGER submission_references AFTER INSERT ON submission
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION submission_references();
CREATE TRIGGER submission_references_again AFTER UPDATE ON submission
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION submission_references();

ALTER TABLE version_day
    DROP CONSTRAINT version_day_version_id_fkey;
CREATE FUNCTION version_day_references() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM refuse_reference('version_day.version_id', it)
      FROM (SELECT DISTINCT version_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_version r WHERE r.version_id = it);
    RETURN NULL;
END $$;
CREATE TRIGGER version_day_references AFTER INSERT ON version_day
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION version_day_references();
CREATE TRIGGER version_day_references_again AFTER UPDATE ON version_day
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION version_day_references();

ALTER TABLE file_day
    DROP CONSTRAINT file_day_file_id_fkey,
    DROP CONSTRAINT file_day_version_id_fkey,
    DROP CONSTRAINT file_day_other_file_id_fkey;
CREATE FUNCTION file_day_references() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM refuse_reference('file_day.file_id', it)
      FROM (SELECT DISTINCT file_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.file_id = it);
    PERFORM refuse_reference('file_day.version_id', it)
      FROM (SELECT DISTINCT version_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_version r WHERE r.version_id = it);
    PERFORM refuse_reference('file_day.other_file_id', it)
      FROM (SELECT DISTINCT other_file_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.file_id = it);
    RETURN NULL;
END $$;
CREATE TRIGGER file_day_references AFTER INSERT ON file_day
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION file_day_references();
CREATE TRIGGER file_day_references_again AFTER UPDATE ON file_day
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION file_day_references();

ALTER TABLE job_run_input
    DROP CONSTRAINT job_run_input_run_id_fkey,
    DROP CONSTRAINT job_run_input_file_id_fkey,
    DROP CONSTRAINT job_run_input_version_id_fkey,
    DROP CONSTRAINT job_run_input_submission_id_fkey;
CREATE FUNCTION job_run_input_references() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    PERFORM refuse_reference('job_run_input.run_id', it)
      FROM (SELECT DISTINCT run_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM job_run r WHERE r.run_id = it);
    PERFORM refuse_reference('job_run_input.file_id', it)
      FROM (SELECT DISTINCT file_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.file_id = it);
    PERFORM refuse_reference('job_run_input.version_id', it)
      FROM (SELECT DISTINCT version_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_version r WHERE r.version_id = it);
    PERFORM refuse_reference('job_run_input.submission_id', it)
      FROM (SELECT DISTINCT submission_id AS it FROM new_rows) n
     WHERE it IS NOT NULL AND NOT EXISTS (SELECT 1 FROM submission r WHERE r.submission_id = it);
    RETURN NULL;
END $$;
CREATE TRIGGER job_run_input_references AFTER INSERT ON job_run_input
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION job_run_input_references();
CREATE TRIGGER job_run_input_references_again AFTER UPDATE ON job_run_input
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION job_run_input_references();

CREATE FUNCTION file_version_referred_to() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM refuse_removal('ingested_file_status.version_id', o.version_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.version_id = o.version_id);
    PERFORM refuse_removal('ingested_file_status.held_version_id', o.version_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.held_version_id = o.version_id);
    PERFORM refuse_removal('submission.version_id', o.version_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM submission r WHERE r.version_id = o.version_id);
    PERFORM refuse_removal('version_day.version_id', o.version_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM version_day r WHERE r.version_id = o.version_id);
    PERFORM refuse_removal('file_day.version_id', o.version_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM file_day r WHERE r.version_id = o.version_id);
    PERFORM refuse_removal('job_run_input.version_id', o.version_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM job_run_input r WHERE r.version_id = o.version_id);
    RETURN NULL;
END $$;
CREATE TRIGGER file_version_referred_to AFTER DELETE ON file_version
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION file_version_referred_to();

CREATE FUNCTION submission_referred_to() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM refuse_removal('ingested_file_status.valid_submission_id', o.submission_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.valid_submission_id = o.submission_id);
    PERFORM refuse_removal('ingested_file_status.held_submission_id', o.submission_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.held_submission_id = o.submission_id);
    PERFORM refuse_removal('job_run_input.submission_id', o.submission_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM job_run_input r WHERE r.submission_id = o.submission_id);
    RETURN NULL;
END $$;
CREATE TRIGGER submission_referred_to AFTER DELETE ON submission
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION submission_referred_to();

CREATE FUNCTION ingested_file_status_referred_to() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM refuse_removal('ingested_file_status.held_for_file_id', o.file_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM ingested_file_status r WHERE r.held_for_file_id = o.file_id);
    PERFORM refuse_removal('file_version.file_id', o.file_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM file_version r WHERE r.file_id = o.file_id);
    PERFORM refuse_removal('submission.file_id', o.file_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM submission r WHERE r.file_id = o.file_id);
    PERFORM refuse_removal('file_day.file_id', o.file_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM file_day r WHERE r.file_id = o.file_id);
    PERFORM refuse_removal('file_day.other_file_id', o.file_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM file_day r WHERE r.other_file_id = o.file_id);
    PERFORM refuse_removal('job_run_input.file_id', o.file_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM job_run_input r WHERE r.file_id = o.file_id);
    RETURN NULL;
END $$;
CREATE TRIGGER ingested_file_status_referred_to AFTER DELETE ON ingested_file_status
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION ingested_file_status_referred_to();

CREATE FUNCTION job_run_referred_to() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM refuse_removal('job_run_input.run_id', o.run_id) FROM old_rows o
     WHERE EXISTS (SELECT 1 FROM job_run_input r WHERE r.run_id = o.run_id);
    RETURN NULL;
END $$;
CREATE TRIGGER job_run_referred_to AFTER DELETE ON job_run
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION job_run_referred_to();

-- What other rows refer to never changes.

CREATE FUNCTION refuse_new_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = format('%s never changes: other rows refer to it', TG_ARGV[0]);
END $$;
CREATE TRIGGER ingested_file_status_key BEFORE UPDATE OF file_id ON ingested_file_status
    FOR EACH ROW WHEN (NEW.file_id <> OLD.file_id) EXECUTE FUNCTION refuse_new_key('ingested_file_status.file_id');
CREATE TRIGGER file_version_key BEFORE UPDATE OF version_id ON file_version
    FOR EACH ROW WHEN (NEW.version_id <> OLD.version_id) EXECUTE FUNCTION refuse_new_key('file_version.version_id');
CREATE TRIGGER submission_key BEFORE UPDATE OF submission_id ON submission
    FOR EACH ROW WHEN (NEW.submission_id <> OLD.submission_id) EXECUTE FUNCTION refuse_new_key('submission.submission_id');
CREATE TRIGGER job_run_key BEFORE UPDATE OF run_id ON job_run
    FOR EACH ROW WHEN (NEW.run_id <> OLD.run_id) EXECUTE FUNCTION refuse_new_key('job_run.run_id');
