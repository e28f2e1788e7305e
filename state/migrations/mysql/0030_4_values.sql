-- Triggers that refuse times, days and numbers that are impossible, whoever writes them.
--
-- Rows are written by the thousand, so all values of a row are looked at together. Only if one is impossible, it is looked
-- which, and whether it was written now.

CREATE TRIGGER aggr_job_configuration_values_added BEFORE INSERT ON aggr_job_configuration FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.last_run_timestamp, '')) THEN
        CALL require_time('aggr_job_configuration.last_run_timestamp', NULL, NEW.last_run_timestamp);
    END IF;

CREATE TRIGGER aggr_job_configuration_values_changed BEFORE UPDATE ON aggr_job_configuration FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.last_run_timestamp, '')) THEN
        CALL require_time('aggr_job_configuration.last_run_timestamp', OLD.last_run_timestamp, NEW.last_run_timestamp);
    END IF;

CREATE TRIGGER ingested_file_status_values_added BEFORE INSERT ON ingested_file_status FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.last_update_timestamp, NEW.submitted_timestamp, NEW.last_validated_timestamp,
                                    NEW.put_away_timestamp, NEW.compared_timestamp, ''))
       OR NOT are_days(concat_ws(' ', NEW.business_date, ''))
       OR NEW.stamp_bytes < 0 THEN
        CALL require_time('ingested_file_status.last_update_timestamp', NULL, NEW.last_update_timestamp);
        CALL require_time('ingested_file_status.submitted_timestamp', NULL, NEW.submitted_timestamp);
        CALL require_time('ingested_file_status.last_validated_timestamp', NULL, NEW.last_validated_timestamp);
        CALL require_time('ingested_file_status.put_away_timestamp', NULL, NEW.put_away_timestamp);
        CALL require_time('ingested_file_status.compared_timestamp', NULL, NEW.compared_timestamp);
        CALL require_day('ingested_file_status.business_date', NULL, NEW.business_date);
        CALL require_not_negative('ingested_file_status.stamp_bytes', NULL, NEW.stamp_bytes);
    END IF;

CREATE TRIGGER ingested_file_status_values_changed BEFORE UPDATE ON ingested_file_status FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.last_update_timestamp, NEW.submitted_timestamp, NEW.last_validated_timestamp,
                                    NEW.put_away_timestamp, NEW.compared_timestamp, ''))
       OR NOT are_days(concat_ws(' ', NEW.business_date, ''))
       OR NEW.stamp_bytes < 0 THEN
        CALL require_time('ingested_file_status.last_update_timestamp',
                          OLD.last_update_timestamp, NEW.last_update_timestamp);
        CALL require_time('ingested_file_status.submitted_timestamp', OLD.submitted_timestamp, NEW.submitted_timestamp);
        CALL require_time('ingested_file_status.last_validated_timestamp',
                          OLD.last_validated_timestamp, NEW.last_validated_timestamp);
        CALL require_time('ingested_file_status.put_away_timestamp', OLD.put_away_timestamp, NEW.put_away_timestamp);
        CALL require_time('ingested_file_status.compared_timestamp', OLD.compared_timestamp, NEW.compared_timestamp);
        CALL require_day('ingested_file_status.business_date', OLD.business_date, NEW.business_date);
        CALL require_not_negative('ingested_file_status.stamp_bytes', OLD.stamp_bytes, NEW.stamp_bytes);
    END IF;

CREATE TRIGGER file_version_values_added BEFORE INSERT ON file_version FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.created_timestamp, NEW.partial_removed_timestamp, ''))
       OR NOT are_days(concat_ws(' ', NEW.first_date, NEW.last_date, '')) THEN
        CALL require_time('file_version.created_timestamp', NULL, NEW.created_timestamp);
        CALL require_time('file_version.partial_removed_timestamp', NULL, NEW.partial_removed_timestamp);
        CALL require_day('file_version.first_date', NULL, NEW.first_date);
        CALL require_day('file_version.last_date', NULL, NEW.last_date);
    END IF;

CREATE TRIGGER file_version_values_changed BEFORE UPDATE ON file_version FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.created_timestamp, NEW.partial_removed_timestamp, ''))
       OR NOT are_days(concat_ws(' ', NEW.first_date, NEW.last_date, '')) THEN
        CALL require_time('file_version.created_timestamp', OLD.created_timestamp, NEW.created_timestamp);
        CALL require_time('file_version.partial_removed_timestamp',
                          OLD.partial_removed_timestamp, NEW.partial_removed_timestamp);
        CALL require_day('file_version.first_date', OLD.first_date, NEW.first_date);
        CALL require_day('file_version.last_date', OLD.last_date, NEW.last_date);
    END IF;

CREATE TRIGGER submission_values_added BEFORE INSERT ON submission FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.submitted_timestamp, ''))
       OR NEW.stamp_bytes < 0 THEN
        CALL require_time('submission.submitted_timestamp', NULL, NEW.submitted_timestamp);
        CALL require_not_negative('submission.stamp_bytes', NULL, NEW.stamp_bytes);
    END IF;

CREATE TRIGGER submission_values_changed BEFORE UPDATE ON submission FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.submitted_timestamp, ''))
       OR NEW.stamp_bytes < 0 THEN
        CALL require_time('submission.submitted_timestamp', OLD.submitted_timestamp, NEW.submitted_timestamp);
        CALL require_not_negative('submission.stamp_bytes', OLD.stamp_bytes, NEW.stamp_bytes);
    END IF;

CREATE TRIGGER version_day_values_added BEFORE INSERT ON version_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, ''))
       OR NEW.lines < 0 OR NEW.turnover < 0 THEN
        CALL require_day('version_day.trans_date', NULL, NEW.trans_date);
        CALL require_not_negative('version_day.lines', NULL, NEW.lines);
        CALL require_not_negative('version_day.turnover', NULL, NEW.turnover);
    END IF;

CREATE TRIGGER version_day_values_changed BEFORE UPDATE ON version_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, ''))
       OR NEW.lines < 0 OR NEW.turnover < 0 THEN
        CALL require_day('version_day.trans_date', OLD.trans_date, NEW.trans_date);
        CALL require_not_negative('version_day.lines', OLD.lines, NEW.lines);
        CALL require_not_negative('version_day.turnover', OLD.turnover, NEW.turnover);
    END IF;

CREATE TRIGGER file_day_values_added BEFORE INSERT ON file_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, '')) THEN
        CALL require_day('file_day.trans_date', NULL, NEW.trans_date);
    END IF;

CREATE TRIGGER file_day_values_changed BEFORE UPDATE ON file_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, '')) THEN
        CALL require_day('file_day.trans_date', OLD.trans_date, NEW.trans_date);
    END IF;

CREATE TRIGGER intervention_values_added BEFORE INSERT ON intervention FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.at, '')) THEN
        CALL require_time('intervention.at', NULL, NEW.at);
    END IF;

CREATE TRIGGER intervention_values_changed BEFORE UPDATE ON intervention FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.at, '')) THEN
        CALL require_time('intervention.at', OLD.at, NEW.at);
    END IF;

CREATE TRIGGER job_run_values_added BEFORE INSERT ON job_run FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.queued_timestamp, NEW.started_timestamp, NEW.heartbeat_timestamp,
                                    NEW.finished_timestamp, NEW.lost_timestamp, ''))
       OR NOT are_days(concat_ws(' ', nullif(NEW.wave, ''), ''))
       OR NEW.sequence < 0 OR NEW.as_of_submission < 0 OR NEW.attempts < 0 OR NEW.completeness_percent < 0
       OR NEW.summary_rows < 0 OR NEW.rows_inserted < 0 OR NEW.rows_updated < 0 OR NEW.rows_deleted < 0
       OR NEW.rows_unchanged < 0 THEN
        CALL require_time('job_run.queued_timestamp', NULL, NEW.queued_timestamp);
        CALL require_time('job_run.started_timestamp', NULL, NEW.started_timestamp);
        CALL require_time('job_run.heartbeat_timestamp', NULL, NEW.heartbeat_timestamp);
        CALL require_time('job_run.finished_timestamp', NULL, NEW.finished_timestamp);
        CALL require_time('job_run.lost_timestamp', NULL, NEW.lost_timestamp);
        CALL require_day('job_run.wave', NULL, nullif(NEW.wave, ''));
        CALL require_not_negative('job_run.sequence', NULL, NEW.sequence);
        CALL require_not_negative('job_run.as_of_submission', NULL, NEW.as_of_submission);
        CALL require_not_negative('job_run.attempts', NULL, NEW.attempts);
        CALL require_not_negative('job_run.completeness_percent', NULL, NEW.completeness_percent);
        CALL require_not_negative('job_run.summary_rows', NULL, NEW.summary_rows);
        CALL require_not_negative('job_run.rows_inserted', NULL, NEW.rows_inserted);
        CALL require_not_negative('job_run.rows_updated', NULL, NEW.rows_updated);
        CALL require_not_negative('job_run.rows_deleted', NULL, NEW.rows_deleted);
        CALL require_not_negative('job_run.rows_unchanged', NULL, NEW.rows_unchanged);
    END IF;

CREATE TRIGGER job_run_values_changed BEFORE UPDATE ON job_run FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.queued_timestamp, NEW.started_timestamp, NEW.heartbeat_timestamp,
                                    NEW.finished_timestamp, NEW.lost_timestamp, ''))
       OR NOT are_days(concat_ws(' ', nullif(NEW.wave, ''), ''))
       OR NEW.sequence < 0 OR NEW.as_of_submission < 0 OR NEW.attempts < 0 OR NEW.completeness_percent < 0
       OR NEW.summary_rows < 0 OR NEW.rows_inserted < 0 OR NEW.rows_updated < 0 OR NEW.rows_deleted < 0
       OR NEW.rows_unchanged < 0 THEN
        CALL require_time('job_run.queued_timestamp', OLD.queued_timestamp, NEW.queued_timestamp);
        CALL require_time('job_run.started_timestamp', OLD.started_timestamp, NEW.started_timestamp);
        CALL require_time('job_run.heartbeat_timestamp', OLD.heartbeat_timestamp, NEW.heartbeat_timestamp);
        CALL require_time('job_run.finished_timestamp', OLD.finished_timestamp, NEW.finished_timestamp);
        CALL require_time('job_run.lost_timestamp', OLD.lost_timestamp, NEW.lost_timestamp);
        CALL require_day('job_run.wave', OLD.wave, nullif(NEW.wave, ''));
        CALL require_not_negative('job_run.sequence', OLD.sequence, NEW.sequence);
        CALL require_not_negative('job_run.as_of_submission', OLD.as_of_submission, NEW.as_of_submission);
        CALL require_not_negative('job_run.attempts', OLD.attempts, NEW.attempts);
        CALL require_not_negative('job_run.completeness_percent', OLD.completeness_percent, NEW.completeness_percent);
        CALL require_not_negative('job_run.summary_rows', OLD.summary_rows, NEW.summary_rows);
        CALL require_not_negative('job_run.rows_inserted', OLD.rows_inserted, NEW.rows_inserted);
        CALL require_not_negative('job_run.rows_updated', OLD.rows_updated, NEW.rows_updated);
        CALL require_not_negative('job_run.rows_deleted', OLD.rows_deleted, NEW.rows_deleted);
        CALL require_not_negative('job_run.rows_unchanged', OLD.rows_unchanged, NEW.rows_unchanged);
    END IF;

CREATE TRIGGER job_run_input_day_values_added BEFORE INSERT ON job_run_input_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, '')) THEN
        CALL require_day('job_run_input_day.trans_date', NULL, NEW.trans_date);
    END IF;

CREATE TRIGGER job_run_input_day_values_changed BEFORE UPDATE ON job_run_input_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, '')) THEN
        CALL require_day('job_run_input_day.trans_date', OLD.trans_date, NEW.trans_date);
    END IF;

CREATE TRIGGER loaded_day_values_added BEFORE INSERT ON loaded_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, '')) THEN
        CALL require_day('loaded_day.trans_date', NULL, NEW.trans_date);
    END IF;

CREATE TRIGGER loaded_day_values_changed BEFORE UPDATE ON loaded_day FOR EACH ROW
    IF NOT are_days(concat_ws(' ', NEW.trans_date, '')) THEN
        CALL require_day('loaded_day.trans_date', OLD.trans_date, NEW.trans_date);
    END IF;

CREATE TRIGGER ledger_run_values_added BEFORE INSERT ON ledger_run FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.found_timestamp, NEW.accepted_timestamp, ''))
       OR NOT are_days(concat_ws(' ', nullif(NEW.wave, ''), ''))
       OR NEW.`rows` < 0 THEN
        CALL require_time('ledger_run.found_timestamp', NULL, NEW.found_timestamp);
        CALL require_time('ledger_run.accepted_timestamp', NULL, NEW.accepted_timestamp);
        CALL require_day('ledger_run.wave', NULL, nullif(NEW.wave, ''));
        CALL require_not_negative('ledger_run.rows', NULL, NEW.`rows`);
    END IF;

CREATE TRIGGER ledger_run_values_changed BEFORE UPDATE ON ledger_run FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.found_timestamp, NEW.accepted_timestamp, ''))
       OR NOT are_days(concat_ws(' ', nullif(NEW.wave, ''), ''))
       OR NEW.`rows` < 0 THEN
        CALL require_time('ledger_run.found_timestamp', OLD.found_timestamp, NEW.found_timestamp);
        CALL require_time('ledger_run.accepted_timestamp', OLD.accepted_timestamp, NEW.accepted_timestamp);
        CALL require_day('ledger_run.wave', OLD.wave, nullif(NEW.wave, ''));
        CALL require_not_negative('ledger_run.rows', OLD.`rows`, NEW.`rows`);
    END IF;

CREATE TRIGGER unmatched_file_values_added BEFORE INSERT ON unmatched_file FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.noticed_timestamp, ''))
       OR NEW.bytes < 0 THEN
        CALL require_time('unmatched_file.noticed_timestamp', NULL, NEW.noticed_timestamp);
        CALL require_not_negative('unmatched_file.bytes', NULL, NEW.bytes);
    END IF;

CREATE TRIGGER unmatched_file_values_changed BEFORE UPDATE ON unmatched_file FOR EACH ROW
    IF NOT are_times(concat_ws(' ', NEW.noticed_timestamp, ''))
       OR NEW.bytes < 0 THEN
        CALL require_time('unmatched_file.noticed_timestamp', OLD.noticed_timestamp, NEW.noticed_timestamp);
        CALL require_not_negative('unmatched_file.bytes', OLD.bytes, NEW.bytes);
    END IF;
