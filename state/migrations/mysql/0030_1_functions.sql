-- Functions and procedures that triggers of the state database use.

CREATE FUNCTION is_day(given varchar(1000)) RETURNS boolean DETERMINISTIC NO SQL
    -- Whether a text is a day such as 2026-11-23. (Behind what `$` stands for there may be an end of line.)
    RETURN char_length(given) = 10
           AND given REGEXP concat('^([0-9]{4}-('
                                   '(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|'
                                   '(0[469]|11)-(0[1-9]|[12][0-9]|30)|'
                                   '02-(0[1-9]|1[0-9]|2[0-8]))|'
                                   '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)$');

CREATE FUNCTION is_time(given varchar(1000)) RETURNS boolean DETERMINISTIC NO SQL
    -- Whether a text is a time such as 2026-11-23T08:15:00.123456Z.
    RETURN char_length(given) = 27
           AND substr(given, 11) REGEXP '^T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{6}Z$'
           AND is_day(left(given, 10));

-- What is impossible is refused when it is written.

CREATE PROCEDURE refuse_time(name varchar(64)) NO SQL
BEGIN
    DECLARE message varchar(128) DEFAULT concat(name, ' must be a time such as 2026-11-23T08:15:00.123456Z');
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = message;
END;

CREATE PROCEDURE refuse_day(name varchar(64)) NO SQL
BEGIN
    DECLARE message varchar(128) DEFAULT concat(name, ' must be a day such as 2026-11-23');
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = message;
END;

CREATE PROCEDURE refuse_negative(name varchar(64)) NO SQL
BEGIN
    DECLARE message varchar(128) DEFAULT concat(name, ' must not be negative');
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = message;
END;
