//! Files whose sums overflow together with those of others: the run goes on without them.

use super::days::{add_input_days, input_files, version_days};
use super::decode::text;
use super::queue::ages;
use super::sql::{interventions, runs as sql};
use super::{StateDb, begin, guarding};
use crate::dialect::{Connection, DatabaseError, Result, query, query_scalar};
use crate::digest;
use crate::error::{During, StateError};
use crate::guard::{Holding, Standing, Touched};
use crate::run::{InputDays, InputFile, RunInput};

impl StateDb {
    /// Leaves a version out of a running run, and holds it if it is in force: the version before comes in force again,
    /// and the run reads that one. Returns what the run reads now.
    pub async fn leave_out(
        &self,
        run_id: &str,
        version_id: i64,
        reason: &str,
    ) -> Result<Vec<InputFile>, StateError> {
        let action = "leave a file out of";
        let now = text(self.clock.now());
        let mut writer = self.writer().await.during(action, run_id)?;
        let mut tx = begin(&mut writer).await.during(action, run_id)?;
        let inputs = leave_out(&mut tx, run_id, version_id, reason, &now).await;
        let inputs = inputs.during(action, run_id)?;
        tx.commit().await.during(action, run_id)?;
        Ok(inputs)
    }
}

async fn leave_out(
    tx: &mut Connection,
    run_id: &str,
    version_id: i64,
    reason: &str,
    now: &str,
) -> Result<Vec<InputFile>> {
    let before = input_files(tx, run_id).await?.all()?;
    let digest_before: String = query(sql::ONE)
        .bind(run_id)
        .fetch_one(&mut *tx)
        .await?
        .get("inputs_digest")?;
    let left_out = before.iter().find(|input| input.version_id == version_id);
    let left_out = left_out.ok_or(DatabaseError::NoRow)?;
    let inputs: Vec<RunInput> = before.iter().map(InputFile::as_input).collect();
    let order_matters = digest::of_inputs(&inputs, None) != digest_before;
    let instead = hold(tx, left_out.file_id, version_id, reason, now).await?;
    for statement in [sql::REMOVE_INPUT_DAYS, sql::REMOVE_INPUT] {
        let remove = query(statement).bind(run_id).bind(version_id);
        remove.execute(&mut *tx).await?;
    }
    let mut inputs: Vec<RunInput> = inputs
        .into_iter()
        .filter(|input| input.version_id != version_id)
        .collect();
    if let Some(instead) = instead
        && !inputs.iter().any(|input| input.version_id == instead.version_id)
    {
        let add = query(sql::ADD_INPUT)
            .bind(run_id)
            .bind(instead.file_id)
            .bind(instead.version_id)
            .bind(instead.submission_id);
        add.execute(&mut *tx).await?;
        add_input_days(tx, run_id, std::slice::from_ref(&instead)).await?;
        inputs.push(instead);
    }
    let ages = match order_matters {
        true => Some(ages(tx, &inputs).await?),
        false => None,
    };
    let update = query(sql::SET_INPUTS_DIGEST)
        .bind(run_id)
        .bind(digest::of_inputs(&inputs, ages.as_deref()));
    update.execute(&mut *tx).await?;
    input_files(tx, run_id).await?.all()
}

/// Holds a version that is in force, and returns the version that is in force instead. A version that is no longer in
/// force is only left out of the run.
async fn hold(
    tx: &mut Connection,
    file_id: i64,
    version_id: i64,
    reason: &str,
    now: &str,
) -> Result<Option<RunInput>> {
    let in_force: Option<i64> = query_scalar(interventions::IN_FORCE)
        .bind(file_id)
        .fetch_one(&mut *tx)
        .await?;
    if in_force != Some(version_id) {
        return Ok(None);
    }
    let before = query(interventions::VALID_BEFORE)
        .bind(file_id)
        .bind(version_id)
        .fetch_optional(&mut *tx)
        .await?;
    let before = before
        .map(|row| Ok::<_, DatabaseError>((row.get::<i64>("version_id")?, row.get::<i64>("submission_id")?)));
    let before = before.transpose()?;
    let hold = query(interventions::HOLD_IN_FORCE)
        .bind(file_id)
        .bind(now)
        .bind(reason)
        .bind(before.map(|(version_id, _)| version_id))
        .bind(before.map(|(_, submission_id)| submission_id));
    hold.execute(&mut *tx).await?;
    let note = query(interventions::NOTE_HELD).bind(file_id).bind(reason);
    note.execute(&mut *tx).await?;
    give_days_back(tx, file_id, version_id, before).await?;
    Ok(before.map(|(version_id, submission_id)| RunInput {
        file_id,
        version_id,
        submission_id,
        days: InputDays::default(),
    }))
}

/// Lets the days of the version before stand again in place of those of a version that is held.
async fn give_days_back(
    tx: &mut Connection,
    file_id: i64,
    version_id: i64,
    before: Option<(i64, i64)>,
) -> Result<()> {
    let own = guarding::holdings_of_file(tx, file_id).await?;
    let lost: Vec<&Holding> = own.iter().filter(|held| held.version_id == version_id).collect();
    let mut holdings = guarding::holdings(tx, lost.iter().map(|held| &held.day)).await?;
    let days_before = match before {
        Some((before, _)) => version_days(tx, &[before])
            .await?
            .remove(&before)
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let mut touched = Touched::new();
    for held in lost {
        let same_day = days_before
            .iter()
            .find(|day| day.store_id == held.day.store_id && day.trans_date == held.day.trans_date);
        holdings.change(
            &held.day,
            |ours| match (same_day, before) {
                (Some(day), Some((before, submission))) => {
                    ours.version_id = before;
                    ours.since = submission;
                    ours.standing = Standing::Stands;
                    ours.reason = None;
                    ours.other_file_id = None;
                    ours.day = day.clone();
                    true
                }
                _ => false,
            },
            |ours| ours.file_id == file_id && ours.version_id == version_id,
            &mut touched,
        );
    }
    guarding::write(tx, &holdings, &touched).await
}
