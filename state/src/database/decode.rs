//! Converts between what the database stores and the types of this crate.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::whole::About;
use crate::dialect::{DatabaseError, Result, Row};
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

/// The most rows of a statement that may have very many: MySQL takes no more than some megabytes in one.
const ROWS_AT_ONCE: usize = 10_000;

/// Returns rows as several such texts, for statements that are run one after the other.
pub(super) fn arrays(rows: impl IntoIterator<Item = Value>) -> Vec<String> {
    let rows: Vec<_> = rows.into_iter().collect();
    let pieces = rows.chunks(ROWS_AT_ONCE);
    pieces.map(|piece| Value::from(piece).to_string()).collect()
}

/// Formats a wave as the database stores it: empty for a job that does not run by day.
pub(super) fn wave_text(wave: Option<Date>) -> String {
    wave.map(|date| date.to_string()).unwrap_or_default()
}

/// Why a text cannot be parsed.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Reads values that the database stores as text.
pub(super) trait TextColumns {
    /// Parses a text column.
    fn parsed<T: FromStr<Err: Into<BoxError>>>(&self, column: &str) -> Result<T>;

    /// Parses a text column that may be NULL.
    fn parsed_or_null<T: FromStr<Err: Into<BoxError>>>(&self, column: &str) -> Result<Option<T>>;
}

impl TextColumns for Row {
    fn parsed<T: FromStr<Err: Into<BoxError>>>(&self, column: &str) -> Result<T> {
        self.parsed_or_null(column)?
            .ok_or_else(|| DatabaseError::column(column, "it is NULL"))
    }

    fn parsed_or_null<T: FromStr<Err: Into<BoxError>>>(&self, column: &str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        text.map(str::parse)
            .transpose()
            .map_err(|error| DatabaseError::column(column, error))
    }
}

pub(super) fn wave(row: &Row) -> Result<Option<Date>> {
    match row.get("wave")? {
        "" => Ok(None),
        _ => row.parsed("wave").map(Some),
    }
}

pub(super) fn stamp(row: &Row) -> Result<Stamp> {
    Ok(Stamp {
        bytes: row.get("stamp_bytes")?,
        modified_ns: row.get("stamp_modified_ns")?,
        inode: row.get::<i64>("stamp_inode")?.cast_unsigned(),
        changed_ns: row.get("stamp_changed_ns")?,
    })
}

/// Reads a moment that is stored as nanoseconds since 1970. Files may have any time; one that is no moment is the
/// nearest.
pub(super) fn nanoseconds(row: &Row, column: &str) -> Result<Timestamp> {
    let since = i128::from(row.get::<i64>(column)?);
    Ok(Timestamp::from_nanosecond(since).unwrap_or(Timestamp::UNIX_EPOCH))
}

pub(super) fn version_record(row: &Row) -> Result<VersionRecord> {
    Ok(VersionRecord {
        content_hash: row.get("content_hash")?,
        layout_digest: row.get("layout_digest")?,
        bytes: row.get("bytes")?,
        lines: row.get("lines")?,
        rows: row.get("rows")?,
        ignored: row.get("ignored")?,
        skipped: row.get("skipped")?,
        rejects: row.get("rejects")?,
        drift_lines: row.get("drift_lines")?,
        last_line_ended: row.get("last_line_ended")?,
        first_date: row.parsed_or_null("first_date")?,
        last_date: row.parsed_or_null("last_date")?,
        rejected_because: row.get("reject_reason")?,
        days: Vec::new(),
        converted: row.get("converted_object")?,
        partial: row.get("partial_object")?,
        reject_lines: row.get("rejects_object")?,
    })
}

pub(super) fn version_row(row: &Row) -> Result<VersionRow> {
    Ok(VersionRow {
        version_id: row.get("version_id")?,
        created: row.parsed("created_timestamp")?,
        version: version_record(row)?,
    })
}

pub(super) fn file_row(row: &Row) -> Result<FileRow> {
    let version_id: Option<i64> = row.get("version_id")?;
    Ok(FileRow {
        file_id: row.get("file_id")?,
        file_url: row.get("file_url")?,
        feed: row.get("feed")?,
        store_id: row.get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        status: row.parsed("last_update_status")?,
        updated: row.parsed("last_update_timestamp")?,
        submitted: row.parsed("submitted_timestamp")?,
        last_validated: row.parsed_or_null("last_validated_timestamp")?,
        last_error: row.get("last_error")?,
        last_note: row.get("last_note")?,
        archive: row.get("archive")?,
        members: row.get("members")?,
        in_force: version_id.map(|_| version_row(row)).transpose()?,
        refused: None,
    })
}

pub(super) fn held_row(row: &Row) -> Result<HeldRow> {
    Ok(HeldRow {
        file_url: row.get("file_url")?,
        store_id: row.get("store_id")?,
        trans_date: row.parsed_or_null("trans_date")?,
        reason: row.get::<Option<String>>("reason")?.unwrap_or_default(),
        other_file: row.get("other_file")?,
        lines: row.get("lines")?,
        submitted: row.parsed("submitted")?,
    })
}

pub(super) fn valid_submission(row: &Row) -> Result<ValidSubmission> {
    Ok(ValidSubmission {
        submission_id: row.get("submission_id")?,
        file_id: row.get("file_id")?,
        version_id: row.get("version_id")?,
        file_url: row.get("file_url")?,
        feed: row.get("feed")?,
        store_id: row.get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        submitted: row.parsed("submitted_timestamp")?,
    })
}

/// Reads a job. Its configuration is used also if the time of its last run cannot be read: files still belong to it.
pub(super) fn job_row(row: &Row) -> Result<JobRow> {
    const LAST_RUN: &str = "last_run_timestamp";
    let (last_run, damage) = match row.parsed_or_null(LAST_RUN) {
        Ok(last_run) => (last_run, None),
        Err(_) => (None, Some(About::Jobs.damage(row, LAST_RUN))),
    };
    Ok(JobRow {
        config: JobConfig {
            id: row.get("job_config_id")?,
            feed: row.get("job_feed")?,
            files: row.get("job_input_pattern")?,
            min_files: row.get("job_min_file_count")?,
            trigger: row.parsed("job_trigger")?,
            addl_criteria: row.get("job_addl_criteria")?,
            params: row.get("job_params")?,
            enabled: row.get("job_enabled")?,
        },
        last_exec_status: row.parsed_or_null("last_exec_status")?,
        last_run,
        last_run_id: row.get("last_run_id")?,
        damage,
    })
}

pub(super) fn input_file(row: &Row) -> Result<InputFile> {
    Ok(InputFile {
        file_id: row.get("file_id")?,
        file_url: row.get("file_url")?,
        feed: row.get("feed")?,
        store_id: row.get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        version_id: row.get("version_id")?,
        submission_id: row.get("submission_id")?,
        submitted: row.parsed("input_submitted")?,
        age: Age {
            written_ns: row.get("input_written_ns")?,
            submission_id: row.get("submission_id")?,
        },
        days: InputDays {
            others_count: row.get("others_count")?,
            named: Vec::new(),
        },
        version: version_record(row)?,
    })
}

pub(super) fn run_row(row: &Row) -> Result<RunRow> {
    Ok(RunRow {
        run_id: row.get("run_id")?,
        job_id: row.get("job_config_id")?,
        wave: wave(row)?,
        sequence: row.get("sequence")?,
        state: row.parsed("state")?,
        cause: row.parsed("cause")?,
        incomplete: row.get("incomplete")?,
        completeness_percent: row.get("completeness_percent")?,
        inputs_digest: row.get("inputs_digest")?,
        as_of_submission: row.get("as_of_submission")?,
        attempts: row.get("attempts")?,
        owner: row.get("owner")?,
        queued: row.parsed("queued_timestamp")?,
        started: row.parsed_or_null("started_timestamp")?,
        heartbeat: row.parsed_or_null("heartbeat_timestamp")?,
        summarized: row.parsed_or_null("summarized_timestamp")?,
        finished: row.parsed_or_null("finished_timestamp")?,
        summary: summary(row)?,
        changes: changes(row)?,
        outcome: row.parsed_or_null("outcome")?,
        lost: row.parsed_or_null("lost_timestamp")?,
        error: row.get("error")?,
        cluster_operation: row.get("cluster_operation")?,
    })
}

fn summary(row: &Row) -> Result<Option<SummaryRecord>> {
    let Some(object) = row.get("summary_object")? else {
        return Ok(None);
    };
    Ok(Some(SummaryRecord {
        object,
        coverage_object: row.get("coverage_object")?,
        rows: row.get("summary_rows")?,
        digest: row.get("summary_digest")?,
    }))
}

/// What a load changed, if there was one.
pub(super) fn changes(row: &Row) -> Result<Option<RowChanges>> {
    let Some(inserted) = row.get("rows_inserted")? else {
        return Ok(None);
    };
    Ok(Some(RowChanges {
        inserted,
        updated: row.get("rows_updated")?,
        deleted: row.get("rows_deleted")?,
        unchanged: row.get("rows_unchanged")?,
    }))
}
