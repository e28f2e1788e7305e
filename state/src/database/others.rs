//! Store-days that files of several jobs hold: the newest file counts, whatever job it is in.
//!
//! A store that moves from one province to another leaves its old file behind. Without this, each run of the old job
//! would load that file's day over the newer one of the new job. So each load notes which job and file a day was loaded
//! from (`loaded_day`), and a run leaves out the days that a newer file of another job was loaded for. That is decided
//! when the run is queued, and again when it is claimed: other jobs may have loaded meanwhile. Runs of several jobs that
//! hold the same day are never in progress at the same time.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use serde_json::json;

use super::StateDb;
use super::decode::{TextColumns, array};
use super::sql::others as sql;
use crate::dialect::{Connection, Result, query, query_as, query_scalar};
use crate::error::{During, StateError};
use crate::run::{DayEffect, DayOfOther, InputDay, InputDays, RunInput};

/// One of our versions holds a day that another job loaded.
struct Shared {
    version_id: i64,
    day: DayOfOther,
}

impl StateDb {
    /// Returns the store-days of some inputs of each job that another job loaded last.
    pub async fn days_of_others(
        &self,
        jobs: &[(&str, &[RunInput])],
    ) -> Result<Vec<Vec<DayOfOther>>, StateError> {
        let (action, subject) = ("look for days of other jobs in", "the files of jobs");
        let mut reader = self.readers.acquire().await.during(action, subject)?;
        let shared = shared(&mut reader, jobs).await.during(action, subject)?;
        let of_jobs = shared.into_iter().zip(jobs);
        let days = of_jobs.map(|(shared, (_, inputs))| by_day(inputs, shared));
        Ok(days
            .map(|days| days.into_values().map(|(day, _)| day).collect())
            .collect())
    }
}

/// Leaves the days out of inputs for which a newer file of another job was loaded. Returns all days that they have in
/// common with other jobs, and which days of which versions were left out that were not before.
pub(super) async fn leave_out(
    conn: &mut Connection,
    job_id: &str,
    inputs: &mut [RunInput],
) -> Result<(Vec<DayOfOther>, Vec<(i64, String, Date)>)> {
    let shared = shared(conn, &[(job_id, &*inputs)])
        .await?
        .pop()
        .unwrap_or_default();
    let (mut days, mut left_out) = (Vec::new(), Vec::new());
    for ((store_id, trans_date), (day, versions)) in by_day(inputs, shared) {
        if day.is_newer {
            let of_day = inputs
                .iter_mut()
                .filter(|input| versions.contains(&input.version_id));
            for input in of_day {
                input.days.name_day(&store_id, trans_date, DayEffect::LeftOut);
                left_out.push((input.version_id, store_id.clone(), trans_date));
            }
        }
        days.push(day);
    }
    Ok((days, left_out))
}

/// Brings what is shared together by store and day, with the versions of ours that count there. The other file is newer
/// only if it is newer than each of them. A day that is left out already is told, too, if the other file is newer.
fn by_day(inputs: &[RunInput], shared: Vec<Shared>) -> BTreeMap<(String, Date), (DayOfOther, Vec<i64>)> {
    let mut days: BTreeMap<(String, Date), (DayOfOther, Vec<i64>)> = BTreeMap::new();
    let mut left_out = Vec::new();
    for Shared { version_id, day } in shared {
        let of_version = inputs.iter().filter(|input| input.version_id == version_id);
        let effects: Vec<_> = of_version.map(|input| effect(&input.days, &day)).collect();
        let counts = |effect: &DayEffect| matches!(effect, DayEffect::Counts | DayEffect::Added);
        if effects.iter().any(counts) {
            let key = (day.store_id.clone(), day.trans_date);
            let (known, versions) = days.entry(key).or_insert_with(|| (day.clone(), Vec::new()));
            known.is_newer &= day.is_newer;
            versions.push(version_id);
        } else if day.is_newer {
            left_out.push(day);
        }
    }
    for day in left_out {
        let key = (day.store_id.clone(), day.trans_date);
        days.entry(key).or_insert_with(|| (day, Vec::new()));
    }
    days
}

/// Returns what becomes of a day of an input.
fn effect(days: &InputDays, day: &DayOfOther) -> DayEffect {
    let others = match days.others_count {
        true => DayEffect::Counts,
        false => DayEffect::LeftOut,
    };
    days.named_effect(&day.store_id, day.trans_date).unwrap_or(others)
}

/// Returns what the versions of each job have in common with what other jobs loaded.
async fn shared(conn: &mut Connection, jobs: &[(&str, &[RunInput])]) -> Result<Vec<Vec<Shared>>> {
    let mut of_jobs: Vec<Vec<Shared>> = jobs.iter().map(|_| Vec::new()).collect();
    let kept_for: (Option<String>, Option<String>) = query_as(sql::KEPT_FOR).fetch_one(&mut *conn).await?;
    let (Some(first), Some(last)) = kept_for else {
        return Ok(of_jobs);
    };
    let has_others = |job: &str| (first.as_str(), last.as_str()) != (job, job);
    let ours = jobs.iter().enumerate().filter(|(_, (job, _))| has_others(job));
    let ours: Vec<_> = ours
        .flat_map(|(number, (job, inputs))| {
            let rows = inputs.iter();
            rows.map(move |input| json!([number, job, input.version_id, input.file_id, input.submission_id]))
        })
        .collect();
    if ours.is_empty() {
        return Ok(of_jobs);
    }
    let files: Vec<HashSet<i64>> = jobs
        .iter()
        .map(|(_, inputs)| inputs.iter().map(|input| input.file_id).collect())
        .collect();
    let rows = query(sql::DAYS_OF_OTHERS)
        .bind(array(ours))
        .fetch_all(conn)
        .await?;
    for row in rows {
        let number = row.get::<u32>("asked")? as usize;
        if files[number].contains(&row.get("other_file_id")?) {
            continue;
        }
        of_jobs[number].push(Shared {
            version_id: row.get("version_id")?,
            day: DayOfOther {
                store_id: row.get("store_id")?,
                trans_date: row.parsed("trans_date")?,
                file_url: row.get("file_url")?,
                other_job: row.get("other_job")?,
                other_file: row.get("other_file")?,
                is_newer: row.get("is_newer")?,
            },
        });
    }
    Ok(of_jobs)
}

/// Records that days of a claimed run are left out, and its digest, which changes with them.
pub(super) async fn note_left_out(
    tx: &mut Connection,
    run_id: &str,
    left_out: &[(i64, String, Date)],
    inputs_digest: &str,
) -> Result<()> {
    let rows = left_out
        .iter()
        .map(|(version_id, store_id, date)| json!([version_id, store_id, date.to_string()]));
    query(sql::LEAVE_OUT)
        .bind(run_id)
        .bind(array(rows))
        .execute(&mut *tx)
        .await?;
    query(sql::SET_DIGEST)
        .bind(run_id)
        .bind(inputs_digest)
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes which days a run has loaded, and from which files. The first time that there are several jobs, also what the
/// others loaded last.
pub(super) async fn note_loaded(tx: &mut Connection, run_id: &str) -> Result<()> {
    query(sql::KEEP_LATER).bind(run_id).execute(&mut *tx).await?;
    let mut runs: Vec<String> = query_scalar(sql::NOT_KEPT).fetch_all(&mut *tx).await?;
    query(sql::ALL_KEPT).execute(&mut *tx).await?;
    if !runs.iter().any(|known| known == run_id) {
        runs.push(run_id.to_owned());
    }
    for run_id in runs {
        query(sql::KEEP_LOADED).bind(&run_id).execute(&mut *tx).await?;
        query(sql::FORGET_EMPTIED).bind(&run_id).execute(&mut *tx).await?;
    }
    Ok(())
}

impl InputDays {
    /// Returns what becomes of a named day.
    fn named_effect(&self, store_id: &str, trans_date: Date) -> Option<DayEffect> {
        let place = self.place_of_day(store_id, trans_date).ok()?;
        self.named.get(place).map(|day| day.effect)
    }

    /// Names a day, in the order of the days.
    fn name_day(&mut self, store_id: &str, trans_date: Date, effect: DayEffect) {
        let day = InputDay {
            store_id: store_id.to_owned(),
            trans_date,
            effect,
        };
        match self.place_of_day(store_id, trans_date) {
            Ok(place) => self.named[place] = day,
            Err(place) => self.named.insert(place, day),
        }
    }

    fn place_of_day(&self, store_id: &str, trans_date: Date) -> Result<usize, usize> {
        let key = |day: &InputDay| (day.store_id.as_str(), day.trans_date).cmp(&(store_id, trans_date));
        self.named.binary_search_by(key)
    }
}
