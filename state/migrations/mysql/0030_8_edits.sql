-- What people change by hand is noticed: sessions of gristmill set @gristmill and change `writer` themselves, others do not.
-- Whoever edits holds the lock of its row then, until the end of the transaction.
--
-- These are all tables that hold what was recorded. What triggers keep follows from these.

CREATE TRIGGER aggr_job_configuration_added_by_hand BEFORE INSERT ON aggr_job_configuration FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER aggr_job_configuration_changed_by_hand BEFORE UPDATE ON aggr_job_configuration FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER aggr_job_configuration_removed_by_hand BEFORE DELETE ON aggr_job_configuration FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER job_edit_added_by_hand BEFORE INSERT ON job_edit FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_edit_changed_by_hand BEFORE UPDATE ON job_edit FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_edit_removed_by_hand BEFORE DELETE ON job_edit FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER ingested_file_status_added_by_hand BEFORE INSERT ON ingested_file_status FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER ingested_file_status_changed_by_hand BEFORE UPDATE ON ingested_file_status FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER ingested_file_status_removed_by_hand BEFORE DELETE ON ingested_file_status FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER file_version_added_by_hand BEFORE INSERT ON file_version FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER file_version_changed_by_hand BEFORE UPDATE ON file_version FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER file_version_removed_by_hand BEFORE DELETE ON file_version FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER submission_added_by_hand BEFORE INSERT ON submission FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER submission_changed_by_hand BEFORE UPDATE ON submission FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER submission_removed_by_hand BEFORE DELETE ON submission FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER version_day_added_by_hand BEFORE INSERT ON version_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER version_day_changed_by_hand BEFORE UPDATE ON version_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER version_day_removed_by_hand BEFORE DELETE ON version_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER file_day_added_by_hand BEFORE INSERT ON file_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER file_day_changed_by_hand BEFORE UPDATE ON file_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER file_day_removed_by_hand BEFORE DELETE ON file_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER intervention_added_by_hand BEFORE INSERT ON intervention FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER intervention_changed_by_hand BEFORE UPDATE ON intervention FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER intervention_removed_by_hand BEFORE DELETE ON intervention FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER job_run_added_by_hand BEFORE INSERT ON job_run FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_run_changed_by_hand BEFORE UPDATE ON job_run FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_run_removed_by_hand BEFORE DELETE ON job_run FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER job_run_input_added_by_hand BEFORE INSERT ON job_run_input FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_run_input_changed_by_hand BEFORE UPDATE ON job_run_input FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_run_input_removed_by_hand BEFORE DELETE ON job_run_input FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER job_run_input_day_added_by_hand BEFORE INSERT ON job_run_input_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_run_input_day_changed_by_hand BEFORE UPDATE ON job_run_input_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_run_input_day_removed_by_hand BEFORE DELETE ON job_run_input_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER loaded_day_added_by_hand BEFORE INSERT ON loaded_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER loaded_day_changed_by_hand BEFORE UPDATE ON loaded_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER loaded_day_removed_by_hand BEFORE DELETE ON loaded_day FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER ledger_run_added_by_hand BEFORE INSERT ON ledger_run FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER ledger_run_changed_by_hand BEFORE UPDATE ON ledger_run FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER ledger_run_removed_by_hand BEFORE DELETE ON ledger_run FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER job_file_added_by_hand BEFORE INSERT ON job_file FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_file_changed_by_hand BEFORE UPDATE ON job_file FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER job_file_removed_by_hand BEFORE DELETE ON job_file FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER open_wave_added_by_hand BEFORE INSERT ON open_wave FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER open_wave_changed_by_hand BEFORE UPDATE ON open_wave FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER open_wave_removed_by_hand BEFORE DELETE ON open_wave FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER waiting_added_by_hand BEFORE INSERT ON waiting FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER waiting_changed_by_hand BEFORE UPDATE ON waiting FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER waiting_removed_by_hand BEFORE DELETE ON waiting FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER file_attempt_added_by_hand BEFORE INSERT ON file_attempt FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER file_attempt_changed_by_hand BEFORE UPDATE ON file_attempt FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER file_attempt_removed_by_hand BEFORE DELETE ON file_attempt FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER alert_firing_added_by_hand BEFORE INSERT ON alert_firing FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER alert_firing_changed_by_hand BEFORE UPDATE ON alert_firing FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER alert_firing_removed_by_hand BEFORE DELETE ON alert_firing FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;

CREATE TRIGGER alert_notice_added_by_hand BEFORE INSERT ON alert_notice FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER alert_notice_changed_by_hand BEFORE UPDATE ON alert_notice FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
CREATE TRIGGER alert_notice_removed_by_hand BEFORE DELETE ON alert_notice FOR EACH ROW
    IF @gristmill IS NULL THEN UPDATE writer SET edits = edits + 1 WHERE one = 1; END IF;
