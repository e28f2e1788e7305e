//! The history of jobs, which triggers keep.

use serde_json::{Map, Value};

use super::decode::TextColumns;
use super::sql::edits as sql;
use super::whole::{About, whole};
use super::{StateDb, begin};
use crate::dialect::{Connection, DatabaseError, Result, Row, query, query_scalar};
use crate::edit::JobEdit;
use crate::error::{During, StateError};

impl StateDb {
    /// Lists the changes of one job's configuration, or of all, newest first.
    pub async fn job_history(&self, job_id: Option<&str>) -> Result<Vec<JobEdit>, StateError> {
        let rows = query(sql::HISTORY).bind(job_id).fetch_all(&self.readers).await;
        let edits = rows.and_then(|rows| whole(rows, About::Edits, job_edit));
        Ok(self.told.tell(edits.during("list the edits of", "jobs")?))
    }

    /// Returns the changes that were not returned before, oldest first.
    pub async fn untold_edits(&self) -> Result<Vec<JobEdit>, StateError> {
        let (action, subject) = ("look for edits of", "jobs");
        let untold: bool = query_scalar(sql::ARE_UNTOLD)
            .fetch_one(&self.readers)
            .await
            .during(action, subject)?;
        if !untold {
            return Ok(Vec::new());
        }
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let rows = query(sql::UNTOLD).fetch_all(&mut *tx).await;
        let edits = rows.and_then(|rows| whole(rows, About::Edits, job_edit));
        let edits = self.told.tell(edits.during(action, subject)?);
        query(sql::NOTE_TOLD)
            .execute(&mut *tx)
            .await
            .during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok(edits)
    }
}

/// The newest edit when a command begins to edit jobs.
pub(super) async fn newest(tx: &mut Connection) -> Result<i64> {
    query_scalar(sql::NEWEST).fetch_one(tx).await
}

/// Names the editor of the edits that this transaction has made since `newest`.
pub(super) async fn sign(
    tx: &mut Connection,
    newest: i64,
    who: &str,
    now: &str,
    is_told: bool,
) -> Result<()> {
    let sign = query(sql::SIGN).bind(newest).bind(who).bind(now).bind(is_told);
    sign.execute(tx).await.map(drop)
}

fn job_edit(row: &Row) -> Result<JobEdit> {
    Ok(JobEdit {
        edit_id: row.get("edit_id")?,
        at: row.parsed("at")?,
        who: row.get("who")?,
        action: row.parsed("action")?,
        job_id: row.get("job_config_id")?,
        before: configuration(row, "before")?,
        after: configuration(row, "after")?,
    })
}

fn configuration(row: &Row, column: &str) -> Result<Option<Map<String, Value>>> {
    let text: Option<&str> = row.get(column)?;
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| DatabaseError::column(column, error))
}
