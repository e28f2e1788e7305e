//! Questions that are answered together, and how the rows of one statement are told apart.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::rows::file_fact;
use super::{About, Damage, Facts, FileFact, Question, Whole, array, whole};
use crate::dialect::{Connection, Result, Row, query};
use crate::job::JobRow;

/// A question, and what was found so far.
pub(super) struct Asked<'q> {
    /// Its place among all questions.
    pub(super) place: usize,
    pub(super) question: &'q Question<'q>,
    /// The job's feed.
    pub(super) feed: String,
    /// The waves that it is about, as the database stores them.
    pub(super) waves: Vec<String>,
    pub(super) facts: Facts,
}

impl<'q> Asked<'q> {
    pub(super) fn new(place: usize, question: &'q Question<'q>, job: JobRow) -> Self {
        Self {
            place,
            question,
            feed: job.config.feed,
            waves: Vec::new(),
            facts: Facts {
                damages: job.damage.into_iter().collect(),
                ..Facts::default()
            },
        }
    }

    /// Returns the rows that could be read, and notes what is wrong with the others. Where these do not name a job, the
    /// one that is asked about waits.
    pub(super) fn kept<T>(&mut self, whole: Whole<T>) -> Vec<T> {
        let damages = whole.damages.into_iter().map(|damage| Damage {
            job_id: damage.job_id.or_else(|| Some(self.question.job_id.to_owned())),
            ..damage
        });
        self.facts.damages.extend(damages);
        whole.rows
    }

    /// Reads files. What is wrong with one concerns all jobs that read it.
    pub(super) fn file_facts(&mut self, rows: Vec<Row>) -> Result<Vec<FileFact>> {
        let files = whole(rows, About::Files, file_fact)?;
        self.facts.damages.extend(files.damages);
        Ok(files.rows)
    }

    /// Returns the waves, and that without a day.
    pub(super) fn waves_and_none(&self) -> BTreeSet<&str> {
        let waves = self.waves.iter().map(String::as_str);
        waves.chain([""]).collect()
    }
}

/// Asks a statement for `asked`, of which each begins with the number of its question; returns the rows of each of `count`
/// questions.
pub(super) async fn rows_of_each(
    tx: &mut Connection,
    statement: &'static str,
    asked: Vec<Value>,
    count: usize,
) -> Result<Vec<Vec<Row>>> {
    let mut of_each: Vec<Vec<Row>> = std::iter::repeat_with(Vec::new).take(count).collect();
    if asked.is_empty() {
        return Ok(of_each);
    }
    let rows = query(statement).bind(array(asked)).fetch_all(tx).await?;
    for row in rows {
        let number: u32 = row.get("asked")?;
        of_each[number as usize].push(row);
    }
    Ok(of_each)
}

/// What several questions ask for, each thing once.
#[derive(Default)]
pub(super) struct Shared {
    things: Vec<Value>,
    places: HashMap<String, u32>,
    by_question: HashMap<usize, BTreeSet<u32>>,
}

/// What was found of it: of each thing, by its place, with the order of the rows.
pub(super) struct Found<T> {
    rows: HashMap<u32, Vec<(usize, T)>>,
    damages: HashMap<u32, Vec<Damage>>,
    by_question: HashMap<usize, BTreeSet<u32>>,
}

impl Shared {
    /// Notes that a question asks for something.
    pub(super) fn add(&mut self, question: usize, thing: Value) {
        let next = self.things.len() as u32;
        let place = *self.places.entry(thing.to_string()).or_insert_with(|| {
            self.things.push(thing);
            next
        });
        self.by_question.entry(question).or_default().insert(place);
    }

    /// Asks a statement for all of it. Rows with impossible values are left out.
    pub(super) async fn ask<T>(
        self,
        tx: &mut Connection,
        statement: &'static str,
        about: About,
        read: fn(&Row) -> Result<T>,
    ) -> Result<Found<T>> {
        let mut found = Found {
            rows: HashMap::new(),
            damages: HashMap::new(),
            by_question: self.by_question,
        };
        if self.things.is_empty() {
            return Ok(found);
        }
        let rows = query(statement).bind(array(self.things)).fetch_all(tx).await?;
        for (order, row) in rows.into_iter().enumerate() {
            let place: u32 = row.get("asked")?;
            let read = whole(vec![row], about, read)?;
            for thing in read.rows {
                found.rows.entry(place).or_default().push((order, thing));
            }
            found.damages.entry(place).or_default().extend(read.damages);
        }
        Ok(found)
    }
}

impl<T: Clone> Found<T> {
    /// Returns what was found for a question, in the order of the rows, and what is wrong with the rest.
    pub(super) fn of(&self, question: usize) -> (Vec<T>, Vec<Damage>) {
        let places = || self.by_question.get(&question).into_iter().flatten();
        let mut rows: Vec<_> = places()
            .filter_map(|place| self.rows.get(place))
            .flatten()
            .collect();
        rows.sort_unstable_by_key(|(order, _)| *order);
        let damages = places().filter_map(|place| self.damages.get(place)).flatten();
        let rows = rows.into_iter().map(|(_, thing)| thing.clone());
        (rows.collect(), damages.cloned().collect())
    }
}
