-- Refuses values that cannot be what they stand for: times and days such as 30 February, and negative sizes.
--
-- These are triggers and not CHECKs, because an old database may hold such values, and must open all the same: a trigger
-- looks only at what is written from now on. The other columns of a row that holds one can still be written. The
-- modifiers '+0 seconds' and '+0 days' have SQLite compute the time anew: without them, it repeats a 30 February as it is
-- written.

CREATE TRIGGER ingested_file_status_values_added BEFORE INSERT ON ingested_file_status
BEGIN
    SELECT RAISE(ABORT, 'ingested_file_status.last_update_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.last_update_timestamp IS NOT NULL
       AND (NEW.last_update_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.last_update_timestamp) <> 27
            OR substr(NEW.last_update_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.last_update_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.submitted_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.submitted_timestamp IS NOT NULL
       AND (NEW.submitted_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.submitted_timestamp) <> 27
            OR substr(NEW.submitted_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.submitted_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.last_validated_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.last_validated_timestamp IS NOT NULL
       AND (NEW.last_validated_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.last_validated_timestamp) <> 27
            OR substr(NEW.last_validated_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.last_validated_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.put_away_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.put_away_timestamp IS NOT NULL
       AND (NEW.put_away_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.put_away_timestamp) <> 27
            OR substr(NEW.put_away_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.put_away_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.compared_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.compared_timestamp IS NOT NULL
       AND (NEW.compared_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.compared_timestamp) <> 27
            OR substr(NEW.compared_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.compared_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.business_date must be a day such as 2026-11-23')
     WHERE NEW.business_date IS NOT NULL
       AND NEW.business_date IS NOT date(NEW.business_date, '+0 days');
    SELECT RAISE(ABORT, 'ingested_file_status.stamp_bytes must not be negative')
     WHERE NEW.stamp_bytes IS NOT NULL
       AND NEW.stamp_bytes < 0;
END;

CREATE TRIGGER ingested_file_status_values_changed BEFORE UPDATE OF
    last_update_timestamp, submitted_timestamp, last_validated_timestamp, put_away_timestamp,
    compared_timestamp, business_date, stamp_bytes
    ON ingested_file_status
BEGIN
    SELECT RAISE(ABORT, 'ingested_file_status.last_update_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.last_update_timestamp IS NOT NULL AND NEW.last_update_timestamp IS NOT OLD.last_update_timestamp
       AND (NEW.last_update_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.last_update_timestamp) <> 27
            OR substr(NEW.last_update_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.last_update_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.submitted_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.submitted_timestamp IS NOT NULL AND NEW.submitted_timestamp IS NOT OLD.submitted_timestamp
       AND (NEW.submitted_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.submitted_timestamp) <> 27
            OR substr(NEW.submitted_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.submitted_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.last_validated_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.last_validated_timestamp IS NOT NULL AND NEW.last_validated_timestamp IS NOT OLD.last_validated_timestamp
       AND (NEW.last_validated_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.last_validated_timestamp) <> 27
            OR substr(NEW.last_validated_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.last_validated_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.put_away_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.put_away_timestamp IS NOT NULL AND NEW.put_away_timestamp IS NOT OLD.put_away_timestamp
       AND (NEW.put_away_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.put_away_timestamp) <> 27
            OR substr(NEW.put_away_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.put_away_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.compared_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.compared_timestamp IS NOT NULL AND NEW.compared_timestamp IS NOT OLD.compared_timestamp
       AND (NEW.compared_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.compared_timestamp) <> 27
            OR substr(NEW.compared_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.compared_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ingested_file_status.business_date must be a day such as 2026-11-23')
     WHERE NEW.business_date IS NOT NULL AND NEW.business_date IS NOT OLD.business_date
       AND NEW.business_date IS NOT date(NEW.business_date, '+0 days');
    SELECT RAISE(ABORT, 'ingested_file_status.stamp_bytes must not be negative')
     WHERE NEW.stamp_bytes IS NOT NULL AND NEW.stamp_bytes IS NOT OLD.stamp_bytes
       AND NEW.stamp_bytes < 0;
END;

CREATE TRIGGER file_version_values_added BEFORE INSERT ON file_version
BEGIN
    SELECT RAISE(ABORT, 'file_version.created_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.created_timestamp IS NOT NULL
       AND (NEW.created_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.created_timestamp) <> 27
            OR substr(NEW.created_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.created_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'file_version.partial_removed_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.partial_removed_timestamp IS NOT NULL
       AND (NEW.partial_removed_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.partial_removed_timestamp) <> 27
            OR substr(NEW.partial_removed_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.partial_removed_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'file_version.first_date must be a day such as 2026-11-23')
     WHERE NEW.first_date IS NOT NULL
       AND NEW.first_date IS NOT date(NEW.first_date, '+0 days');
    SELECT RAISE(ABORT, 'file_version.last_date must be a day such as 2026-11-23')
     WHERE NEW.last_date IS NOT NULL
       AND NEW.last_date IS NOT date(NEW.last_date, '+0 days');
END;

CREATE TRIGGER file_version_values_changed BEFORE UPDATE OF
    created_timestamp, partial_removed_timestamp, first_date, last_date
    ON file_version
BEGIN
    SELECT RAISE(ABORT, 'file_version.created_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.created_timestamp IS NOT NULL AND NEW.created_timestamp IS NOT OLD.created_timestamp
       AND (NEW.created_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.created_timestamp) <> 27
            OR substr(NEW.created_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.created_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'file_version.partial_removed_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.partial_removed_timestamp IS NOT NULL AND NEW.partial_removed_timestamp IS NOT OLD.partial_removed_timestamp
       AND (NEW.partial_removed_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.partial_removed_timestamp) <> 27
            OR substr(NEW.partial_removed_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.partial_removed_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'file_version.first_date must be a day such as 2026-11-23')
     WHERE NEW.first_date IS NOT NULL AND NEW.first_date IS NOT OLD.first_date
       AND NEW.first_date IS NOT date(NEW.first_date, '+0 days');
    SELECT RAISE(ABORT, 'file_version.last_date must be a day such as 2026-11-23')
     WHERE NEW.last_date IS NOT NULL AND NEW.last_date IS NOT OLD.last_date
       AND NEW.last_date IS NOT date(NEW.last_date, '+0 days');
END;

CREATE TRIGGER submission_values_added BEFORE INSERT ON submission
BEGIN
    SELECT RAISE(ABORT, 'submission.submitted_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.submitted_timestamp IS NOT NULL
       AND (NEW.submitted_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.submitted_timestamp) <> 27
            OR substr(NEW.submitted_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.submitted_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'submission.stamp_bytes must not be negative')
     WHERE NEW.stamp_bytes IS NOT NULL
       AND NEW.stamp_bytes < 0;
END;

CREATE TRIGGER submission_values_changed BEFORE UPDATE OF
    submitted_timestamp, stamp_bytes
    ON submission
BEGIN
    SELECT RAISE(ABORT, 'submission.submitted_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.submitted_timestamp IS NOT NULL AND NEW.submitted_timestamp IS NOT OLD.submitted_timestamp
       AND (NEW.submitted_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.submitted_timestamp) <> 27
            OR substr(NEW.submitted_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.submitted_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'submission.stamp_bytes must not be negative')
     WHERE NEW.stamp_bytes IS NOT NULL AND NEW.stamp_bytes IS NOT OLD.stamp_bytes
       AND NEW.stamp_bytes < 0;
END;

CREATE TRIGGER aggr_job_configuration_values_added BEFORE INSERT ON aggr_job_configuration
BEGIN
    SELECT RAISE(ABORT, 'aggr_job_configuration.last_run_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.last_run_timestamp IS NOT NULL
       AND (NEW.last_run_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.last_run_timestamp) <> 27
            OR substr(NEW.last_run_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.last_run_timestamp, 1, 19), '+0 seconds'));
END;

CREATE TRIGGER aggr_job_configuration_values_changed BEFORE UPDATE OF
    last_run_timestamp
    ON aggr_job_configuration
BEGIN
    SELECT RAISE(ABORT, 'aggr_job_configuration.last_run_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.last_run_timestamp IS NOT NULL AND NEW.last_run_timestamp IS NOT OLD.last_run_timestamp
       AND (NEW.last_run_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.last_run_timestamp) <> 27
            OR substr(NEW.last_run_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.last_run_timestamp, 1, 19), '+0 seconds'));
END;

CREATE TRIGGER job_run_values_added BEFORE INSERT ON job_run
BEGIN
    SELECT RAISE(ABORT, 'job_run.queued_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.queued_timestamp IS NOT NULL
       AND (NEW.queued_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.queued_timestamp) <> 27
            OR substr(NEW.queued_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.queued_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.started_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.started_timestamp IS NOT NULL
       AND (NEW.started_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.started_timestamp) <> 27
            OR substr(NEW.started_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.started_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.heartbeat_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.heartbeat_timestamp IS NOT NULL
       AND (NEW.heartbeat_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.heartbeat_timestamp) <> 27
            OR substr(NEW.heartbeat_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.heartbeat_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.finished_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.finished_timestamp IS NOT NULL
       AND (NEW.finished_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.finished_timestamp) <> 27
            OR substr(NEW.finished_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.finished_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.lost_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.lost_timestamp IS NOT NULL
       AND (NEW.lost_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.lost_timestamp) <> 27
            OR substr(NEW.lost_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.lost_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.wave must be a day such as 2026-11-23')
     WHERE NEW.wave IS NOT NULL
       AND NEW.wave <> '' AND NEW.wave IS NOT date(NEW.wave, '+0 days');
    SELECT RAISE(ABORT, 'job_run.sequence must not be negative')
     WHERE NEW.sequence IS NOT NULL
       AND NEW.sequence < 0;
    SELECT RAISE(ABORT, 'job_run.as_of_submission must not be negative')
     WHERE NEW.as_of_submission IS NOT NULL
       AND NEW.as_of_submission < 0;
    SELECT RAISE(ABORT, 'job_run.attempts must not be negative')
     WHERE NEW.attempts IS NOT NULL
       AND NEW.attempts < 0;
    SELECT RAISE(ABORT, 'job_run.completeness_percent must not be negative')
     WHERE NEW.completeness_percent IS NOT NULL
       AND NEW.completeness_percent < 0;
    SELECT RAISE(ABORT, 'job_run.summary_rows must not be negative')
     WHERE NEW.summary_rows IS NOT NULL
       AND NEW.summary_rows < 0;
    SELECT RAISE(ABORT, 'job_run.rows_inserted must not be negative')
     WHERE NEW.rows_inserted IS NOT NULL
       AND NEW.rows_inserted < 0;
    SELECT RAISE(ABORT, 'job_run.rows_updated must not be negative')
     WHERE NEW.rows_updated IS NOT NULL
       AND NEW.rows_updated < 0;
    SELECT RAISE(ABORT, 'job_run.rows_deleted must not be negative')
     WHERE NEW.rows_deleted IS NOT NULL
       AND NEW.rows_deleted < 0;
    SELECT RAISE(ABORT, 'job_run.rows_unchanged must not be negative')
     WHERE NEW.rows_unchanged IS NOT NULL
       AND NEW.rows_unchanged < 0;
END;

CREATE TRIGGER job_run_values_changed BEFORE UPDATE OF
    queued_timestamp, started_timestamp, heartbeat_timestamp, finished_timestamp, lost_timestamp,
    wave, sequence, as_of_submission, attempts, completeness_percent, summary_rows, rows_inserted,
    rows_updated, rows_deleted, rows_unchanged
    ON job_run
BEGIN
    SELECT RAISE(ABORT, 'job_run.queued_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.queued_timestamp IS NOT NULL AND NEW.queued_timestamp IS NOT OLD.queued_timestamp
       AND (NEW.queued_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.queued_timestamp) <> 27
            OR substr(NEW.queued_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.queued_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.started_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.started_timestamp IS NOT NULL AND NEW.started_timestamp IS NOT OLD.started_timestamp
       AND (NEW.started_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.started_timestamp) <> 27
            OR substr(NEW.started_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.started_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.heartbeat_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.heartbeat_timestamp IS NOT NULL AND NEW.heartbeat_timestamp IS NOT OLD.heartbeat_timestamp
       AND (NEW.heartbeat_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.heartbeat_timestamp) <> 27
            OR substr(NEW.heartbeat_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.heartbeat_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.finished_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.finished_timestamp IS NOT NULL AND NEW.finished_timestamp IS NOT OLD.finished_timestamp
       AND (NEW.finished_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.finished_timestamp) <> 27
            OR substr(NEW.finished_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.finished_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.lost_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.lost_timestamp IS NOT NULL AND NEW.lost_timestamp IS NOT OLD.lost_timestamp
       AND (NEW.lost_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.lost_timestamp) <> 27
            OR substr(NEW.lost_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.lost_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'job_run.wave must be a day such as 2026-11-23')
     WHERE NEW.wave IS NOT NULL AND NEW.wave IS NOT OLD.wave
       AND NEW.wave <> '' AND NEW.wave IS NOT date(NEW.wave, '+0 days');
    SELECT RAISE(ABORT, 'job_run.sequence must not be negative')
     WHERE NEW.sequence IS NOT NULL AND NEW.sequence IS NOT OLD.sequence
       AND NEW.sequence < 0;
    SELECT RAISE(ABORT, 'job_run.as_of_submission must not be negative')
     WHERE NEW.as_of_submission IS NOT NULL AND NEW.as_of_submission IS NOT OLD.as_of_submission
       AND NEW.as_of_submission < 0;
    SELECT RAISE(ABORT, 'job_run.attempts must not be negative')
     WHERE NEW.attempts IS NOT NULL AND NEW.attempts IS NOT OLD.attempts
       AND NEW.attempts < 0;
    SELECT RAISE(ABORT, 'job_run.completeness_percent must not be negative')
     WHERE NEW.completeness_percent IS NOT NULL AND NEW.completeness_percent IS NOT OLD.completeness_percent
       AND NEW.completeness_percent < 0;
    SELECT RAISE(ABORT, 'job_run.summary_rows must not be negative')
     WHERE NEW.summary_rows IS NOT NULL AND NEW.summary_rows IS NOT OLD.summary_rows
       AND NEW.summary_rows < 0;
    SELECT RAISE(ABORT, 'job_run.rows_inserted must not be negative')
     WHERE NEW.rows_inserted IS NOT NULL AND NEW.rows_inserted IS NOT OLD.rows_inserted
       AND NEW.rows_inserted < 0;
    SELECT RAISE(ABORT, 'job_run.rows_updated must not be negative')
     WHERE NEW.rows_updated IS NOT NULL AND NEW.rows_updated IS NOT OLD.rows_updated
       AND NEW.rows_updated < 0;
    SELECT RAISE(ABORT, 'job_run.rows_deleted must not be negative')
     WHERE NEW.rows_deleted IS NOT NULL AND NEW.rows_deleted IS NOT OLD.rows_deleted
       AND NEW.rows_deleted < 0;
    SELECT RAISE(ABORT, 'job_run.rows_unchanged must not be negative')
     WHERE NEW.rows_unchanged IS NOT NULL AND NEW.rows_unchanged IS NOT OLD.rows_unchanged
       AND NEW.rows_unchanged < 0;
END;

CREATE TRIGGER job_run_input_day_values_added BEFORE INSERT ON job_run_input_day
BEGIN
    SELECT RAISE(ABORT, 'job_run_input_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
END;

CREATE TRIGGER job_run_input_day_values_changed BEFORE UPDATE OF
    trans_date
    ON job_run_input_day
BEGIN
    SELECT RAISE(ABORT, 'job_run_input_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL AND NEW.trans_date IS NOT OLD.trans_date
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
END;

CREATE TRIGGER version_day_values_added BEFORE INSERT ON version_day
BEGIN
    SELECT RAISE(ABORT, 'version_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
    SELECT RAISE(ABORT, 'version_day.lines must not be negative')
     WHERE NEW.lines IS NOT NULL
       AND NEW.lines < 0;
    SELECT RAISE(ABORT, 'version_day.turnover must not be negative')
     WHERE NEW.turnover IS NOT NULL
       AND NEW.turnover < 0;
END;

CREATE TRIGGER version_day_values_changed BEFORE UPDATE OF
    trans_date, lines, turnover
    ON version_day
BEGIN
    SELECT RAISE(ABORT, 'version_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL AND NEW.trans_date IS NOT OLD.trans_date
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
    SELECT RAISE(ABORT, 'version_day.lines must not be negative')
     WHERE NEW.lines IS NOT NULL AND NEW.lines IS NOT OLD.lines
       AND NEW.lines < 0;
    SELECT RAISE(ABORT, 'version_day.turnover must not be negative')
     WHERE NEW.turnover IS NOT NULL AND NEW.turnover IS NOT OLD.turnover
       AND NEW.turnover < 0;
END;

CREATE TRIGGER file_day_values_added BEFORE INSERT ON file_day
BEGIN
    SELECT RAISE(ABORT, 'file_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
END;

CREATE TRIGGER file_day_values_changed BEFORE UPDATE OF
    trans_date
    ON file_day
BEGIN
    SELECT RAISE(ABORT, 'file_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL AND NEW.trans_date IS NOT OLD.trans_date
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
END;

CREATE TRIGGER loaded_day_values_added BEFORE INSERT ON loaded_day
BEGIN
    SELECT RAISE(ABORT, 'loaded_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
END;

CREATE TRIGGER loaded_day_values_changed BEFORE UPDATE OF
    trans_date
    ON loaded_day
BEGIN
    SELECT RAISE(ABORT, 'loaded_day.trans_date must be a day such as 2026-11-23')
     WHERE NEW.trans_date IS NOT NULL AND NEW.trans_date IS NOT OLD.trans_date
       AND NEW.trans_date IS NOT date(NEW.trans_date, '+0 days');
END;

CREATE TRIGGER ledger_run_values_added BEFORE INSERT ON ledger_run
BEGIN
    SELECT RAISE(ABORT, 'ledger_run.found_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.found_timestamp IS NOT NULL
       AND (NEW.found_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.found_timestamp) <> 27
            OR substr(NEW.found_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.found_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ledger_run.accepted_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.accepted_timestamp IS NOT NULL
       AND (NEW.accepted_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.accepted_timestamp) <> 27
            OR substr(NEW.accepted_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.accepted_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ledger_run.wave must be a day such as 2026-11-23')
     WHERE NEW.wave IS NOT NULL
       AND NEW.wave <> '' AND NEW.wave IS NOT date(NEW.wave, '+0 days');
    SELECT RAISE(ABORT, 'ledger_run.rows must not be negative')
     WHERE NEW.rows IS NOT NULL
       AND NEW.rows < 0;
END;

CREATE TRIGGER ledger_run_values_changed BEFORE UPDATE OF
    found_timestamp, accepted_timestamp, wave, rows
    ON ledger_run
BEGIN
    SELECT RAISE(ABORT, 'ledger_run.found_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.found_timestamp IS NOT NULL AND NEW.found_timestamp IS NOT OLD.found_timestamp
       AND (NEW.found_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.found_timestamp) <> 27
            OR substr(NEW.found_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.found_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ledger_run.accepted_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.accepted_timestamp IS NOT NULL AND NEW.accepted_timestamp IS NOT OLD.accepted_timestamp
       AND (NEW.accepted_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.accepted_timestamp) <> 27
            OR substr(NEW.accepted_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.accepted_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'ledger_run.wave must be a day such as 2026-11-23')
     WHERE NEW.wave IS NOT NULL AND NEW.wave IS NOT OLD.wave
       AND NEW.wave <> '' AND NEW.wave IS NOT date(NEW.wave, '+0 days');
    SELECT RAISE(ABORT, 'ledger_run.rows must not be negative')
     WHERE NEW.rows IS NOT NULL AND NEW.rows IS NOT OLD.rows
       AND NEW.rows < 0;
END;

CREATE TRIGGER unmatched_file_values_added BEFORE INSERT ON unmatched_file
BEGIN
    SELECT RAISE(ABORT, 'unmatched_file.noticed_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.noticed_timestamp IS NOT NULL
       AND (NEW.noticed_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.noticed_timestamp) <> 27
            OR substr(NEW.noticed_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.noticed_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'unmatched_file.bytes must not be negative')
     WHERE NEW.bytes IS NOT NULL
       AND NEW.bytes < 0;
END;

CREATE TRIGGER unmatched_file_values_changed BEFORE UPDATE OF
    noticed_timestamp, bytes
    ON unmatched_file
BEGIN
    SELECT RAISE(ABORT, 'unmatched_file.noticed_timestamp must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.noticed_timestamp IS NOT NULL AND NEW.noticed_timestamp IS NOT OLD.noticed_timestamp
       AND (NEW.noticed_timestamp NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.noticed_timestamp) <> 27
            OR substr(NEW.noticed_timestamp, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.noticed_timestamp, 1, 19), '+0 seconds'));
    SELECT RAISE(ABORT, 'unmatched_file.bytes must not be negative')
     WHERE NEW.bytes IS NOT NULL AND NEW.bytes IS NOT OLD.bytes
       AND NEW.bytes < 0;
END;

CREATE TRIGGER intervention_values_added BEFORE INSERT ON intervention
BEGIN
    SELECT RAISE(ABORT, 'intervention.at must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.at IS NOT NULL
       AND (NEW.at NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.at) <> 27
            OR substr(NEW.at, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.at, 1, 19), '+0 seconds'));
END;

CREATE TRIGGER intervention_values_changed BEFORE UPDATE OF
    at
    ON intervention
BEGIN
    SELECT RAISE(ABORT, 'intervention.at must be a time such as 2026-11-23T08:15:00.123456Z')
     WHERE NEW.at IS NOT NULL AND NEW.at IS NOT OLD.at
       AND (NEW.at NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z' OR length(NEW.at) <> 27
            OR substr(NEW.at, 1, 19) IS NOT strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.at, 1, 19), '+0 seconds'));
END;
