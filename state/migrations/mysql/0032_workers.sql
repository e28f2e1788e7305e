-- Processes that help the service, and what it has them do. Nothing of this has to outlive a crash of the server: what a
-- table has lost, the service hands out or does again.

CREATE TABLE worker (
    worker_id   varchar(200) PRIMARY KEY,  -- another one for each start of a process
    role        varchar(16) NOT NULL,      -- which tasks it takes
    settings    varchar(200) NOT NULL,     -- fingerprint of its program and settings
    at_once     bigint NOT NULL CHECK (at_once > 0),
    host        varchar(255) NOT NULL,
    pid         bigint NOT NULL,
    since       datetime(6) NOT NULL,      -- times are in UTC
    renewed     datetime(6) NOT NULL,
    lease_until datetime(6) NOT NULL       -- by the clock of this server, which alone counts
);

CREATE TABLE task (
    task_id  varchar(200) PRIMARY KEY,  -- never used again, even after a crash
    epoch    bigint NOT NULL,           -- number of the service that handed it out
    sequence bigint NOT NULL,           -- in the order in which that handed them out
    role     varchar(16) NOT NULL,
    settings varchar(200) NOT NULL,
    request  longtext NOT NULL,
    worker   varchar(200),              -- who has claimed it; NULL if nobody has
    result   longtext,
    CHECK (result IS NULL OR worker IS NOT NULL)
);
