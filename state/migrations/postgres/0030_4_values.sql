-- Triggers that refuse times, days and numbers that are impossible, whoever writes them.
--
-- Rows are written by the thousand, so a function is called only for a row that has an impossible value. It then looks
-- whether the value was written now.

CREATE FUNCTION aggr_job_configuration_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('aggr_job_configuration.last_run_timestamp', OLD.last_run_timestamp, NEW.last_run_timestamp);
    RETURN NEW;
END $$;
CREATE TRIGGER aggr_job_configuration_values BEFORE INSERT OR UPDATE OF
    last_run_timestamp
    ON aggr_job_configuration FOR EACH ROW
    WHEN ((is_time(NEW.last_run_timestamp)) IS FALSE)
    EXECUTE FUNCTION aggr_job_configuration_values();

CREATE FUNCTION ingested_file_status_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('ingested_file_status.last_update_timestamp',
                         OLD.last_update_timestamp, NEW.last_update_timestamp);
    PERFORM require_time('ingested_file_status.submitted_timestamp', OLD.submitted_timestamp, NEW.submitted_timestamp);
    PERFORM require_time('ingested_file_status.last_validated_timestamp',
                         OLD.last_validated_timestamp, NEW.last_validated_timestamp);
    PERFORM require_time('ingested_file_status.put_away_timestamp', OLD.put_away_timestamp, NEW.put_away_timestamp);
    PERFORM require_time('ingested_file_status.compared_timestamp', OLD.compared_timestamp, NEW.compared_timestamp);
    PERFORM require_day('ingested_file_status.business_date', OLD.business_date, NEW.business_date);
    PERFORM require_not_negative('ingested_file_status.stamp_bytes', OLD.stamp_bytes, NEW.stamp_bytes);
    RETURN NEW;
END $$;
CREATE TRIGGER ingested_file_status_values BEFORE INSERT OR UPDATE OF
    last_update_timestamp, submitted_timestamp, last_validated_timestamp, put_away_timestamp, compared_timestamp,
    business_date, stamp_bytes
    ON ingested_file_status FOR EACH ROW
    WHEN ((is_time(NEW.last_update_timestamp) AND is_time(NEW.submitted_timestamp) AND
           is_time(NEW.last_validated_timestamp) AND is_time(NEW.put_away_timestamp) AND
           is_time(NEW.compared_timestamp) AND is_day(NEW.business_date) AND NEW.stamp_bytes >= 0) IS FALSE)
    EXECUTE FUNCTION ingested_file_status_values();

CREATE FUNCTION file_version_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('file_version.created_timestamp', OLD.created_timestamp, NEW.created_timestamp);
    PERFORM require_time('file_version.partial_removed_timestamp',
                         OLD.partial_removed_timestamp, NEW.partial_removed_timestamp);
    PERFORM require_day('file_version.first_date', OLD.first_date, NEW.first_date);
    PERFORM require_day('file_version.last_date', OLD.last_date, NEW.last_date);
    RETURN NEW;
END $$;
CREATE TRIGGER file_version_values BEFORE INSERT OR UPDATE OF
    created_timestamp, partial_removed_timestamp, first_date, last_date
    ON file_version FOR EACH ROW
    WHEN ((is_time(NEW.created_timestamp) AND is_time(NEW.partial_removed_timestamp) AND is_day(NEW.first_date) AND
           is_day(NEW.last_date)) IS FALSE)
    EXECUTE FUNCTION file_version_values();

CREATE FUNCTION submission_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('submission.submitted_timestamp', OLD.submitted_timestamp, NEW.submitted_timestamp);
    PERFORM require_not_negative('submission.stamp_bytes', OLD.stamp_bytes, NEW.stamp_bytes);
    RETURN NEW;
END $$;
CREATE TRIGGER submission_values BEFORE INSERT OR UPDATE OF
    submitted_timestamp, stamp_bytes
    ON submission FOR EACH ROW
    WHEN ((is_time(NEW.submitted_timestamp) AND NEW.stamp_bytes >= 0) IS FALSE)
    EXECUTE FUNCTION submission_values();

CREATE FUNCTION version_day_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_day('version_day.trans_date', OLD.trans_date, NEW.trans_date);
    PERFORM require_not_negative('version_day.lines', OLD.lines, NEW.lines);
    PERFORM require_not_negative('version_day.turnover', OLD.turnover, NEW.turnover);
    RETURN NEW;
END $$;
CREATE TRIGGER version_day_values BEFORE INSERT OR UPDATE OF
    trans_date, lines, turnover
    ON version_day FOR EACH ROW
    WHEN ((is_day(NEW.trans_date) AND NEW.lines >= 0 AND NEW.turnover >= 0) IS FALSE)
    EXECUTE FUNCTION version_day_values();

CREATE FUNCTION file_day_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_day('file_day.trans_date', OLD.trans_date, NEW.trans_date);
    RETURN NEW;
END $$;
CREATE TRIGGER file_day_values BEFORE INSERT OR UPDATE OF
    trans_date
    ON file_day FOR EACH ROW
    WHEN ((is_day(NEW.trans_date)) IS FALSE)
    EXECUTE FUNCTION file_day_values();

CREATE FUNCTION intervention_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('intervention.at', OLD.at, NEW.at);
    RETURN NEW;
END $$;
CREATE TRIGGER intervention_values BEFORE INSERT OR UPDATE OF
    at
    ON intervention FOR EACH ROW
    WHEN ((is_time(NEW.at)) IS FALSE)
    EXECUTE FUNCTION intervention_values();

CREATE FUNCTION job_run_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('job_run.queued_timestamp', OLD.queued_timestamp, NEW.queued_timestamp);
    PERFORM require_time('job_run.started_timestamp', OLD.started_timestamp, NEW.started_timestamp);
    PERFORM require_time('job_run.heartbeat_timestamp', OLD.heartbeat_timestamp, NEW.heartbeat_timestamp);
    PERFORM require_time('job_run.finished_timestamp', OLD.finished_timestamp, NEW.finished_timestamp);
    PERFORM require_time('job_run.lost_timestamp', OLD.lost_timestamp, NEW.lost_timestamp);
    PERFORM require_day('job_run.wave', OLD.wave, nullif(NEW.wave, ''));
    PERFORM require_not_negative('job_run.sequence', OLD.sequence, NEW.sequence);
    PERFORM require_not_negative('job_run.as_of_submission', OLD.as_of_submission, NEW.as_of_submission);
    PERFORM require_not_negative('job_run.attempts', OLD.attempts, NEW.attempts);
    PERFORM require_not_negative('job_run.completeness_percent', OLD.completeness_percent, NEW.completeness_percent);
    PERFORM require_not_negative('job_run.summary_rows', OLD.summary_rows, NEW.summary_rows);
    PERFORM require_not_negative('job_run.rows_inserted', OLD.rows_inserted, NEW.rows_inserted);
    PERFORM require_not_negative('job_run.rows_updated', OLD.rows_updated, NEW.rows_updated);
    PERFORM require_not_negative('job_run.rows_deleted', OLD.rows_deleted, NEW.rows_deleted);
    PERFORM require_not_negative('job_run.rows_unchanged', OLD.rows_unchanged, NEW.rows_unchanged);
    RETURN NEW;
END $$;
CREATE TRIGGER job_run_values BEFORE INSERT OR UPDATE OF
    queued_timestamp, started_timestamp, heartbeat_timestamp, finished_timestamp, lost_timestamp, wave, sequence,
    as_of_submission, attempts, completeness_percent, summary_rows, rows_inserted, rows_updated, rows_deleted,
    rows_unchanged
    ON job_run FOR EACH ROW
    WHEN ((is_time(NEW.queued_timestamp) AND is_time(NEW.started_timestamp) AND is_time(NEW.heartbeat_timestamp) AND
           is_time(NEW.finished_timestamp) AND is_time(NEW.lost_timestamp) AND is_day(nullif(NEW.wave, '')) AND
           NEW.sequence >= 0 AND NEW.as_of_submission >= 0 AND NEW.attempts >= 0 AND
           NEW.completeness_percent >= 0 AND NEW.summary_rows >= 0 AND NEW.rows_inserted >= 0 AND
           NEW.rows_updated >= 0 AND NEW.rows_deleted >= 0 AND NEW.rows_unchanged >= 0) IS FALSE)
    EXECUTE FUNCTION job_run_values();

CREATE FUNCTION job_run_input_day_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_day('job_run_input_day.trans_date', OLD.trans_date, NEW.trans_date);
    RETURN NEW;
END $$;
CREATE TRIGGER job_run_input_day_values BEFORE INSERT OR UPDATE OF
    trans_date
    ON job_run_input_day FOR EACH ROW
    WHEN ((is_day(NEW.trans_date)) IS FALSE)
    EXECUTE FUNCTION job_run_input_day_values();

CREATE FUNCTION loaded_day_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_day('loaded_day.trans_date', OLD.trans_date, NEW.trans_date);
    RETURN NEW;
END $$;
CREATE TRIGGER loaded_day_values BEFORE INSERT OR UPDATE OF
    trans_date
    ON loaded_day FOR EACH ROW
    WHEN ((is_day(NEW.trans_date)) IS FALSE)
    EXECUTE FUNCTION loaded_day_values();

CREATE FUNCTION ledger_run_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('ledger_run.found_timestamp', OLD.found_timestamp, NEW.found_timestamp);
    PERFORM require_time('ledger_run.accepted_timestamp', OLD.accepted_timestamp, NEW.accepted_timestamp);
    PERFORM require_day('ledger_run.wave', OLD.wave, nullif(NEW.wave, ''));
    PERFORM require_not_negative('ledger_run.rows', OLD.rows, NEW.rows);
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_run_values BEFORE INSERT OR UPDATE OF
    found_timestamp, accepted_timestamp, wave, rows
    ON ledger_run FOR EACH ROW
    WHEN ((is_time(NEW.found_timestamp) AND is_time(NEW.accepted_timestamp) AND is_day(nullif(NEW.wave, '')) AND
           NEW.rows >= 0) IS FALSE)
    EXECUTE FUNCTION ledger_run_values();

CREATE FUNCTION unmatched_file_values() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_time('unmatched_file.noticed_timestamp', OLD.noticed_timestamp, NEW.noticed_timestamp);
    PERFORM require_not_negative('unmatched_file.bytes', OLD.bytes, NEW.bytes);
    RETURN NEW;
END $$;
CREATE TRIGGER unmatched_file_values BEFORE INSERT OR UPDATE OF
    noticed_timestamp, bytes
    ON unmatched_file FOR EACH ROW
    WHEN ((is_time(NEW.noticed_timestamp) AND NEW.bytes >= 0) IS FALSE)
    EXECUTE FUNCTION unmatched_file_values();
