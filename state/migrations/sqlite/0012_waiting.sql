CREATE TABLE waiting (
    -- What cannot go on for a reason that passes by itself, such as a server that is away or a full disk. It is tried
    -- again at the time that stands here, and at each start.
    kind               TEXT NOT NULL CHECK (kind IN (
                           'run',      -- it stays QUEUED
                           'file',     -- it has arrived, and cannot be converted yet: its jobs wait for it
                           'service')),
    subject            TEXT NOT NULL,  -- the run's id; the file's path; what the service waits for
    feed               TEXT,           -- of a file
    store_id           TEXT,           -- the store in a file's name
    since_timestamp    TEXT NOT NULL CHECK (since_timestamp LIKE '____-__-__T__:__:__.______Z'),
    reason             TEXT NOT NULL,
    failures           INTEGER NOT NULL CHECK (failures >= 1),
    next_try_timestamp TEXT NOT NULL CHECK (next_try_timestamp LIKE '____-__-__T__:__:__.______Z'),
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
