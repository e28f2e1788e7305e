//! The rows of facts.

use jiff::civil::Date;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::database::decode::{self, TextColumns};
use crate::facts::{ActiveRun, Completion, DayFact, FileFact, InForce};

pub(super) fn file_fact(row: &SqliteRow) -> sqlx::Result<FileFact> {
    Ok(FileFact {
        file_id: row.try_get("file_id")?,
        file_url: row.try_get("file_url")?,
        feed: row.try_get("feed")?,
        status: row.parsed("last_update_status")?,
        store_id: row.try_get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        in_force: in_force(row)?,
        last_error: row.try_get("last_error")?,
    })
}

pub(super) fn day_fact(row: &SqliteRow) -> sqlx::Result<DayFact> {
    Ok(DayFact {
        file_id: row.try_get("file_id")?,
        version_id: row.try_get("version_id")?,
        store_id: row.try_get("store_id")?,
        trans_date: row.parsed("trans_date")?,
        standing: row.parsed("standing")?,
        since_submission: row.try_get("since_submission")?,
        reason: row.try_get("reason")?,
        other_file_id: row.try_get("other_file_id")?,
    })
}

fn in_force(row: &SqliteRow) -> sqlx::Result<Option<InForce>> {
    let Some(version_id) = row.try_get("version_id")? else {
        return Ok(None);
    };
    Ok(Some(InForce {
        version_id,
        submission_id: row.try_get("valid_submission_id")?,
        submitted: row.parsed("valid_submitted")?,
        validated: row.parsed("last_validated_timestamp")?,
        layout_digest: row.try_get("layout_digest")?,
        bytes: row.try_get("bytes")?,
        rows: row.try_get("rows")?,
        is_partial_lost: row.try_get("is_partial_lost")?,
    }))
}

pub(super) fn completion(row: &SqliteRow) -> sqlx::Result<Completion> {
    Ok(Completion {
        job_id: row.try_get("job_config_id")?,
        wave: decode::wave(row)?,
        run_id: row.try_get("run_id")?,
        sequence: row.try_get("sequence")?,
        finished: row.parsed("finished_timestamp")?,
    })
}

pub(super) fn active_run(row: &SqliteRow) -> sqlx::Result<ActiveRun> {
    Ok(ActiveRun {
        job_id: row.try_get("job_config_id")?,
        wave: decode::wave(row)?,
        run_id: row.try_get("run_id")?,
        state: row.parsed("state")?,
    })
}

/// Reads the day on which a store was first seen, if it still has a file.
pub(super) fn first_day(row: &SqliteRow) -> sqlx::Result<Option<(String, Date)>> {
    let date: Option<Date> = row.parsed_or_null("wave")?;
    date.map(|date| Ok((row.try_get("id")?, date))).transpose()
}

/// Reads an open wave, and when it was last touched.
pub(super) fn open_wave(row: &SqliteRow) -> sqlx::Result<(Option<Date>, i64)> {
    Ok((decode::wave(row)?, row.try_get("touched")?))
}
