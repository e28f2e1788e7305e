//! Recording what came of submissions: the one place where versions come into force.

use sqlx::{Row, SqliteConnection};

use super::sql::files as sql;
use super::{StateDb, begin};
use crate::error::{During, StateError};
use crate::file::{FileStatus, SubmissionOutcome, SubmissionRecord, VersionRecord};

const ACTION: &str = "record";

/// What a submission means for its file.
enum Verdict {
    /// The version is in force from now on; the word is the submission's outcome.
    Valid { version_id: i64, outcome: &'static str },
    /// What was in force stays.
    Refused {
        version_id: Option<i64>,
        status: FileStatus,
        error: String,
    },
}

impl StateDb {
    /// Records a group of submissions, all or none of them, in the order given, and returns their numbers. They are on
    /// disk when it returns. A version that is known already (same file, bytes and layout) keeps its number.
    pub async fn record(&self, group: &[SubmissionRecord]) -> Result<Vec<i64>, StateError> {
        let subject = match group {
            [one] => format!("`{}`", one.file_url),
            _ => format!("{} submissions", group.len()),
        };
        let now = self.now();
        let mut writer = self.writer().await.during(ACTION, &subject)?;
        let mut tx = begin(&mut writer).await.during(ACTION, &subject)?;
        let mut numbers = Vec::with_capacity(group.len());
        for submission in group {
            numbers.push(record_one(&mut tx, submission, &now).await?);
        }
        tx.commit().await.during(ACTION, &subject)?;
        Ok(numbers)
    }
}

async fn record_one(
    tx: &mut SqliteConnection,
    submission: &SubmissionRecord,
    now: &str,
) -> Result<i64, StateError> {
    let url = &submission.file_url;
    let file_id = see_file(tx, submission, now).await.during(ACTION, url)?;
    let verdict = judge(tx, file_id, submission, now).await?;
    apply(tx, file_id, submission, &verdict, now)
        .await
        .during(ACTION, url)
}

async fn see_file(tx: &mut SqliteConnection, submission: &SubmissionRecord, now: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(sql::SEE_FILE)
        .bind(&submission.file_url)
        .bind(&submission.feed)
        .bind(&submission.store_id)
        .bind(submission.business_date.map(|date| date.to_string()))
        .bind(now)
        .bind(submission.stamp.bytes.cast_signed())
        .bind(submission.stamp.modified_ns)
        .bind(submission.stamp.inode.cast_signed())
        .fetch_one(tx)
        .await
}

async fn judge(
    tx: &mut SqliteConnection,
    file_id: i64,
    submission: &SubmissionRecord,
    now: &str,
) -> Result<Verdict, StateError> {
    let url = &submission.file_url;
    let (version_id, rejected_because, outcome) = match &submission.outcome {
        SubmissionOutcome::Failed { error } => {
            return Ok(Verdict::Refused {
                version_id: None,
                status: FileStatus::Failed,
                error: error.clone(),
            });
        }
        SubmissionOutcome::Converted(version) => {
            let version_id = keep_version(tx, file_id, version, now)
                .await
                .during(ACTION, url)?;
            (version_id, version.rejected_because.clone(), "VALIDATED")
        }
        SubmissionOutcome::Unchanged {
            content_hash,
            layout_digest,
        } => {
            let known = sqlx::query(sql::FIND_VERSION)
                .bind(file_id)
                .bind(content_hash)
                .bind(layout_digest)
                .fetch_optional(tx)
                .await
                .during(ACTION, url)?
                .ok_or_else(|| StateError::UnknownVersion {
                    file_url: url.clone(),
                    content_hash: content_hash.clone(),
                })?;
            let version_id = known.try_get("version_id").during(ACTION, url)?;
            (
                version_id,
                known.try_get("reject_reason").during(ACTION, url)?,
                "UNCHANGED",
            )
        }
    };
    Ok(match rejected_because {
        None => Verdict::Valid { version_id, outcome },
        Some(error) => Verdict::Refused {
            version_id: Some(version_id),
            status: FileStatus::Rejected,
            error,
        },
    })
}

async fn keep_version(
    tx: &mut SqliteConnection,
    file_id: i64,
    version: &VersionRecord,
    now: &str,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(sql::KEEP_VERSION)
        .bind(file_id)
        .bind(&version.content_hash)
        .bind(&version.layout_digest)
        .bind(version.bytes.cast_signed())
        .bind(version.lines.cast_signed())
        .bind(version.rows.cast_signed())
        .bind(version.ignored.cast_signed())
        .bind(version.skipped.cast_signed())
        .bind(version.rejects.cast_signed())
        .bind(version.drift_lines.cast_signed())
        .bind(version.first_date.map(|date| date.to_string()))
        .bind(version.last_date.map(|date| date.to_string()))
        .bind(&version.rejected_because)
        .bind(&version.converted)
        .bind(&version.partial)
        .bind(&version.reject_lines)
        .bind(now)
        .fetch_one(tx)
        .await
}

/// Adds the submission, and makes its verdict the file's.
async fn apply(
    tx: &mut SqliteConnection,
    file_id: i64,
    submission: &SubmissionRecord,
    verdict: &Verdict,
    now: &str,
) -> sqlx::Result<i64> {
    let (version_id, outcome, error) = match verdict {
        Verdict::Valid { version_id, outcome } => (Some(*version_id), *outcome, None),
        Verdict::Refused {
            version_id,
            status,
            error,
        } => (*version_id, status.as_str(), Some(error)),
    };
    let submission_id = sqlx::query_scalar(sql::ADD_SUBMISSION)
        .bind(file_id)
        .bind(version_id)
        .bind(outcome)
        .bind(error)
        .bind(now)
        .bind(submission.stamp.bytes.cast_signed())
        .bind(submission.stamp.modified_ns)
        .bind(submission.stamp.inode.cast_signed())
        .fetch_one(&mut *tx)
        .await?;
    let update = match verdict {
        Verdict::Valid { version_id, .. } => sqlx::query(sql::PUT_IN_FORCE)
            .bind(file_id)
            .bind(now)
            .bind(*version_id)
            .bind(submission_id),
        Verdict::Refused { status, error, .. } => sqlx::query(sql::REFUSE)
            .bind(file_id)
            .bind(now)
            .bind(status.as_str())
            .bind(error),
    };
    update.execute(tx).await?;
    Ok(submission_id)
}
