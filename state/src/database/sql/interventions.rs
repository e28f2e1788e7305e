//! Statements about what people decide.

pub(in crate::database) const FILE: &str = "
    SELECT file_id, file_url, store_id, business_date, last_update_status, stamp_bytes, stamp_modified_ns, stamp_inode,
           version_id, held_version_id
      FROM ingested_file_status WHERE file_url = ?1";

pub(in crate::database) const TAKE_OUT: &str = "
    UPDATE ingested_file_status
       SET last_update_status = 'WITHDRAWN', last_update_timestamp = ?2, last_error = NULL, last_note = NULL,
           version_id = NULL, valid_submission_id = NULL,
           held_version_id = NULL, held_submission_id = NULL, held_for_file_id = NULL
     WHERE file_id = ?1";

pub(in crate::database) const HELD_FOR: &str = "
    SELECT file_url FROM ingested_file_status WHERE held_for_file_id = ?1 ORDER BY held_submission_id";

pub(in crate::database) const HELD_STILL: &str = "
    UPDATE ingested_file_status
       SET last_error = CASE last_update_status WHEN 'HELD' THEN ?2 ELSE last_error END, held_for_file_id = ?3
     WHERE file_id = ?1";

pub(in crate::database) const ADD: &str = "
    INSERT INTO intervention (at, who, action, file_id, detail) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(in crate::database) const IN_FORCE: &str =
    "SELECT version_id FROM ingested_file_status WHERE file_id = ?1";

/// The newest submission of a file with another version that was in force.
pub(in crate::database) const VALID_BEFORE: &str = "
    SELECT s.version_id, s.submission_id, s.submitted_timestamp FROM submission s
      JOIN file_version v ON v.version_id = s.version_id
     WHERE s.file_id = ?1 AND s.version_id <> ?2 AND s.outcome IN ('VALIDATED', 'UNCHANGED', 'ACCEPTED')
       AND v.partial_object IS NOT NULL
     ORDER BY s.submission_id DESC LIMIT 1";

/// Puts the version before in force again, if there is one, and holds the one that was.
pub(in crate::database) const HOLD_IN_FORCE: &str = "
    UPDATE ingested_file_status
       SET last_update_status = 'HELD', last_update_timestamp = ?2, last_error = ?3,
           held_version_id = version_id, held_submission_id = valid_submission_id, held_for_file_id = NULL,
           version_id = ?4, valid_submission_id = ?5
     WHERE file_id = ?1";

pub(in crate::database) const NOTE_HELD: &str = "
    UPDATE submission SET outcome = 'HELD', error = ?2
     WHERE submission_id = (SELECT held_submission_id FROM ingested_file_status WHERE file_id = ?1)";
