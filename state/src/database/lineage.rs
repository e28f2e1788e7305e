//! What is to be told of runs. It is kept until it was told, the newest 10,000 events at most.

use super::decode::TextColumns;
use super::sql::lineage as sql;
use super::{StateDb, begin};
use crate::dialect::{Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::lineage::LineageEvent;

impl StateDb {
    /// Says whether anybody is to be told of runs. If not, what was still to be told is forgotten.
    pub async fn switch_lineage(&self, is_on: bool) -> Result<(), StateError> {
        let (action, subject) = ("record", "whether events of runs are sent");
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let switch = query(sql::SWITCH).bind(is_on).execute(&mut *tx).await;
        switch.during(action, subject)?;
        if !is_on {
            let forget = query(sql::FORGET).execute(&mut *tx).await;
            forget.during(action, subject)?;
        }
        tx.commit().await.during(action, subject)
    }

    /// Returns the oldest events that are still to be told.
    pub async fn lineage_events(&self, limit: u32) -> Result<Vec<LineageEvent>, StateError> {
        query(sql::NEXT)
            .bind(limit)
            .try_map(|row: Row| {
                Ok(LineageEvent {
                    event_id: row.get("event_id")?,
                    run_id: row.get("run_id")?,
                    kind: row.parsed("event")?,
                    at: row.parsed("at")?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the events of runs")
    }

    /// Records that an event was told, or, if nobody takes it, that it was dropped.
    pub async fn end_lineage_event(&self, event_id: i64, is_dropped: bool) -> Result<(), StateError> {
        let (action, subject) = ("record the end of", "an event of a run");
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let remove = query(sql::REMOVE).bind(event_id).execute(&mut *tx).await;
        remove.during(action, subject)?;
        if is_dropped {
            let note = query(sql::NOTE_DROPPED).bind(1).execute(&mut *tx).await;
            note.during(action, subject)?;
        }
        tx.commit().await.during(action, subject)
    }

    /// Returns how many events were dropped so far, because nobody took them, or nobody took earlier ones for too long.
    pub async fn lineage_dropped(&self) -> Result<u64, StateError> {
        query_scalar(sql::DROPPED)
            .fetch_one(&self.readers)
            .await
            .during("count", "the events of runs that were dropped")
    }
}
