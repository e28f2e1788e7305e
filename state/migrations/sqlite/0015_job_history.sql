-- Who changed which job, when, and what it was before: kept by triggers, so that edits with SQL are kept, too.

CREATE TABLE job_edit (
    -- One row for each change of a job's configuration; its columns as JSON objects, job_params as a text in it.
    edit_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at            TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
    who           TEXT NOT NULL DEFAULT 'SQL',  -- a command of gristmill sets user and command in the same transaction
    action        TEXT NOT NULL CHECK (action IN ('added', 'changed', 'removed')),
    job_config_id TEXT NOT NULL,                -- no reference: the job may be gone
    before        TEXT CHECK (before IS NULL OR json_valid(before)),
    after         TEXT CHECK (after IS NULL OR json_valid(after)),
    is_told       INTEGER NOT NULL DEFAULT 0 CHECK (is_told IN (0, 1)),  -- whether the service has logged it
    CHECK ((action = 'added') = (before IS NULL)),
    CHECK ((action = 'removed') = (after IS NULL))
) STRICT;
CREATE INDEX job_edit_of_job ON job_edit (job_config_id, edit_id);
CREATE INDEX job_edit_untold ON job_edit (edit_id) WHERE is_told = 0;

INSERT INTO job_edit (who, action, job_config_id, after, is_told)
SELECT 'before edits were kept', 'added', job_config_id,
       json_object('feed', job_feed, 'files', job_input_pattern, 'min_files', job_min_file_count,
                   'trigger', job_trigger, 'addl_criteria', job_addl_criteria,
                   'params', job_params, 'enabled', job_enabled), 1
  FROM aggr_job_configuration ORDER BY job_config_id;

-- INSERT OR REPLACE removes the old row without a trigger: what the job was before is in its last edit.
CREATE TRIGGER job_edit_added AFTER INSERT ON aggr_job_configuration
BEGIN
    INSERT INTO job_edit (action, job_config_id, before, after)
    SELECT CASE WHEN last.after IS NULL THEN 'added' ELSE 'changed' END, NEW.job_config_id, last.after,
           json_object('feed', NEW.job_feed, 'files', NEW.job_input_pattern, 'min_files', NEW.job_min_file_count,
                       'trigger', NEW.job_trigger, 'addl_criteria', NEW.job_addl_criteria,
                       'params', NEW.job_params, 'enabled', NEW.job_enabled)
      FROM (SELECT 1) LEFT JOIN (
           SELECT e.after FROM job_edit e WHERE e.job_config_id = NEW.job_config_id ORDER BY e.edit_id DESC LIMIT 1) last;
END;

CREATE TRIGGER job_edit_changed AFTER UPDATE ON aggr_job_configuration
WHEN OLD.job_config_id = NEW.job_config_id
     AND (OLD.job_feed, OLD.job_input_pattern, OLD.job_min_file_count, OLD.job_trigger, OLD.job_addl_criteria,
          OLD.job_params, OLD.job_enabled)
         IS NOT (NEW.job_feed, NEW.job_input_pattern, NEW.job_min_file_count, NEW.job_trigger, NEW.job_addl_criteria,
          NEW.job_params, NEW.job_enabled)
BEGIN
    INSERT INTO job_edit (action, job_config_id, before, after)
    VALUES ('changed', NEW.job_config_id,
           json_object('feed', OLD.job_feed, 'files', OLD.job_input_pattern, 'min_files', OLD.job_min_file_count,
                       'trigger', OLD.job_trigger, 'addl_criteria', OLD.job_addl_criteria,
                       'params', OLD.job_params, 'enabled', OLD.job_enabled),
           json_object('feed', NEW.job_feed, 'files', NEW.job_input_pattern, 'min_files', NEW.job_min_file_count,
                       'trigger', NEW.job_trigger, 'addl_criteria', NEW.job_addl_criteria,
                       'params', NEW.job_params, 'enabled', NEW.job_enabled));
END;

CREATE TRIGGER job_edit_renamed AFTER UPDATE OF job_config_id ON aggr_job_configuration
WHEN OLD.job_config_id <> NEW.job_config_id
BEGIN
    INSERT INTO job_edit (action, job_config_id, before)
    VALUES ('removed', OLD.job_config_id,
           json_object('feed', OLD.job_feed, 'files', OLD.job_input_pattern, 'min_files', OLD.job_min_file_count,
                       'trigger', OLD.job_trigger, 'addl_criteria', OLD.job_addl_criteria,
                       'params', OLD.job_params, 'enabled', OLD.job_enabled));
    INSERT INTO job_edit (action, job_config_id, after)
    VALUES ('added', NEW.job_config_id,
           json_object('feed', NEW.job_feed, 'files', NEW.job_input_pattern, 'min_files', NEW.job_min_file_count,
                       'trigger', NEW.job_trigger, 'addl_criteria', NEW.job_addl_criteria,
                       'params', NEW.job_params, 'enabled', NEW.job_enabled));
END;

CREATE TRIGGER job_edit_removed AFTER DELETE ON aggr_job_configuration
BEGIN
    INSERT INTO job_edit (action, job_config_id, before)
    VALUES ('removed', OLD.job_config_id,
           json_object('feed', OLD.job_feed, 'files', OLD.job_input_pattern, 'min_files', OLD.job_min_file_count,
                       'trigger', OLD.job_trigger, 'addl_criteria', OLD.job_addl_criteria,
                       'params', OLD.job_params, 'enabled', OLD.job_enabled));
END;

CREATE VIEW job_history AS
    -- Every change of a job's configuration, newest first.
    SELECT at, who, action, job_config_id AS job, before, after, edit_id FROM job_edit ORDER BY edit_id DESC;
