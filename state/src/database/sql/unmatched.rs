//! Statements about files that no feed matches.

/// Removes the files of a source that are not among the given ones. UTF-8 text never contains the byte FF, so every path
/// with a given prefix sorts before the prefix followed by FF.
pub(in crate::database) const REMOVE_GONE: &str = "
    DELETE FROM unmatched_file
     WHERE file_url >= ?2 AND file_url < ?2 || CAST(x'ff' AS TEXT)
       AND file_url NOT IN (SELECT value ->> 0 FROM jsonb_each(?1))";

/// Those of the files in `?1` that may be archives and have not been read, or in which a feed matches something.
pub(in crate::database) const NOT_TO_TELL: &str = "
    SELECT value FROM jsonb_each(?1)
     WHERE NOT EXISTS (SELECT 1 FROM ingested_file_status f WHERE f.file_url = value AND f.members_read = 0)";

/// Those of the given files that are not known.
pub(in crate::database) const NEW: &str = "
    SELECT value ->> 0 FROM jsonb_each(?1)
     WHERE value ->> 0 NOT IN (SELECT file_url FROM unmatched_file) ORDER BY key";

pub(in crate::database) const KEEP: &str = "
    INSERT INTO unmatched_file (file_url, bytes, modified_ns, noticed_timestamp)
    SELECT value ->> 0, value ->> 1, value ->> 2, ?2 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (file_url) DO UPDATE SET bytes = excluded.bytes, modified_ns = excluded.modified_ns";

/// Removes the oldest files beyond a number.
pub(in crate::database) const TRIM: &str = "
    DELETE FROM unmatched_file
     WHERE file_url IN (SELECT file_url FROM unmatched_file ORDER BY modified_ns DESC, file_url LIMIT -1 OFFSET ?1)";

pub(in crate::database) const FORGET: &str =
    "DELETE FROM unmatched_file WHERE file_url IN (SELECT value FROM jsonb_each(?1))";

pub(in crate::database) const ALL: &str = "SELECT * FROM unmatched_file ORDER BY file_url";

pub(in crate::database) const COUNT: &str = "SELECT count(*) FROM unmatched_file";
