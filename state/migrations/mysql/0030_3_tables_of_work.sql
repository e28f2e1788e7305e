-- Tables of what the service has found out, what waits, and what is counted.

CREATE TABLE file_to_match (
    -- Files that are new, or whose path, feed or store has changed: it is not known yet which jobs take them.
    file_id bigint PRIMARY KEY
);

CREATE TABLE job_to_match (
    -- Jobs that are new, or whose row has changed: it is not known yet which files they take.
    job_config_id varchar(200) NOT NULL PRIMARY KEY
);

CREATE TABLE job_file (
    -- The files that each job takes, by wave.
    job_config_id varchar(200) NOT NULL,
    wave          varchar(32) NOT NULL,  -- the day in the file's name, '' for jobs without {date}
    file_id       bigint NOT NULL,
    store_id      varchar(255),  -- by the job's pattern, or else by the feed's
    PRIMARY KEY (job_config_id, wave, file_id)
);
CREATE INDEX job_file_of_file ON job_file (file_id);
CREATE INDEX job_file_of_store ON job_file (job_config_id, store_id, wave);
CREATE INDEX job_file_by_store ON job_file (store_id);

CREATE TABLE file_without_job (
    -- Files that no job takes, those of reference feeds among them.
    file_id bigint PRIMARY KEY
);

CREATE TABLE job_follows (
    -- The jobs in each job's `after`.
    after_job     varchar(200) NOT NULL,
    job_config_id varchar(200) NOT NULL,
    PRIMARY KEY (after_job, job_config_id)
);
CREATE INDEX job_follows_of_job ON job_follows (job_config_id);

CREATE TABLE job_requires (
    -- The patterns in each job's `requires`.
    pattern       varchar(500) NOT NULL,
    job_config_id varchar(200) NOT NULL,
    PRIMARY KEY (pattern, job_config_id)
);
CREATE INDEX job_requires_of_job ON job_requires (job_config_id);

CREATE TABLE required_file (
    -- The files that match these patterns.
    pattern varchar(500) NOT NULL,
    wave    varchar(32) NOT NULL,  -- the day in the file's name, '' for patterns without {date}
    file_id bigint NOT NULL,
    PRIMARY KEY (pattern, wave, file_id)
);
CREATE INDEX required_file_of_file ON required_file (file_id);

CREATE TABLE open_wave (
    -- The waves that may have to run: all but those whose last run saw everything that there is. Only these are judged,
    -- and only when they are touched, or when a moment has come that matters to them.
    job_config_id varchar(200) NOT NULL,
    wave          varchar(32) NOT NULL,
    touched       bigint NOT NULL,  -- the revision of 'waves' when something last changed that the verdict rests on
    PRIMARY KEY (job_config_id, wave)
);
CREATE INDEX open_wave_touched ON open_wave (touched);

CREATE TABLE revision (
    -- Numbers that grow with each change: of the jobs' rows ('jobs'), and of what verdicts rest on ('waves').
    `of`   varchar(16) NOT NULL PRIMARY KEY,
    number bigint NOT NULL
);

CREATE TABLE job_to_keep (
    -- The jobs that have loaded days which loaded_day does not have: there was only one job then.
    job_config_id varchar(200) NOT NULL PRIMARY KEY
);

CREATE TABLE waiting (
    -- What cannot go on for a reason that passes by itself, such as a server that is away or a full disk. It is tried
    -- again at the time that stands here, and at each start.
    kind               varchar(16) NOT NULL CHECK (kind IN (
                           'run',  -- it stays QUEUED
                           'file',  -- it has arrived, and cannot be converted yet: its jobs wait for it
                           'service')),
    subject            varchar(700) NOT NULL,  -- the run's id; the file's path; what the service waits for
    feed               varchar(200),  -- of a file
    store_id           varchar(255),  -- the store in a file's name
    since_timestamp    varchar(32) NOT NULL CHECK (since_timestamp LIKE '____-__-__T__:__:__.______Z'),
    reason             longtext NOT NULL,
    failures           bigint NOT NULL CHECK (failures >= 1),
    next_try_timestamp varchar(32) NOT NULL CHECK (next_try_timestamp LIKE '____-__-__T__:__:__.______Z'),
    PRIMARY KEY (kind, subject)
);

CREATE TABLE file_attempt (
    -- The files that are being converted, and those that were when their process died. What is recorded of a file, or
    -- ends without a record, removes it here.
    file_url          varchar(700) NOT NULL PRIMARY KEY,
    stamp_bytes       bigint NOT NULL,
    stamp_modified_ns bigint NOT NULL,
    stamp_inode       bigint NOT NULL,
    attempts          bigint NOT NULL CHECK (attempts >= 1)  -- how often a process began with just this file
);

CREATE TABLE unmatched_file (
    -- The files in the sources that no feed matches, at the last full listing: the newest 10,000. Nothing is read of them.
    file_url          varchar(700) NOT NULL PRIMARY KEY,  -- the path relative to the source
    bytes             bigint NOT NULL,
    modified_ns       bigint NOT NULL,  -- when it was last written, in nanoseconds since 1970
    noticed_timestamp varchar(32) NOT NULL  -- when a listing first found it
);

CREATE TABLE alert_firing (
    -- What alerts have found and is not over, or is over and not told yet.
    alert              varchar(60) NOT NULL,  -- the name of the [[alert]]
    subject            varchar(706) NOT NULL,  -- what it is about, such as a job or a file
    facts              longtext NOT NULL,
    since_timestamp    varchar(32) NOT NULL CHECK (since_timestamp LIKE '____-__-__T__:__:__.______Z'),
    -- NULL: quiet hours hold it back.
    told_timestamp     varchar(32) CHECK (told_timestamp LIKE '____-__-__T__:__:__.______Z'),
    -- Quiet hours hold this back, too.
    resolved_timestamp varchar(32) CHECK (resolved_timestamp LIKE '____-__-__T__:__:__.______Z'),
    PRIMARY KEY (alert, subject)
);

CREATE TABLE alert_notice (
    -- The messages to each receiver: those still to be sent, and for a month those that were sent.
    notice_id          bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    receiver           varchar(200) NOT NULL,  -- the name of the [[receiver]]
    alert              varchar(64) NOT NULL,
    kind               varchar(16) NOT NULL CHECK (kind IN ('firing', 'repeated', 'resolved')),
    content            longtext NOT NULL CHECK (json_valid(content)),
    queued_timestamp   varchar(32) NOT NULL CHECK (queued_timestamp LIKE '____-__-__T__:__:__.______Z'),
    failures           bigint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    next_try_timestamp varchar(32) NOT NULL CHECK (next_try_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_error         longtext,
    sent_timestamp     varchar(32) CHECK (sent_timestamp LIKE '____-__-__T__:__:__.______Z')
);
CREATE INDEX alert_notice_pending ON alert_notice (receiver, sent_timestamp, notice_id);
CREATE INDEX alert_notice_sent ON alert_notice (sent_timestamp);

CREATE TABLE lineage (
    -- One row: whether the service tells anybody of runs, and how many events were dropped because nobody took them.
    one     bigint PRIMARY KEY CHECK (one = 1),
    is_on   bigint NOT NULL CHECK (is_on IN (0, 1)),
    dropped bigint NOT NULL
);

CREATE TABLE lineage_event (
    -- What is still to be told, the oldest first: at most 10,000 events.
    event_id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    run_id   varchar(255) NOT NULL,
    event    varchar(16) NOT NULL CHECK (event IN ('START', 'COMPLETE', 'FAIL')),
    at       varchar(32) NOT NULL
);

CREATE TABLE tally_duration (
    -- How many durations of each kind lie below each bound, and above the one before it; and their sum.
    kind      varchar(16) NOT NULL,  -- as in the view run_duration
    up_to     double NOT NULL,  -- in seconds; 1e308 for the longest
    durations bigint NOT NULL,
    seconds   double NOT NULL,
    PRIMARY KEY (kind, up_to)
);

CREATE TABLE tally_file (
    -- How many files of each feed have each status.
    feed   varchar(200) NOT NULL,
    status varchar(16) NOT NULL,
    files  bigint NOT NULL,
    PRIMARY KEY (feed, status)
);

CREATE TABLE tally_run (
    -- How many runs there are of each kind, and what their loads changed.
    state     varchar(16) NOT NULL,
    cause     varchar(16) NOT NULL,
    outcome   varchar(16) NOT NULL,  -- '' while there is none
    runs      bigint NOT NULL,
    inserted  bigint NOT NULL,
    updated   bigint NOT NULL,
    deleted   bigint NOT NULL,
    unchanged bigint NOT NULL,
    PRIMARY KEY (state, cause, outcome)
);

CREATE TABLE tally_submission (
    -- How many submissions came to each outcome.
    outcome     varchar(16) NOT NULL PRIMARY KEY,
    submissions bigint NOT NULL
);

CREATE TABLE tally_version (
    -- What was converted of each feed: sums over all versions of the files that are recorded under it.
    feed     varchar(200) NOT NULL PRIMARY KEY,
    versions bigint NOT NULL,
    bytes    bigint NOT NULL,
    `rows`   bigint NOT NULL,
    ignored  bigint NOT NULL,
    skipped  bigint NOT NULL,
    rejects  bigint NOT NULL
);

CREATE TABLE writer (
    -- One row, which whoever writes changes first. Its lock has one transaction write at a time, so that what a
    -- transaction has read is still true when it writes.
    one    bigint PRIMARY KEY CHECK (one = 1),
    writes bigint NOT NULL,  -- the transactions of gristmill
    edits  bigint NOT NULL  -- the transactions of others, such as a person with mysql
);

CREATE TABLE writer_session (
    -- How many transactions each connection of gristmill that writes has committed. One of which the answer to its commit
    -- was lost finds out here whether that stands.
    session_id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    writes     bigint NOT NULL,
    since      datetime NOT NULL  -- the last of them, in UTC
);

INSERT INTO revision VALUES ('jobs', 0), ('waves', 0);
INSERT INTO lineage VALUES (1, 0, 0);
INSERT INTO writer VALUES (1, 0, 0);
