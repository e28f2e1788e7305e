//! The waves that may have to run: which of them were touched, and which have nothing left to do.

use super::decode::{self, array, wave_text};
use super::sql::{matching, waves as sql};
use super::whole::{About, whole};
use super::{StateDb, begin};
use crate::damage::Damage;
use crate::dialect::{Connection, Result, query, query_as, query_scalar};
use crate::error::{During, StateError};
use crate::facts::{OpenWave, Touched};
use crate::job::JobRow;

impl StateDb {
    /// Returns the open waves that were touched after a revision. From before the first revision, -1,
    /// these are all open waves.
    pub async fn touched_waves(&self, since: i64) -> Result<Touched, StateError> {
        let (action, subject) = ("look for", "waves that were touched");
        let mut tx = self.readers.begin().await.during(action, subject)?;
        let (touched, damages) = touched(&mut tx, since).await.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        self.told.tell_of(&damages);
        Ok(touched)
    }

    /// Closes waves that have nothing left to do, until they are touched again. Those that were touched since they were
    /// read stay open.
    pub async fn close_waves(&self, waves: &[OpenWave]) -> Result<(), StateError> {
        let (action, subject) = ("close", "waves");
        let rows = waves
            .iter()
            .map(|wave| serde_json::json!([wave.job_id, wave_text(wave.wave), wave.touched]));
        let mut writer = self.writer_unsynced().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let close = query(sql::CLOSE).bind(array(rows)).execute(&mut *tx).await;
        close.during(action, subject)?;
        tx.commit().await.during(action, subject)
    }

    /// Returns the edition of the jobs, a number that grows when a job is added, edited or removed.
    pub async fn job_edition(&self) -> Result<i64, StateError> {
        query_scalar(matching::EDITION)
            .fetch_one(&self.readers)
            .await
            .during("look for edits of", "the jobs")
    }

    /// Lists the jobs, ordered by name, with their edition. Like [`jobs`](Self::jobs), leaves out a job whose
    /// configuration holds an impossible value.
    pub async fn jobs_and_edition(&self) -> Result<(Vec<JobRow>, i64), StateError> {
        let (action, subject) = ("list", "the jobs");
        let mut tx = self.readers.begin().await.during(action, subject)?;
        let jobs = query(super::sql::jobs::ALL)
            .fetch_all(&mut *tx)
            .await
            .and_then(|rows| whole(rows, About::Jobs, decode::job_row))
            .during(action, subject)?;
        let edition = query_scalar(matching::EDITION).fetch_one(&mut *tx).await;
        let edition = edition.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        let jobs = self.told.tell(jobs);
        for job in &jobs {
            self.told.tell_of(job.damage.as_slice());
        }
        Ok((jobs, edition))
    }
}

async fn touched(tx: &mut Connection, since: i64) -> Result<(Touched, Vec<Damage>)> {
    let waves = query(sql::TOUCHED).bind(since).fetch_all(&mut *tx).await?;
    let waves = whole(waves, About::OpenWaves, |row| {
        Ok((row.get("job_config_id")?, decode::wave(row)?))
    })?;
    let (revision, edition) = query_as(sql::REVISIONS).fetch_one(tx).await?;
    let touched = Touched {
        waves: waves.rows,
        revision,
        edition,
    };
    Ok((touched, waves.damages))
}
