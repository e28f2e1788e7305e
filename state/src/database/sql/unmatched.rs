//! Statements about files that no feed matches.

/// Removes the files of a source that are not among the given ones. UTF-8 text never contains the byte FF, so every path
/// with a given prefix sorts before the prefix followed by FF.
///
/// MySQL by an index that it makes of texts of a limited length, as for the ledger.
pub(in crate::database) const REMOVE_GONE: &str = "
    others{DELETE FROM unmatched_file
     WHERE file_url >= ?2 AND file_url < beyond(?2)
       AND file_url NOT IN (SELECT r.file_url FROM rows(?1 file_url text, bytes int, modified_ns int) r)}
    mysql{DELETE u FROM unmatched_file u
      LEFT JOIN (SELECT DISTINCT CAST(r.file_url AS CHAR(700)) AS file_url
                   FROM rows(?1 file_url text, bytes int, modified_ns int) r) g ON g.file_url = u.file_url
     WHERE u.file_url >= ?2 AND u.file_url < beyond(?2) AND g.file_url IS NULL}";

/// Those of the files in `?1` that may be archives and have not been read, or in which a feed matches something.
pub(in crate::database) const NOT_TO_TELL: &str = "
    SELECT l.value FROM list(?1 text) l
     WHERE NOT EXISTS (SELECT 1 FROM ingested_file_status f WHERE f.file_url = l.value AND f.members_read = 0)";

/// Those of the given files that are not known.
pub(in crate::database) const NEW: &str = "
    SELECT r.file_url FROM rows(?1 file_url text, bytes int, modified_ns int) r
     WHERE r.file_url NOT IN (SELECT file_url FROM unmatched_file) ORDER BY r.key";

pub(in crate::database) const KEEP: &str = "
    INSERT INTO unmatched_file (file_url, bytes, modified_ns, noticed_timestamp)
    SELECT r.file_url, r.bytes, r.modified_ns, ?2
      FROM rows(?1 file_url text, bytes int, modified_ns int) r WHERE true
    ON CONFLICT (file_url) DO UPDATE SET bytes = excluded.bytes, modified_ns = excluded.modified_ns";

/// Removes the oldest files beyond a number.
pub(in crate::database) const TRIM: &str = "
    DELETE FROM unmatched_file
     WHERE file_url IN (SELECT file_url FROM (SELECT file_url FROM unmatched_file ORDER BY modified_ns DESC, file_url
                                               LIMIT 9223372036854775807 OFFSET ?1) oldest)";

pub(in crate::database) const FORGET: &str =
    "DELETE FROM unmatched_file WHERE file_url IN (SELECT value FROM list(?1 text))";

pub(in crate::database) const ALL: &str = "SELECT * FROM unmatched_file ORDER BY file_url";

pub(in crate::database) const COUNT: &str = "SELECT count(*) FROM unmatched_file";
