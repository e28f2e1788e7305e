//! Statements about the history of jobs.

pub(in crate::database) const HISTORY: &str = "
    SELECT edit_id, at, who, action, job_config_id, before, after FROM job_edit
     WHERE ?1:text IS NULL OR job_config_id = ?1 ORDER BY edit_id DESC";

pub(in crate::database) const ARE_UNTOLD: &str = "SELECT EXISTS (SELECT 1 FROM job_edit WHERE is_told = 0)";

pub(in crate::database) const UNTOLD: &str = "
    SELECT edit_id, at, who, action, job_config_id, before, after FROM job_edit WHERE is_told = 0 ORDER BY edit_id";

pub(in crate::database) const NOTE_TOLD: &str = "UPDATE job_edit SET is_told = 1 WHERE is_told = 0";

pub(in crate::database) const NEWEST: &str = "SELECT coalesce(max(edit_id), 0) FROM job_edit";

/// Names the editor of the edits after a given one.
pub(in crate::database) const SIGN: &str =
    "UPDATE job_edit SET who = ?2, at = ?3, is_told = ?4 WHERE edit_id > ?1";
