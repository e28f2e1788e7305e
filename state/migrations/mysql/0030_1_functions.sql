-- Functions and procedures that triggers of the state database use.

-- A call takes longer than what is done in it, so each of these looks at all values of a row, with a space behind each:
-- are_times(concat_ws(' ', first, second, '')). What is NULL is left out by `concat_ws`.

CREATE FUNCTION are_days(given text) RETURNS boolean DETERMINISTIC NO SQL
    -- Whether all are days such as 2026-11-23.
    RETURN given REGEXP '^(([0-9]{4}-('
                        '(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|'
                        '(0[469]|11)-(0[1-9]|[12][0-9]|30)|'
                        '02-(0[1-9]|1[0-9]|2[0-8]))|'
                        '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29) )*$';

CREATE FUNCTION are_times(given text) RETURNS boolean DETERMINISTIC NO SQL
    -- Whether all are times such as 2026-11-23T08:15:00.123456Z.
    RETURN given REGEXP '^(([0-9]{4}-('
                        '(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|'
                        '(0[469]|11)-(0[1-9]|[12][0-9]|30)|'
                        '02-(0[1-9]|1[0-9]|2[0-8]))|'
                        '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)'
                        'T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{6}Z )*$';

CREATE FUNCTION bound_of(seconds double) RETURNS double DETERMINISTIC NO SQL
    -- The bound of the bucket that a duration lies in.
    RETURN CASE WHEN seconds <= 0.1 THEN 0.1 WHEN seconds <= 0.25 THEN 0.25 WHEN seconds <= 0.5 THEN 0.5
                WHEN seconds <= 1 THEN 1 WHEN seconds <= 2.5 THEN 2.5 WHEN seconds <= 5 THEN 5 WHEN seconds <= 10 THEN 10
                WHEN seconds <= 30 THEN 30 WHEN seconds <= 60 THEN 60 WHEN seconds <= 120 THEN 120
                WHEN seconds <= 300 THEN 300 WHEN seconds <= 900 THEN 900 WHEN seconds <= 3600 THEN 3600
                WHEN seconds <= 21600 THEN 21600 ELSE 1e308 END;

-- What is impossible is refused when it is written. A row that has an impossible value already can still be changed
-- elsewhere: only a value that differs from the one before is looked at.

CREATE PROCEDURE refuse(name varchar(64), demand varchar(64)) NO SQL
BEGIN
    DECLARE message varchar(128) DEFAULT concat(name, ' must ', demand);
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = message;
END;

CREATE PROCEDURE require_time(name varchar(64), former text, given text) NO SQL
    IF NOT (given <=> former OR are_times(concat(given, ' '))) THEN
        CALL refuse(name, 'be a time such as 2026-11-23T08:15:00.123456Z');
    END IF;

CREATE PROCEDURE require_day(name varchar(64), former text, given text) NO SQL
    IF NOT (given <=> former OR are_days(concat(given, ' '))) THEN
        CALL refuse(name, 'be a day such as 2026-11-23');
    END IF;

CREATE PROCEDURE require_not_negative(name varchar(64), former double, given double) NO SQL
    IF given < 0 AND NOT given <=> former THEN
        CALL refuse(name, 'not be negative');
    END IF;
