//! Statements about the stores and days of versions.

pub(in crate::sqlite) const CLEAR_VERSION_DAYS: &str =
    "DELETE FROM version_day WHERE version_id IN (SELECT value FROM json_each(?1))";

pub(in crate::sqlite) const ADD_VERSION_DAYS: &str = "
    INSERT INTO version_day (version_id, store_id, trans_date, lines, turnover)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)";

pub(in crate::sqlite) const VERSION_DAYS: &str = "
    SELECT d.version_id, d.store_id, d.trans_date, d.lines, d.turnover FROM json_each(?1) j
     CROSS JOIN version_day d ON d.version_id = j.value
     ORDER BY d.version_id, d.store_id, d.trans_date";
