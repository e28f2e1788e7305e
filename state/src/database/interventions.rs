//! What people decide about files: to accept what is held, and to withdraw what came by mistake.
//!
//! Both change what runs read from now on, and are recorded in the table `intervention`.

use jiff::civil::Date;
use serde_json::json;

use super::days::version_days;
use super::decode::{TextColumns, array};
use super::sql::{files as sql, interventions};
use super::{StateDb, begin, guarding};
use crate::day::VersionDay;
use crate::dialect::{Connection, DatabaseError, Result, query, query_scalar};
use crate::error::{During, StateError};
use crate::file::FileStatus;
use crate::guard::{self, Candidate, Decision, Guards, Holding, Late, SameJob, Standing, Touched};
use crate::intervention::{Accepted, DayOfFile, Withdraw, Withdrawn};

/// A file that a person decides about.
struct File {
    file_id: i64,
    file_url: String,
    named_store: Option<String>,
    named_date: Option<Date>,
    status: FileStatus,
    stamp: (i64, i64, i64),
    in_force: Option<i64>,
    held: Option<i64>,
}

impl StateDb {
    /// Brings what is held of a file in force: its held version or, if there is none, its held days. They replace what
    /// stands for their days, in this file and in others of the same job, or are added to it, as `late` says.
    pub async fn accept(
        &self,
        file_url: &str,
        late: Late,
        guards: Guards,
        same_job: &dyn SameJob,
        who: &str,
    ) -> Result<Accepted, StateError> {
        let action = "accept";
        let now = self.now();
        let mut writer = self.writer().await.during(action, file_url)?;
        let mut tx = begin(&mut writer).await.during(action, file_url)?;
        let file = file(&mut tx, file_url).await.during(action, file_url)?;
        let file = file.ok_or_else(|| StateError::UnknownFile {
            file_url: file_url.to_owned(),
        })?;
        let accepted = match file.held {
            Some(version_id) => {
                accept_version(&mut tx, &file, version_id, (guards, late), same_job, &now).await
            }
            None => accept_days(&mut tx, &file, late, same_job, &now).await,
        };
        let accepted = accepted.during(action, file_url)?;
        let accepted = accepted.ok_or_else(|| StateError::NothingHeld {
            file_url: file_url.to_owned(),
            status: file.status,
        })?;
        note(&mut tx, &now, who, "accept", file.file_id, &accepted)
            .await
            .during(action, file_url)?;
        tx.commit().await.during(action, file_url)?;
        Ok(accepted)
    }

    /// Takes a file out, or one day of it. Files that were held because of it are decided about again.
    pub async fn withdraw(
        &self,
        file_url: &str,
        how: Withdraw,
        guards: Guards,
        same_job: &dyn SameJob,
        who: &str,
    ) -> Result<Withdrawn, StateError> {
        let action = "withdraw";
        let now = self.now();
        let mut writer = self.writer().await.during(action, file_url)?;
        let mut tx = begin(&mut writer).await.during(action, file_url)?;
        let file = file(&mut tx, file_url).await.during(action, file_url)?;
        let file = file.ok_or_else(|| StateError::UnknownFile {
            file_url: file_url.to_owned(),
        })?;
        let withdrawn = withdraw(&mut tx, &file, how, (guards, same_job), &now).await;
        let withdrawn = withdrawn.during(action, file_url)?;
        let withdrawn = withdrawn.ok_or_else(|| StateError::NothingInForce {
            file_url: file_url.to_owned(),
            day: match how {
                Withdraw::Day(day) => Some(day),
                Withdraw::File { .. } => None,
            },
        })?;
        note(&mut tx, &now, who, "withdraw", file.file_id, &withdrawn)
            .await
            .during(action, file_url)?;
        tx.commit().await.during(action, file_url)?;
        Ok(withdrawn)
    }
}

async fn file(conn: &mut Connection, file_url: &str) -> Result<Option<File>> {
    let row = query(interventions::FILE)
        .bind(file_url)
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        let stamp = |column| Ok::<i64, DatabaseError>(row.get::<Option<i64>>(column)?.unwrap_or(0));
        Ok(File {
            file_id: row.get("file_id")?,
            file_url: row.get("file_url")?,
            named_store: row.get("store_id")?,
            named_date: row.parsed_or_null("business_date")?,
            status: row.parsed("last_update_status")?,
            stamp: (
                stamp("stamp_bytes")?,
                stamp("stamp_modified_ns")?,
                stamp("stamp_inode")?,
            ),
            in_force: row.get("version_id")?,
            held: row.get("held_version_id")?,
        })
    })
    .transpose()
}

/// Adds a submission that a person made; everything that it changes is since then.
async fn submit(tx: &mut Connection, file: &File, version_id: i64, outcome: &str, now: &str) -> Result<i64> {
    let (bytes, modified_ns, inode) = file.stamp;
    let no_error: Option<String> = None;
    let rows = [json!([
        file.file_id,
        version_id,
        outcome,
        no_error,
        bytes,
        modified_ns,
        inode
    ])];
    let added = query(sql::ADD_SUBMISSIONS)
        .bind(array(rows))
        .bind(now)
        .fetch_one(tx)
        .await?;
    added.get("submission_id")
}

async fn put_in_force(
    tx: &mut Connection,
    file_id: i64,
    version_id: i64,
    submission: i64,
    now: &str,
) -> Result<()> {
    let no_note: Option<String> = None;
    let rows = [json!([file_id, version_id, submission, no_note])];
    let put = query(sql::PUT_IN_FORCE).bind(array(rows)).bind(now);
    put.execute(tx).await?;
    Ok(())
}

fn candidate<'c>(
    file: &'c File,
    version_id: i64,
    days: &'c [VersionDay],
    guards: Guards,
    accepted: Option<Late>,
) -> Candidate<'c> {
    Candidate {
        file_id: file.file_id,
        file_url: &file.file_url,
        named_store: file.named_store.as_deref(),
        named_date: file.named_date,
        modified_ns: file.stamp.1,
        version_id,
        days,
        guards,
        accepted,
    }
}

async fn accept_version(
    tx: &mut Connection,
    file: &File,
    version_id: i64,
    (guards, late): (Guards, Late),
    same_job: &dyn SameJob,
    now: &str,
) -> Result<Option<Accepted>> {
    let days = version_days(tx, &[version_id]).await?;
    let days = days.get(&version_id).map_or(&[][..], Vec::as_slice);
    let mut holdings = guarding::holdings(tx, days).await?;
    let candidate = candidate(file, version_id, days, without_refusal(guards), Some(late));
    let Decision::InForce {
        days: verdicts,
        taken_over,
    } = guard::decide(&candidate, &holdings, same_job)
    else {
        return Ok(None);
    };
    let submission = submit(tx, file, version_id, "ACCEPTED", now).await?;
    put_in_force(tx, file.file_id, version_id, submission, now).await?;
    let replaced = taken_over
        .iter()
        .filter_map(|taken| {
            let of_file = holdings.of_file_day(&taken.store_id, taken.trans_date, taken.file_id);
            of_file.map(day_of).next()
        })
        .collect();
    let mut touched = Touched::new();
    holdings.put_in_force(&candidate, &verdicts, &taken_over, submission, &mut touched);
    guarding::write(tx, &holdings, &touched).await?;
    Ok(Some(Accepted {
        is_whole: true,
        days: days.iter().map(|day| of_file(file, day)).collect(),
        replaced,
    }))
}

fn without_refusal(guards: Guards) -> Guards {
    Guards {
        check_store: false,
        ..guards
    }
}

async fn accept_days(
    tx: &mut Connection,
    file: &File,
    late: Late,
    same_job: &dyn SameJob,
    now: &str,
) -> Result<Option<Accepted>> {
    let own = guarding::holdings_of_file(tx, file.file_id).await?;
    let held: Vec<Holding> = own
        .into_iter()
        .filter(|held| held.standing == Standing::Held)
        .collect();
    // The newest of several holds what a later file repeated.
    let Some(version_id) = file.in_force.or(held.last().map(|held| held.version_id)) else {
        return Ok(None);
    };
    if held.is_empty() {
        return Ok(None);
    }
    let submission = submit(tx, file, version_id, "ACCEPTED", now).await?;
    if file.in_force.is_some() {
        put_in_force(tx, file.file_id, version_id, submission, now).await?;
    }
    let mut holdings = guarding::holdings(tx, held.iter().map(|held| &held.day)).await?;
    let (mut touched, mut replaced) = (Touched::new(), Vec::new());
    for day in &held {
        let is_ours = |other: &Holding| other.file_id == day.file_id && other.version_id == day.version_id;
        // The same file repeats what was accepted of it before.
        holdings.change(
            &day.day,
            |_| false,
            |other| {
                other.file_id == day.file_id
                    && other.version_id != day.version_id
                    && other.standing == Standing::Counts
                    && other.newest == day.newest
            },
            &mut touched,
        );
        if late == Late::Replace {
            holdings.change(
                &day.day,
                |_| false,
                |other| {
                    other.file_id == day.file_id
                        && other.version_id != day.version_id
                        && other.standing != Standing::Held
                },
                &mut touched,
            );
            holdings.change(
                &day.day,
                |other| {
                    replaced.push(day_of(other));
                    other.standing = Standing::Replaced;
                    other.since = submission;
                    other.other_file_id = Some(day.file_id);
                    true
                },
                |other| {
                    other.file_id != day.file_id
                        && other.standing.counts()
                        && same_job.are_of_one_job(&file.file_url, &other.file_url)
                },
                &mut touched,
            );
        }
        holdings.change(
            &day.day,
            |ours| {
                ours.standing = Standing::Counts;
                ours.since = submission;
                ours.reason = None;
                if late == Late::Replace {
                    ours.other_file_id = None;
                }
                true
            },
            is_ours,
            &mut touched,
        );
    }
    guarding::write(tx, &holdings, &touched).await?;
    Ok(Some(Accepted {
        is_whole: false,
        days: held.iter().map(day_of).collect(),
        replaced,
    }))
}

async fn withdraw(
    tx: &mut Connection,
    file: &File,
    how: Withdraw,
    (guards, same_job): (Guards, &dyn SameJob),
    now: &str,
) -> Result<Option<Withdrawn>> {
    let own = guarding::holdings_of_file(tx, file.file_id).await?;
    let is_meant = |held: &&Holding| match how {
        Withdraw::Day(day) => held.day.trans_date == day,
        // What an older version has given for good stays: the file does not speak of it any more.
        Withdraw::File { .. } => Some(held.version_id) == file.in_force || held.standing != Standing::Stands,
    };
    let meant: Vec<&Holding> = own.iter().filter(is_meant).collect();
    let is_something = match how {
        Withdraw::Day(_) => !meant.is_empty(),
        Withdraw::File { .. } => file.in_force.is_some() || file.held.is_some(),
    };
    let version_id = file.in_force.or(file.held);
    let version_id = version_id.or(meant.last().map(|held| held.version_id));
    let Some(version_id) = version_id.filter(|_| is_something) else {
        return Ok(None);
    };
    let keeps_rows = matches!(how, Withdraw::File { keeps_rows: true });
    let submission = submit(tx, file, version_id, "WITHDRAWN", now).await?;
    match (how, file.in_force) {
        (Withdraw::Day(_), Some(in_force)) => {
            put_in_force(tx, file.file_id, in_force, submission, now).await?;
        }
        (Withdraw::Day(_), None) => {}
        (Withdraw::File { .. }, _) => {
            let take_out = query(interventions::TAKE_OUT).bind(file.file_id).bind(now);
            take_out.execute(&mut *tx).await?;
        }
    }
    let mut holdings = guarding::holdings(tx, own.iter().map(|held| &held.day)).await?;
    let (mut touched, mut days, mut released) = (Touched::new(), Vec::new(), Vec::new());
    for held in meant {
        let is_ours = |other: &Holding| other.file_id == held.file_id && other.version_id == held.version_id;
        holdings.change(
            &held.day,
            |ours| match ours.standing {
                Standing::Stands | Standing::Counts if !keeps_rows => {
                    days.push(day_of(ours));
                    ours.standing = Standing::Withdrawn;
                    ours.since = submission;
                    true
                }
                // Nothing is left that a person could accept.
                Standing::Held => false,
                _ => true,
            },
            is_ours,
            &mut touched,
        );
        // What gave way to this file counts again.
        holdings.change(
            &held.day,
            |other| {
                released.push(day_of(other));
                other.standing = Standing::Counts;
                other.since = submission;
                other.reason = None;
                other.other_file_id = None;
                true
            },
            |other| {
                !keeps_rows
                    && other.other_file_id == Some(held.file_id)
                    && matches!(other.standing, Standing::Held | Standing::Replaced)
            },
            &mut touched,
        );
    }
    guarding::write(tx, &holdings, &touched).await?;
    let in_force = match keeps_rows {
        true => Vec::new(),
        false => decide_again(tx, file.file_id, (guards, same_job), now).await?,
    };
    Ok(Some(Withdrawn {
        days,
        released,
        in_force,
        keeps_rows,
    }))
}

/// Decides again about the files that were held because of a file, and returns those that have come into force.
async fn decide_again(
    tx: &mut Connection,
    file_id: i64,
    (guards, same_job): (Guards, &dyn SameJob),
    now: &str,
) -> Result<Vec<String>> {
    let waiting: Vec<String> = query_scalar(interventions::HELD_FOR)
        .bind(file_id)
        .fetch_all(&mut *tx)
        .await?;
    let mut in_force = Vec::new();
    for file_url in waiting {
        let Some(file) = file(tx, &file_url).await? else {
            continue;
        };
        let Some(version_id) = file.held else { continue };
        let days = version_days(tx, &[version_id]).await?;
        let days = days.get(&version_id).map_or(&[][..], Vec::as_slice);
        let mut holdings = guarding::holdings(tx, days).await?;
        let candidate = candidate(&file, version_id, days, guards, None);
        match guard::decide(&candidate, &holdings, same_job) {
            Decision::InForce {
                days: verdicts,
                taken_over,
            } => {
                let submission = submit(tx, &file, version_id, "ACCEPTED", now).await?;
                put_in_force(tx, file.file_id, version_id, submission, now).await?;
                let mut touched = Touched::new();
                holdings.put_in_force(&candidate, &verdicts, &taken_over, submission, &mut touched);
                guarding::write(tx, &holdings, &touched).await?;
                in_force.push(file_url);
            }
            Decision::Held {
                reason,
                other_file_id,
            } => {
                let update = query(interventions::HELD_STILL)
                    .bind(file.file_id)
                    .bind(reason)
                    .bind(other_file_id);
                update.execute(&mut *tx).await?;
            }
            Decision::Refused { .. } => {}
        }
    }
    Ok(in_force)
}

/// Records what a person decided.
async fn note(
    tx: &mut Connection,
    now: &str,
    who: &str,
    action: &str,
    file_id: i64,
    detail: &impl serde::Serialize,
) -> Result<()> {
    let detail = serde_json::to_string(detail)?;
    let add = query(interventions::ADD)
        .bind(now)
        .bind(who)
        .bind(action)
        .bind(file_id)
        .bind(detail);
    add.execute(tx).await?;
    Ok(())
}

fn day_of(held: &Holding) -> DayOfFile {
    DayOfFile {
        file_url: held.file_url.clone(),
        store_id: held.day.store_id.clone(),
        trans_date: held.day.trans_date,
        lines: held.day.lines,
    }
}

fn of_file(file: &File, day: &VersionDay) -> DayOfFile {
    DayOfFile {
        file_url: file.file_url.clone(),
        store_id: day.store_id.clone(),
        trans_date: day.trans_date,
        lines: day.lines,
    }
}
