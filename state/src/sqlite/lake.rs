//! What the state database knows about the lake: which objects it refers to, and which are no longer needed.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::sql::{lake as sql, runs};
use super::{StateDb, begin, decode};
use crate::error::{During, StateError};

/// For each kind of object, the time before which it has expired; `None` keeps the kind for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expiry {
    /// Converted rows, by the newest submission of their version.
    pub converted: Option<Timestamp>,
    /// Partials, likewise. Those in force stay, as do those that a run may still read.
    pub partials: Option<Timestamp>,
    /// Rejects, likewise.
    pub rejects: Option<Timestamp>,
    /// Summaries, by the end of their run. The last loaded summary of each job and wave stays.
    pub summaries: Option<Timestamp>,
}

impl StateDb {
    /// Returns the lake paths of all objects that a version or a run refers to.
    pub async fn lake_objects(&self) -> Result<HashSet<String>, StateError> {
        let objects = sqlx::query_scalar(sql::OBJECTS).fetch_all(&self.readers).await;
        let objects: Vec<String> = objects.during("list", "the objects of the lake")?;
        Ok(objects.into_iter().collect())
    }

    /// Returns the files whose versions in force have a partial in the lake, with its lake path. Ordered by path.
    pub async fn partials_in_force(&self) -> Result<Vec<(String, String)>, StateError> {
        let partials = sqlx::query_as(sql::PARTIALS_IN_FORCE)
            .fetch_all(&self.readers)
            .await;
        partials.during("list", "the partials in force")
    }

    /// Records that the lake has lost partials, and has their files read again, which makes them anew. A run that needs
    /// them (`waiting`, which is running) goes back into the queue, and is claimed once its files have been read. Returns
    /// the files.
    pub async fn lose_partials(
        &self,
        objects: &[String],
        waiting: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        let (action, subject) = ("record the loss of", "partials");
        let objects = serde_json::json!(objects).to_string();
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let look = sqlx::query_scalar(sql::LOOK_AGAIN_FOR).bind(&objects);
        let mut files: Vec<String> = look.fetch_all(&mut *tx).await.during(action, subject)?;
        let forget = sqlx::query(sql::FORGET_PARTIALS).bind(&objects).bind(&now);
        forget.execute(&mut *tx).await.during(action, subject)?;
        if let Some(run_id) = waiting {
            let requeue = sqlx::query(runs::REQUEUE).bind(run_id);
            requeue.execute(&mut *tx).await.during(action, subject)?;
        }
        tx.commit().await.during(action, subject)?;
        files.sort_unstable();
        Ok(files)
    }

    /// Returns the queued runs that wait for files to be read again, each with such a file.
    pub async fn awaited_files(&self) -> Result<Vec<(String, String)>, StateError> {
        let awaited = sqlx::query_as(sql::AWAITED).fetch_all(&self.readers).await;
        awaited.during("list", "the files that runs wait for")
    }

    /// Forgets the objects that have expired, and returns their lake paths. Nothing reads them any more, so they can be
    /// removed.
    pub async fn expire(&self, expiry: &Expiry) -> Result<Vec<String>, StateError> {
        let (action, subject) = ("expire the objects of", "the lake");
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let expired = expire(&mut tx, expiry, &self.now())
            .await
            .during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok(expired)
    }
}

async fn expire(tx: &mut SqliteConnection, expiry: &Expiry, now: &str) -> sqlx::Result<Vec<String>> {
    let kinds = [
        (expiry.converted, sql::EXPIRED_CONVERTED, sql::FORGET_CONVERTED),
        (expiry.partials, sql::EXPIRED_PARTIALS, sql::FORGET_PARTIALS),
        (expiry.rejects, sql::EXPIRED_REJECTS, sql::FORGET_REJECTS),
        (expiry.summaries, sql::EXPIRED_SUMMARIES, sql::FORGET_SUMMARIES),
        (expiry.summaries, sql::EXPIRED_COVERAGES, sql::FORGET_COVERAGES),
    ];
    let mut expired = Vec::new();
    for (until, find, forget) in kinds {
        let Some(until) = until else { continue };
        let found = sqlx::query_scalar(find).bind(decode::text(until));
        let found: Vec<String> = found.fetch_all(&mut *tx).await?;
        let forget = sqlx::query(forget)
            .bind(serde_json::json!(found).to_string())
            .bind(now);
        forget.execute(&mut *tx).await?;
        expired.extend(found);
    }
    Ok(expired)
}
