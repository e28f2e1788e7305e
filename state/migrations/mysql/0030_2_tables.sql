-- Tables of the jobs, the files and the runs.
--
-- Texts sort by their bytes (0030_0), and truths are 0 and 1, as in the state database on SQLite: both are read by the same
-- program. A text that is a time or a day is checked by triggers (0030_4).
--
-- An index holds 3072 bytes, four for each character of a text: so a path may have 700 characters. Where other databases
-- index some of the rows, what tells those apart is part of the index: a column, or one that is computed from several.

CREATE TABLE aggr_job_configuration (
    -- The jobs. Edit this table while the service runs: the next decision uses what stands here.
    -- The settings file adds jobs that are missing here; only `gristmill jobs apply` overwrites them.
    job_config_id      varchar(200) NOT NULL PRIMARY KEY,
    job_feed           varchar(200) NOT NULL,
    job_input_pattern  longtext NOT NULL,
    job_min_file_count bigint NOT NULL CHECK (job_min_file_count BETWEEN 0 AND 1000000),
    job_trigger        varchar(16) NOT NULL CHECK (job_trigger IN (
                           'all',  -- runs when every matching file is newer than the last run
                           'any')),  -- runs when one is
    job_addl_criteria  longtext,  -- a SELECT on this database that must return a row
    job_params         longtext NOT NULL DEFAULT ('{}') CHECK (json_valid(job_params)),  -- the other preconditions
    job_enabled        bigint NOT NULL DEFAULT 1 CHECK (job_enabled IN (0, 1)),
    last_exec_status   varchar(16) CHECK (last_exec_status IN ('RUNNING', 'COMPLETED', 'FAILED')),
    last_run_timestamp varchar(32) CHECK (last_run_timestamp LIKE '____-__-__T__:__:__.______Z'),  -- when the last run began
    last_run_id        varchar(255)
);

CREATE TABLE job_edit (
    -- One row for each change of a job's configuration; its columns as JSON objects, job_params as a text in it.
    edit_id       bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at            varchar(32) NOT NULL DEFAULT (date_format(utc_timestamp(6), '%Y-%m-%dT%H:%i:%s.%fZ')),
    who           longtext NOT NULL DEFAULT ('SQL'),  -- a command of gristmill sets user and command in the same transaction
    action        varchar(16) NOT NULL CHECK (action IN ('added', 'changed', 'removed')),
    job_config_id varchar(200) NOT NULL,  -- no reference: the job may be gone
    `before`      longtext CHECK (`before` IS NULL OR json_valid(`before`)),
    after         longtext CHECK (after IS NULL OR json_valid(after)),
    is_told       bigint NOT NULL DEFAULT 0 CHECK (is_told IN (0, 1)),  -- whether the service has logged it
    CHECK ((action = 'added') = (`before` IS NULL)),
    CHECK ((action = 'removed') = (after IS NULL))
);
CREATE INDEX job_edit_of_job ON job_edit (job_config_id, edit_id);
CREATE INDEX job_edit_untold ON job_edit (is_told, edit_id);

CREATE TABLE ingested_file_status (
    -- One row for each file that was ever seen, with what its newest submission led to.
    -- To have a file looked at again:  UPDATE ingested_file_status SET stamp_bytes = NULL WHERE file_url = '…';
    file_id                  bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    file_url                 varchar(700) NOT NULL UNIQUE,  -- the path relative to the source
    feed                     varchar(200) NOT NULL,
    store_id                 varchar(255),  -- taken from the file's name, where its pattern has {store}
    business_date            varchar(32),  -- likewise, {date}
    last_update_status       varchar(16) NOT NULL CHECK (last_update_status IN (
                                 'SUBMITTED',  -- arrived, not judged yet
                                 'VALIDATED',  -- its newest submission is in force
                                 'HELD',  -- valid, but not in force until `gristmill accept`: see last_error
                                 'REJECTED',  -- too many bad lines: the version before stays in force
                                 'FAILED',  -- could not be read: the version before stays in force
                                 'WITHDRAWN')),  -- taken out by `gristmill withdraw`, until it is submitted again
    last_update_timestamp    varchar(32) NOT NULL CHECK (last_update_timestamp LIKE '____-__-__T__:__:__.______Z'),
    submitted_timestamp      varchar(32) NOT NULL CHECK (submitted_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_validated_timestamp varchar(32) CHECK (last_validated_timestamp LIKE '____-__-__T__:__:__.______Z'),
    last_error               longtext,  -- why the newest submission is HELD, REJECTED or FAILED
    version_id               bigint,  -- the version in force
    valid_submission_id      bigint,  -- the newest submission of that version
    -- What the file looked like when it was last read. One of them NULL: look again.
    stamp_bytes              bigint,
    stamp_modified_ns        bigint,  -- nanoseconds since 1970
    stamp_inode              bigint,
    -- When the source's `after` was seen to for what was last read of a file. NULL: that is still to be done, or the
    -- source has no such setting.
    put_away_timestamp       varchar(32),
    held_version_id          bigint,  -- what `gristmill accept` brings in force
    held_submission_id       bigint,
    held_for_file_id         bigint,  -- the file whose days it holds as well
    last_note                longtext,  -- what else was noticed about the newest submission
    stamp_changed_ns         bigint,
    compared_timestamp       varchar(32) CHECK (compared_timestamp LIKE '____-__-__T__:__:__.______Z'),
    members                  bigint CHECK (members >= 0),
    members_read             bigint CHECK (members_read >= 0),
    archive                  varchar(700),
    to_look_at               bigint AS (stamp_bytes IS NULL OR stamp_modified_ns IS NULL OR stamp_inode IS NULL) STORED,
    CHECK ((version_id IS NULL) = (valid_submission_id IS NULL)),
    CHECK ((held_version_id IS NULL) = (held_submission_id IS NULL)),
    CHECK (version_id IS NULL OR last_validated_timestamp IS NOT NULL),
    FOREIGN KEY (held_for_file_id) REFERENCES ingested_file_status (file_id)
);
CREATE INDEX file_to_put_away ON ingested_file_status (put_away_timestamp, file_url);
CREATE INDEX file_held_for ON ingested_file_status (held_for_file_id);
CREATE INDEX file_to_look_at ON ingested_file_status (to_look_at, file_url);
CREATE INDEX file_not_validated ON ingested_file_status (last_update_status);
CREATE INDEX file_held ON ingested_file_status (held_version_id);
CREATE INDEX file_of_archive ON ingested_file_status (archive);
CREATE INDEX file_of_store ON ingested_file_status (store_id);
CREATE INDEX file_by_time ON ingested_file_status (submitted_timestamp DESC, file_url);

CREATE TABLE file_version (
    -- The bytes of a submission under one feed layout, and what conversion made of them.
    version_id        bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    file_id           bigint NOT NULL,
    content_hash      varchar(200) NOT NULL,
    layout_digest     varchar(200) NOT NULL,  -- the feed's layout that the bytes were read with
    bytes             bigint NOT NULL CHECK (bytes >= 0),
    `lines`           bigint NOT NULL CHECK (`lines` >= 0),
    `rows`            bigint NOT NULL CHECK (`rows` >= 0),
    ignored           bigint NOT NULL CHECK (ignored >= 0),  -- codes that are not asked for
    skipped           bigint NOT NULL CHECK (skipped >= 0),  -- blank lines, comments, the header
    rejects           bigint NOT NULL CHECK (rejects >= 0),
    drift_lines       bigint NOT NULL CHECK (drift_lines >= 0),  -- lines with extra columns
    first_date        varchar(32),
    last_date         varchar(32),
    accepted          bigint NOT NULL CHECK (accepted IN (0, 1)),
    reject_reason     longtext,  -- why the file as a whole was rejected
    converted_object  longtext,  -- lake paths
    partial_object    longtext,
    rejects_object    longtext,
    created_timestamp varchar(32) NOT NULL,
    partial_removed_timestamp varchar(32),
    last_line_ended   bigint CHECK (last_line_ended IN (0, 1)),
    days_counted      bigint NOT NULL DEFAULT 0 CHECK (days_counted IN (0, 1)),
    UNIQUE (file_id, content_hash, layout_digest),
    CHECK (`lines` = `rows` + ignored + skipped + rejects),
    CHECK ((accepted = 0) = (reject_reason IS NOT NULL)),
    FOREIGN KEY (file_id) REFERENCES ingested_file_status (file_id)
);
CREATE INDEX version_with_rejects ON file_version (rejects);
CREATE INDEX version_without_end ON file_version (last_line_ended);
CREATE INDEX version_uncounted ON file_version (days_counted);
CREATE INDEX version_by_time ON file_version (created_timestamp, rejects);

CREATE TABLE submission (
    -- One row for each arrival of a file, and for each time that a person accepted or withdrew one. The number is the
    -- order of recording (of one file: of arrival); newness is judged by it, not by clocks.
    submission_id       bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    file_id             bigint NOT NULL,
    version_id          bigint,
    outcome             varchar(16) NOT NULL CHECK (outcome IN (
                            'VALIDATED',  -- converted, and in force since
                            'UNCHANGED',  -- bytes that were valid before: a fresh report, no new work
                            'HELD',  -- valid, but not in force
                            'ACCEPTED',  -- held before, and brought in force
                            'WITHDRAWN',  -- taken out
                            'REJECTED', 'FAILED')),
    error               longtext,
    submitted_timestamp varchar(32) NOT NULL,
    stamp_bytes         bigint NOT NULL,
    stamp_modified_ns   bigint NOT NULL,
    stamp_inode         bigint NOT NULL,
    written_ns          bigint NOT NULL DEFAULT 0,
    is_ahead            bigint AS (stamp_modified_ns > written_ns) STORED,
    CHECK ((outcome = 'FAILED') = (version_id IS NULL)),
    CHECK ((outcome IN ('HELD', 'REJECTED', 'FAILED')) = (error IS NOT NULL)),
    FOREIGN KEY (file_id) REFERENCES ingested_file_status (file_id),
    FOREIGN KEY (version_id) REFERENCES file_version (version_id)
);
CREATE INDEX submission_of_file ON submission (file_id, submission_id);
CREATE INDEX submission_by_time ON submission (submitted_timestamp);
CREATE INDEX submission_ahead ON submission (is_ahead);

ALTER TABLE ingested_file_status
    ADD FOREIGN KEY (version_id) REFERENCES file_version (version_id),
    ADD FOREIGN KEY (valid_submission_id) REFERENCES submission (submission_id),
    ADD FOREIGN KEY (held_version_id) REFERENCES file_version (version_id),
    ADD FOREIGN KEY (held_submission_id) REFERENCES submission (submission_id);

CREATE TABLE version_day (
    -- What a version reports of each store and day, by lines with a code that is asked for.
    version_id bigint NOT NULL,
    store_id   varchar(255) NOT NULL,
    trans_date varchar(32) NOT NULL,
    `lines`    bigint,  -- NULL: an earlier gristmill converted it, and only its sums are known
    turnover   bigint NOT NULL,  -- the totals of all measures without their signs, in cents
    PRIMARY KEY (version_id, store_id, trans_date),
    FOREIGN KEY (version_id) REFERENCES file_version (version_id)
);
CREATE INDEX version_day_of_store ON version_day (store_id, trans_date);

CREATE TABLE file_day (
    -- For each store and day, the version of each file that gives it: also long after a newer version of the file, which
    -- no longer mentions the day, came into force.
    store_id         varchar(255) NOT NULL,
    trans_date       varchar(32) NOT NULL,
    file_id          bigint NOT NULL,
    version_id       bigint NOT NULL,
    standing         varchar(16) NOT NULL CHECK (standing IN (
                         'STANDS',  -- what the file reports of the day
                         'COUNTS',  -- likewise, and runs must read it whichever version is in force
                         'HELD',  -- does not count until `gristmill accept`
                         'WITHDRAWN',  -- taken out by `gristmill withdraw`
                         'REPLACED')),  -- another file gives the day now
    since_submission bigint NOT NULL,  -- the submission that made it so
    reason           longtext,  -- why it is HELD
    other_file_id    bigint,  -- the file that gives the day instead
    is_older         bigint NOT NULL DEFAULT 0 CHECK (is_older IN (0, 1)),  -- whether a newer version is in force
    PRIMARY KEY (store_id, trans_date, file_id, version_id),
    CHECK ((standing = 'HELD') = (reason IS NOT NULL)),
    FOREIGN KEY (file_id) REFERENCES ingested_file_status (file_id),
    FOREIGN KEY (version_id) REFERENCES file_version (version_id),
    FOREIGN KEY (other_file_id) REFERENCES ingested_file_status (file_id)
);
CREATE INDEX file_day_of_file ON file_day (file_id, standing, is_older, since_submission);
CREATE INDEX file_day_special ON file_day (standing, is_older, since_submission);
CREATE INDEX file_day_of_other ON file_day (other_file_id, standing);

CREATE TABLE intervention (
    -- What people decided about files: who, when and what.
    intervention_id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at              varchar(32) NOT NULL,
    who             longtext NOT NULL,
    action          varchar(16) NOT NULL CHECK (action IN ('accept', 'withdraw')),
    file_id         bigint NOT NULL,
    detail          longtext NOT NULL,
    FOREIGN KEY (file_id) REFERENCES ingested_file_status (file_id)
);

CREATE TABLE job_run (
    -- One execution of a job over a fixed set of file versions.
    run_id               varchar(255) NOT NULL PRIMARY KEY,
    job_config_id        varchar(200) NOT NULL,
    wave                 varchar(32) NOT NULL,  -- the business day, '' for jobs without
    sequence             bigint NOT NULL UNIQUE,  -- microseconds since 1970 when queued; orders loads in the warehouse
    state                varchar(16) NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED')),
    cause                varchar(16) NOT NULL CHECK (cause IN ('preconditions', 'deadline', 'manual', 'retry', 'replay')),
    incomplete           bigint NOT NULL CHECK (incomplete IN (0, 1)),
    completeness_percent double,
    inputs_digest        varchar(200) NOT NULL,
    as_of_submission     bigint NOT NULL,  -- the newest submission when the inputs were chosen
    attempts             bigint NOT NULL DEFAULT 0,
    owner                varchar(200),  -- the process that works on it
    queued_timestamp     varchar(32) NOT NULL,
    started_timestamp    varchar(32),
    heartbeat_timestamp  varchar(32),
    finished_timestamp   varchar(32),
    summary_object       longtext,  -- lake paths
    coverage_object      longtext,
    summary_rows         bigint,
    summary_digest       varchar(200),
    rows_inserted        bigint,  -- what the load changed in the warehouse
    rows_updated         bigint,
    rows_deleted         bigint,
    rows_unchanged       bigint,
    outcome              varchar(16) CHECK (outcome IN (
                             'LOADED',
                             'UNCHANGED',  -- the same inputs as the run before: nothing to do
                             'SUPERSEDED')),  -- a newer run had been loaded before it
    error                longtext,
    lost_timestamp       varchar(32),
    inputs_of            varchar(255),
    summarized_timestamp varchar(32) CHECK (summarized_timestamp LIKE '____-__-__T__:__:__.______Z'),
    cluster_operation    varchar(1000),
    is_active            bigint AS (CASE WHEN state IN ('QUEUED', 'RUNNING') THEN 1 END) STORED,
    CHECK ((state = 'COMPLETED') = (outcome IS NOT NULL)),
    CHECK ((state = 'FAILED') = (error IS NOT NULL)),
    CHECK ((state IN ('COMPLETED', 'FAILED')) = (finished_timestamp IS NOT NULL)),
    FOREIGN KEY (job_config_id) REFERENCES aggr_job_configuration (job_config_id),
    FOREIGN KEY (inputs_of) REFERENCES job_run (run_id)
);
CREATE UNIQUE INDEX job_run_active ON job_run (job_config_id, wave, is_active);
CREATE INDEX job_run_of_wave ON job_run (job_config_id, wave, state, sequence);
CREATE INDEX job_run_by_state ON job_run (state, sequence);
CREATE INDEX job_run_lost ON job_run (lost_timestamp);
CREATE INDEX job_run_completed ON job_run (job_config_id, state, sequence);
CREATE INDEX job_run_seen ON job_run (job_config_id, wave, state, as_of_submission, cause);
CREATE INDEX job_run_inputs_of ON job_run (inputs_of);
CREATE INDEX job_run_complete ON job_run (job_config_id, state, incomplete, outcome, finished_timestamp);

CREATE TABLE job_run_input (
    -- The file versions that a run reads, and the submission that each was reported by. A run may read an older version
    -- of a file beside the one in force, for single days.
    run_id        varchar(255) NOT NULL,
    file_id       bigint NOT NULL,
    version_id    bigint NOT NULL,
    submission_id bigint NOT NULL,
    others_count  bigint NOT NULL DEFAULT 1 CHECK (others_count IN (0, 1)),  -- days not named in job_run_input_day
    PRIMARY KEY (run_id, version_id),
    FOREIGN KEY (run_id) REFERENCES job_run (run_id),
    FOREIGN KEY (file_id) REFERENCES ingested_file_status (file_id),
    FOREIGN KEY (version_id) REFERENCES file_version (version_id),
    FOREIGN KEY (submission_id) REFERENCES submission (submission_id)
);
CREATE INDEX job_run_input_of_file ON job_run_input (file_id, run_id);

CREATE TABLE job_run_input_day (
    -- The store-days of a run's inputs that do not simply count as the rest of the version does. Mostly empty.
    run_id     varchar(255) NOT NULL,
    version_id bigint NOT NULL,
    store_id   varchar(255) NOT NULL,
    trans_date varchar(32) NOT NULL,
    effect     varchar(16) NOT NULL CHECK (effect IN (
                   'LEFT_OUT',  -- not read
                   'COUNTS',  -- read
                   'ADDED',  -- read, and added to what newer files hold of the day
                   'EMPTIED')),  -- not read, but the run covers the day: the warehouse loses its rows
    PRIMARY KEY (run_id, version_id, store_id, trans_date),
    FOREIGN KEY (run_id) REFERENCES job_run (run_id),
    FOREIGN KEY (version_id) REFERENCES file_version (version_id)
);

CREATE TABLE loaded_day (
    -- For each store and day, the job that loaded it last, and the newest file that its run read of the day. Only kept
    -- where there are several jobs: a day of one job is not replaced by an older file of another.
    store_id      varchar(255) NOT NULL,
    trans_date    varchar(32) NOT NULL,
    job_config_id varchar(200) NOT NULL,
    file_id       bigint NOT NULL,
    written_ns    bigint NOT NULL,  -- as of the submission
    submission_id bigint NOT NULL,
    PRIMARY KEY (store_id, trans_date),
    FOREIGN KEY (job_config_id) REFERENCES aggr_job_configuration (job_config_id),
    FOREIGN KEY (file_id) REFERENCES ingested_file_status (file_id),
    FOREIGN KEY (submission_id) REFERENCES submission (submission_id)
);
CREATE INDEX loaded_day_of_job ON loaded_day (job_config_id);

CREATE TABLE ledger_run (
    -- Runs that the warehouse's ledger has and job_run lacks: this database was lost, or is an older copy. Until
    -- `gristmill state check --repair` accepts them, their job loads nothing.
    target             varchar(400) NOT NULL,  -- the table that they were loaded into
    run_id             varchar(255) NOT NULL,
    job_config_id      varchar(200) NOT NULL,
    wave               varchar(32) NOT NULL,
    sequence           bigint NOT NULL,  -- new runs get greater ones
    `rows`             bigint NOT NULL,
    loaded_timestamp   varchar(32) NOT NULL,  -- by the warehouse's clock
    found_timestamp    varchar(32) NOT NULL,
    accepted_timestamp varchar(32),
    PRIMARY KEY (target, run_id)
);
CREATE INDEX ledger_run_of_job ON ledger_run (job_config_id, wave, sequence);
CREATE INDEX ledger_run_unknown ON ledger_run (job_config_id, accepted_timestamp);
CREATE INDEX ledger_run_sequence ON ledger_run (sequence);
