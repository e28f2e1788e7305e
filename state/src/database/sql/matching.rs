//! Statements about which jobs take a file (`job_file`), and which required patterns it matches (`required_file`).

pub(in crate::database) const IS_ANYTHING_TO_MATCH: &str =
    "SELECT EXISTS (SELECT 1 FROM job_to_match) OR EXISTS (SELECT 1 FROM file_to_match)";

pub(in crate::database) const EDITION: &str = "SELECT number FROM revision WHERE of = 'jobs'";

pub(in crate::database) const JOBS_TO_MATCH: &str = "SELECT job_config_id FROM job_to_match";

/// What is forgotten of the jobs in `?1`, in this order. What they took may now belong to no job.
pub(in crate::database) const FORGET_JOBS: [&str; 5] = [
    "INSERT INTO file_without_job
     SELECT DISTINCT f.file_id FROM list(?1 text) j CROSS JOIN job_file f ON f.job_config_id = j.value WHERE true
     ON CONFLICT (file_id) DO NOTHING",
    "DELETE FROM job_file WHERE job_config_id IN (SELECT value FROM list(?1 text))",
    "DELETE FROM job_requires WHERE job_config_id IN (SELECT value FROM list(?1 text))",
    "DELETE FROM job_follows WHERE job_config_id IN (SELECT value FROM list(?1 text))",
    "DELETE FROM open_wave WHERE job_config_id IN (SELECT value FROM list(?1 text))",
];

pub(in crate::database) const ADD_REQUIRES: &str = "
    INSERT INTO job_requires (pattern, job_config_id)
    SELECT r.pattern, r.job FROM rows(?1 pattern text, job text) r WHERE true
    ON CONFLICT (pattern, job_config_id) DO NOTHING";

pub(in crate::database) const ADD_FOLLOWS: &str = "
    INSERT INTO job_follows (after_job, job_config_id)
    SELECT r.after_job, r.job FROM rows(?1 after_job text, job text) r WHERE true
    ON CONFLICT (after_job, job_config_id) DO NOTHING";

/// Those of the patterns in `?1` whose files are not known yet: none but the jobs in `?2` require them.
pub(in crate::database) const NEW_PATTERNS: &str = "
    SELECT DISTINCT p.value FROM list(?1 text) p
     WHERE NOT EXISTS (SELECT 1 FROM job_requires r
                        WHERE r.pattern = p.value AND r.job_config_id NOT IN (SELECT value FROM list(?2 text)))";

/// Forgets the files of the patterns in `?1`, and of those that no job requires any more.
pub(in crate::database) const FORGET_PATTERNS: &str = "
    others{DELETE FROM required_file
     WHERE pattern IN (SELECT value FROM list(?1 text))
        OR pattern IN (SELECT pattern FROM required_file EXCEPT SELECT pattern FROM job_requires)}
    mysql{DELETE required_file FROM list(?1 text) l CROSS JOIN required_file ON required_file.pattern = l.value;
    DELETE FROM required_file WHERE NOT EXISTS (SELECT 1 FROM job_requires r WHERE r.pattern = required_file.pattern)}";

/// The next files, from the path `?1` on, whose paths begin with `?2`. UTF-8 text never contains the byte FF.
pub(in crate::database) const FILES_FROM: &str = "
    SELECT file_id, file_url, feed, store_id FROM ingested_file_status
     WHERE file_url >= ?1 AND file_url < beyond(?2)
     ORDER BY file_url LIMIT ?3";

pub(in crate::database) const FILES_TO_MATCH: &str = "
    SELECT f.file_id, f.file_url, f.feed, f.store_id FROM file_to_match m
     CROSS JOIN ingested_file_status f ON f.file_id = m.file_id
     ORDER BY m.file_id LIMIT ?1";

/// What is forgotten of the files in `?1`.
pub(in crate::database) const FORGET_FILES: [&str; 3] = [
    "DELETE FROM job_file WHERE file_id IN (SELECT value FROM list(?1 int))",
    "DELETE FROM required_file WHERE file_id IN (SELECT value FROM list(?1 int))",
    "DELETE FROM file_without_job WHERE file_id IN (SELECT value FROM list(?1 int))",
];

pub(in crate::database) const ADD_JOB_FILES: &str = "
    INSERT INTO job_file (job_config_id, wave, file_id, store_id)
    SELECT r.job, r.wave, r.file_id, r.store_id
      FROM rows(?1 job text, wave text, file_id int, store_id text) r WHERE true
    ON CONFLICT (job_config_id, wave, file_id) DO NOTHING";

pub(in crate::database) const ADD_REQUIRED_FILES: &str = "
    INSERT INTO required_file (pattern, wave, file_id)
    SELECT r.pattern, r.wave, r.file_id FROM rows(?1 pattern text, wave text, file_id int) r WHERE true
    ON CONFLICT (pattern, wave, file_id) DO NOTHING";

pub(in crate::database) const ADD_WITHOUT_JOB: &str =
    "INSERT INTO file_without_job SELECT value FROM list(?1 int) WHERE true ON CONFLICT (file_id) DO NOTHING";

pub(in crate::database) const FORGET_WITHOUT_JOB: &str = "
    DELETE FROM file_without_job
     WHERE EXISTS (SELECT 1 FROM job_file j WHERE j.file_id = file_without_job.file_id)";

pub(in crate::database) const JOBS_ARE_MATCHED: &str =
    "DELETE FROM job_to_match WHERE job_config_id IN (SELECT value FROM list(?1 text))";

pub(in crate::database) const FILES_ARE_MATCHED: &str =
    "DELETE FROM file_to_match WHERE file_id IN (SELECT value FROM list(?1 int))";
