//! Records submissions and their outcomes. This is the only place where versions come into force.
//!
//! A group takes a few statements, however many submissions it has: each statement gets all its rows as one JSON array,
//! with one inner array for each row. One statement per submission would cost more than converting the file.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::archives::role_columns;
use super::days::{keep_version_days, version_days};
use super::decode::array;
use super::sql::{days, files as sql};
use super::{StateDb, begin, guarding, matching, waiting};
use crate::day::VersionDay;
use crate::dialect::{Connection, DatabaseError, Result, Row, query};
use crate::error::{During, StateError};
use crate::file::{FileStatus, Recorded, SubmissionOutcome, SubmissionRecord, VersionRecord};
use crate::guard::{self, Candidate, Decision, Holdings, SameJob, Standing, Touched};

const ACTION: &str = "record";

/// The outcome of a submission whose bytes were known.
const UNCHANGED: &str = "UNCHANGED";

/// The effect of a submission on its file.
enum Verdict {
    /// The version comes into force; `outcome` is the word stored with the submission.
    Valid { version_id: i64, outcome: &'static str },
    /// The version is valid, but the one before stays in force until a person decides.
    Held {
        version_id: i64,
        reason: String,
        other_file_id: Option<i64>,
    },
    /// The version in force stays.
    Refused {
        version_id: Option<i64>,
        status: FileStatus,
        error: String,
    },
}

/// The id of a version, and why it is rejected, if it is.
type Known = (i64, Option<String>);

/// A file of the group.
struct Seen {
    file_id: i64,
    /// Its version in force.
    in_force: Option<i64>,
}

impl StateDb {
    /// Records a group of submissions, all or none, in the given order, and returns what came of each. They are on disk
    /// when it returns. A version that is already known (same file, bytes and layout) keeps its id. Fails with
    /// [`StateError::JobsEdited`] if `same_job` knows another edition of the jobs.
    pub async fn record(
        &self,
        group: &[SubmissionRecord],
        same_job: &dyn SameJob,
    ) -> Result<Vec<Recorded>, StateError> {
        let subject = match group {
            [one] => format!("`{}`", one.file_url),
            _ => format!("{} submissions", group.len()),
        };
        let now = self.now();
        let mut writer = self.writer().await.during(ACTION, &subject)?;
        let mut tx = begin(&mut writer).await.during(ACTION, &subject)?;
        let mut recorded = Vec::with_capacity(group.len());
        for part in without_repetition(group) {
            recorded.extend(record_part(&mut tx, part, same_job, &now, &subject).await?);
        }
        if let Some(takers) = same_job.takers() {
            matching::match_some(&mut tx, takers).await?;
        }
        let files = group.iter().map(|submission| json!(submission.file_url));
        waiting::end_files(&mut tx, files.collect())
            .await
            .during(ACTION, &subject)?;
        tx.commit().await.during(ACTION, &subject)?;
        Ok(recorded)
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
    tx: &mut Connection,
    part: &[SubmissionRecord],
    same_job: &dyn SameJob,
    now: &str,
    subject: &str,
) -> Result<Vec<Recorded>, StateError> {
    let seen = see_files(tx, part, now).await.during(ACTION, subject)?;
    let file_ids: Vec<i64> = seen.iter().map(|file| file.file_id).collect();
    let versions = versions(tx, &file_ids, part, now).await.during(ACTION, subject)?;
    let verdicts = file_ids
        .iter()
        .zip(part)
        .map(|(file_id, submission)| verdict(submission, versions.get(file_id)))
        .collect::<Result<Vec<_>, _>>()?;
    let guarded = guard(tx, &seen, part, verdicts, same_job)
        .await
        .during(ACTION, subject)?;
    apply(tx, &seen, part, guarded, now).await.during(ACTION, subject)
}

/// What the guards say of the submissions of a part.
struct Guarded {
    verdicts: Vec<Verdict>,
    /// What else was noticed about each.
    notes: Vec<Option<String>>,
    /// The holdings that they change. What changed by the nth submission is since `-n`, counted from 1.
    holdings: Holdings,
    touched: Touched,
}

/// Decides about the versions that are about to come into force, each in the light of those before it.
async fn guard(
    tx: &mut Connection,
    seen: &[Seen],
    part: &[SubmissionRecord],
    mut verdicts: Vec<Verdict>,
    same_job: &dyn SameJob,
) -> Result<Guarded> {
    let unconverted: Vec<i64> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Valid { version_id, outcome } if *outcome == UNCHANGED => Some(*version_id),
            _ => None,
        })
        .collect();
    let known_days = match unconverted.is_empty() {
        true => HashMap::new(),
        false => version_days(tx, &unconverted).await?,
    };
    let mut candidates = Vec::new();
    for (number, ((file, submission), verdict)) in seen.iter().zip(part).zip(&verdicts).enumerate() {
        let Verdict::Valid { version_id, .. } = verdict else {
            continue;
        };
        if file.in_force == Some(*version_id) {
            continue;
        }
        let days = match &submission.outcome {
            SubmissionOutcome::Converted(version) => version.days.as_slice(),
            _ => known_days.get(version_id).map_or(&[][..], Vec::as_slice),
        };
        candidates.push((number, candidate(file.file_id, submission, *version_id, days)));
    }
    let days = candidates.iter().flat_map(|(_, candidate)| candidate.days);
    let mut guarded = Guarded {
        holdings: guarding::holdings(tx, days).await?,
        notes: part.iter().map(|submission| submission.role.note()).collect(),
        touched: Touched::new(),
        verdicts: Vec::new(),
    };
    for (number, candidate) in candidates {
        if let Some(note) = guard::other_store(&candidate) {
            guarded.notes[number] = Some(note);
        }
        let version_id = candidate.version_id;
        match guard::decide(&candidate, &guarded.holdings, same_job) {
            Decision::InForce { days, taken_over } => {
                let since = -(number as i64) - 1;
                let Guarded {
                    holdings, touched, ..
                } = &mut guarded;
                holdings.put_in_force(&candidate, &days, &taken_over, since, touched);
            }
            Decision::Held {
                reason,
                other_file_id,
            } => {
                verdicts[number] = Verdict::Held {
                    version_id,
                    reason,
                    other_file_id,
                }
            }
            Decision::Refused { reason } => {
                verdicts[number] = Verdict::Refused {
                    version_id: Some(version_id),
                    status: FileStatus::Rejected,
                    error: reason,
                }
            }
        }
    }
    guarded.verdicts = verdicts;
    Ok(guarded)
}

fn candidate<'s>(
    file_id: i64,
    submission: &'s SubmissionRecord,
    version_id: i64,
    days: &'s [VersionDay],
) -> Candidate<'s> {
    Candidate {
        file_id,
        file_url: &submission.file_url,
        named_store: submission.store_id.as_deref(),
        named_date: submission.business_date,
        modified_ns: submission.stamp.modified_ns,
        version_id,
        days,
        guards: submission.guards,
        accepted: None,
    }
}

/// Adds or updates the files, and returns the file of each submission.
async fn see_files(tx: &mut Connection, part: &[SubmissionRecord], now: &str) -> Result<Vec<Seen>> {
    let rows = part.iter().map(|submission| {
        let (archive, members, read) = role_columns(submission);
        json!([
            submission.file_url,
            submission.feed,
            submission.store_id,
            submission.business_date.map(|date| date.to_string()),
            submission.stamp.bytes.cast_signed(),
            submission.stamp.modified_ns,
            submission.stamp.inode.cast_signed(),
            submission.stamp.changed_ns,
            archive,
            members,
            read,
        ])
    });
    let seen = query(sql::SEE_FILES)
        .bind(array(rows))
        .bind(now)
        .fetch_all(tx)
        .await?;
    let ids = seen
        .iter()
        .map(|row| {
            let ids = (row.get("file_id")?, row.get("version_id")?);
            Ok((row.get::<&str>("file_url")?, ids))
        })
        .collect::<Result<HashMap<_, _>>>()?;
    part.iter()
        .map(|submission| {
            let ids = ids.get(submission.file_url.as_str()).copied();
            let (file_id, in_force) = ids.ok_or(DatabaseError::NoRow)?;
            Ok(Seen { file_id, in_force })
        })
        .collect()
}

/// Adds the converted versions, looks up the others, and returns them by file id.
async fn versions(
    tx: &mut Connection,
    file_ids: &[i64],
    part: &[SubmissionRecord],
    now: &str,
) -> Result<HashMap<i64, Known>> {
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
        let keep = query(sql::KEEP_VERSIONS).bind(array(converted)).bind(now);
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
        let find = query(sql::FIND_VERSIONS).bind(array(unchanged));
        note(&mut versions, find.fetch_all(tx).await?)?;
    }
    Ok(versions)
}

fn note(versions: &mut HashMap<i64, Known>, rows: Vec<Row>) -> Result<()> {
    for row in rows {
        let known = (row.get("version_id")?, row.get("reject_reason")?);
        versions.insert(row.get("file_id")?, known);
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
        SubmissionOutcome::Unchanged { content_hash, .. } => (content_hash, UNCHANGED),
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
    tx: &mut Connection,
    seen: &[Seen],
    part: &[SubmissionRecord],
    guarded: Guarded,
    now: &str,
) -> Result<Vec<Recorded>> {
    let Guarded {
        verdicts,
        notes,
        mut holdings,
        touched,
    } = guarded;
    let rows = seen
        .iter()
        .zip(part)
        .zip(&verdicts)
        .map(|((file, submission), verdict)| {
            let (version_id, outcome, error) = match verdict {
                Verdict::Valid { version_id, outcome } => (Some(*version_id), *outcome, None),
                Verdict::Held {
                    version_id, reason, ..
                } => (Some(*version_id), FileStatus::Held.as_str(), Some(reason)),
                Verdict::Refused {
                    version_id,
                    status,
                    error,
                } => (*version_id, status.as_str(), Some(error)),
            };
            json!([
                file.file_id,
                version_id,
                outcome,
                error,
                submission.stamp.bytes.cast_signed(),
                submission.stamp.modified_ns,
                submission.stamp.inode.cast_signed(),
            ])
        });
    let added = query(sql::ADD_SUBMISSIONS)
        .bind(array(rows))
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
    let numbers = added
        .iter()
        .map(|row| Ok((row.get("file_id")?, row.get("submission_id")?)))
        .collect::<Result<HashMap<i64, i64>>>()?;
    let numbers = seen.iter().map(|file| numbers.get(&file.file_id).copied());
    let numbers: Vec<i64> = numbers.collect::<Option<_>>().ok_or(DatabaseError::NoRow)?;
    let (mut valid, mut held, mut refused, mut back) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (((file, number), verdict), note) in seen.iter().zip(&numbers).zip(&verdicts).zip(&notes) {
        let file_id = file.file_id;
        match verdict {
            Verdict::Valid { version_id, .. } => {
                valid.push(json!([file_id, version_id, number, note]));
                if file.in_force == Some(*version_id) {
                    back.push(json!([file_id, version_id, number]));
                }
            }
            Verdict::Held {
                version_id,
                reason,
                other_file_id,
            } => held.push(json!([file_id, version_id, number, reason, other_file_id, note])),
            Verdict::Refused { status, error, .. } => refused.push(json!([file_id, status.as_str(), error])),
        }
    }
    for (statement, rows) in [
        (sql::PUT_IN_FORCE, valid),
        (sql::HOLD, held),
        (sql::REFUSE, refused),
    ] {
        if !rows.is_empty() {
            let update = query(statement).bind(array(rows)).bind(now);
            update.execute(&mut *tx).await?;
        }
    }
    if !back.is_empty() {
        let bring_back = query(days::BRING_BACK).bind(array(back));
        bring_back.execute(&mut *tx).await?;
    }
    holdings.number(&numbers);
    guarding::write(tx, &holdings, &touched).await?;
    let results = seen.iter().zip(&numbers).zip(verdicts).zip(notes);
    Ok(results
        .map(|(((file, number), verdict), note)| recorded(file, *number, verdict, note, &holdings))
        .collect())
}

fn recorded(
    file: &Seen,
    submission_id: i64,
    verdict: Verdict,
    note: Option<String>,
    holdings: &Holdings,
) -> Recorded {
    let (status, reason) = match verdict {
        Verdict::Valid { .. } => (FileStatus::Validated, None),
        Verdict::Held { reason, .. } => (FileStatus::Held, Some(reason)),
        Verdict::Refused { status, error, .. } => (status, Some(error)),
    };
    let held = holdings.iter().filter(|held| {
        held.since == submission_id && held.file_id == file.file_id && held.standing == Standing::Held
    });
    Recorded {
        submission_id,
        status,
        reason,
        note,
        held_days: held.filter_map(|held| held.reason.clone()).collect(),
    }
}
