//! Archives, and the files in them.

use std::collections::HashMap;

use serde_json::json;

use super::decode::array;
use super::sql::files as sql;
use super::{StateDb, decode};
use crate::dialect::{Row, query};
use crate::error::{During, StateError};
use crate::file::{KnownMember, MemberPlace, Role, SubmissionOutcome, SubmissionRecord};

/// Returns what the row of a file says of archives: that which it is in, how many members it has, and how many of them are
/// read. Nothing is read of an archive that is rejected.
pub(super) fn role_columns(submission: &SubmissionRecord) -> (Option<&str>, Option<u64>, Option<u64>) {
    let is_rejected = match &submission.outcome {
        SubmissionOutcome::Converted(version) => version.rejected_because.is_some(),
        _ => false,
    };
    match &submission.role {
        Role::Alone => (None, None, None),
        Role::Member { archive } => (Some(archive), None, None),
        Role::Archive { members, read, .. } => (None, Some(*members), Some(*read).filter(|_| !is_rejected)),
    }
}

impl StateDb {
    /// Returns, by path, what is known of the files that were read from an archive, whenever that was.
    pub async fn members_of(&self, archive: &str) -> Result<HashMap<String, KnownMember>, StateError> {
        let known = query(sql::MEMBERS)
            .bind(archive)
            .try_map(|row: Row| {
                let parts = ["stamp_bytes", "stamp_modified_ns", "stamp_inode"];
                let parts = parts.map(|part| row.get::<Option<i64>>(part));
                let is_whole = parts.into_iter().all(|part| matches!(part, Ok(Some(_))));
                let member = KnownMember {
                    stamp: decode::stamp(&row).ok().filter(|_| is_whole),
                    layout_digest: row.get("layout_digest")?,
                };
                Ok((row.get("file_url")?, member))
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
        query(sql::SETTLE_MEMBERS)
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
        let places = query(sql::PLACES)
            .bind(array(file_urls.iter().map(|file_url| json!(file_url))))
            .try_map(|row: Row| {
                let place = MemberPlace {
                    archive: row.get("archive")?,
                    is_there: row.get("is_there")?,
                };
                Ok((row.get("file_url")?, place))
            })
            .fetch_all(&self.readers)
            .await
            .during("look up the archives of", "files")?;
        Ok(places.into_iter().collect())
    }
}
