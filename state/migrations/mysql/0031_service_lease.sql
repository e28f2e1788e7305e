-- Who works on the database: one service at a time, for as long as its lease runs. SQLite has a lock on a file instead.

-- Grows with each service that begins to work. A service writes only where this is the number that it began with.
ALTER TABLE writer ADD COLUMN epoch bigint NOT NULL DEFAULT 0;

CREATE TABLE service_lease (
    one         bigint PRIMARY KEY CHECK (one = 1),
    database_id varchar(200) NOT NULL,  -- names this database to what belongs to it, such as a lake in a bucket
    owner       varchar(200),  -- another one for each start of a process; NULL if no service works
    host        varchar(255),
    pid         bigint,
    taken       datetime(6),  -- times are in UTC
    renewed     datetime(6),
    lease_until datetime(6),  -- by the clock of this server, which alone counts
    CHECK ((owner IS NULL) = (host IS NULL)),
    CHECK ((owner IS NULL) = (pid IS NULL)),
    CHECK ((owner IS NULL) = (taken IS NULL)),
    CHECK ((owner IS NULL) = (renewed IS NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL))
);
INSERT INTO service_lease (one, database_id) VALUES (1, uuid());
