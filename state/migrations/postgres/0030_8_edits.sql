-- What people change by hand is noticed: gristmill's own transactions change `writer` first, those of others do not.
-- The row of `writer` that this transaction has written carries its number.

CREATE FUNCTION edited_by_hand() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE writer SET edits = edits + 1 WHERE xmin <> pg_current_xact_id()::xid;
    RETURN NULL;
END $$;

DO $$
DECLARE
    edited text;
BEGIN
    -- All tables that hold what was recorded. What triggers keep follows from these.
    FOREACH edited IN ARRAY ARRAY[
        'aggr_job_configuration', 'job_edit', 'ingested_file_status', 'file_version', 'submission', 'version_day', 'file_day',
        'intervention', 'job_run', 'job_run_input', 'job_run_input_day', 'loaded_day', 'ledger_run', 'job_file', 'open_wave',
        'waiting', 'file_attempt', 'alert_firing', 'alert_notice']
    LOOP
        -- Before the rows: whoever writes locks `writer` first, so that two who write never wait for each other.
        EXECUTE format('CREATE TRIGGER %1$s_edited BEFORE INSERT OR UPDATE OR DELETE ON %1$I
                        FOR EACH STATEMENT EXECUTE FUNCTION edited_by_hand()', edited);
    END LOOP;
END $$;
