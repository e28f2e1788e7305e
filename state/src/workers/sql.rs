//! The statements about workers and their tasks. Times are the server's: no clock of a client counts.

/// Nothing here is missed after a crash of the server, so no commit waits for the disk.
pub(super) const ON_CONNECT: &str = "SET synchronous_commit = off; SET lock_timeout = '10s'";

pub(super) const NEW_ID: &str = "SELECT gen_random_uuid()::text";

pub(super) const REGISTER: &str = "
INSERT INTO worker (worker_id, role, settings, at_once, host, pid, since, renewed, lease_until)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), clock_timestamp(), clock_timestamp() + $7 * interval '1 second')";

/// Renews a worker's lease, even if it was over: what was taken back of its tasks, it cannot answer any more.
pub(super) const RENEW: &str = "
UPDATE worker
   SET renewed = clock_timestamp(), lease_until = clock_timestamp() + $2 * interval '1 second'
 WHERE worker_id = $1";

pub(super) const LEAVE: &str = "DELETE FROM worker WHERE worker_id = $1";

/// The tasks that the worker has claimed, and not answered.
pub(super) const OWN: &str = "SELECT task_id, request FROM task WHERE worker = $1 AND result IS NULL";

/// The oldest tasks that nobody has claimed.
pub(super) const FREE: &str = "
SELECT task_id
  FROM task
 WHERE worker IS NULL AND role = $1 AND settings = $2
 ORDER BY epoch, sequence
 LIMIT $3";

/// Claims a task, unless somebody else was faster, or the worker's own lease is over.
pub(super) const CLAIM: &str = "
UPDATE task
   SET worker = $2
 WHERE task_id = $1 AND worker IS NULL
   AND EXISTS (SELECT FROM worker WHERE worker_id = $2 AND lease_until > clock_timestamp())
RETURNING request";

/// Ends a task that is still the worker's.
pub(super) const FINISH: &str = "UPDATE task SET result = $3 WHERE task_id = $1 AND worker = $2";

pub(super) const GIVE_BACK: &str =
    "UPDATE task SET worker = NULL WHERE task_id = $1 AND worker = $2 AND result IS NULL";

/// Removes the tasks of services that were followed.
pub(super) const REMOVE_EARLIER: &str = "DELETE FROM task WHERE epoch < $1";

/// Removes the workers that have been silent for long.
pub(super) const REMOVE_SILENT: &str =
    "DELETE FROM worker WHERE lease_until < clock_timestamp() - interval '10 minutes'";

/// Hands out a task, as long as the service has not been followed.
pub(super) const HAND_OUT: &str = "
INSERT INTO task (task_id, epoch, sequence, role, settings, request)
SELECT $2, epoch, $3, $4, $5, $6 FROM writer WHERE epoch = $1";

/// What became of a service's tasks. A worker is gone if it left, or its lease is over.
pub(super) const LOOK: &str = "
SELECT t.task_id, t.worker, t.result,
       w.worker_id IS NULL OR w.lease_until <= clock_timestamp() AS is_gone
  FROM task t LEFT JOIN worker w ON w.worker_id = t.worker
 WHERE t.epoch = $1";

/// Takes back a task that is as it was seen.
pub(super) const TAKE_BACK: &str = "
DELETE FROM task WHERE task_id = $1 AND worker IS NOT DISTINCT FROM $2 AND result IS NULL";

pub(super) const REMOVE: &str = "DELETE FROM task WHERE task_id = $1";

/// The workers whose leases run, and how many tasks each has.
pub(super) const WORKERS: &str = "
SELECT w.worker_id, w.role, w.settings, w.at_once, w.host, w.pid,
       (extract(epoch FROM w.since) * 1e6)::bigint AS since,
       extract(epoch FROM clock_timestamp() - w.renewed)::double precision AS age,
       (SELECT count(*) FROM task t WHERE t.worker = w.worker_id AND t.result IS NULL) AS tasks
  FROM worker w
 WHERE w.lease_until > clock_timestamp()
 ORDER BY w.since, w.worker_id";
