//! Versions that an earlier gristmill converted: what they report of each day is counted once, from their partials.

use serde_json::json;

use super::days::keep_version_days;
use super::decode::array;
use super::sql::days as sql;
use super::{StateDb, begin};
use crate::day::VersionDay;
use crate::dialect::{Row, query};
use crate::error::{During, StateError};
use crate::file::UncountedVersion;

impl StateDb {
    /// Lists the versions in force whose days were never counted, ordered by path.
    pub async fn uncounted_versions(&self) -> Result<Vec<UncountedVersion>, StateError> {
        query(sql::UNCOUNTED)
            .try_map(|row: Row| {
                Ok(UncountedVersion {
                    version_id: row.get("version_id")?,
                    file_url: row.get("file_url")?,
                    feed: row.get("feed")?,
                    partial: row.get("partial_object")?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the versions without days")
    }

    /// Records what versions in force report of each store and day. It stands, unless more is known of the day.
    pub async fn count_days(&self, versions: &[(i64, Vec<VersionDay>)]) -> Result<(), StateError> {
        let (action, subject) = ("record the days of", "versions");
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let days: Vec<_> = versions
            .iter()
            .map(|(version_id, days)| (*version_id, days.as_slice()))
            .collect();
        keep_version_days(&mut tx, &days).await.during(action, subject)?;
        let ids = array(versions.iter().map(|(version_id, _)| json!(version_id)));
        for statement in [sql::COUNTED, sql::LET_STAND] {
            let update = query(statement).bind(&ids);
            update.execute(&mut *tx).await.during(action, subject)?;
        }
        tx.commit().await.during(action, subject)
    }
}
