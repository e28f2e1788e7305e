//! Records submissions and their outcomes. This is the only place where versions come into force.
//!
//! A group takes a few statements, however many submissions it has: each statement gets all its rows as one JSON array,
//! with one inner array for each row. One statement per submission would cost more than converting the file.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::days::keep_version_days;
use super::sql::files as sql;
use super::{StateDb, begin};
use crate::error::{During, StateError};
use crate::file::{FileStatus, SubmissionOutcome, SubmissionRecord, VersionRecord};

const ACTION: &str = "record";

/// The effect of a submission on its file.
enum Verdict {
    /// The version comes into force; `outcome` is the word stored with the submission.
    Valid { version_id: i64, outcome: &'static str },
    /// The version in force stays.
    Refused {
        version_id: Option<i64>,
        status: FileStatus,
        error: String,
    },
}

/// The id of a version, and why it is rejected, if it is.
type Known = (i64, Option<String>);

impl StateDb {
    /// Records a group of submissions, all or none, in the given order, and returns their ids. They are on disk when it
    /// returns. A version that is already known (same file, bytes and layout) keeps its id.
    pub async fn record(&self, group: &[SubmissionRecord]) -> Result<Vec<i64>, StateError> {
        let subject = match group {
            [one] => format!("`{}`", one.file_url),
            _ => format!("{} submissions", group.len()),
        };
        let now = self.now();
        let mut writer = self.writer().await.during(ACTION, &subject)?;
        let mut tx = begin(&mut writer).await.during(ACTION, &subject)?;
        let mut numbers = Vec::with_capacity(group.len());
        for part in without_repetition(group) {
            numbers.extend(record_part(&mut tx, part, &now, &subject).await?);
        }
        tx.commit().await.during(ACTION, &subject)?;
        Ok(numbers)
    }
}

/// Splits a group so that no part has two submissions of one file: the statements ignore the order within a part.
fn without_repetition(group: &[SubmissionRecord]) -> Vec<&[SubmissionRecord]> {
    let mut parts = Vec::new();
    let (mut start, mut seen) = (0, HashSet::new());
    for (at, submission) in group.iter().enumerate() {
        if !seen.insert(submission.file_url.as_str()) {
            parts.push(&group[start..at]);
            start = at;
            seen = HashSet::from([submission.file_url.as_str()]);
        }
    }
    parts.push(&group[start..]);
    parts
}

async fn record_part(
    tx: &mut SqliteConnection,
    part: &[SubmissionRecord],
    now: &str,
    subject: &str,
) -> Result<Vec<i64>, StateError> {
    let file_ids = see_files(tx, part, now).await.during(ACTION, subject)?;
    let versions = versions(tx, &file_ids, part, now).await.during(ACTION, subject)?;
    let verdicts = file_ids
        .iter()
        .zip(part)
        .map(|(file_id, submission)| verdict(submission, versions.get(file_id)))
        .collect::<Result<Vec<_>, _>>()?;
    apply(tx, &file_ids, part, &verdicts, now)
        .await
        .during(ACTION, subject)
}

/// Adds or updates the files, and returns the id of each submission's file.
async fn see_files(
    tx: &mut SqliteConnection,
    part: &[SubmissionRecord],
    now: &str,
) -> sqlx::Result<Vec<i64>> {
    let rows = part.iter().map(|submission| {
        json!([
            submission.file_url,
            submission.feed,
            submission.store_id,
            submission.business_date.map(|date| date.to_string()),
            submission.stamp.bytes.cast_signed(),
            submission.stamp.modified_ns,
            submission.stamp.inode.cast_signed(),
            submission.stamp.changed_ns,
        ])
    });
    let seen = sqlx::query(sql::SEE_FILES)
        .bind(array(rows))
        .bind(now)
        .fetch_all(tx)
        .await?;
    let ids = seen
        .iter()
        .map(|row| Ok((row.try_get::<&str, _>("file_url")?, row.try_get("file_id")?)))
        .collect::<sqlx::Result<HashMap<_, _>>>()?;
    part.iter()
        .map(|submission| {
            ids.get(submission.file_url.as_str())
                .copied()
                .ok_or(sqlx::Error::RowNotFound)
        })
        .collect()
}

/// Adds the converted versions, looks up the others, and returns them by file id.
async fn versions(
    tx: &mut SqliteConnection,
    file_ids: &[i64],
    part: &[SubmissionRecord],
    now: &str,
) -> sqlx::Result<HashMap<i64, Known>> {
    let (mut converted, mut unchanged) = (Vec::new(), Vec::new());
    for (file_id, submission) in file_ids.iter().zip(part) {
        match &submission.outcome {
            SubmissionOutcome::Converted(version) => converted.push(version_row(*file_id, version)),
            SubmissionOutcome::Unchanged {
                content_hash,
                layout_digest,
            } => unchanged.push(json!([file_id, content_hash, layout_digest])),
            SubmissionOutcome::Failed { .. } => {}
        }
    }
    let mut versions = HashMap::new();
    if !converted.is_empty() {
        let keep = sqlx::query(sql::KEEP_VERSIONS).bind(array(converted)).bind(now);
        note(&mut versions, keep.fetch_all(&mut *tx).await?)?;
        let days = file_ids.iter().zip(part).filter_map(|(file_id, submission)| {
            let SubmissionOutcome::Converted(version) = &submission.outcome else {
                return None;
            };
            Some((versions.get(file_id)?.0, version.days.as_slice()))
        });
        let days: Vec<_> = days.collect();
        keep_version_days(tx, &days).await?;
    }
    if !unchanged.is_empty() {
        let find = sqlx::query(sql::FIND_VERSIONS).bind(array(unchanged));
        note(&mut versions, find.fetch_all(tx).await?)?;
    }
    Ok(versions)
}

fn note(versions: &mut HashMap<i64, Known>, rows: Vec<SqliteRow>) -> sqlx::Result<()> {
    for row in rows {
        let known = (row.try_get("version_id")?, row.try_get("reject_reason")?);
        versions.insert(row.try_get("file_id")?, known);
    }
    Ok(())
}

fn version_row(file_id: i64, version: &VersionRecord) -> Value {
    json!([
        file_id,
        version.content_hash,
        version.layout_digest,
        version.bytes.cast_signed(),
        version.lines.cast_signed(),
        version.rows.cast_signed(),
        version.ignored.cast_signed(),
        version.skipped.cast_signed(),
        version.rejects.cast_signed(),
        version.drift_lines.cast_signed(),
        version.first_date.map(|date| date.to_string()),
        version.last_date.map(|date| date.to_string()),
        version.rejected_because,
        version.converted,
        version.partial,
        version.reject_lines,
        version.last_line_ended,
    ])
}

fn verdict(submission: &SubmissionRecord, version: Option<&Known>) -> Result<Verdict, StateError> {
    let (content_hash, outcome) = match &submission.outcome {
        SubmissionOutcome::Failed { error } => {
            return Ok(Verdict::Refused {
                version_id: None,
                status: FileStatus::Failed,
                error: error.clone(),
            });
        }
        SubmissionOutcome::Converted(version) => (&version.content_hash, "VALIDATED"),
        SubmissionOutcome::Unchanged { content_hash, .. } => (content_hash, "UNCHANGED"),
    };
    let (version_id, rejected_because) = version.cloned().ok_or_else(|| StateError::UnknownVersion {
        file_url: submission.file_url.clone(),
        content_hash: content_hash.clone(),
    })?;
    Ok(match rejected_because {
        None => Verdict::Valid { version_id, outcome },
        Some(error) => Verdict::Refused {
            version_id: Some(version_id),
            status: FileStatus::Rejected,
            error,
        },
    })
}

/// Adds the submissions, and applies their verdicts to the files.
async fn apply(
    tx: &mut SqliteConnection,
    file_ids: &[i64],
    part: &[SubmissionRecord],
    verdicts: &[Verdict],
    now: &str,
) -> sqlx::Result<Vec<i64>> {
    let rows = file_ids
        .iter()
        .zip(part)
        .zip(verdicts)
        .map(|((file_id, submission), verdict)| {
            let (version_id, outcome, error) = match verdict {
                Verdict::Valid { version_id, outcome } => (Some(*version_id), *outcome, None),
                Verdict::Refused {
                    version_id,
                    status,
                    error,
                } => (*version_id, status.as_str(), Some(error)),
            };
            json!([
                file_id,
                version_id,
                outcome,
                error,
                submission.stamp.bytes.cast_signed(),
                submission.stamp.modified_ns,
                submission.stamp.inode.cast_signed(),
            ])
        });
    let added = sqlx::query(sql::ADD_SUBMISSIONS)
        .bind(array(rows))
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
    let numbers = added
        .iter()
        .map(|row| Ok((row.try_get("file_id")?, row.try_get("submission_id")?)))
        .collect::<sqlx::Result<HashMap<i64, i64>>>()?;
    let (mut valid, mut refused) = (Vec::new(), Vec::new());
    for (file_id, verdict) in file_ids.iter().zip(verdicts) {
        match verdict {
            Verdict::Valid { version_id, .. } => {
                valid.push(json!([file_id, version_id, numbers.get(file_id)]));
            }
            Verdict::Refused { status, error, .. } => refused.push(json!([file_id, status.as_str(), error])),
        }
    }
    for (statement, rows) in [(sql::PUT_IN_FORCE, valid), (sql::REFUSE, refused)] {
        if !rows.is_empty() {
            let update = sqlx::query(statement).bind(array(rows)).bind(now);
            update.execute(&mut *tx).await?;
        }
    }
    let numbers = file_ids.iter().map(|file_id| numbers.get(file_id).copied());
    numbers.collect::<Option<_>>().ok_or(sqlx::Error::RowNotFound)
}

/// Returns rows as the JSON text that the statements expect.
pub(super) fn array(rows: impl IntoIterator<Item = Value>) -> String {
    Value::from_iter(rows).to_string()
}
