-- Triggers of the jobs: what was edited, and what is to be found out anew because of it.
--
-- While a session copies a whole state, what triggers do for new rows has been done where they come from.
--
-- In the history, job_params is a text in the object. MariaDB takes a column that holds JSON for a part of it, but not what
-- `concat` returns.

CREATE TRIGGER job_added AFTER INSERT ON aggr_job_configuration FOR EACH ROW
copied: BEGIN
    DECLARE last longtext DEFAULT (SELECT e.after FROM job_edit e
                                    WHERE e.job_config_id = NEW.job_config_id ORDER BY e.edit_id DESC LIMIT 1);
    IF @gristmill <=> 'copies' THEN LEAVE copied; END IF;
    INSERT INTO job_edit (action, job_config_id, `before`, after)
    VALUES (CASE WHEN last IS NULL THEN 'added' ELSE 'changed' END, NEW.job_config_id, last,
            json_object('feed', NEW.job_feed, 'files', NEW.job_input_pattern, 'min_files', NEW.job_min_file_count,
                        'trigger', NEW.job_trigger, 'addl_criteria', NEW.job_addl_criteria,
                        'params', concat(NEW.job_params, ''), 'enabled', NEW.job_enabled));
    UPDATE revision SET number = number + 1 WHERE `of` = 'jobs';
    INSERT INTO job_to_match VALUES (NEW.job_config_id) ON DUPLICATE KEY UPDATE job_config_id = NEW.job_config_id;
END;

CREATE TRIGGER job_changed AFTER UPDATE ON aggr_job_configuration FOR EACH ROW
BEGIN
    DECLARE old_job longtext DEFAULT json_object(
        'feed', OLD.job_feed, 'files', OLD.job_input_pattern, 'min_files', OLD.job_min_file_count,
        'trigger', OLD.job_trigger, 'addl_criteria', OLD.job_addl_criteria,
        'params', concat(OLD.job_params, ''), 'enabled', OLD.job_enabled);
    DECLARE new_job longtext DEFAULT json_object(
        'feed', NEW.job_feed, 'files', NEW.job_input_pattern, 'min_files', NEW.job_min_file_count,
        'trigger', NEW.job_trigger, 'addl_criteria', NEW.job_addl_criteria,
        'params', concat(NEW.job_params, ''), 'enabled', NEW.job_enabled);
    IF NEW.job_config_id <> OLD.job_config_id THEN
        INSERT INTO job_edit (action, job_config_id, `before`) VALUES ('removed', OLD.job_config_id, old_job);
        INSERT INTO job_edit (action, job_config_id, after) VALUES ('added', NEW.job_config_id, new_job);
    ELSEIF new_job <> old_job THEN
        INSERT INTO job_edit (action, job_config_id, `before`, after)
        VALUES ('changed', NEW.job_config_id, old_job, new_job);
    END IF;

    IF NEW.job_config_id <> OLD.job_config_id OR new_job <> old_job THEN
        UPDATE revision SET number = number + 1;
        UPDATE open_wave SET touched = (SELECT number FROM revision WHERE `of` = 'waves')
         WHERE job_config_id = NEW.job_config_id;
    END IF;

    IF NOT (NEW.job_config_id, NEW.job_feed, NEW.job_input_pattern, NEW.job_params)
           <=> (OLD.job_config_id, OLD.job_feed, OLD.job_input_pattern, OLD.job_params) THEN
        INSERT INTO job_to_match VALUES (NEW.job_config_id), (OLD.job_config_id)
            ON DUPLICATE KEY UPDATE job_to_match.job_config_id = job_to_match.job_config_id;
    END IF;
END;

CREATE TRIGGER job_removed AFTER DELETE ON aggr_job_configuration FOR EACH ROW
BEGIN
    INSERT INTO job_edit (action, job_config_id, `before`)
    VALUES ('removed', OLD.job_config_id,
            json_object('feed', OLD.job_feed, 'files', OLD.job_input_pattern, 'min_files', OLD.job_min_file_count,
                        'trigger', OLD.job_trigger, 'addl_criteria', OLD.job_addl_criteria,
                        'params', concat(OLD.job_params, ''), 'enabled', OLD.job_enabled));
    UPDATE revision SET number = number + 1 WHERE `of` = 'jobs';
    INSERT INTO job_to_match VALUES (OLD.job_config_id) ON DUPLICATE KEY UPDATE job_config_id = OLD.job_config_id;
END;
