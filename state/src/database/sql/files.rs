//! Statements about files, submissions and versions.

/// Adds files or updates their stamps. Each file may occur at most once. What is put away of an archive is the archive,
/// so there is nothing to be done for its members.
pub(in crate::database) const SEE_FILES: &str = "
    INSERT INTO ingested_file_status
           (file_url, feed, store_id, business_date, last_update_status, last_update_timestamp, submitted_timestamp,
            stamp_bytes, stamp_modified_ns, stamp_inode, stamp_changed_ns, archive, members, members_read,
            put_away_timestamp)
    SELECT r.file_url, r.feed, r.store_id, r.business_date, 'SUBMITTED', ?2, ?2, r.stamp_bytes, r.stamp_modified_ns,
           r.stamp_inode, r.stamp_changed_ns, r.archive, r.members, r.members_read, CASE WHEN r.archive IS NOT NULL THEN ?2 END
      FROM rows(?1 file_url text, feed text, store_id text, business_date text, stamp_bytes int, stamp_modified_ns int,
                stamp_inode int, stamp_changed_ns int, archive text, members int, members_read int) r WHERE true ORDER BY r.key
    ON CONFLICT (file_url) DO UPDATE
       SET feed = excluded.feed, store_id = excluded.store_id, business_date = excluded.business_date,
           submitted_timestamp = excluded.submitted_timestamp, stamp_bytes = excluded.stamp_bytes,
           stamp_modified_ns = excluded.stamp_modified_ns, stamp_inode = excluded.stamp_inode,
           stamp_changed_ns = excluded.stamp_changed_ns, compared_timestamp = NULL, archive = excluded.archive,
           members = excluded.members, members_read = excluded.members_read,
           put_away_timestamp = excluded.put_away_timestamp
    others{RETURNING file_id, file_url, version_id}
    mysql{; SELECT f.file_id, f.file_url, f.version_id
      FROM rows(?1 file_url text) r CROSS JOIN ingested_file_status f ON f.file_url = r.file_url}";

/// Adds versions. Converting the same bytes again yields the same version, with the results of the newest conversion.
pub(in crate::database) const KEEP_VERSIONS: &str = "
    INSERT INTO file_version
           (file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects, drift_lines,
            first_date, last_date, accepted, reject_reason, converted_object, partial_object, rejects_object,
            last_line_ended, days_counted, created_timestamp)
    SELECT r.file_id, r.content_hash, r.layout_digest, r.bytes, r.lines, r.rows, r.ignored, r.skipped,
           r.rejects, r.drift_lines, r.first_date, r.last_date, CASE WHEN r.reject_reason IS NULL THEN 1 ELSE 0 END,
           r.reject_reason, r.converted_object, r.partial_object, r.rejects_object, r.last_line_ended, 1, ?2
      FROM rows(?1 file_id int, content_hash text, layout_digest text, bytes int, lines int, rows int, ignored int,
                skipped int, rejects int, drift_lines int, first_date text, last_date text, reject_reason text,
                converted_object text, partial_object text, rejects_object text, last_line_ended bool) r
     WHERE true ORDER BY r.key
    ON CONFLICT (file_id, content_hash, layout_digest) DO UPDATE
       SET bytes = excluded.bytes, lines = excluded.lines, rows = excluded.rows, ignored = excluded.ignored,
           skipped = excluded.skipped, rejects = excluded.rejects, drift_lines = excluded.drift_lines,
           first_date = excluded.first_date, last_date = excluded.last_date, accepted = excluded.accepted,
           reject_reason = excluded.reject_reason, converted_object = excluded.converted_object,
           partial_object = excluded.partial_object, rejects_object = excluded.rejects_object,
           last_line_ended = excluded.last_line_ended, partial_removed_timestamp = NULL, days_counted = 1
    others{RETURNING file_id, version_id, reject_reason}
    mysql{; SELECT v.file_id, v.version_id, v.reject_reason
      FROM rows(?1 file_id int, content_hash text, layout_digest text) r
     CROSS JOIN file_version v
        ON v.file_id = r.file_id AND v.content_hash = r.content_hash AND v.layout_digest = r.layout_digest}";

/// The versions with the given file, bytes and layout. A version whose partial has since been removed cannot come into
/// force.
pub(in crate::database) const FIND_VERSIONS: &str = "
    SELECT v.file_id, v.version_id,
           coalesce(v.reject_reason, CASE WHEN v.partial_removed_timestamp IS NOT NULL
               THEN 'its sums were removed from the lake while it was submitted again: send it once more' END)
           AS reject_reason
      FROM rows(?1 file_id int, content_hash text, layout_digest text) j
     CROSS JOIN file_version v
        ON v.file_id = j.file_id AND v.content_hash = j.content_hash AND v.layout_digest = j.layout_digest";

/// Adds submissions. Each file may occur at most once. No file was written after its arrival, whatever its stamp says.
/// A file that is only read again (the same bytes, written at the same time) keeps the bound of its first arrival: if its time
/// of writing lies ahead, it does not become newer than what was sent meanwhile.
pub(in crate::database) const ADD_SUBMISSIONS: &str = "
    INSERT INTO submission
           (file_id, version_id, outcome, error, submitted_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode,
            written_ns)
    SELECT r.file_id, r.version_id, r.outcome, r.error, ?2, r.stamp_bytes, r.stamp_modified_ns, r.stamp_inode,
           least(r.stamp_modified_ns, nanoseconds(?2:text), coalesce(
               (SELECT p.written_ns FROM submission p
                  LEFT JOIN file_version pv ON pv.version_id = p.version_id
                  LEFT JOIN file_version nv ON nv.version_id = r.version_id
                 WHERE p.submission_id = (SELECT max(submission_id) FROM submission WHERE file_id = r.file_id)
                   AND p.stamp_modified_ns = r.stamp_modified_ns
                   AND coalesce(pv.content_hash = nv.content_hash, true)),
               r.stamp_modified_ns))
      FROM rows(?1 file_id int, version_id int, outcome text, error text, stamp_bytes int, stamp_modified_ns int,
                stamp_inode int) r ORDER BY r.key
    others{RETURNING submission_id, file_id}
    mysql{; SELECT max(s.submission_id) AS submission_id, s.file_id
      FROM rows(?1 file_id int) r CROSS JOIN submission s ON s.file_id = r.file_id GROUP BY s.file_id}";

pub(in crate::database) const WITHOUT_JOB: &str = "
    SELECT f.feed, f.file_url, f.store_id FROM file_without_job n
     CROSS JOIN ingested_file_status f ON f.file_id = n.file_id
     ORDER BY +f.file_url";

/// The next files of a feed (`?3`), from the path `?1` on, whose paths begin with `?2`.
pub(in crate::database) const URLS: &str = "
    SELECT file_url FROM ingested_file_status
     WHERE file_url >= ?1 AND file_url < beyond(?2) AND feed = ?3
     ORDER BY file_url LIMIT ?4";

/// Those of the texts in `?1` with which the path of a file of the feed `?2` begins.
pub(in crate::database) const STARTS: &str = "
    SELECT s.value FROM list(?1 text) s
     WHERE EXISTS (SELECT 1 FROM ingested_file_status f
                    WHERE f.file_url >= s.value AND f.file_url < beyond(s.value) AND f.feed = ?2)";

/// Files in force whose time of writing lies ahead of their arrival by more than `?1` nanoseconds, ordered by path.
pub(in crate::database) const WRITTEN_AHEAD: &str = "
    SELECT f.file_url, (s.stamp_modified_ns - s.written_ns) others{/} mysql{DIV} 1000000000 AS ahead
      FROM submission s
     CROSS JOIN ingested_file_status f ON f.file_id = s.file_id AND f.valid_submission_id = s.submission_id
     WHERE others{s.stamp_modified_ns > s.written_ns} mysql{s.is_ahead = 1} AND s.stamp_modified_ns > s.written_ns + ?1
     ORDER BY f.file_url";

pub(in crate::database) const PUT_IN_FORCE: &str = "
    UPDATE ingested_file_status AS f
       SET last_update_status = 'VALIDATED', last_update_timestamp = ?2, last_validated_timestamp = ?2,
           last_error = NULL, version_id = j.version_id, valid_submission_id = j.submission_id,
           held_version_id = NULL, held_submission_id = NULL, held_for_file_id = NULL, last_note = j.note
      FROM rows(?1 file_id int, version_id int, submission_id int, note text) j
     WHERE f.file_id = j.file_id";

/// Marks files whose newest submission is held. Their version in force stays.
pub(in crate::database) const HOLD: &str = "
    UPDATE ingested_file_status AS f
       SET last_update_status = 'HELD', last_update_timestamp = ?2, held_version_id = j.version_id,
           held_submission_id = j.submission_id, last_error = j.reason, held_for_file_id = j.for_file_id,
           last_note = j.note
      FROM rows(?1 file_id int, version_id int, submission_id int, reason text, for_file_id int, note text) j
     WHERE f.file_id = j.file_id";

/// Marks files whose newest submission was rejected or failed. Their version in force stays.
pub(in crate::database) const REFUSE: &str = "
    UPDATE ingested_file_status AS f
       SET last_update_status = j.status, last_update_timestamp = ?2, last_error = j.error,
           last_note = NULL
      FROM rows(?1 file_id int, status text, error text) j
     WHERE f.file_id = j.file_id";

/// The next stamps after the path `?1`. The layout is that of the newest conversion, even a rejected one: what was tried need not
/// be tried again. That of a validated file is the one in force, which is found sooner.
pub(in crate::database) const STAMPS: &str = "
    SELECT f.file_url, f.feed, f.stamp_bytes, f.stamp_modified_ns, f.stamp_inode, f.stamp_changed_ns,
           greatest(f.submitted_timestamp, coalesce(f.compared_timestamp, '')) AS read_timestamp,
           CASE f.last_update_status
           WHEN 'VALIDATED' THEN (SELECT v.layout_digest FROM file_version v WHERE v.version_id = f.version_id)
           ELSE (SELECT v.layout_digest FROM submission s JOIN file_version v ON v.version_id = s.version_id
                  WHERE s.file_id = f.file_id ORDER BY s.submission_id DESC LIMIT 1) END AS layout_digest
      FROM ingested_file_status f
     WHERE f.file_url > ?1 AND f.archive IS NULL
       AND f.stamp_bytes IS NOT NULL AND f.stamp_modified_ns IS NOT NULL AND f.stamp_inode IS NOT NULL
     ORDER BY f.file_url LIMIT ?2";

/// The paths that are to be read again. For a member of an archive, that is the archive.
pub(in crate::database) const TO_LOOK_AT: &str = "
    SELECT DISTINCT coalesce(archive, file_url) FROM ingested_file_status
     WHERE others{stamp_bytes IS NULL OR stamp_modified_ns IS NULL OR stamp_inode IS NULL} mysql{to_look_at = 1}
     ORDER BY 1";

pub(in crate::database) const LOOK_AGAIN: &str = "
    UPDATE ingested_file_status SET stamp_bytes = NULL, stamp_modified_ns = NULL, stamp_inode = NULL
     WHERE file_url = ?1 OR archive = ?1";

/// Files that have yet to be put away, ordered by path, after a given path. UTF-8 text never contains the byte FF, so
/// every path with a given prefix sorts before the prefix followed by FF.
pub(in crate::database) const TO_PUT_AWAY: &str = "
    SELECT file_url, stamp_bytes, stamp_modified_ns, stamp_inode, stamp_changed_ns,
           last_update_status IN ('VALIDATED', 'HELD', 'WITHDRAWN')
           AND CASE WHEN members IS NULL THEN true ELSE coalesce(members_read, 0) > 0 AND NOT EXISTS
               (SELECT 1 FROM ingested_file_status m mysql{FORCE INDEX (file_of_archive)}
                 WHERE m.archive = f.file_url AND m.last_update_status IN ('REJECTED', 'FAILED')) END AS is_valid
      FROM ingested_file_status f
     WHERE file_url > greatest(?1, ?2) AND file_url < beyond(?2) AND put_away_timestamp IS NULL
       AND stamp_bytes >= 0 AND stamp_modified_ns IS NOT NULL AND stamp_inode IS NOT NULL
     ORDER BY file_url LIMIT ?3";

/// Marks files as put away. Files that have been read again since are left out: what is there now has yet to be put
/// away.
pub(in crate::database) const NOTE_PUT_AWAY: &str = "
    UPDATE ingested_file_status AS f SET put_away_timestamp = ?2
      FROM rows(?1 file_url text, stamp_bytes int, stamp_modified_ns int, stamp_inode int) j
     WHERE f.file_url = j.file_url AND f.stamp_bytes = j.stamp_bytes AND f.stamp_modified_ns = j.stamp_modified_ns
       AND f.stamp_inode = j.stamp_inode";

/// Completes the stamps of files that are otherwise the same. ?2 is when their bytes were compared, or NULL.
pub(in crate::database) const RESTAMP: &str = "
    UPDATE ingested_file_status AS f
       SET stamp_changed_ns = j.stamp_changed_ns, compared_timestamp = coalesce(?2, f.compared_timestamp)
      FROM rows(?1 file_url text, stamp_bytes int, stamp_modified_ns int, stamp_inode int, stamp_changed_ns int) j
     WHERE f.file_url = j.file_url AND f.stamp_bytes = j.stamp_bytes AND f.stamp_modified_ns = j.stamp_modified_ns
       AND f.stamp_inode = j.stamp_inode";

/// The same for the members of the given archives.
pub(in crate::database) const RESTAMP_MEMBERS: &str = "
    UPDATE ingested_file_status AS f mysql{FORCE INDEX (file_of_archive)}
       SET stamp_changed_ns = j.stamp_changed_ns, compared_timestamp = coalesce(?2, f.compared_timestamp)
      FROM rows(?1 archive text, stamp_bytes int, stamp_modified_ns int, stamp_inode int, stamp_changed_ns int) j
     WHERE f.archive = j.archive AND f.stamp_bytes = j.stamp_bytes AND f.stamp_modified_ns = j.stamp_modified_ns
       AND f.stamp_inode = j.stamp_inode";

/// The known members of an archive, with the layout of their newest submission.
pub(in crate::database) const MEMBERS: &str = "
    SELECT f.file_url, f.stamp_bytes, f.stamp_modified_ns, f.stamp_inode, f.stamp_changed_ns,
           (SELECT v.layout_digest FROM file_version v WHERE v.version_id = (
               SELECT s.version_id FROM submission s WHERE s.file_id = f.file_id ORDER BY s.submission_id DESC LIMIT 1))
           AS layout_digest
      FROM ingested_file_status f WHERE f.archive = ?1";

/// Gives the members of an archive that are to be read again, and that it no longer has, the stamps they had.
pub(in crate::database) const SETTLE_MEMBERS: &str = "
    UPDATE ingested_file_status
       SET stamp_bytes = s.stamp_bytes, stamp_modified_ns = s.stamp_modified_ns, stamp_inode = s.stamp_inode
      FROM submission s
     WHERE archive = ?1
       AND (ingested_file_status.stamp_bytes IS NULL OR ingested_file_status.stamp_modified_ns IS NULL
            OR ingested_file_status.stamp_inode IS NULL)
       AND file_url NOT IN (SELECT value FROM list(?2 text))
       AND s.submission_id = (SELECT max(n.submission_id) FROM submission n
                               WHERE n.file_id = ingested_file_status.file_id)";

/// Those of the given files that are members of archives, and whether the archive had them when it was last read: then
/// the newest submissions of both have the same stamp.
pub(in crate::database) const PLACES: &str = "
    SELECT f.file_url, f.archive,
           EXISTS (SELECT 1 FROM ingested_file_status a
                    CROSS JOIN submission w ON w.submission_id =
                          (SELECT max(n.submission_id) FROM submission n WHERE n.file_id = a.file_id)
                    CROSS JOIN submission s ON s.submission_id =
                          (SELECT max(n.submission_id) FROM submission n WHERE n.file_id = f.file_id)
                    WHERE a.file_url = f.archive AND s.stamp_bytes = w.stamp_bytes
                      AND s.stamp_modified_ns = w.stamp_modified_ns AND s.stamp_inode = w.stamp_inode) AS is_there
      FROM list(?1 text) j
     CROSS JOIN ingested_file_status f ON f.file_url = j.value
     WHERE f.archive IS NOT NULL";

/// Those of the given files whose newest submission has the given bytes and layout.
pub(in crate::database) const NEWEST_VERSIONS: &str = "
    SELECT f.file_url FROM rows(?1 file_url text, content_hash text, layout_digest text) j
     CROSS JOIN ingested_file_status f ON f.file_url = j.file_url
     CROSS JOIN file_version v ON v.version_id = (
               SELECT s.version_id FROM submission s WHERE s.file_id = f.file_id ORDER BY s.submission_id DESC LIMIT 1)
     WHERE v.content_hash = j.content_hash AND v.layout_digest = j.layout_digest";

/// The given files that are known, with their version in force, if there is one.
pub(in crate::database) const IN_FORCE: &str = "
    SELECT f.file_url, v.bytes, v.layout_digest FROM list(?1 text) j
     CROSS JOIN ingested_file_status f ON f.file_url = j.value
      LEFT JOIN file_version v ON v.version_id = f.version_id";

/// The given files that have a version with the given bytes and layout. A version whose partial was removed does not
/// count, nor does one whose lines were not counted by day: it must be converted again.
pub(in crate::database) const KNOWN_VERSIONS: &str = "
    SELECT f.file_url FROM rows(?1 file_url text, content_hash text, layout_digest text) j
     CROSS JOIN ingested_file_status f ON f.file_url = j.file_url
     CROSS JOIN file_version v
        ON v.file_id = f.file_id AND v.content_hash = j.content_hash AND v.layout_digest = j.layout_digest
     WHERE v.partial_removed_timestamp IS NULL AND v.days_counted = 1";

pub(in crate::database) const VERSIONS_OF: &str = "
    SELECT v.* FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id
     WHERE f.file_url = ?1 ORDER BY v.version_id DESC";

pub(in crate::database) const FILES: &str = "
    SELECT v.*, f.* FROM ingested_file_status f LEFT JOIN file_version v ON v.version_id = f.version_id
     WHERE (?1:text IS NULL OR f.feed = ?1)
       AND (?2:text IS NULL OR f.last_update_status = ?2
            OR ?2 = 'HELD' AND EXISTS (SELECT 1 FROM file_day d
                                        WHERE d.file_id = f.file_id AND d.standing = 'HELD' AND d.standing <> 'STANDS'))
     ORDER BY f.file_url";

pub(in crate::database) const FILE: &str = "
    SELECT v.*, f.* FROM ingested_file_status f LEFT JOIN file_version v ON v.version_id = f.version_id
     WHERE f.file_url = ?1";

/// The versions of the newest submissions that are not in force, of one file or of all. A submission that could not be
/// read has no version.
pub(in crate::database) const REFUSED: &str = "
    SELECT v.*, f.file_url FROM ingested_file_status f
      JOIN submission s
        ON s.submission_id = (SELECT max(n.submission_id) FROM submission n WHERE n.file_id = f.file_id)
      JOIN file_version v ON v.version_id = s.version_id
     WHERE f.last_update_status <> 'VALIDATED' AND (?1:text IS NULL OR f.file_url = ?1)";

pub(in crate::database) const SUBMITTED_BETWEEN: &str = "
    SELECT s.submission_id, s.version_id, s.submitted_timestamp,
           f.file_id, f.file_url, f.feed, f.store_id, f.business_date
      FROM (SELECT max(submission_id) AS submission_id FROM submission
             WHERE submitted_timestamp BETWEEN ?1 AND ?2 AND outcome IN ('VALIDATED', 'UNCHANGED', 'ACCEPTED')
             GROUP BY file_id) newest
     CROSS JOIN submission s ON s.submission_id = newest.submission_id
     CROSS JOIN ingested_file_status f ON f.file_id = s.file_id
     ORDER BY f.file_url";

pub(in crate::database) const NEWEST_SUBMISSION: &str =
    "SELECT coalesce(max(submission_id), 0) FROM submission";
