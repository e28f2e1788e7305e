//! What the state database knows about the lake: which objects it refers to, and which are no longer needed.

use std::collections::HashSet;

use jiff::Timestamp;

use super::sql::{lake as sql, runs};
use super::{StateDb, begin, decode};
use crate::dialect::{Connection, Result, query, query_as, query_scalar};
use crate::error::{During, StateError};

/// How many rows are read at a time of tables that may have a million.
const PAGE: u32 = 10_000;

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

/// Whose objects to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectsOf {
    /// Those of runs: summaries and coverages.
    Runs,
    /// Those of versions and of runs.
    All,
}

impl StateDb {
    /// Gives out the lake paths of the objects that rows refer to, in no order. There may be millions.
    pub async fn each_lake_object(
        &self,
        of: ObjectsOf,
        mut take: impl FnMut(&str),
    ) -> Result<(), StateError> {
        let (action, subject) = ("list", "the objects of the lake");
        let statements: &[_] = match of {
            ObjectsOf::Runs => &[sql::OBJECTS_OF_RUNS],
            ObjectsOf::All => &[sql::OBJECTS_OF_VERSIONS, sql::OBJECTS_OF_RUNS],
        };
        for &statement in statements {
            let mut after = i64::MIN;
            loop {
                let page = query(statement).bind(after).bind(PAGE);
                let page = page.fetch_all(&self.readers).await.during(action, subject)?;
                let Some(last) = page.last() else { break };
                after = last.get("place").during(action, subject)?;
                for row in &page {
                    for column in 1..row.len() {
                        let object: Option<&str> = row.at(column).during(action, subject)?;
                        object.into_iter().for_each(&mut take);
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the next files, after the path `after`, whose versions in force have a partial in the lake, with its lake
    /// path. Ordered by path, and never more than some thousands: there may be a million.
    pub async fn partials_in_force(&self, after: &str) -> Result<Vec<(String, String)>, StateError> {
        let partials = query_as(sql::PARTIALS_IN_FORCE).bind(after).bind(PAGE);
        let partials = partials.fetch_all(&self.readers).await;
        partials.during("list", "the partials in force")
    }

    /// Records that the lake has lost partials (the path of each file, and the lake path), and has their files read again,
    /// which makes them anew. A run that needs them (`waiting`, which is running) goes back into the queue, and is claimed
    /// once its files have been read. Returns the files.
    pub async fn lose_partials(
        &self,
        partials: &[(String, String)],
        waiting: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        let (action, subject) = ("record the loss of", "partials");
        let objects = serde_json::json!(partials).to_string();
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let look = query_scalar(sql::LOOK_AGAIN_FOR).bind(&objects);
        let mut files: Vec<String> = look.fetch_all(&mut *tx).await.during(action, subject)?;
        let forget = query(sql::FORGET_PARTIALS).bind(&objects).bind(&now);
        forget.execute(&mut *tx).await.during(action, subject)?;
        if let Some(run_id) = waiting {
            let requeue = query(runs::REQUEUE).bind(run_id);
            requeue.execute(&mut *tx).await.during(action, subject)?;
        }
        tx.commit().await.during(action, subject)?;
        files.sort_unstable();
        Ok(files)
    }

    /// Records that the lake has partials again that it had lost, or that its retention had removed: the version of each, and
    /// the lake path. A version whose partial is not missing stays as it is.
    pub async fn name_partials(&self, partials: &[(i64, String)]) -> Result<(), StateError> {
        let (action, subject) = ("record the return of", "partials");
        let mut writer = self.writer().await.during(action, subject)?;
        let name = query(sql::NAME_PARTIALS).bind(serde_json::json!(partials).to_string());
        name.execute(&mut *writer).await.during(action, subject)?;
        Ok(())
    }

    /// Returns the files that are to be read again because the lake lost the partials of their versions in force. Ordered by
    /// path.
    pub async fn files_without_partials(&self) -> Result<Vec<String>, StateError> {
        let files = query_scalar(sql::WITHOUT_PARTIALS).fetch_all(&self.readers).await;
        files.during("list", "the files whose partials were lost")
    }

    /// Returns the queued runs that wait for files to be read again, each with such a file.
    pub async fn awaited_files(&self) -> Result<Vec<(String, String)>, StateError> {
        let awaited = query_as(sql::AWAITED).fetch_all(&self.readers).await;
        awaited.during("list", "the files that runs wait for")
    }

    /// Forgets the objects that have expired, and returns their lake paths. Nothing reads them any more, so they can be
    /// removed. They are looked for without the write lock; under it, those found are asked for once more, some at a time,
    /// because a submission or a run may need one again meanwhile.
    pub async fn expire(&self, expiry: &Expiry) -> Result<Vec<String>, StateError> {
        let (action, subject) = ("expire the objects of", "the lake");
        let kinds = [
            (expiry.converted, sql::FIND_CONVERTED, sql::FORGET_CONVERTED, None),
            (
                expiry.partials,
                sql::FIND_PARTIALS,
                sql::EXPIRE_PARTIALS,
                Some(self.now()),
            ),
            (expiry.rejects, sql::FIND_REJECTS, sql::FORGET_REJECTS, None),
            (expiry.summaries, sql::FIND_SUMMARIES, sql::FORGET_SUMMARIES, None),
            (expiry.summaries, sql::FIND_COVERAGES, sql::FORGET_COVERAGES, None),
        ];
        let mut expired = Vec::new();
        for (until, find, forget, noted) in kinds {
            let Some(until) = until.map(decode::text) else {
                continue;
            };
            let found = query_as(find).bind(&until);
            let found: Vec<(String, String)> =
                found.fetch_all(&self.readers).await.during(action, subject)?;
            for found in found.chunks(AT_ONCE) {
                let mut writer = self.writer().await.during(action, subject)?;
                let forgotten = forget_some(&mut writer, forget, (&until, noted.as_deref()), found).await;
                expired.extend(forgotten.during(action, subject)?);
            }
        }
        Ok(expired)
    }
}

/// The most objects that are forgotten under one lock.
const AT_ONCE: usize = 500;

/// Forgets those of some objects that have still expired, and returns their lake paths. `noted` is the time, if the
/// statement keeps it.
async fn forget_some(
    writer: &mut Connection,
    forget: &'static str,
    (until, noted): (&str, Option<&str>),
    found: &[(String, String)],
) -> Result<Vec<String>> {
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    let mut forgotten = query_scalar(forget)
        .bind(until)
        .bind(serde_json::json!(keys).to_string());
    if let Some(noted) = noted {
        forgotten = forgotten.bind(noted);
    }
    let forgotten: HashSet<String> = forgotten.fetch_all(writer).await?.into_iter().collect();
    let objects = found.iter().filter(|(key, _)| forgotten.contains(key));
    Ok(objects.map(|(_, object)| object.clone()).collect())
}
