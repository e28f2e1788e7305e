-- Functions that tables and triggers of the state database use.

-- These are part of the statement that calls them: so they are quick. (Postgres would not do so if they were STRICT. What is
-- NULL is no reason to refuse a row.)

CREATE FUNCTION is_day(given text) RETURNS boolean
    -- Whether a text is a day such as 2026-11-23.
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN given ~ ('^([0-9]{4}-('
                    '(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|'
                    '(0[469]|11)-(0[1-9]|[12][0-9]|30)|'
                    '02-(0[1-9]|1[0-9]|2[0-8]))|'
                    '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)$');

CREATE FUNCTION is_time(given text) RETURNS boolean
    -- Whether a text is a time such as 2026-11-23T08:15:00.123456Z.
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN is_day(substr(given, 1, 10))
           AND substr(given, 11) ~ '^T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z$';

CREATE FUNCTION seconds_between(began text, ended text) RETURNS double precision
    -- The seconds from one time to another, to the millisecond; NULL if one of them is none.
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN is_time(began) AND is_time(ended)
           THEN round(extract(epoch FROM ended::timestamptz - began::timestamptz)::numeric, 3)::double precision END;

CREATE FUNCTION now_as_text() RETURNS text
    -- The time, as it is stored.
    LANGUAGE sql VOLATILE
    RETURN to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

CREATE FUNCTION is_json(given text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    PERFORM given::json;
    RETURN true;
EXCEPTION WHEN invalid_text_representation OR statement_too_complex THEN
    RETURN false;
END $$;

-- What is impossible is refused when it is written. A row that has an impossible value already can still be changed
-- elsewhere: only a value that differs from the one before is looked at.

CREATE FUNCTION require_time(name text, before text, given text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF given IS DISTINCT FROM before AND NOT is_time(given) THEN
        RAISE check_violation USING MESSAGE = name || ' must be a time such as 2026-11-23T08:15:00.123456Z';
    END IF;
END $$;

CREATE FUNCTION require_day(name text, before text, given text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF given IS DISTINCT FROM before AND NOT is_day(given) THEN
        RAISE check_violation USING MESSAGE = name || ' must be a day such as 2026-11-23';
    END IF;
END $$;

CREATE FUNCTION require_not_negative(name text, before double precision, given double precision) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF given < 0 AND given IS DISTINCT FROM before THEN
        RAISE check_violation USING MESSAGE = name || ' must not be negative';
    END IF;
END $$;
