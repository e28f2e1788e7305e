//! Statements about what waits for an outage to end, and about attempts at files.

/// Adds or updates what waits: rows of subject, feed, store and reason.
pub(in crate::database) const NOTE: &str = "
    INSERT INTO waiting (kind, subject, feed, store_id, reason, failures, since_timestamp, next_try_timestamp)
    SELECT ?2, r.subject, r.feed, r.store_id, r.reason, 1, ?3, ?4
      FROM rows(?1 subject text, feed text, store_id text, reason text) r WHERE true
    ON CONFLICT (kind, subject) DO UPDATE
       SET reason = excluded.reason, failures = waiting.failures + 1, next_try_timestamp = excluded.next_try_timestamp";

pub(in crate::database) const END: &str = "
    DELETE FROM waiting WHERE kind = ?2 AND subject IN (SELECT value FROM list(?1 text))";

pub(in crate::database) const ALL: &str = "SELECT * FROM waiting ORDER BY kind, since_timestamp, subject";

/// Everything is tried at a start. What the service itself waits for shows anew.
pub(in crate::database) const TRY_NOW: &str = "UPDATE waiting SET next_try_timestamp = ?1";
pub(in crate::database) const FORGET_SERVICE: &str = "DELETE FROM waiting WHERE kind = 'service'";

pub(in crate::database) const RUN_FAILURES: &str =
    "SELECT failures FROM waiting WHERE kind = 'run' AND subject = ?1";

/// When the first of the queued runs that wait is tried again.
pub(in crate::database) const NEXT_RUN: &str = "
    SELECT min(w.next_try_timestamp) FROM waiting w JOIN job_run r ON r.run_id = w.subject
     WHERE w.kind = 'run' AND r.state = 'QUEUED'";

/// Puts a run back that did not die with its process: that attempt does not count.
pub(in crate::database) const DEFER: &str = "
    UPDATE job_run
       SET state = 'QUEUED', owner = NULL, heartbeat_timestamp = NULL, attempts = greatest(attempts - 1, 0)
     WHERE run_id = ?1 AND state = 'RUNNING'";

/// Counts attempts at files. Those at other bytes under the same name do not count.
pub(in crate::database) const BEGIN_ATTEMPTS: &str = "
    INSERT INTO file_attempt (file_url, stamp_bytes, stamp_modified_ns, stamp_inode, attempts)
    SELECT r.file_url, r.stamp_bytes, r.stamp_modified_ns, r.stamp_inode, 1
      FROM rows(?1 file_url text, stamp_bytes int, stamp_modified_ns int, stamp_inode int) r WHERE true
    ON CONFLICT (file_url) DO UPDATE
       SET attempts = CASE WHEN (file_attempt.stamp_bytes, file_attempt.stamp_modified_ns, file_attempt.stamp_inode)
                              = (excluded.stamp_bytes, excluded.stamp_modified_ns, excluded.stamp_inode)
                           THEN file_attempt.attempts + 1 ELSE 1 END,
           stamp_bytes = excluded.stamp_bytes, stamp_modified_ns = excluded.stamp_modified_ns,
           stamp_inode = excluded.stamp_inode";

pub(in crate::database) const END_ATTEMPTS: &str =
    "DELETE FROM file_attempt WHERE file_url IN (SELECT value FROM list(?1 text))";

pub(in crate::database) const FORGET_ATTEMPTS: &str = "DELETE FROM file_attempt";

pub(in crate::database) const ATTEMPTS: &str = "SELECT * FROM file_attempt";
