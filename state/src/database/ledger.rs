//! Compares this database with the warehouse's ledger, and keeps what differs.

use jiff::civil::Date;
use serde_json::json;

use super::decode::array;
use super::sql::ledger as sql;
use super::whole::{About, whole};
use super::{StateDb, begin, decode};
use crate::damage::Damage;
use crate::dialect::{Connection, Result, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::ledger::{LedgerLoad, LedgerNews};
use crate::run::RunRow;

/// Why the waiting runs of a wave are given up when it is repaired.
const CHOSEN_BEFORE: &str = "its files were chosen before the state database was repaired";

impl StateDb {
    /// Compares this database with the newest entry of each scope in the ledger, keeps what differs, and returns it.
    /// Until it is accepted, an entry that is not known here stops the loads of its job; new runs get sequences above it.
    pub async fn compare_with_ledger(&self, loads: &[LedgerLoad]) -> Result<LedgerNews, StateError> {
        let (action, subject) = ("compare with the ledger", "the state database");
        let rows = array(loads.iter().map(|load| {
            json!([
                load.target,
                load.run_id,
                load.job_id,
                decode::wave_text(load.wave),
                load.sequence,
                load.rows.cast_signed(),
                load.loaded
            ])
        }));
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        for update in [
            query(sql::FORGET_UNKNOWN).bind(&rows),
            query(sql::NOTE_UNKNOWN).bind(&rows).bind(&now),
            query(sql::NOTE_LOST).bind(&rows).bind(&now),
            query(sql::NOTE_FOUND).bind(&rows),
        ] {
            update.execute(&mut *tx).await.during(action, subject)?;
        }
        tx.commit().await.during(action, subject)?;
        drop(writer);
        self.ledger_news(None).await
    }

    /// Returns where the ledger disagreed when it was last looked at; with `job_id`, about that job.
    pub async fn ledger_news(&self, job_id: Option<&str>) -> Result<LedgerNews, StateError> {
        let (action, subject) = ("list the disagreements with", "the ledger");
        let mut tx = self.readers.begin().await.during(action, subject)?;
        let (news, damages) = news(&mut tx, job_id).await.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        self.told.tell_of(&damages);
        Ok(news)
    }

    /// Returns whether the ledger's newest entry of a job and wave holds nothing new. If not, compare with all of it.
    pub async fn agrees_with_ledger(
        &self,
        job_id: &str,
        wave: Option<Date>,
        newest: Option<&LedgerLoad>,
    ) -> Result<bool, StateError> {
        query_scalar(sql::AGREES)
            .bind(job_id)
            .bind(decode::wave_text(wave))
            .bind(newest.map(|load| &load.run_id))
            .bind(newest.map(|load| load.sequence))
            .fetch_one(&self.readers)
            .await
            .during("compare with the ledger the loads of job", job_id)
    }

    /// Returns all loads that the warehouse was found to lack, in the order of loads: also those before the last one of
    /// their job and wave, which may have loaded other days.
    pub async fn lost_loads(&self) -> Result<Vec<RunRow>, StateError> {
        let rows = query(sql::ALL_LOST).fetch_all(&self.readers).await;
        let lost = rows.and_then(|rows| whole(rows, About::Runs, decode::run_row));
        Ok(self
            .told
            .tell(lost.during("list", "the loads that the warehouse lost")?))
    }

    /// Records that the warehouse has what a run loaded, and what still counts of the earlier loads of its wave.
    pub async fn found_in_warehouse(&self, run_id: &str) -> Result<(), StateError> {
        let action = "record the load of";
        let mut writer = self.writer().await.during(action, run_id)?;
        let update = query(sql::FOUND).bind(run_id).execute(&mut *writer).await;
        update.during(action, run_id).map(drop)
    }

    /// Accepts a run that only the ledger knows. The files of its wave (`file_urls`) are no longer in force until they are
    /// read again: what is known of them may be older than what that run read. Runs of the wave that wait are given up
    /// for the same reason. Returns how many files and runs there were.
    pub async fn accept_ledger(
        &self,
        load: &LedgerLoad,
        file_urls: &[String],
    ) -> Result<(u64, u64), StateError> {
        let (action, subject) = ("accept the ledger's run", load.run_id.as_str());
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let accept = query(sql::ACCEPT)
            .bind(&load.target)
            .bind(&load.run_id)
            .bind(&now);
        accept.execute(&mut *tx).await.during(action, subject)?;
        let forget = query(sql::FORGET_FILES)
            .bind(array(file_urls.iter().map(|file_url| json!(file_url))))
            .bind(&now);
        let files = forget.execute(&mut *tx).await.during(action, subject)?;
        let cancel = query(sql::CANCEL_RUNS)
            .bind(&load.job_id)
            .bind(decode::wave_text(load.wave))
            .bind(&now)
            .bind(CHOSEN_BEFORE);
        let runs = cancel.execute(&mut *tx).await.during(action, subject)?;
        let note = query(sql::NOTE_CANCELLED).bind(&load.job_id);
        note.execute(&mut *tx).await.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok((files.rows_affected(), runs.rows_affected()))
    }
}

/// Reads where the ledger disagreed when it was last looked at, and the rows that hold impossible values.
pub(super) async fn news(tx: &mut Connection, job_id: Option<&str>) -> Result<(LedgerNews, Vec<Damage>)> {
    let unknown = query(sql::UNKNOWN).bind(job_id).fetch_all(&mut *tx).await?;
    let unknown = whole(unknown, About::Ledger, ledger_load)?;
    let lost = query(sql::LOST).bind(job_id).fetch_all(tx).await?;
    let lost = whole(lost, About::Runs, decode::run_row)?;
    let news = LedgerNews {
        unknown: unknown.rows,
        lost: lost.rows,
    };
    Ok((news, [unknown.damages, lost.damages].concat()))
}

/// Reads a row of `ledger_run`.
fn ledger_load(row: &Row) -> Result<LedgerLoad> {
    Ok(LedgerLoad {
        target: row.get("target")?,
        run_id: row.get("run_id")?,
        job_id: row.get("job_config_id")?,
        wave: decode::wave(row)?,
        sequence: row.get("sequence")?,
        rows: row.get("rows")?,
        loaded: row.get("loaded_timestamp")?,
    })
}
