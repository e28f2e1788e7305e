//! Converts between what the database stores and the types of this crate.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use sqlx::Row;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteRow;

use super::whole::About;
use crate::file::{FileRow, Stamp, ValidSubmission, VersionRecord, VersionRow};
use crate::intervention::HeldRow;
use crate::job::{JobConfig, JobRow};
use crate::order::Age;
use crate::run::{InputDays, InputFile, RowChanges, RunRow, SummaryRecord};

/// Formats a time as the database stores it: UTC, with microseconds, so that text order is time order.
pub(super) fn text(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

/// Returns rows as the JSON text that the statements expect.
pub(super) fn array(rows: impl IntoIterator<Item = Value>) -> String {
    Value::from_iter(rows).to_string()
}

/// Formats a wave as the database stores it: empty for a job that does not run by day.
pub(super) fn wave_text(wave: Option<Date>) -> String {
    wave.map(|date| date.to_string()).unwrap_or_default()
}

/// Reads values that the database stores as text.
pub(super) trait TextColumns {
    /// Parses a text column.
    fn parsed<T: FromStr<Err: Into<BoxDynError>>>(&self, column: &str) -> sqlx::Result<T>;

    /// Parses a text column that may be NULL.
    fn parsed_or_null<T: FromStr<Err: Into<BoxDynError>>>(&self, column: &str) -> sqlx::Result<Option<T>>;
}

impl TextColumns for SqliteRow {
    fn parsed<T: FromStr<Err: Into<BoxDynError>>>(&self, column: &str) -> sqlx::Result<T> {
        self.parsed_or_null(column)?
            .ok_or_else(|| decode_error(column, "it is NULL"))
    }

    fn parsed_or_null<T: FromStr<Err: Into<BoxDynError>>>(&self, column: &str) -> sqlx::Result<Option<T>> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(str::parse)
            .transpose()
            .map_err(|error| decode_error(column, error))
    }
}

pub(super) fn decode_error(column: &str, source: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: source.into(),
    }
}

pub(super) fn wave(row: &SqliteRow) -> sqlx::Result<Option<Date>> {
    match row.try_get("wave")? {
        "" => Ok(None),
        _ => row.parsed("wave").map(Some),
    }
}

pub(super) fn stamp(row: &SqliteRow) -> sqlx::Result<Stamp> {
    Ok(Stamp {
        bytes: row.try_get("stamp_bytes")?,
        modified_ns: row.try_get("stamp_modified_ns")?,
        inode: row.try_get::<i64, _>("stamp_inode")?.cast_unsigned(),
        changed_ns: row.try_get("stamp_changed_ns")?,
    })
}

/// Reads a moment that is stored as nanoseconds since 1970. Files may have any time; one that is no moment is the
/// nearest.
pub(super) fn nanoseconds(row: &SqliteRow, column: &str) -> sqlx::Result<Timestamp> {
    let since = i128::from(row.try_get::<i64, _>(column)?);
    Ok(Timestamp::from_nanosecond(since).unwrap_or(Timestamp::UNIX_EPOCH))
}

pub(super) fn version_record(row: &SqliteRow) -> sqlx::Result<VersionRecord> {
    Ok(VersionRecord {
        content_hash: row.try_get("content_hash")?,
        layout_digest: row.try_get("layout_digest")?,
        bytes: row.try_get("bytes")?,
        lines: row.try_get("lines")?,
        rows: row.try_get("rows")?,
        ignored: row.try_get("ignored")?,
        skipped: row.try_get("skipped")?,
        rejects: row.try_get("rejects")?,
        drift_lines: row.try_get("drift_lines")?,
        last_line_ended: row.try_get("last_line_ended")?,
        first_date: row.parsed_or_null("first_date")?,
        last_date: row.parsed_or_null("last_date")?,
        rejected_because: row.try_get("reject_reason")?,
        days: Vec::new(),
        converted: row.try_get("converted_object")?,
        partial: row.try_get("partial_object")?,
        reject_lines: row.try_get("rejects_object")?,
    })
}

pub(super) fn version_row(row: &SqliteRow) -> sqlx::Result<VersionRow> {
    Ok(VersionRow {
        version_id: row.try_get("version_id")?,
        created: row.parsed("created_timestamp")?,
        version: version_record(row)?,
    })
}

pub(super) fn file_row(row: &SqliteRow) -> sqlx::Result<FileRow> {
    let version_id: Option<i64> = row.try_get("version_id")?;
    Ok(FileRow {
        file_id: row.try_get("file_id")?,
        file_url: row.try_get("file_url")?,
        feed: row.try_get("feed")?,
        store_id: row.try_get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        status: row.parsed("last_update_status")?,
        updated: row.parsed("last_update_timestamp")?,
        submitted: row.parsed("submitted_timestamp")?,
        last_validated: row.parsed_or_null("last_validated_timestamp")?,
        last_error: row.try_get("last_error")?,
        last_note: row.try_get("last_note")?,
        archive: row.try_get("archive")?,
        members: row.try_get("members")?,
        in_force: version_id.map(|_| version_row(row)).transpose()?,
        refused: None,
    })
}

pub(super) fn held_row(row: &SqliteRow) -> sqlx::Result<HeldRow> {
    Ok(HeldRow {
        file_url: row.try_get("file_url")?,
        store_id: row.try_get("store_id")?,
        trans_date: row.parsed_or_null("trans_date")?,
        reason: row.try_get::<Option<String>, _>("reason")?.unwrap_or_default(),
        other_file: row.try_get("other_file")?,
        lines: row.try_get("lines")?,
        submitted: row.parsed("submitted")?,
    })
}

pub(super) fn valid_submission(row: &SqliteRow) -> sqlx::Result<ValidSubmission> {
    Ok(ValidSubmission {
        submission_id: row.try_get("submission_id")?,
        file_id: row.try_get("file_id")?,
        version_id: row.try_get("version_id")?,
        file_url: row.try_get("file_url")?,
        feed: row.try_get("feed")?,
        store_id: row.try_get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        submitted: row.parsed("submitted_timestamp")?,
    })
}

/// Reads a job. Its configuration is used also if the time of its last run cannot be read: files still belong to it.
pub(super) fn job_row(row: &SqliteRow) -> sqlx::Result<JobRow> {
    const LAST_RUN: &str = "last_run_timestamp";
    let (last_run, damage) = match row.parsed_or_null(LAST_RUN) {
        Ok(last_run) => (last_run, None),
        Err(_) => (None, Some(About::Jobs.damage(row, LAST_RUN))),
    };
    Ok(JobRow {
        config: JobConfig {
            id: row.try_get("job_config_id")?,
            feed: row.try_get("job_feed")?,
            files: row.try_get("job_input_pattern")?,
            min_files: row.try_get("job_min_file_count")?,
            trigger: row.parsed("job_trigger")?,
            addl_criteria: row.try_get("job_addl_criteria")?,
            params: row.try_get("job_params")?,
            enabled: row.try_get("job_enabled")?,
        },
        last_exec_status: row.parsed_or_null("last_exec_status")?,
        last_run,
        last_run_id: row.try_get("last_run_id")?,
        damage,
    })
}

pub(super) fn input_file(row: &SqliteRow) -> sqlx::Result<InputFile> {
    Ok(InputFile {
        file_id: row.try_get("file_id")?,
        file_url: row.try_get("file_url")?,
        feed: row.try_get("feed")?,
        store_id: row.try_get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        version_id: row.try_get("version_id")?,
        submission_id: row.try_get("submission_id")?,
        submitted: row.parsed("input_submitted")?,
        age: Age {
            written_ns: row.try_get("input_written_ns")?,
            submission_id: row.try_get("submission_id")?,
        },
        days: InputDays {
            others_count: row.try_get("others_count")?,
            named: Vec::new(),
        },
        version: version_record(row)?,
    })
}

pub(super) fn run_row(row: &SqliteRow) -> sqlx::Result<RunRow> {
    Ok(RunRow {
        run_id: row.try_get("run_id")?,
        job_id: row.try_get("job_config_id")?,
        wave: wave(row)?,
        sequence: row.try_get("sequence")?,
        state: row.parsed("state")?,
        cause: row.parsed("cause")?,
        incomplete: row.try_get("incomplete")?,
        completeness_percent: row.try_get("completeness_percent")?,
        inputs_digest: row.try_get("inputs_digest")?,
        as_of_submission: row.try_get("as_of_submission")?,
        attempts: row.try_get("attempts")?,
        owner: row.try_get("owner")?,
        queued: row.parsed("queued_timestamp")?,
        started: row.parsed_or_null("started_timestamp")?,
        heartbeat: row.parsed_or_null("heartbeat_timestamp")?,
        summarized: row.parsed_or_null("summarized_timestamp")?,
        finished: row.parsed_or_null("finished_timestamp")?,
        summary: summary(row)?,
        changes: changes(row)?,
        outcome: row.parsed_or_null("outcome")?,
        lost: row.parsed_or_null("lost_timestamp")?,
        error: row.try_get("error")?,
        cluster_operation: row.try_get("cluster_operation")?,
    })
}

fn summary(row: &SqliteRow) -> sqlx::Result<Option<SummaryRecord>> {
    let Some(object) = row.try_get("summary_object")? else {
        return Ok(None);
    };
    Ok(Some(SummaryRecord {
        object,
        coverage_object: row.try_get("coverage_object")?,
        rows: row.try_get("summary_rows")?,
        digest: row.try_get("summary_digest")?,
    }))
}

/// What a load changed, if there was one.
pub(super) fn changes(row: &SqliteRow) -> sqlx::Result<Option<RowChanges>> {
    let Some(inserted) = row.try_get("rows_inserted")? else {
        return Ok(None);
    };
    Ok(Some(RowChanges {
        inserted,
        updated: row.try_get("rows_updated")?,
        deleted: row.try_get("rows_deleted")?,
        unchanged: row.try_get("rows_unchanged")?,
    }))
}
