-- Triggers of files, versions and days: the waves that have to do with them are judged again, and the tallies follow.
--
-- What is looked up is joined in that order: for `IN (SELECT …)`, an UPDATE would go through its whole table.
-- `last_insert_id` keeps the new number of the revision for what follows.

CREATE TRIGGER file_added AFTER INSERT ON ingested_file_status FOR EACH ROW
copied: BEGIN
    IF @gristmill <=> 'copies' THEN LEAVE copied; END IF;
    INSERT INTO file_to_match VALUES (NEW.file_id) ON DUPLICATE KEY UPDATE file_id = NEW.file_id;
    INSERT INTO tally_file VALUES (NEW.feed, NEW.last_update_status, 1) ON DUPLICATE KEY UPDATE files = files + 1;
END;

CREATE TRIGGER file_changed AFTER UPDATE ON ingested_file_status FOR EACH ROW
BEGIN
    IF NOT (NEW.file_id, NEW.file_url, NEW.feed, NEW.store_id) <=> (OLD.file_id, OLD.file_url, OLD.feed, OLD.store_id) THEN
        INSERT INTO file_to_match VALUES (NEW.file_id) ON DUPLICATE KEY UPDATE file_id = NEW.file_id;
    END IF;

    IF NOT NEW.version_id <=> OLD.version_id THEN
        -- The days that do not simply stand touch waves of other files, too.
        UPDATE file_day SET is_older = NOT version_id <=> NEW.version_id
         WHERE file_id = NEW.file_id AND (standing <> 'STANDS' OR is_older = (version_id <=> NEW.version_id));
    END IF;

    IF NOT (NEW.version_id, NEW.valid_submission_id, NEW.last_update_status, NEW.last_update_timestamp,
            NEW.last_validated_timestamp)
           <=> (OLD.version_id, OLD.valid_submission_id, OLD.last_update_status, OLD.last_update_timestamp,
                OLD.last_validated_timestamp) THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT j.job_config_id, j.wave, last_insert_id()
          FROM job_file j WHERE j.file_id = NEW.file_id
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
        IF EXISTS (SELECT 1 FROM required_file WHERE file_id = NEW.file_id) THEN
            UPDATE required_file f STRAIGHT_JOIN job_requires r ON r.pattern = f.pattern
                   STRAIGHT_JOIN open_wave w ON w.job_config_id = r.job_config_id
               SET w.touched = last_insert_id()
             WHERE f.file_id = NEW.file_id;
        END IF;
    END IF;

    IF (NEW.feed, NEW.last_update_status) <> (OLD.feed, OLD.last_update_status) THEN
        INSERT INTO tally_file VALUES (OLD.feed, OLD.last_update_status, -1), (NEW.feed, NEW.last_update_status, 1)
            ON DUPLICATE KEY UPDATE files = files + VALUES(files);
    END IF;

    IF NEW.feed <> OLD.feed THEN
        INSERT INTO tally_version (feed, versions, bytes, `rows`, ignored, skipped, rejects)
        SELECT m.feed, sum(m.times), sum(m.times * v.bytes), sum(m.times * v.rows), sum(m.times * v.ignored),
               sum(m.times * v.skipped), sum(m.times * v.rejects)
          FROM file_version v
          JOIN (SELECT NEW.feed AS feed, 1 AS times UNION ALL SELECT OLD.feed, -1) m
         WHERE v.file_id = NEW.file_id
         GROUP BY m.feed
            ON DUPLICATE KEY UPDATE
               versions = tally_version.versions + VALUES(versions), bytes = tally_version.bytes + VALUES(bytes),
               `rows` = tally_version.rows + VALUES(`rows`), ignored = tally_version.ignored + VALUES(ignored),
               skipped = tally_version.skipped + VALUES(skipped), rejects = tally_version.rejects + VALUES(rejects);
    END IF;
END;

CREATE TRIGGER file_removed AFTER DELETE ON ingested_file_status FOR EACH ROW
BEGIN
    UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT j.job_config_id, j.wave, last_insert_id()
      FROM job_file j WHERE j.file_id = OLD.file_id
        ON DUPLICATE KEY UPDATE touched = VALUES(touched);
    DELETE FROM job_file WHERE file_id = OLD.file_id;
    DELETE FROM required_file WHERE file_id = OLD.file_id;
    DELETE FROM file_to_match WHERE file_id = OLD.file_id;
    DELETE FROM file_without_job WHERE file_id = OLD.file_id;
    UPDATE tally_file SET files = files - 1 WHERE feed = OLD.feed AND status = OLD.last_update_status;
END;

-- A day that stands, as nearly all do, needs no new judgement: its file brings that about.

CREATE TRIGGER day_added AFTER INSERT ON file_day FOR EACH ROW
    IF NEW.standing <> 'STANDS' AND NOT @gristmill <=> 'copies' THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT j.job_config_id, j.wave, last_insert_id()
          FROM job_file j WHERE j.file_id IN (NEW.file_id, NEW.other_file_id)
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
    END IF;

CREATE TRIGGER day_changed AFTER UPDATE ON file_day FOR EACH ROW
    IF NEW.standing <> 'STANDS' OR OLD.standing <> 'STANDS' THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT j.job_config_id, j.wave, last_insert_id()
          FROM job_file j WHERE j.file_id IN (NEW.file_id, NEW.other_file_id, OLD.file_id, OLD.other_file_id)
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
    END IF;

CREATE TRIGGER day_removed AFTER DELETE ON file_day FOR EACH ROW
    IF OLD.standing <> 'STANDS' THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        INSERT INTO open_wave (job_config_id, wave, touched)
        SELECT j.job_config_id, j.wave, last_insert_id()
          FROM job_file j WHERE j.file_id IN (OLD.file_id, OLD.other_file_id)
            ON DUPLICATE KEY UPDATE touched = VALUES(touched);
    END IF;

CREATE TRIGGER version_added AFTER INSERT ON file_version FOR EACH ROW
    INSERT INTO tally_version (feed, versions, bytes, `rows`, ignored, skipped, rejects)
    SELECT f.feed, 1, NEW.bytes, NEW.rows, NEW.ignored, NEW.skipped, NEW.rejects
      FROM ingested_file_status f WHERE f.file_id = NEW.file_id AND NOT @gristmill <=> 'copies'
        ON DUPLICATE KEY UPDATE
           versions = tally_version.versions + 1, bytes = tally_version.bytes + NEW.bytes,
           `rows` = tally_version.rows + NEW.rows, ignored = tally_version.ignored + NEW.ignored,
           skipped = tally_version.skipped + NEW.skipped, rejects = tally_version.rejects + NEW.rejects;

CREATE TRIGGER version_changed AFTER UPDATE ON file_version FOR EACH ROW
BEGIN
    IF NOT (NEW.version_id, NEW.file_id, NEW.bytes, NEW.rows, NEW.layout_digest, NEW.partial_removed_timestamp)
           <=> (OLD.version_id, OLD.file_id, OLD.bytes, OLD.rows, OLD.layout_digest, OLD.partial_removed_timestamp) THEN
        UPDATE revision SET number = last_insert_id(number + 1) WHERE `of` = 'waves';
        UPDATE job_file j STRAIGHT_JOIN open_wave w ON w.job_config_id = j.job_config_id AND w.wave = j.wave
           SET w.touched = last_insert_id()
         WHERE j.file_id = NEW.file_id;
    END IF;

    IF (NEW.bytes, NEW.rows, NEW.ignored, NEW.skipped, NEW.rejects)
       <> (OLD.bytes, OLD.rows, OLD.ignored, OLD.skipped, OLD.rejects) THEN
        UPDATE tally_version
           SET bytes = bytes - OLD.bytes + NEW.bytes, `rows` = `rows` - OLD.rows + NEW.rows,
               ignored = ignored - OLD.ignored + NEW.ignored, skipped = skipped - OLD.skipped + NEW.skipped,
               rejects = rejects - OLD.rejects + NEW.rejects
         WHERE feed = (SELECT f.feed FROM ingested_file_status f WHERE f.file_id = NEW.file_id);
    END IF;
END;

CREATE TRIGGER version_removed AFTER DELETE ON file_version FOR EACH ROW
    UPDATE tally_version
       SET versions = versions - 1, bytes = bytes - OLD.bytes, `rows` = `rows` - OLD.rows,
           ignored = ignored - OLD.ignored, skipped = skipped - OLD.skipped, rejects = rejects - OLD.rejects
     WHERE feed = (SELECT f.feed FROM ingested_file_status f WHERE f.file_id = OLD.file_id);

CREATE TRIGGER submission_tallied AFTER INSERT ON submission FOR EACH ROW
    IF NOT @gristmill <=> 'copies' THEN
        INSERT INTO tally_submission VALUES (NEW.outcome, 1) ON DUPLICATE KEY UPDATE submissions = submissions + 1;
    END IF;

CREATE TRIGGER submission_tallied_again AFTER UPDATE ON submission FOR EACH ROW
    IF NEW.outcome <> OLD.outcome THEN
        INSERT INTO tally_submission VALUES (OLD.outcome, -1), (NEW.outcome, 1)
            ON DUPLICATE KEY UPDATE submissions = submissions + VALUES(submissions);
    END IF;

CREATE TRIGGER submission_not_tallied AFTER DELETE ON submission FOR EACH ROW
    UPDATE tally_submission SET submissions = submissions - 1 WHERE outcome = OLD.outcome;
