//! Statements about the waves that may have to run.

/// Notes that what verdicts rest on has changed.
pub(in crate::database) const NEXT_REVISION: &str =
    "UPDATE revision SET number = number + 1 WHERE of = 'waves'";

/// Opens the waves of the files in `?1`.
pub(in crate::database) const TOUCH_FILES: &str = "
    INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT DISTINCT j.job_config_id, j.wave, (SELECT number FROM revision WHERE of = 'waves')
      FROM list(?1 int) f CROSS JOIN job_file j ON j.file_id = f.value WHERE true
    ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched";

/// Touches the open waves of the jobs that require one of the files in `?1`.
pub(in crate::database) const TOUCH_REQUIRING: &str = "
    UPDATE open_wave AS w SET touched = (SELECT number FROM revision WHERE of = 'waves')
      FROM (SELECT DISTINCT r.job_config_id FROM list(?1 int) f
             CROSS JOIN required_file q ON q.file_id = f.value
             CROSS JOIN job_requires r ON r.pattern = q.pattern) j
     WHERE w.job_config_id = j.job_config_id";

/// Of a file `f` in a wave of `j`: whether the wave may have something to do because of it. No completed run has seen the
/// file, if there was one, or it has a day for which not simply the version in force counts. Too many waves do no harm: they
/// are judged once.
macro_rules! may_be_due {
    () => {
        "(coalesce(f.valid_submission_id, 0) > coalesce(
              (SELECT r.as_of_submission FROM job_run r
                WHERE r.job_config_id = j.job_config_id AND r.wave = j.wave AND r.state = 'COMPLETED'
                  AND r.cause <> 'replay'
                ORDER BY r.sequence DESC LIMIT 1), -1)
          OR EXISTS (SELECT 1 FROM file_day d WHERE d.file_id = j.file_id AND d.standing <> 'STANDS')
          OR EXISTS (SELECT 1 FROM file_day d WHERE d.other_file_id = j.file_id))"
    };
}

/// Opens those waves of the jobs in `?1` that may have something to do.
pub(in crate::database) const OPEN_WAVES: &str = concat!(
    "INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT DISTINCT j.job_config_id, j.wave, (SELECT number FROM revision WHERE of = 'waves')
      FROM list(?1 text) w CROSS JOIN job_file j ON j.job_config_id = w.value
     CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
     WHERE ",
    may_be_due!(),
    " ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched"
);

/// Touches the waves of the files in `?1` that are open, and opens those that may have something to do because of them.
/// The others stay closed: files may have been matched anew by the thousand, and judging waves costs more than matching.
pub(in crate::database) const OPEN_WAVES_OF_FILES: &str = concat!(
    "INSERT INTO open_wave (job_config_id, wave, touched)
    SELECT DISTINCT j.job_config_id, j.wave, (SELECT number FROM revision WHERE of = 'waves')
      FROM list(?1 int) w CROSS JOIN job_file j ON j.file_id = w.value
     CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
     WHERE EXISTS (SELECT 1 FROM open_wave o WHERE o.job_config_id = j.job_config_id AND o.wave = j.wave) OR ",
    may_be_due!(),
    " ON CONFLICT (job_config_id, wave) DO UPDATE SET touched = excluded.touched"
);

/// The waves that were touched since.
pub(in crate::database) const TOUCHED: &str = "
    SELECT job_config_id, wave FROM open_wave WHERE touched > ?1 ORDER BY touched";

pub(in crate::database) const REVISIONS: &str = "
    SELECT (SELECT number FROM revision WHERE of = 'waves'), (SELECT number FROM revision WHERE of = 'jobs')";

/// Closes waves, unless they were touched since they were read. `?1` is an array of job, wave, touched.
pub(in crate::database) const CLOSE: &str = "
    others{DELETE FROM open_wave
     WHERE (job_config_id, wave, touched) IN (SELECT r.job, r.wave, r.touched FROM}
    mysql{DELETE open_wave FROM}
        rows(?1 job text, wave text, touched int) r
    others{)}
    mysql{CROSS JOIN open_wave
        ON open_wave.job_config_id = r.job AND open_wave.wave = r.wave AND open_wave.touched = r.touched}";

/// Those of the waves in `?1` (number of the question, job, wave) that are open.
pub(in crate::database) const OPEN: &str = "
    SELECT w.asked AS asked, o.wave, o.touched FROM rows(?1 asked int, job text, wave text) w
     CROSS JOIN open_wave o ON o.job_config_id = w.job AND o.wave = w.wave";

/// All waves of jobs: `?1` is an array of the number of the question, and the job.
pub(in crate::database) const ALL_WAVES: &str = "
    SELECT DISTINCT q.asked AS asked, j.wave
      FROM rows(?1 asked int, job text) q CROSS JOIN job_file j ON j.job_config_id = q.job
     ORDER BY asked, j.wave";

/// The newest wave of jobs up to a day, and those after it: `?1` is an array of the number of the question, the job, and
/// the day.
pub(in crate::database) const NEWEST_WAVES: &str = "
    SELECT asked, wave FROM (
        SELECT q.asked AS asked,
               (SELECT max(wave) FROM job_file WHERE job_config_id = q.job AND wave <= q.day) AS wave
          FROM rows(?1 asked int, job text, day text) q) newest
     WHERE wave IS NOT NULL
     UNION
    SELECT q.asked, j.wave
      FROM rows(?1 asked int, job text, day text) q
     CROSS JOIN job_file j ON j.job_config_id = q.job AND j.wave > q.day
     ORDER BY asked, wave";

/// The stores of jobs by day, each with the first wave that has a file of it: a file that a person took out does not
/// count. Looks up one store after another, where the database finds the next one by its index. `?1` is an array of the
/// number of the question, and the job.
pub(in crate::database) const FIRST_WAVES: &str = "
    WITH RECURSIVE store (asked, job, id) AS (
        others{SELECT q.asked, q.job,
               (SELECT min(j.store_id) FROM job_file j WHERE j.job_config_id = q.job AND j.wave <> '')
          FROM rows(?1 asked int, job text) q
         UNION ALL
        SELECT asked, job, (SELECT min(j.store_id) FROM job_file j
                             WHERE j.job_config_id = store.job AND j.wave <> '' AND j.store_id > store.id)
          FROM store WHERE store.id IS NOT NULL}
        mysql{SELECT DISTINCT q.asked, q.job, j.store_id
          FROM rows(?1 asked int, job text) q CROSS JOIN job_file j ON j.job_config_id = q.job WHERE j.wave <> ''})
    SELECT asked, id,
           (SELECT j.wave FROM job_file j CROSS JOIN ingested_file_status f ON f.file_id = j.file_id
             WHERE j.job_config_id = store.job AND j.wave <> '' AND j.store_id = store.id
               AND (f.version_id IS NOT NULL OR f.last_update_status <> 'WITHDRAWN')
             ORDER BY j.wave LIMIT 1) AS wave
      FROM store WHERE id IS NOT NULL";
