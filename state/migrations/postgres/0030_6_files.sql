-- Triggers of files, versions and days: the waves that have to do with them are judged again, and the tallies follow.
--
-- They work once for each statement, not for each row: files are recorded by the thousand. What has changed is found by
-- EXCEPT and by sums, which sort or hash, so that no plan made for a few rows goes through many rows again for each.
--
-- A connection keeps their plans, also those that it made while the tables were small. So they have to use the indexes even
-- then, and what belongs to a row is looked up by a subquery: a join might read the whole table for it. (Postgres
-- takes a plan that must read a table nevertheless for a long one, and would compile it.)

CREATE FUNCTION open_waves_of(given bigint[]) RETURNS void LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    -- Opens the waves of files, or touches those that are open.
    UPDATE revision SET number = number + 1 WHERE of = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT DISTINCT j.job_config_id, j.wave, (SELECT number FROM revision WHERE of = 'waves')
      FROM job_file j WHERE j.file_id = ANY (given)
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched;
END $$;

CREATE FUNCTION file_added() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    INSERT INTO file_to_match SELECT file_id FROM new_rows ON CONFLICT DO NOTHING;
    INSERT INTO tally_file (feed, status, files)
    SELECT feed, last_update_status, count(*) FROM new_rows GROUP BY feed, last_update_status
    ON CONFLICT (feed, status) DO UPDATE SET files = tally_file.files + excluded.files;
    RETURN NULL;
END $$;
CREATE TRIGGER file_added AFTER INSERT ON ingested_file_status
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION file_added();

CREATE FUNCTION file_changed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
DECLARE
    changed bigint[];
BEGIN
    INSERT INTO file_to_match
    SELECT file_id FROM (SELECT file_id, file_url, feed, store_id FROM new_rows
                         EXCEPT SELECT file_id, file_url, feed, store_id FROM old_rows) renamed
    ON CONFLICT DO NOTHING;

    changed := ARRAY (SELECT file_id FROM (SELECT file_id, version_id FROM new_rows
                                           EXCEPT SELECT file_id, version_id FROM old_rows) other);
    IF changed <> '{}' THEN
        -- The days that do not simply stand touch waves of other files, too.
        UPDATE file_day d SET is_older = (d.version_id IS DISTINCT FROM f.version_id)::int
          FROM ingested_file_status f
         WHERE f.file_id = ANY (changed) AND d.file_id = f.file_id
           AND (d.standing <> 'STANDS' OR d.is_older <> (d.version_id IS DISTINCT FROM f.version_id)::int);
    END IF;

    changed := ARRAY (SELECT file_id FROM (
        SELECT file_id, version_id, valid_submission_id, last_update_status, last_update_timestamp,
               last_validated_timestamp FROM new_rows
        EXCEPT
        SELECT file_id, version_id, valid_submission_id, last_update_status, last_update_timestamp,
               last_validated_timestamp FROM old_rows) other);
    IF changed <> '{}' THEN
        PERFORM open_waves_of(changed);
        UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
         WHERE job_config_id IN (SELECT r.job_config_id FROM required_file f JOIN job_requires r ON r.pattern = f.pattern
                                  WHERE f.file_id = ANY (changed));
    END IF;

    INSERT INTO tally_file (feed, status, files)
    SELECT feed, status, sum(times)
      FROM (SELECT feed, last_update_status AS status, 1 AS times FROM new_rows
             UNION ALL SELECT feed, last_update_status, -1 FROM old_rows) counted
     GROUP BY feed, status HAVING sum(times) <> 0
    ON CONFLICT (feed, status) DO UPDATE SET files = tally_file.files + excluded.files;

    changed := ARRAY (SELECT file_id FROM (SELECT file_id, feed FROM new_rows
                                           EXCEPT SELECT file_id, feed FROM old_rows) other);
    IF changed <> '{}' THEN
        INSERT INTO tally_version (feed, versions, bytes, rows, ignored, skipped, rejects)
        SELECT m.feed, sum(m.times), sum(m.times * v.bytes), sum(m.times * v.rows), sum(m.times * v.ignored),
               sum(m.times * v.skipped), sum(m.times * v.rejects)
          FROM file_version v
          JOIN (SELECT file_id, feed, 1 AS times FROM new_rows
                 UNION ALL SELECT file_id, feed, -1 FROM old_rows) m ON m.file_id = v.file_id
         WHERE v.file_id = ANY (changed)
         GROUP BY m.feed
        ON CONFLICT (feed) DO UPDATE
           SET versions = tally_version.versions + excluded.versions, bytes = tally_version.bytes + excluded.bytes,
               rows = tally_version.rows + excluded.rows, ignored = tally_version.ignored + excluded.ignored,
               skipped = tally_version.skipped + excluded.skipped, rejects = tally_version.rejects + excluded.rejects;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER file_changed AFTER UPDATE ON ingested_file_status
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION file_changed();

CREATE FUNCTION file_removed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
DECLARE
    removed bigint[] := ARRAY (SELECT file_id FROM old_rows);
BEGIN
    PERFORM open_waves_of(removed);
    DELETE FROM job_file WHERE file_id = ANY (removed);
    DELETE FROM required_file WHERE file_id = ANY (removed);
    DELETE FROM file_to_match WHERE file_id = ANY (removed);
    DELETE FROM file_without_job WHERE file_id = ANY (removed);
    UPDATE tally_file t SET files = t.files - gone.files
      FROM (SELECT feed, last_update_status, count(*) AS files FROM old_rows GROUP BY feed, last_update_status) gone
     WHERE t.feed = gone.feed AND t.status = gone.last_update_status;
    RETURN NULL;
END $$;
CREATE TRIGGER file_removed AFTER DELETE ON ingested_file_status
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION file_removed();

CREATE FUNCTION day_changed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
DECLARE
    changed bigint[];
BEGIN
    -- A day that stands, as nearly all do, needs no new judgement: its file brings that about.
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY (SELECT unnest(ARRAY[file_id, other_file_id]) FROM new_rows WHERE standing <> 'STANDS');
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY (SELECT unnest(ARRAY[file_id, other_file_id]) FROM old_rows WHERE standing <> 'STANDS');
    ELSE
        changed := ARRAY (SELECT unnest(ARRAY[file_id, other_file_id]) FROM new_rows WHERE standing <> 'STANDS'
                           UNION
                          SELECT unnest(ARRAY[file_id, other_file_id]) FROM old_rows WHERE standing <> 'STANDS');
    END IF;
    IF changed <> '{}' THEN
        PERFORM open_waves_of(changed);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER day_added AFTER INSERT ON file_day
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION day_changed();
CREATE TRIGGER day_changed AFTER UPDATE ON file_day
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION day_changed();
CREATE TRIGGER day_removed AFTER DELETE ON file_day
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION day_changed();

CREATE FUNCTION version_added() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    INSERT INTO tally_version (feed, versions, bytes, rows, ignored, skipped, rejects)
    SELECT (SELECT f.feed FROM ingested_file_status f WHERE f.file_id = v.file_id), count(*), sum(v.bytes), sum(v.rows),
           sum(v.ignored), sum(v.skipped), sum(v.rejects)
      FROM new_rows v
     GROUP BY 1
    ON CONFLICT (feed) DO UPDATE
       SET versions = tally_version.versions + excluded.versions, bytes = tally_version.bytes + excluded.bytes,
           rows = tally_version.rows + excluded.rows, ignored = tally_version.ignored + excluded.ignored,
           skipped = tally_version.skipped + excluded.skipped, rejects = tally_version.rejects + excluded.rejects;
    RETURN NULL;
END $$;
CREATE TRIGGER version_added AFTER INSERT ON file_version
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION version_added();

CREATE FUNCTION version_changed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
DECLARE
    changed bigint[];
BEGIN
    changed := ARRAY (SELECT DISTINCT file_id FROM (
        SELECT version_id, file_id, bytes, rows, layout_digest, partial_removed_timestamp FROM new_rows
        EXCEPT
        SELECT version_id, file_id, bytes, rows, layout_digest, partial_removed_timestamp FROM old_rows) other);
    IF changed <> '{}' THEN
        UPDATE revision SET number = number + 1 WHERE of = 'waves';
        UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
         WHERE (job_config_id, wave) IN (SELECT job_config_id, wave FROM job_file WHERE file_id = ANY (changed));
    END IF;

    UPDATE tally_version t
       SET bytes = t.bytes + d.bytes, rows = t.rows + d.rows, ignored = t.ignored + d.ignored,
           skipped = t.skipped + d.skipped, rejects = t.rejects + d.rejects
      FROM (SELECT (SELECT f.feed FROM ingested_file_status f WHERE f.file_id = v.file_id) AS feed,
                   sum(v.bytes) AS bytes, sum(v.rows) AS rows, sum(v.ignored) AS ignored,
                   sum(v.skipped) AS skipped, sum(v.rejects) AS rejects
              FROM (SELECT file_id, bytes, rows, ignored, skipped, rejects FROM new_rows
                     UNION ALL SELECT file_id, -bytes, -rows, -ignored, -skipped, -rejects FROM old_rows) v
             GROUP BY 1) d
     WHERE t.feed = d.feed AND (d.bytes, d.rows, d.ignored, d.skipped, d.rejects) <> (0, 0, 0, 0, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER version_changed AFTER UPDATE ON file_version
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION version_changed();

CREATE FUNCTION version_removed() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE tally_version t
       SET versions = t.versions - g.versions, bytes = t.bytes - g.bytes, rows = t.rows - g.rows,
           ignored = t.ignored - g.ignored, skipped = t.skipped - g.skipped, rejects = t.rejects - g.rejects
      FROM (SELECT (SELECT f.feed FROM ingested_file_status f WHERE f.file_id = v.file_id) AS feed,
                   count(*) AS versions, sum(v.bytes) AS bytes, sum(v.rows) AS rows, sum(v.ignored) AS ignored,
                   sum(v.skipped) AS skipped, sum(v.rejects) AS rejects
              FROM old_rows v
             GROUP BY 1) g
     WHERE t.feed = g.feed;
    RETURN NULL;
END $$;
CREATE TRIGGER version_removed AFTER DELETE ON file_version
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION version_removed();

CREATE FUNCTION submission_tallied() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    INSERT INTO tally_submission (outcome, submissions)
    SELECT outcome, count(*) FROM new_rows GROUP BY outcome
    ON CONFLICT (outcome) DO UPDATE SET submissions = tally_submission.submissions + excluded.submissions;
    RETURN NULL;
END $$;
CREATE TRIGGER submission_tallied AFTER INSERT ON submission
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION submission_tallied();

CREATE FUNCTION submission_tallied_again() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    INSERT INTO tally_submission (outcome, submissions)
    SELECT outcome, sum(times)
      FROM (SELECT outcome, 1 AS times FROM new_rows UNION ALL SELECT outcome, -1 FROM old_rows) counted
     GROUP BY outcome HAVING sum(times) <> 0
    ON CONFLICT (outcome) DO UPDATE SET submissions = tally_submission.submissions + excluded.submissions;
    RETURN NULL;
END $$;
CREATE TRIGGER submission_tallied_again AFTER UPDATE ON submission
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
    EXECUTE FUNCTION submission_tallied_again();

CREATE FUNCTION submission_not_tallied() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_seqscan = off SET jit = off AS $$
BEGIN
    UPDATE tally_submission t SET submissions = t.submissions - gone.submissions
      FROM (SELECT outcome, count(*) AS submissions FROM old_rows GROUP BY outcome) gone
     WHERE t.outcome = gone.outcome;
    RETURN NULL;
END $$;
CREATE TRIGGER submission_not_tallied AFTER DELETE ON submission
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION submission_not_tallied();
