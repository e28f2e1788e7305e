//! Keeps which jobs take a file: for files that are new, and for jobs whose rows have changed.
//!
//! Patterns are not for SQL, so the caller compares ([`Takers`]), and `job_file` keeps the answers. Triggers note what is
//! to be matched (`file_to_match`, `job_to_match`), whoever writes it. The answers must be by the rows as they are at
//! that moment, so the caller's edition of them is compared first, within the transaction.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::decode::{array, wave_text};
use super::sql::{matching as sql, waves};
use super::{StateDb, begin};
use crate::dialect::{Connection, Result, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::file::ARCHIVES;
use crate::members::{AsksFor, Named, Taker, Takers};

const ACTION: &str = "find the jobs of";
const SUBJECT: &str = "files";

/// The most files that are matched in one transaction, and the most that are in memory at a time.
const AT_ONCE: i64 = 5_000;

/// A file that is compared with the jobs.
struct File {
    file_id: i64,
    file_url: String,
    feed: String,
    store_id: Option<String>,
}

impl File {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            file_id: row.get("file_id")?,
            file_url: row.get("file_url")?,
            feed: row.get("feed")?,
            store_id: row.get("store_id")?,
        })
    }

    fn named(&self) -> Named<'_> {
        Named {
            feed: &self.feed,
            file_url: &self.file_url,
            store_id: self.store_id.as_deref(),
        }
    }

    fn job_file(&self, taker: &Taker) -> Value {
        json!([taker.job_id, wave_text(taker.wave), self.file_id, taker.store_id])
    }
}

impl StateDb {
    /// Returns whether it is up to date which jobs take which files.
    pub async fn is_matched(&self) -> Result<bool, StateError> {
        let is_any: bool = query_scalar(sql::IS_ANYTHING_TO_MATCH)
            .fetch_one(&self.readers)
            .await
            .during(ACTION, SUBJECT)?;
        Ok(!is_any)
    }

    /// Brings up to date which jobs take which files. Costs next to nothing if nothing is new. Fails with
    /// [`StateError::JobsEdited`] if `takers` knows another edition of the jobs.
    pub async fn match_files(&self, takers: &dyn Takers) -> Result<(), StateError> {
        let mut is_more = !self.is_matched().await?;
        while is_more {
            // Others may write in between. What is not on disk after a power cut is matched again.
            let mut writer = self.writer_unsynced().await.during(ACTION, SUBJECT)?;
            let mut tx = begin(&mut writer).await.during(ACTION, SUBJECT)?;
            is_more = match_some(&mut tx, takers).await?;
            tx.commit().await.during(ACTION, SUBJECT)?;
        }
        Ok(())
    }
}

/// Matches what is new within a transaction: all jobs, and some thousands of files. Returns whether there may be more:
/// mostly not. That is matched before anything is judged.
pub(super) async fn match_some(tx: &mut Connection, takers: &dyn Takers) -> Result<bool, StateError> {
    let edition: i64 = query_scalar(sql::EDITION)
        .fetch_one(&mut *tx)
        .await
        .during(ACTION, SUBJECT)?;
    if edition != takers.edition() {
        return Err(StateError::JobsEdited);
    }
    match_jobs(tx, takers).await.during(ACTION, SUBJECT)?;
    match_files(tx, takers).await.during(ACTION, SUBJECT)
}

/// Compares the jobs that are new or edited with all files whose paths begin as theirs do.
async fn match_jobs(tx: &mut Connection, takers: &dyn Takers) -> Result<()> {
    let jobs: Vec<String> = query_scalar(sql::JOBS_TO_MATCH).fetch_all(&mut *tx).await?;
    if jobs.is_empty() {
        return Ok(());
    }
    let names = json!(jobs).to_string();
    for forget in sql::FORGET_JOBS {
        query(forget).bind(&names).execute(&mut *tx).await?;
    }
    let asked: Vec<(&str, AsksFor)> = jobs
        .iter()
        .filter_map(|job_id| Some((job_id.as_str(), takers.asks_for(job_id)?)))
        .collect();
    let patterns = new_patterns(tx, &asked, &names).await?;
    let of_jobs = asked.iter().map(|(_, asks)| asks.start.as_str());
    let required = asked.iter().flat_map(|(_, asks)| &asks.requires);
    let of_patterns = required
        .filter(|(pattern, _)| patterns.contains(pattern))
        .map(|(_, start)| start.as_str());
    let wanted: HashSet<&str> = asked.iter().map(|(job_id, _)| *job_id).collect();
    for start in shortest_starts(of_jobs.chain(of_patterns)) {
        compare(tx, takers, start, &wanted, &patterns).await?;
    }
    execute(tx, sql::FORGET_WITHOUT_JOB, None).await?;
    execute(tx, waves::NEXT_REVISION, None).await?;
    execute(tx, waves::OPEN_WAVES, Some(&names)).await?;
    execute(tx, sql::JOBS_ARE_MATCHED, Some(&names)).await
}

/// Notes what jobs require and follow, and returns the patterns whose files are not known yet.
async fn new_patterns(
    tx: &mut Connection,
    asked: &[(&str, AsksFor)],
    names: &str,
) -> Result<HashSet<String>> {
    let patterns = asked
        .iter()
        .flat_map(|(_, asks)| asks.requires.iter().map(|(pattern, _)| json!(pattern)));
    let new: Vec<String> = query_scalar(sql::NEW_PATTERNS)
        .bind(array(patterns))
        .bind(names)
        .fetch_all(&mut *tx)
        .await?;
    let requires = asked.iter().flat_map(|(job_id, asks)| {
        let requires = asks.requires.iter();
        requires.map(move |(pattern, _)| json!([pattern, job_id]))
    });
    let requires = array(requires);
    let follows = asked
        .iter()
        .flat_map(|(job_id, asks)| asks.after.iter().map(move |after| json!([after, job_id])));
    let follows = array(follows);
    execute(tx, sql::ADD_REQUIRES, Some(&requires)).await?;
    execute(tx, sql::ADD_FOLLOWS, Some(&follows)).await?;
    execute(tx, sql::FORGET_PATTERNS, Some(&json!(new).to_string())).await?;
    Ok(new.into_iter().collect())
}

/// Compares all files whose paths begin with `start` with some jobs and required patterns.
async fn compare(
    tx: &mut Connection,
    takers: &dyn Takers,
    start: &str,
    jobs: &HashSet<&str>,
    patterns: &HashSet<String>,
) -> Result<()> {
    let mut from = start.to_owned();
    loop {
        let files: Vec<File> = query(sql::FILES_FROM)
            .bind(&from)
            .bind(start)
            .bind(AT_ONCE)
            .try_map(|row| File::read(&row))
            .fetch_all(&mut *tx)
            .await?;
        let Some(last) = files.last() else { return Ok(()) };
        // No path sorts between the two: none has a NUL.
        from = format!("{}\u{1}", last.file_url);
        let (mut taken, mut required) = (Vec::new(), Vec::new());
        for file in &files {
            let of_file = takers.takers(file.named());
            let of_file = of_file
                .iter()
                .filter(|taker| jobs.contains(taker.job_id.as_str()));
            taken.extend(of_file.map(|taker| file.job_file(taker)));
            if !patterns.is_empty() {
                required
                    .extend(required_rows(takers, file).filter(|(pattern, _)| patterns.contains(pattern)));
            }
        }
        let required = required.into_iter().map(|(_, row)| row);
        insert(tx, taken, required.collect()).await?;
    }
}

/// Compares the next of the files that are new with all jobs. Returns whether there may be more.
async fn match_files(tx: &mut Connection, takers: &dyn Takers) -> Result<bool> {
    let files: Vec<File> = query(sql::FILES_TO_MATCH)
        .bind(AT_ONCE)
        .try_map(|row| File::read(&row))
        .fetch_all(&mut *tx)
        .await?;
    if files.is_empty() {
        return Ok(false);
    }
    let ids = array(files.iter().map(|file| json!(file.file_id)));
    execute(tx, waves::NEXT_REVISION, None).await?;
    // A file that is known may have left a wave, which then no longer waits for it.
    execute(tx, waves::TOUCH_FILES, Some(&ids)).await?;
    for forget in sql::FORGET_FILES {
        execute(tx, forget, Some(&ids)).await?;
    }
    let (mut taken, mut required, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files {
        let of_file = takers.takers(file.named());
        taken.extend(of_file.iter().map(|taker| file.job_file(taker)));
        without.extend(of_file.is_empty().then(|| json!(file.file_id)));
        required.extend(required_rows(takers, file).map(|(_, row)| row));
    }
    let is_any_required = !required.is_empty();
    insert(tx, taken, required).await?;
    if !without.is_empty() {
        execute(tx, sql::ADD_WITHOUT_JOB, Some(&array(without))).await?;
    }
    execute(tx, waves::OPEN_WAVES_OF_FILES, Some(&ids)).await?;
    if is_any_required {
        execute(tx, waves::TOUCH_REQUIRING, Some(&ids)).await?;
    }
    execute(tx, sql::FILES_ARE_MATCHED, Some(&ids)).await?;
    Ok(files.len() as i64 == AT_ONCE)
}

fn required_rows(takers: &dyn Takers, file: &File) -> impl Iterator<Item = (String, Value)> {
    // What is required is in an archive, and not the archive itself.
    let required = match file.feed == ARCHIVES {
        true => Vec::new(),
        false => takers.required_by(&file.file_url),
    };
    let file_id = file.file_id;
    required.into_iter().map(move |(pattern, wave)| {
        let row = json!([pattern, wave_text(wave), file_id]);
        (pattern, row)
    })
}

async fn insert(tx: &mut Connection, taken: Vec<Value>, required: Vec<Value>) -> Result<()> {
    for (statement, rows) in [(sql::ADD_JOB_FILES, taken), (sql::ADD_REQUIRED_FILES, required)] {
        if !rows.is_empty() {
            execute(tx, statement, Some(&array(rows))).await?;
        }
    }
    Ok(())
}

async fn execute(tx: &mut Connection, statement: &'static str, argument: Option<&str>) -> Result<()> {
    let mut query = query(statement);
    if let Some(argument) = argument {
        query = query.bind(argument);
    }
    query.execute(tx).await.map(drop)
}

/// Returns the texts with which all of these begin: none of them begins with another.
fn shortest_starts<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let texts: BTreeSet<&str> = texts.collect();
    let mut shortest: Vec<&str> = Vec::new();
    for text in texts {
        // What begins with a text comes right after it.
        if shortest.last().is_none_or(|start| !text.starts_with(start)) {
            shortest.push(text);
        }
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_starts_the_shortest_are_looked_for() {
        let of = |texts: &[&'static str]| shortest_starts(texts.iter().copied());
        assert_eq!(of(&[]), [""; 0]);
        assert_eq!(of(&["IL-", "IL-"]), ["IL-"]);
        assert_eq!(of(&["P001-", "P002-", "P0", "Q", "P-"]), ["P-", "P0", "Q"]);
        assert_eq!(of(&["é1", "é", "è2"]), ["è2", "é"]);
        assert_eq!(of(&["IL-", "", "Item"]), [""]);
    }
}
