-- Triggers of the jobs: what was edited, and what is to be found out anew because of it.

CREATE FUNCTION job_as_json(job aggr_job_configuration) RETURNS text
    -- The configuration of a job, as the history keeps it.
    LANGUAGE sql STABLE
    RETURN (SELECT row_to_json(shown)::text
              FROM (SELECT job.job_feed AS feed, job.job_input_pattern AS files, job.job_min_file_count AS min_files,
                           job.job_trigger AS trigger, job.job_addl_criteria AS addl_criteria, job.job_params AS params,
                           job.job_enabled AS enabled) shown);

CREATE FUNCTION job_edit_added() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last text := (SELECT e.after FROM job_edit e
                   WHERE e.job_config_id = NEW.job_config_id ORDER BY e.edit_id DESC LIMIT 1);
BEGIN
    INSERT INTO job_edit (action, job_config_id, before, after)
    VALUES (CASE WHEN last IS NULL THEN 'added' ELSE 'changed' END, NEW.job_config_id, last, job_as_json(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER job_edit_added AFTER INSERT ON aggr_job_configuration
    FOR EACH ROW EXECUTE FUNCTION job_edit_added();

CREATE FUNCTION job_edit_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO job_edit (action, job_config_id, before, after)
    VALUES ('changed', NEW.job_config_id, job_as_json(OLD), job_as_json(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER job_edit_changed AFTER UPDATE ON aggr_job_configuration FOR EACH ROW
    WHEN (OLD.job_config_id = NEW.job_config_id
          AND (OLD.job_feed, OLD.job_input_pattern, OLD.job_min_file_count, OLD.job_trigger, OLD.job_addl_criteria,
               OLD.job_params, OLD.job_enabled)
              IS DISTINCT FROM (NEW.job_feed, NEW.job_input_pattern, NEW.job_min_file_count, NEW.job_trigger,
                                NEW.job_addl_criteria, NEW.job_params, NEW.job_enabled))
    EXECUTE FUNCTION job_edit_changed();

CREATE FUNCTION job_edit_renamed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO job_edit (action, job_config_id, before) VALUES ('removed', OLD.job_config_id, job_as_json(OLD));
    INSERT INTO job_edit (action, job_config_id, after) VALUES ('added', NEW.job_config_id, job_as_json(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER job_edit_renamed AFTER UPDATE OF job_config_id ON aggr_job_configuration FOR EACH ROW
    WHEN (OLD.job_config_id <> NEW.job_config_id) EXECUTE FUNCTION job_edit_renamed();

CREATE FUNCTION job_edit_removed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO job_edit (action, job_config_id, before) VALUES ('removed', OLD.job_config_id, job_as_json(OLD));
    RETURN NULL;
END $$;
CREATE TRIGGER job_edit_removed AFTER DELETE ON aggr_job_configuration
    FOR EACH ROW EXECUTE FUNCTION job_edit_removed();

CREATE FUNCTION job_added() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'jobs';
    INSERT INTO job_to_match VALUES (NEW.job_config_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER job_added AFTER INSERT ON aggr_job_configuration FOR EACH ROW EXECUTE FUNCTION job_added();

CREATE FUNCTION job_edited() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision SET number = number + 1;
    UPDATE open_wave SET touched = (SELECT number FROM revision WHERE of = 'waves')
     WHERE job_config_id = NEW.job_config_id;
    RETURN NULL;
END $$;
CREATE TRIGGER job_edited AFTER UPDATE OF job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger,
                                          job_addl_criteria, job_params, job_enabled
    ON aggr_job_configuration FOR EACH ROW EXECUTE FUNCTION job_edited();

CREATE FUNCTION job_files_edited() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO job_to_match VALUES (NEW.job_config_id), (OLD.job_config_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER job_files_edited AFTER UPDATE OF job_config_id, job_feed, job_input_pattern, job_params
    ON aggr_job_configuration FOR EACH ROW
    WHEN ((OLD.job_config_id, OLD.job_feed, OLD.job_input_pattern, OLD.job_params)
          IS DISTINCT FROM (NEW.job_config_id, NEW.job_feed, NEW.job_input_pattern, NEW.job_params))
    EXECUTE FUNCTION job_files_edited();

CREATE FUNCTION job_removed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision SET number = number + 1 WHERE of = 'jobs';
    INSERT INTO job_to_match VALUES (OLD.job_config_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER job_removed AFTER DELETE ON aggr_job_configuration FOR EACH ROW EXECUTE FUNCTION job_removed();
