//! Statements about alerts: what they have found, their notices, and what their conditions ask.

pub(in crate::database) const FIRING: &str =
    "SELECT * FROM alert_firing ORDER BY since_timestamp, alert, subject";

pub(in crate::database) const KEEP: &str = "
    INSERT INTO alert_firing (alert, subject, facts, since_timestamp, told_timestamp, resolved_timestamp)
    SELECT ?1, r.subject, r.facts, r.since, r.told, r.resolved
      FROM rows(?2 subject text, facts text, since text, told text, resolved text) r WHERE true
    ON CONFLICT (alert, subject) DO UPDATE
       SET facts = excluded.facts, since_timestamp = excluded.since_timestamp,
           told_timestamp = excluded.told_timestamp, resolved_timestamp = excluded.resolved_timestamp";

pub(in crate::database) const FORGET: &str =
    "DELETE FROM alert_firing WHERE alert = ?1 AND subject IN (SELECT value FROM list(?2 text))";

/// Queues a notice for each of some receivers. One that still waits for a notice of this alert needs no repetition.
pub(in crate::database) const QUEUE: &str = "
    INSERT INTO alert_notice (receiver, alert, kind, content, queued_timestamp, next_try_timestamp)
    SELECT r.value, ?1, ?2, ?3, ?4, ?4 FROM list(?5 text) r
     WHERE ?2 <> 'repeated'
        OR NOT EXISTS (SELECT 1 FROM alert_notice n
                        WHERE n.receiver = r.value AND n.alert = ?1 AND n.sent_timestamp IS NULL)";

/// Sent notices are kept for a while, for people who ask what was sent.
pub(in crate::database) const TRIM: &str =
    "DELETE FROM alert_notice WHERE sent_timestamp IS NOT NULL AND sent_timestamp < ?1";

pub(in crate::database) const FORGET_ALERTS: &str =
    "DELETE FROM alert_firing WHERE alert NOT IN (SELECT value FROM list(?1 text))";

pub(in crate::database) const UNKNOWN_RECEIVERS: &str = "
    SELECT receiver, count(*) FROM alert_notice
     WHERE sent_timestamp IS NULL AND receiver NOT IN (SELECT value FROM list(?1 text))
     GROUP BY receiver ORDER BY receiver";

pub(in crate::database) const FORGET_RECEIVERS: &str = "
    DELETE FROM alert_notice WHERE sent_timestamp IS NULL AND receiver NOT IN (SELECT value FROM list(?1 text))";

/// Every start tries at once what waits.
pub(in crate::database) const TRY_NOW: &str =
    "UPDATE alert_notice SET next_try_timestamp = ?1 WHERE sent_timestamp IS NULL";

pub(in crate::database) const PENDING: &str = "
    SELECT * FROM alert_notice WHERE receiver = ?1 AND sent_timestamp IS NULL ORDER BY notice_id LIMIT ?2";

pub(in crate::database) const SENT: &str =
    "UPDATE alert_notice SET sent_timestamp = ?2, last_error = NULL WHERE notice_id = ?1";

pub(in crate::database) const NOT_SENT: &str = "
    UPDATE alert_notice SET failures = failures + 1, last_error = ?2, next_try_timestamp = ?3 WHERE notice_id = ?1";

/// The notices that were tried in vain, by receiver, with the last error.
pub(in crate::database) const UNSENT: &str = "
    SELECT n.receiver, count(*) AS notices, min(n.queued_timestamp) AS since,
           (SELECT e.last_error FROM alert_notice e
             WHERE e.receiver = n.receiver AND e.sent_timestamp IS NULL AND e.last_error IS NOT NULL
             ORDER BY e.next_try_timestamp DESC LIMIT 1) AS last_error
      FROM alert_notice n WHERE n.sent_timestamp IS NULL
     GROUP BY n.receiver HAVING max(n.failures) > 0 ORDER BY n.receiver";

/// The waves whose newest run that ended has failed. A retry in progress ends nothing yet.
pub(in crate::database) const FAILED_WAVES: &str = "
    SELECT r.job_config_id, r.wave, r.run_id, r.error, r.finished_timestamp FROM job_run r
     WHERE r.state = 'FAILED'
       AND NOT EXISTS (SELECT 1 FROM job_run later
                        WHERE later.job_config_id = r.job_config_id AND later.wave = r.wave
                          AND later.state IN ('COMPLETED', 'FAILED') AND later.sequence > r.sequence)
     ORDER BY r.sequence DESC";

pub(in crate::database) const HELD_FILES: &str = "
    SELECT h.file_url, f.feed, min(h.reason) AS reason, count(h.trans_date) AS days, min(h.submitted) AS since
      FROM held h CROSS JOIN ingested_file_status f ON f.file_id = h.file_id
     GROUP BY h.file_url, f.feed ORDER BY h.file_url";

/// The files whose newest submission was converted since `?1`, and of whose lines more than `?2` percent are rejects.
pub(in crate::database) const MANY_REJECTS: &str = "
    SELECT f.file_url, f.feed, v.rejects, v.lines, v.accepted = 0 AS is_whole, v.created_timestamp AS since
      FROM file_version v CROSS JOIN ingested_file_status f ON f.file_id = v.file_id
     WHERE v.rejects > 0 AND v.created_timestamp >= ?1 AND v.rejects * 100.0 > ?2:real * v.lines
       AND f.last_update_status <> 'WITHDRAWN'
       AND v.version_id = (SELECT s.version_id FROM submission s WHERE s.file_id = v.file_id
                            ORDER BY s.submission_id DESC LIMIT 1)
     UNION
    SELECT f.file_url, f.feed, v.rejects, v.lines, true, v.created_timestamp
      FROM ingested_file_status f
     CROSS JOIN submission s ON s.submission_id = (SELECT max(n.submission_id) FROM submission n WHERE n.file_id = f.file_id)
     CROSS JOIN file_version v ON v.version_id = s.version_id
     WHERE f.last_update_status = 'REJECTED' AND f.last_update_status <> 'VALIDATED' AND v.created_timestamp >= ?1
     ORDER BY 1";

/// The open waves of jobs that run, with their files that no completed run has seen, and when the first of these was
/// submitted.
pub(in crate::database) const UNLOADED: &str = "
    SELECT job_config_id, wave, count(*) AS files, min(submitted) AS since FROM (
        SELECT o.job_config_id, o.wave,
               (SELECT s.submitted_timestamp FROM submission s
                 WHERE s.file_id = f.file_id AND s.submission_id > o.seen
                   AND s.outcome IN ('VALIDATED', 'UNCHANGED', 'ACCEPTED')
                 ORDER BY s.submission_id LIMIT 1) AS submitted
          FROM (SELECT w.job_config_id, w.wave,
                       coalesce((SELECT max(r.as_of_submission) FROM job_run r
                                  WHERE r.job_config_id = w.job_config_id AND r.wave = w.wave
                                    AND r.state = 'COMPLETED' AND r.cause <> 'replay'), -1) AS seen
                  FROM open_wave w CROSS JOIN aggr_job_configuration c
                    ON c.job_config_id = w.job_config_id AND c.job_enabled = 1) o
         CROSS JOIN job_file j ON j.job_config_id = o.job_config_id AND j.wave = o.wave
         CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
         WHERE f.valid_submission_id > o.seen) unloaded
     WHERE submitted IS NOT NULL
     GROUP BY job_config_id, wave ORDER BY job_config_id, wave";

/// Whether a wave has had a run with everything, whose result is in the warehouse.
pub(in crate::database) const IS_COMPLETE: &str = "
    SELECT EXISTS (SELECT 1 FROM job_run
                    WHERE job_config_id = ?1 AND wave = ?2 AND state = 'COMPLETED' AND incomplete = 0
                      AND outcome IN ('LOADED', 'UNCHANGED'))";

/// The stores of a job by day, each with its newest day up to `?2`. Looks up one store after another, where the database
/// finds the next one by its index. A file that a person took out does not count.
pub(in crate::database) const LAST_WAVES: &str = "
    WITH RECURSIVE store (id) AS (
        others{SELECT min(store_id) FROM job_file WHERE job_config_id = ?1 AND wave <> ''
         UNION ALL
        SELECT (SELECT min(j.store_id) FROM job_file j
                 WHERE j.job_config_id = ?1 AND j.wave <> '' AND j.store_id > store.id)
          FROM store WHERE store.id IS NOT NULL}
        mysql{SELECT DISTINCT store_id FROM job_file WHERE job_config_id = ?1 AND wave <> ''})
    SELECT id AS store_id, wave, NULL AS submitted_timestamp
      FROM (SELECT id, (SELECT j.wave FROM job_file j CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
                         WHERE j.job_config_id = ?1 AND j.wave <> '' AND j.store_id = store.id AND j.wave <= ?2
                           AND (f.version_id IS NOT NULL OR f.last_update_status <> 'WITHDRAWN')
                         ORDER BY j.wave DESC LIMIT 1) AS wave
              FROM store WHERE id IS NOT NULL) last
     WHERE wave IS NOT NULL";

/// The stores of a job without days, each with its newest submission.
pub(in crate::database) const LAST_SUBMISSIONS: &str = "
    SELECT j.store_id, '' AS wave, max(f.submitted_timestamp) AS submitted_timestamp
      FROM job_file j CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
     WHERE j.job_config_id = ?1 AND j.wave = '' AND j.store_id IS NOT NULL
       AND (f.version_id IS NOT NULL OR f.last_update_status <> 'WITHDRAWN')
     GROUP BY j.store_id ORDER BY j.store_id";

/// The `?3` newest days of a job up to `?2`, each with whether it has run.
pub(in crate::database) const RECENT_WAVES: &str = "
    WITH RECURSIVE recent (wave, place) AS (
        SELECT max(wave), 1 FROM job_file WHERE job_config_id = ?1 AND wave <> '' AND wave <= ?2
         UNION ALL
        SELECT (SELECT max(j.wave) FROM job_file j
                 WHERE j.job_config_id = ?1 AND j.wave <> '' AND j.wave < recent.wave), place + 1
          FROM recent WHERE recent.wave IS NOT NULL AND place < ?3:int)
    SELECT wave, EXISTS (SELECT 1 FROM job_run r
                          WHERE r.job_config_id = ?1 AND r.wave = recent.wave AND r.state = 'COMPLETED') AS has_run
      FROM recent WHERE wave IS NOT NULL ORDER BY wave DESC";

/// When the `?2` newest runs of a job without days were queued that its files brought about.
pub(in crate::database) const RECENT_RUNS: &str = "
    SELECT queued_timestamp FROM job_run
     WHERE job_config_id = ?1 AND state = 'COMPLETED' AND cause IN ('preconditions', 'deadline')
     ORDER BY sequence DESC LIMIT ?2";

/// When a job was last added.
pub(in crate::database) const JOB_ADDED: &str = "
    SELECT at FROM job_edit WHERE job_config_id = ?1 AND action = 'added' ORDER BY edit_id DESC LIMIT 1";
