-- Processes that help the service, and what it has them do. Nothing of this outlives a crash of the server, nor has to: what a
-- table has lost, the service hands out or does again.

CREATE UNLOGGED TABLE worker (
    worker_id   text COLLATE "C" PRIMARY KEY,  -- another one for each start of a process
    role        text COLLATE "C" NOT NULL,     -- which tasks it takes
    settings    text COLLATE "C" NOT NULL,     -- fingerprint of its program and settings
    at_once     bigint NOT NULL CHECK (at_once > 0),
    host        text COLLATE "C" NOT NULL,
    pid         bigint NOT NULL,
    since       timestamptz NOT NULL,
    renewed     timestamptz NOT NULL,
    lease_until timestamptz NOT NULL           -- by the clock of this server, which alone counts
);

CREATE UNLOGGED TABLE task (
    task_id  text COLLATE "C" PRIMARY KEY,  -- never used again, even after a crash
    epoch    bigint NOT NULL,               -- number of the service that handed it out
    sequence bigint NOT NULL,               -- in the order in which that handed them out
    role     text COLLATE "C" NOT NULL,
    settings text COLLATE "C" NOT NULL,
    request  text NOT NULL,
    worker   text COLLATE "C",              -- who has claimed it; NULL if nobody has
    result   text,
    CHECK (result IS NULL OR worker IS NOT NULL)
);
