-- Triggers that refuse times, days and numbers that are impossible, whoever writes them.
--
-- A row that has an impossible value already can still be changed elsewhere: only a value that differs from the one before
-- is looked at.

CREATE TRIGGER aggr_job_configuration_values_added BEFORE INSERT ON aggr_job_configuration FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.last_run_timestamp) THEN CALL refuse_time('aggr_job_configuration.last_run_timestamp'); END IF;
END;

CREATE TRIGGER aggr_job_configuration_values_changed BEFORE UPDATE ON aggr_job_configuration FOR EACH ROW
BEGIN
    IF NOT (NEW.last_run_timestamp <=> OLD.last_run_timestamp OR is_time(NEW.last_run_timestamp)) THEN
        CALL refuse_time('aggr_job_configuration.last_run_timestamp');
    END IF;
END;

CREATE TRIGGER ingested_file_status_values_added BEFORE INSERT ON ingested_file_status FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.last_update_timestamp) THEN CALL refuse_time('ingested_file_status.last_update_timestamp'); END IF;
    IF NOT is_time(NEW.submitted_timestamp) THEN CALL refuse_time('ingested_file_status.submitted_timestamp'); END IF;
    IF NOT is_time(NEW.last_validated_timestamp) THEN
        CALL refuse_time('ingested_file_status.last_validated_timestamp');
    END IF;
    IF NOT is_time(NEW.put_away_timestamp) THEN CALL refuse_time('ingested_file_status.put_away_timestamp'); END IF;
    IF NOT is_time(NEW.compared_timestamp) THEN CALL refuse_time('ingested_file_status.compared_timestamp'); END IF;
    IF NOT is_day(NEW.business_date) THEN CALL refuse_day('ingested_file_status.business_date'); END IF;
    IF NEW.stamp_bytes < 0 THEN CALL refuse_negative('ingested_file_status.stamp_bytes'); END IF;
END;

CREATE TRIGGER ingested_file_status_values_changed BEFORE UPDATE ON ingested_file_status FOR EACH ROW
BEGIN
    IF NOT (NEW.last_update_timestamp <=> OLD.last_update_timestamp OR is_time(NEW.last_update_timestamp)) THEN
        CALL refuse_time('ingested_file_status.last_update_timestamp');
    END IF;
    IF NOT (NEW.submitted_timestamp <=> OLD.submitted_timestamp OR is_time(NEW.submitted_timestamp)) THEN
        CALL refuse_time('ingested_file_status.submitted_timestamp');
    END IF;
    IF NOT (NEW.last_validated_timestamp <=> OLD.last_validated_timestamp OR is_time(NEW.last_validated_timestamp)) THEN
        CALL refuse_time('ingested_file_status.last_validated_timestamp');
    END IF;
    IF NOT (NEW.put_away_timestamp <=> OLD.put_away_timestamp OR is_time(NEW.put_away_timestamp)) THEN
        CALL refuse_time('ingested_file_status.put_away_timestamp');
    END IF;
    IF NOT (NEW.compared_timestamp <=> OLD.compared_timestamp OR is_time(NEW.compared_timestamp)) THEN
        CALL refuse_time('ingested_file_status.compared_timestamp');
    END IF;
    IF NOT (NEW.business_date <=> OLD.business_date OR is_day(NEW.business_date)) THEN
        CALL refuse_day('ingested_file_status.business_date');
    END IF;
    IF NEW.stamp_bytes < 0 AND NOT (NEW.stamp_bytes <=> OLD.stamp_bytes) THEN
        CALL refuse_negative('ingested_file_status.stamp_bytes');
    END IF;
END;

CREATE TRIGGER file_version_values_added BEFORE INSERT ON file_version FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.created_timestamp) THEN CALL refuse_time('file_version.created_timestamp'); END IF;
    IF NOT is_time(NEW.partial_removed_timestamp) THEN CALL refuse_time('file_version.partial_removed_timestamp'); END IF;
    IF NOT is_day(NEW.first_date) THEN CALL refuse_day('file_version.first_date'); END IF;
    IF NOT is_day(NEW.last_date) THEN CALL refuse_day('file_version.last_date'); END IF;
END;

CREATE TRIGGER file_version_values_changed BEFORE UPDATE ON file_version FOR EACH ROW
BEGIN
    IF NOT (NEW.created_timestamp <=> OLD.created_timestamp OR is_time(NEW.created_timestamp)) THEN
        CALL refuse_time('file_version.created_timestamp');
    END IF;
    IF NOT (NEW.partial_removed_timestamp <=> OLD.partial_removed_timestamp OR is_time(NEW.partial_removed_timestamp)) THEN
        CALL refuse_time('file_version.partial_removed_timestamp');
    END IF;
    IF NOT (NEW.first_date <=> OLD.first_date OR is_day(NEW.first_date)) THEN
        CALL refuse_day('file_version.first_date');
    END IF;
    IF NOT (NEW.last_date <=> OLD.last_date OR is_day(NEW.last_date)) THEN CALL refuse_day('file_version.last_date'); END IF;
END;

CREATE TRIGGER submission_values_added BEFORE INSERT ON submission FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.submitted_timestamp) THEN CALL refuse_time('submission.submitted_timestamp'); END IF;
    IF NEW.stamp_bytes < 0 THEN CALL refuse_negative('submission.stamp_bytes'); END IF;
END;

CREATE TRIGGER submission_values_changed BEFORE UPDATE ON submission FOR EACH ROW
BEGIN
    IF NOT (NEW.submitted_timestamp <=> OLD.submitted_timestamp OR is_time(NEW.submitted_timestamp)) THEN
        CALL refuse_time('submission.submitted_timestamp');
    END IF;
    IF NEW.stamp_bytes < 0 AND NOT (NEW.stamp_bytes <=> OLD.stamp_bytes) THEN
        CALL refuse_negative('submission.stamp_bytes');
    END IF;
END;

CREATE TRIGGER version_day_values_added BEFORE INSERT ON version_day FOR EACH ROW
BEGIN
    IF NOT is_day(NEW.trans_date) THEN CALL refuse_day('version_day.trans_date'); END IF;
    IF NEW.lines < 0 THEN CALL refuse_negative('version_day.lines'); END IF;
    IF NEW.turnover < 0 THEN CALL refuse_negative('version_day.turnover'); END IF;
END;

CREATE TRIGGER version_day_values_changed BEFORE UPDATE ON version_day FOR EACH ROW
BEGIN
    IF NOT (NEW.trans_date <=> OLD.trans_date OR is_day(NEW.trans_date)) THEN
        CALL refuse_day('version_day.trans_date');
    END IF;
    IF NEW.lines < 0 AND NOT (NEW.lines <=> OLD.lines) THEN CALL refuse_negative('version_day.lines'); END IF;
    IF NEW.turnover < 0 AND NOT (NEW.turnover <=> OLD.turnover) THEN CALL refuse_negative('version_day.turnover'); END IF;
END;

CREATE TRIGGER file_day_values_added BEFORE INSERT ON file_day FOR EACH ROW
BEGIN
    IF NOT is_day(NEW.trans_date) THEN CALL refuse_day('file_day.trans_date'); END IF;
END;

CREATE TRIGGER file_day_values_changed BEFORE UPDATE ON file_day FOR EACH ROW
BEGIN
    IF NOT (NEW.trans_date <=> OLD.trans_date OR is_day(NEW.trans_date)) THEN CALL refuse_day('file_day.trans_date'); END IF;
END;

CREATE TRIGGER intervention_values_added BEFORE INSERT ON intervention FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.at) THEN CALL refuse_time('intervention.at'); END IF;
END;

CREATE TRIGGER intervention_values_changed BEFORE UPDATE ON intervention FOR EACH ROW
BEGIN
    IF NOT (NEW.at <=> OLD.at OR is_time(NEW.at)) THEN CALL refuse_time('intervention.at'); END IF;
END;

CREATE TRIGGER job_run_values_added BEFORE INSERT ON job_run FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.queued_timestamp) THEN CALL refuse_time('job_run.queued_timestamp'); END IF;
    IF NOT is_time(NEW.started_timestamp) THEN CALL refuse_time('job_run.started_timestamp'); END IF;
    IF NOT is_time(NEW.heartbeat_timestamp) THEN CALL refuse_time('job_run.heartbeat_timestamp'); END IF;
    IF NOT is_time(NEW.finished_timestamp) THEN CALL refuse_time('job_run.finished_timestamp'); END IF;
    IF NOT is_time(NEW.lost_timestamp) THEN CALL refuse_time('job_run.lost_timestamp'); END IF;
    IF NOT is_day(nullif(NEW.wave, '')) THEN CALL refuse_day('job_run.wave'); END IF;
    IF NEW.sequence < 0 THEN CALL refuse_negative('job_run.sequence'); END IF;
    IF NEW.as_of_submission < 0 THEN CALL refuse_negative('job_run.as_of_submission'); END IF;
    IF NEW.attempts < 0 THEN CALL refuse_negative('job_run.attempts'); END IF;
    IF NEW.completeness_percent < 0 THEN CALL refuse_negative('job_run.completeness_percent'); END IF;
    IF NEW.summary_rows < 0 THEN CALL refuse_negative('job_run.summary_rows'); END IF;
    IF NEW.rows_inserted < 0 THEN CALL refuse_negative('job_run.rows_inserted'); END IF;
    IF NEW.rows_updated < 0 THEN CALL refuse_negative('job_run.rows_updated'); END IF;
    IF NEW.rows_deleted < 0 THEN CALL refuse_negative('job_run.rows_deleted'); END IF;
    IF NEW.rows_unchanged < 0 THEN CALL refuse_negative('job_run.rows_unchanged'); END IF;
END;

CREATE TRIGGER job_run_values_changed BEFORE UPDATE ON job_run FOR EACH ROW
BEGIN
    IF NOT (NEW.queued_timestamp <=> OLD.queued_timestamp OR is_time(NEW.queued_timestamp)) THEN
        CALL refuse_time('job_run.queued_timestamp');
    END IF;
    IF NOT (NEW.started_timestamp <=> OLD.started_timestamp OR is_time(NEW.started_timestamp)) THEN
        CALL refuse_time('job_run.started_timestamp');
    END IF;
    IF NOT (NEW.heartbeat_timestamp <=> OLD.heartbeat_timestamp OR is_time(NEW.heartbeat_timestamp)) THEN
        CALL refuse_time('job_run.heartbeat_timestamp');
    END IF;
    IF NOT (NEW.finished_timestamp <=> OLD.finished_timestamp OR is_time(NEW.finished_timestamp)) THEN
        CALL refuse_time('job_run.finished_timestamp');
    END IF;
    IF NOT (NEW.lost_timestamp <=> OLD.lost_timestamp OR is_time(NEW.lost_timestamp)) THEN
        CALL refuse_time('job_run.lost_timestamp');
    END IF;
    IF NOT (NEW.wave <=> OLD.wave OR is_day(nullif(NEW.wave, ''))) THEN CALL refuse_day('job_run.wave'); END IF;
    IF NEW.sequence < 0 AND NOT (NEW.sequence <=> OLD.sequence) THEN CALL refuse_negative('job_run.sequence'); END IF;
    IF NEW.as_of_submission < 0 AND NOT (NEW.as_of_submission <=> OLD.as_of_submission) THEN
        CALL refuse_negative('job_run.as_of_submission');
    END IF;
    IF NEW.attempts < 0 AND NOT (NEW.attempts <=> OLD.attempts) THEN CALL refuse_negative('job_run.attempts'); END IF;
    IF NEW.completeness_percent < 0 AND NOT (NEW.completeness_percent <=> OLD.completeness_percent) THEN
        CALL refuse_negative('job_run.completeness_percent');
    END IF;
    IF NEW.summary_rows < 0 AND NOT (NEW.summary_rows <=> OLD.summary_rows) THEN
        CALL refuse_negative('job_run.summary_rows');
    END IF;
    IF NEW.rows_inserted < 0 AND NOT (NEW.rows_inserted <=> OLD.rows_inserted) THEN
        CALL refuse_negative('job_run.rows_inserted');
    END IF;
    IF NEW.rows_updated < 0 AND NOT (NEW.rows_updated <=> OLD.rows_updated) THEN
        CALL refuse_negative('job_run.rows_updated');
    END IF;
    IF NEW.rows_deleted < 0 AND NOT (NEW.rows_deleted <=> OLD.rows_deleted) THEN
        CALL refuse_negative('job_run.rows_deleted');
    END IF;
    IF NEW.rows_unchanged < 0 AND NOT (NEW.rows_unchanged <=> OLD.rows_unchanged) THEN
        CALL refuse_negative('job_run.rows_unchanged');
    END IF;
END;

CREATE TRIGGER job_run_input_day_values_added BEFORE INSERT ON job_run_input_day FOR EACH ROW
BEGIN
    IF NOT is_day(NEW.trans_date) THEN CALL refuse_day('job_run_input_day.trans_date'); END IF;
END;

CREATE TRIGGER job_run_input_day_values_changed BEFORE UPDATE ON job_run_input_day FOR EACH ROW
BEGIN
    IF NOT (NEW.trans_date <=> OLD.trans_date OR is_day(NEW.trans_date)) THEN
        CALL refuse_day('job_run_input_day.trans_date');
    END IF;
END;

CREATE TRIGGER loaded_day_values_added BEFORE INSERT ON loaded_day FOR EACH ROW
BEGIN
    IF NOT is_day(NEW.trans_date) THEN CALL refuse_day('loaded_day.trans_date'); END IF;
END;

CREATE TRIGGER loaded_day_values_changed BEFORE UPDATE ON loaded_day FOR EACH ROW
BEGIN
    IF NOT (NEW.trans_date <=> OLD.trans_date OR is_day(NEW.trans_date)) THEN
        CALL refuse_day('loaded_day.trans_date');
    END IF;
END;

CREATE TRIGGER ledger_run_values_added BEFORE INSERT ON ledger_run FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.found_timestamp) THEN CALL refuse_time('ledger_run.found_timestamp'); END IF;
    IF NOT is_time(NEW.accepted_timestamp) THEN CALL refuse_time('ledger_run.accepted_timestamp'); END IF;
    IF NOT is_day(nullif(NEW.wave, '')) THEN CALL refuse_day('ledger_run.wave'); END IF;
    IF NEW.`rows` < 0 THEN CALL refuse_negative('ledger_run.rows'); END IF;
END;

CREATE TRIGGER ledger_run_values_changed BEFORE UPDATE ON ledger_run FOR EACH ROW
BEGIN
    IF NOT (NEW.found_timestamp <=> OLD.found_timestamp OR is_time(NEW.found_timestamp)) THEN
        CALL refuse_time('ledger_run.found_timestamp');
    END IF;
    IF NOT (NEW.accepted_timestamp <=> OLD.accepted_timestamp OR is_time(NEW.accepted_timestamp)) THEN
        CALL refuse_time('ledger_run.accepted_timestamp');
    END IF;
    IF NOT (NEW.wave <=> OLD.wave OR is_day(nullif(NEW.wave, ''))) THEN CALL refuse_day('ledger_run.wave'); END IF;
    IF NEW.`rows` < 0 AND NOT (NEW.`rows` <=> OLD.`rows`) THEN CALL refuse_negative('ledger_run.rows'); END IF;
END;

CREATE TRIGGER unmatched_file_values_added BEFORE INSERT ON unmatched_file FOR EACH ROW
BEGIN
    IF NOT is_time(NEW.noticed_timestamp) THEN CALL refuse_time('unmatched_file.noticed_timestamp'); END IF;
    IF NEW.bytes < 0 THEN CALL refuse_negative('unmatched_file.bytes'); END IF;
END;

CREATE TRIGGER unmatched_file_values_changed BEFORE UPDATE ON unmatched_file FOR EACH ROW
BEGIN
    IF NOT (NEW.noticed_timestamp <=> OLD.noticed_timestamp OR is_time(NEW.noticed_timestamp)) THEN
        CALL refuse_time('unmatched_file.noticed_timestamp');
    END IF;
    IF NEW.bytes < 0 AND NOT (NEW.bytes <=> OLD.bytes) THEN CALL refuse_negative('unmatched_file.bytes'); END IF;
END;
