//! Archives, and the files in them.

use std::collections::HashMap;

use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::sql::files as sql;
use super::submissions::array;
use super::{StateDb, decode};
use crate::error::{During, StateError};
use crate::file::{KnownMember, MemberPlace};

impl StateDb {
    /// Returns, by path, what is known of the files that were read from an archive, whenever that was.
    pub async fn members_of(&self, archive: &str) -> Result<HashMap<String, KnownMember>, StateError> {
        let known = sqlx::query(sql::MEMBERS)
            .bind(archive)
            .try_map(|row: SqliteRow| {
                let member = KnownMember {
                    stamp: decode::stamp(&row).ok(),
                    layout_digest: row.try_get("layout_digest")?,
                };
                Ok((row.try_get("file_url")?, member))
            })
            .fetch_all(&self.readers)
            .await
            .during("look up the members of", archive)?;
        Ok(known.into_iter().collect())
    }

    /// Ends the waiting for members of an archive that were marked to be read again, and that it no longer has: it was
    /// read, and has those in `there`.
    pub async fn settle_members(&self, archive: &str, there: &[&str]) -> Result<(), StateError> {
        let (action, subject) = ("note what is gone from", archive);
        let mut writer = self.writer().await.during(action, subject)?;
        sqlx::query(sql::SETTLE_MEMBERS)
            .bind(archive)
            .bind(array(there.iter().map(|file_url| json!(file_url))))
            .execute(&mut *writer)
            .await
            .during(action, subject)?;
        Ok(())
    }

    /// Returns, by path, where those of the given files are that are members of archives.
    pub async fn member_places(
        &self,
        file_urls: &[String],
    ) -> Result<HashMap<String, MemberPlace>, StateError> {
        let places = sqlx::query(sql::PLACES)
            .bind(array(file_urls.iter().map(|file_url| json!(file_url))))
            .try_map(|row: SqliteRow| {
                let place = MemberPlace {
                    archive: row.try_get("archive")?,
                    is_there: row.try_get("is_there")?,
                };
                Ok((row.try_get("file_url")?, place))
            })
            .fetch_all(&self.readers)
            .await
            .during("look up the archives of", "files")?;
        Ok(places.into_iter().collect())
    }
}
