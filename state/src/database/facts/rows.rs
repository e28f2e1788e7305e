//! The rows of facts.

use jiff::civil::Date;

use crate::database::decode::{self, TextColumns};
use crate::dialect::{Result, Row};
use crate::facts::{ActiveRun, Completion, DayFact, FileFact, InForce};

pub(super) fn file_fact(row: &Row) -> Result<FileFact> {
    Ok(FileFact {
        file_id: row.get("file_id")?,
        file_url: row.get("file_url")?,
        feed: row.get("feed")?,
        status: row.parsed("last_update_status")?,
        store_id: row.get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        in_force: in_force(row)?,
        last_error: row.get("last_error")?,
    })
}

pub(super) fn day_fact(row: &Row) -> Result<DayFact> {
    Ok(DayFact {
        file_id: row.get("file_id")?,
        version_id: row.get("version_id")?,
        store_id: row.get("store_id")?,
        trans_date: row.parsed("trans_date")?,
        standing: row.parsed("standing")?,
        since_submission: row.get("since_submission")?,
        reason: row.get("reason")?,
        other_file_id: row.get("other_file_id")?,
    })
}

fn in_force(row: &Row) -> Result<Option<InForce>> {
    let Some(version_id) = row.get("version_id")? else {
        return Ok(None);
    };
    Ok(Some(InForce {
        version_id,
        submission_id: row.get("valid_submission_id")?,
        submitted: row.parsed("valid_submitted")?,
        validated: row.parsed("last_validated_timestamp")?,
        layout_digest: row.get("layout_digest")?,
        bytes: row.get("bytes")?,
        rows: row.get("rows")?,
        is_partial_lost: row.get("is_partial_lost")?,
    }))
}

pub(super) fn completion(row: &Row) -> Result<Completion> {
    Ok(Completion {
        job_id: row.get("job_config_id")?,
        wave: decode::wave(row)?,
        run_id: row.get("run_id")?,
        sequence: row.get("sequence")?,
        finished: row.parsed("finished_timestamp")?,
    })
}

pub(super) fn active_run(row: &Row) -> Result<ActiveRun> {
    Ok(ActiveRun {
        job_id: row.get("job_config_id")?,
        wave: decode::wave(row)?,
        run_id: row.get("run_id")?,
        state: row.parsed("state")?,
    })
}

/// Reads the day on which a store was first seen, if it still has a file.
pub(super) fn first_day(row: &Row) -> Result<Option<(String, Date)>> {
    let date: Option<Date> = row.parsed_or_null("wave")?;
    date.map(|date| Ok((row.get("id")?, date))).transpose()
}

/// Reads an open wave, and when it was last touched.
pub(super) fn open_wave(row: &Row) -> Result<(Option<Date>, i64)> {
    Ok((decode::wave(row)?, row.get("touched")?))
}
