//! The statements about workers and their tasks. Times are the server's: no clock of a client counts.

pub(super) const NEW_ID: &str = "SELECT postgres{gen_random_uuid()::text} mysql{uuid()}";

pub(super) const REGISTER: &str = "
INSERT INTO worker (worker_id, role, settings, at_once, host, pid, since, renewed, lease_until)
VALUES (?1, ?2, ?3, ?4, ?5, ?6,
        postgres{clock_timestamp(), clock_timestamp(), clock_timestamp() + ?7:int * interval '1 microsecond'}
        mysql{utc_timestamp(6), utc_timestamp(6), utc_timestamp(6) + INTERVAL ?7 MICROSECOND})";

/// Renews a worker's lease, even if it was over: what was taken back of its tasks, it cannot answer any more.
pub(super) const RENEW: &str = "
UPDATE worker
   SET postgres{renewed = clock_timestamp(), lease_until = clock_timestamp() + ?2:int * interval '1 microsecond'}
       mysql{renewed = utc_timestamp(6), lease_until = utc_timestamp(6) + INTERVAL ?2 MICROSECOND}
 WHERE worker_id = ?1";

pub(super) const LEAVE: &str = "DELETE FROM worker WHERE worker_id = ?1";

/// The tasks that the worker has claimed, and not answered.
pub(super) const OWN: &str = "SELECT task_id, request FROM task WHERE worker = ?1 AND result IS NULL";

/// The oldest tasks that nobody has claimed.
pub(super) const FREE: &str = "
SELECT task_id, request
  FROM task
 WHERE worker IS NULL AND role = ?1 AND settings = ?2
 ORDER BY epoch, sequence
 LIMIT ?3";

/// Claims a task, unless somebody else was faster, or the worker's own lease is over.
pub(super) const CLAIM: &str = "
UPDATE task
   SET worker = ?2
 WHERE task_id = ?1 AND worker IS NULL
   AND EXISTS (SELECT 1 FROM worker
                WHERE worker_id = ?2 AND lease_until > postgres{clock_timestamp()} mysql{utc_timestamp(6)})";

/// Ends a task that is still the worker's.
pub(super) const FINISH: &str = "UPDATE task SET result = ?3 WHERE task_id = ?1 AND worker = ?2";

pub(super) const GIVE_BACK: &str =
    "UPDATE task SET worker = NULL WHERE task_id = ?1 AND worker = ?2 AND result IS NULL";

/// Removes the tasks of services that were followed.
pub(super) const REMOVE_EARLIER: &str = "DELETE FROM task WHERE epoch < ?1";

/// Removes the workers that have been silent for long.
pub(super) const REMOVE_SILENT: &str = "
DELETE FROM worker
 WHERE lease_until < postgres{clock_timestamp() - interval '10 minutes'} mysql{utc_timestamp(6) - INTERVAL 10 MINUTE}";

/// Hands out a task, as long as the service has not been followed.
pub(super) const HAND_OUT: &str = "
INSERT INTO task (task_id, epoch, sequence, role, settings, request)
SELECT ?2:text, epoch, ?3:int, ?4:text, ?5:text, ?6:text FROM writer WHERE epoch = ?1";

/// What became of a service's tasks. A worker is gone if it left, or its lease is over.
pub(super) const LOOK: &str = "
SELECT t.task_id, t.worker, t.result,
       w.worker_id IS NULL OR w.lease_until <= postgres{clock_timestamp()} mysql{utc_timestamp(6)} AS is_gone
  FROM task t LEFT JOIN worker w ON w.worker_id = t.worker
 WHERE t.epoch = ?1";

/// Takes back a task that is as it was seen.
pub(super) const TAKE_BACK: &str = "
DELETE FROM task WHERE task_id = ?1 AND worker IS NOT DISTINCT FROM ?2 AND result IS NULL";

pub(super) const REMOVE: &str = "DELETE FROM task WHERE task_id = ?1";

/// The workers whose leases run, and how many tasks each has.
pub(super) const WORKERS: &str = "
SELECT w.worker_id, w.role, w.settings, w.at_once, w.host, w.pid,
       postgres{(extract(epoch FROM w.since) * 1e6)::bigint AS since,
       extract(epoch FROM clock_timestamp() - w.renewed)::double precision AS age,}
       mysql{timestampdiff(MICROSECOND, '1970-01-01', w.since) AS since,
       timestampdiff(MICROSECOND, w.renewed, utc_timestamp(6)) / 1e6 AS age,}
       (SELECT count(*) FROM task t WHERE t.worker = w.worker_id AND t.result IS NULL) AS tasks
  FROM worker w
 WHERE w.lease_until > postgres{clock_timestamp()} mysql{utc_timestamp(6)}
 ORDER BY w.since, w.worker_id";
