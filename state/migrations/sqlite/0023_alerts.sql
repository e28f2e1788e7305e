-- Alerts: what they watch for and have found, and the notices of it. Both outlive the process, so that no notice is lost
-- and none is sent twice.

CREATE TABLE alert_firing (
    -- What alerts have found and is not over, or is over and not told yet.
    alert              TEXT NOT NULL,   -- the name of the [[alert]]
    subject            TEXT NOT NULL,   -- what it is about, such as a job or a file
    facts              TEXT NOT NULL,
    since_timestamp    TEXT NOT NULL CHECK (since_timestamp LIKE '____-__-__T__:__:__.______Z'),
    told_timestamp     TEXT CHECK (told_timestamp LIKE '____-__-__T__:__:__.______Z'),      -- NULL: quiet hours hold it back
    resolved_timestamp TEXT CHECK (resolved_timestamp LIKE '____-__-__T__:__:__.______Z'),  -- quiet hours hold this back
    PRIMARY KEY (alert, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_notice (
    -- The messages to each receiver: those still to be sent, and for a month those that were sent.
    notice_id          INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver           TEXT NOT NULL,   -- the name of the [[receiver]]
    alert              TEXT NOT NULL,
    kind               TEXT NOT NULL CHECK (kind IN ('firing', 'repeated', 'resolved')),
    content            TEXT NOT NULL CHECK (json_valid(content)),
    queued_timestamp   TEXT NOT NULL CHECK (queued_timestamp LIKE '____-__-__T__:__:__.______Z'),
    failures           INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    next_try_timestamp TEXT NOT NULL CHECK (next_try_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_error         TEXT,
    sent_timestamp     TEXT CHECK (sent_timestamp LIKE '____-__-__T__:__:__.______Z')
) STRICT;
CREATE INDEX alert_notice_pending ON alert_notice (receiver, notice_id) WHERE sent_timestamp IS NULL;
CREATE INDEX alert_notice_sent ON alert_notice (sent_timestamp) WHERE sent_timestamp IS NOT NULL;

-- Versions with rejects, the newest of which are looked at.
CREATE INDEX version_with_rejects_by_time ON file_version (created_timestamp) WHERE rejects > 0;

CREATE VIEW alerts AS
    -- What alerts have found and is not over.
    SELECT alert, subject, facts, since_timestamp AS since, told_timestamp AS last_told
      FROM alert_firing WHERE resolved_timestamp IS NULL
     ORDER BY since_timestamp, alert, subject;

CREATE VIEW notices AS
    -- The messages of alerts, newest first.
    SELECT notice_id, receiver, alert, kind, queued_timestamp AS queued, sent_timestamp AS sent, failures, last_error, content
      FROM alert_notice ORDER BY notice_id DESC;
