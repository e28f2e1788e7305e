//! Statements about the stores and days of versions.

pub(in crate::database) const CLEAR_VERSION_DAYS: &str =
    "DELETE FROM version_day WHERE version_id IN (SELECT value FROM list(?1 int))";

pub(in crate::database) const ADD_VERSION_DAYS: &str = "
    INSERT INTO version_day (version_id, store_id, trans_date, lines, turnover)
    SELECT r.version_id, r.store_id, r.trans_date, r.lines, r.turnover
      FROM rows(?1 version_id int, store_id text, trans_date text, lines int, turnover int) r";

pub(in crate::database) const VERSION_DAYS: &str = "
    SELECT d.version_id, d.store_id, d.trans_date, d.lines, d.turnover FROM list(?1 int) j
     CROSS JOIN version_day d ON d.version_id = j.value
     ORDER BY d.version_id, d.store_id, d.trans_date";

/// The stores of all versions, each found from the one before by the index, which MySQL does of its own accord.
pub(in crate::database) const KNOWN_STORES: &str = "
    others{WITH RECURSIVE store(id) AS (
        SELECT min(store_id) FROM version_day
        UNION ALL
        SELECT (SELECT min(store_id) FROM version_day WHERE store_id > store.id) FROM store WHERE store.id IS NOT NULL)
    SELECT id FROM store WHERE id IS NOT NULL}
    mysql{SELECT DISTINCT store_id FROM version_day ORDER BY store_id}";

/// Selects file days with what is needed to compare them.
macro_rules! holdings {
    ($from:literal) => {
        concat!(
            "SELECT d.store_id, d.trans_date, d.file_id, f.file_url, f.store_id AS named_store, f.business_date,
                    f.stamp_modified_ns, d.version_id, v.last_date, d.standing, d.since_submission, d.reason,
                    d.other_file_id, vd.lines, vd.turnover ",
            $from,
            " CROSS JOIN ingested_file_status f ON f.file_id = d.file_id
             CROSS JOIN file_version v ON v.version_id = d.version_id
              LEFT JOIN version_day vd
                ON vd.version_id = d.version_id AND vd.store_id = d.store_id AND vd.trans_date = d.trans_date"
        )
    };
}

/// The others are told the order in which SQLite finds them.
pub(in crate::database) const HOLDINGS: &str = concat!(
    holdings!(
        "FROM rows(?1 store_id text, trans_date text) j
         CROSS JOIN file_day d ON d.store_id = j.store_id AND d.trans_date = j.trans_date"
    ),
    " postgres{ORDER BY j.key, d.file_id, d.version_id} mysql{ORDER BY j.key, d.file_id, d.version_id}"
);

pub(in crate::database) const HOLDINGS_OF_FILE: &str = concat!(
    holdings!("FROM file_day d"),
    " WHERE d.file_id = ?1 ORDER BY d.store_id, d.trans_date, d.version_id"
);

pub(in crate::database) const CLEAR_FILE_DAYS: &str = "
    others{DELETE FROM file_day
     WHERE (store_id, trans_date, file_id) IN (SELECT r.store_id, r.trans_date, r.file_id FROM}
    mysql{DELETE file_day FROM}
        rows(?1 store_id text, trans_date text, file_id int) r
    others{)}
    mysql{CROSS JOIN file_day
        ON file_day.store_id = r.store_id AND file_day.trans_date = r.trans_date AND file_day.file_id = r.file_id}";

pub(in crate::database) const ADD_FILE_DAYS: &str = "
    INSERT INTO file_day
           (store_id, trans_date, file_id, version_id, standing, since_submission, reason, other_file_id, is_older)
    SELECT r.store_id, r.trans_date, r.file_id, r.version_id, r.standing, r.since_submission, r.reason, r.other_file_id,
           CASE WHEN (SELECT f.version_id FROM ingested_file_status f WHERE f.file_id = r.file_id)
                     IS NOT DISTINCT FROM r.version_id THEN 0 ELSE 1 END
      FROM rows(?1 store_id text, trans_date text, file_id int, version_id int, standing text, since_submission int,
                reason text, other_file_id int) r";

/// Days that a person took out come back when their file is submitted again.
pub(in crate::database) const BRING_BACK: &str = "
    UPDATE file_day AS d SET standing = 'STANDS', since_submission = j.since_submission
      FROM rows(?1 file_id int, version_id int, since_submission int) j
     WHERE d.file_id = j.file_id AND d.version_id = j.version_id
       AND d.standing = 'WITHDRAWN' AND d.standing <> 'STANDS'";

pub(in crate::database) const HELD: &str = "SELECT * FROM held";

/// Versions in force of sales feeds whose days were not counted when they were converted.
pub(in crate::database) const UNCOUNTED: &str = "
    SELECT v.version_id, f.file_url, f.feed, v.partial_object FROM file_version v
     CROSS JOIN ingested_file_status f ON f.file_id = v.file_id AND f.version_id = v.version_id
     WHERE v.days_counted = 0 AND v.partial_object IS NOT NULL
     ORDER BY f.file_url";

pub(in crate::database) const COUNTED: &str =
    "UPDATE file_version AS v SET days_counted = 1 FROM list(?1 int) l WHERE v.version_id = l.value";

/// What a version in force reports stands, unless more is known of the day.
pub(in crate::database) const LET_STAND: &str = "
    INSERT INTO file_day (store_id, trans_date, file_id, version_id, standing, since_submission)
    SELECT d.store_id, d.trans_date, f.file_id, d.version_id, 'STANDS', f.valid_submission_id
      FROM list(?1 int) j
     CROSS JOIN version_day d ON d.version_id = j.value
     CROSS JOIN ingested_file_status f ON f.version_id = d.version_id
     WHERE true
    ON CONFLICT (store_id, trans_date, file_id, version_id) DO NOTHING";
