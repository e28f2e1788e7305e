//! A warehouse in memory. It notes each step of a session, fails at the one that it is told to fail at, and lets somebody
//! else change the database before another, unless the session holds the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::days::Days;
use crate::delta::{Fault, Piece, Pieces, Tally};
use crate::input::{self, SummaryBatch};
use crate::protocol::{Arrived, Backend, Entries, Note, Progress, Purpose, Relation, Session, Step, Wanted};
use crate::target::LEDGER;
use crate::{Base, Difference, LedgerEntry, Load, LoadError, LoadMode, SummaryRow, Target};

pub type Key = (String, String, i32);
pub type Rows = BTreeMap<Key, Option<i64>>;

/// What is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    pub rows: Rows,
    /// In the order in which they were written.
    pub ledger: Vec<LedgerEntry>,
    /// The scope that each store and date belongs to.
    pub owners: BTreeMap<(String, i32), String>,
    /// The run of each scope whose summary the target holds.
    pub standing: BTreeMap<String, String>,
    pub has_ledger: bool,
    pub target: Option<Relation>,
}

/// Where a session fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Never,
    /// Instead of this step, counted from 0.
    At(usize),
    /// The commit is done, and its answer is lost.
    AnswerToCommit,
}

/// What somebody else does to the database.
pub type Deed = fn(&mut Database);

pub struct Memory {
    pub target: Target,
    /// Whether rows are staged before the target is locked, as in Redshift.
    pub locks_late: bool,
    state: Mutex<State>,
}

pub struct State {
    pub database: Database,
    pub steps: Vec<&'static str>,
    /// Of each session that was ended, whether its run was settled.
    pub ended: Vec<bool>,
    pub failure: Failure,
    /// Before which step, and what is done then.
    pub meanwhile: Option<(usize, Deed)>,
}

impl Memory {
    pub fn new(mode: LoadMode, locks_late: bool) -> Self {
        Self {
            target: Target::new("t", vec!["sale_amount".into()], mode).unwrap(),
            locks_late,
            state: Mutex::new(State {
                database: Database::default(),
                steps: Vec::new(),
                ended: Vec::new(),
                failure: Failure::Never,
                meanwhile: None,
            }),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn database(&self) -> Database {
        self.state().database.clone()
    }

    /// Returns the steps since the last call.
    pub fn steps(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().steps)
    }
}

pub struct MemorySession<'m> {
    memory: &'m Memory,
    /// How many entries the ledger had when the session began.
    entries_before: usize,
    /// The database as the transaction sees it, once it has begun.
    own: Option<Database>,
    rows: Rows,
    removed: BTreeSet<Key>,
    days: BTreeSet<(String, i32)>,
}

#[async_trait]
impl Backend for Memory {
    type Session<'b> = MemorySession<'b>;

    fn target(&self) -> &Target {
        &self.target
    }

    async fn open<'b>(&'b self, purpose: Purpose) -> Result<MemorySession<'b>, LoadError> {
        let mut session = MemorySession {
            memory: self,
            entries_before: self.state().database.ledger.len(),
            own: None,
            rows: Rows::new(),
            removed: BTreeSet::new(),
            days: BTreeSet::new(),
        };
        session.step("open")?;
        let locks_now = purpose == Purpose::Prepare || purpose != Purpose::Read && !self.locks_late;
        session.own = locks_now.then(|| self.database());
        Ok(session)
    }
}

impl MemorySession<'_> {
    fn step(&mut self, name: &'static str) -> Result<(), LoadError> {
        let mut state = self.memory.state();
        let number = state.steps.len();
        state.steps.push(name);
        if let Some((at, deed)) = state.meanwhile
            && at == number
            && self.own.is_none()
        {
            deed(&mut state.database);
        }
        match state.failure {
            Failure::At(at) if at == number => Err(failed(name)),
            _ => Ok(()),
        }
    }

    /// What the session sees.
    fn seen(&self) -> Database {
        self.own.clone().unwrap_or_else(|| self.memory.database())
    }

    /// What the session changes.
    fn own(&mut self) -> &mut Database {
        self.own.as_mut().expect("changes are made under the lock")
    }

    /// Fails as a server does from whose bucket the rows have gone, because another session has loaded the run since, or a
    /// newer one.
    fn unless_gone(&self, load: &Load) -> Result<(), Fault> {
        let seen = self.seen();
        let since = &seen.ledger[self.entries_before..];
        let is_newer = |entry: &LedgerEntry| entry.scope == load.scope && entry.sequence > load.sequence;
        match since
            .iter()
            .any(|entry| entry.run_id == load.run_id || is_newer(entry))
        {
            true => Err(Fault::Overtaken(failed("stage"))),
            false => Ok(()),
        }
    }

    fn add(&mut self, batch: &SummaryBatch) {
        for row in 0..batch.len() {
            let (store, item, date) = batch.key(row);
            let amount = batch.amounts(row).next().unwrap();
            self.rows.insert((store.into(), item.into(), date), amount);
        }
    }

    fn is_staged_day(&self, (store, _, date): &Key) -> bool {
        self.days.contains(&(store.clone(), *date))
    }

    /// Keys of the target that the summary no longer has.
    fn surplus(&self) -> Vec<Key> {
        let is_surplus = |key: &&Key| {
            let is_reached = match self.memory.target.mode {
                LoadMode::Upsert => false,
                LoadMode::Reload => true,
                LoadMode::ReplaceDays => self.is_staged_day(key),
            };
            is_reached && !self.rows.contains_key(*key)
        };
        let seen = self.seen();
        seen.rows.keys().filter(is_surplus).cloned().collect()
    }
}

fn failed(step: &str) -> LoadError {
    LoadError::Input {
        path: "memory".into(),
        reason: format!("no {step}"),
    }
}

pub fn entry(load: &Load) -> LedgerEntry {
    LedgerEntry {
        run_id: load.run_id.clone(),
        target: "t".into(),
        scope: load.scope.clone(),
        sequence: load.sequence,
        rows: load.rows,
        digest: load.digest.clone(),
        loaded_at: String::new(),
    }
}

#[async_trait]
impl Session for MemorySession<'_> {
    fn name(&self) -> &str {
        "t"
    }

    async fn kind(&mut self, name: &str) -> Result<Option<Relation>, LoadError> {
        self.step("kind")?;
        Ok(match name {
            LEDGER => self.seen().has_ledger.then_some(Relation::Table),
            _ => self.seen().target,
        })
    }

    async fn ledger(&mut self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
        self.step("ledger")?;
        let mut ledger = self.seen().ledger;
        ledger.sort_by_key(|entry| entry.sequence);
        let of = |scope: &str| {
            let newest = ledger.iter().rev().find(|entry| entry.scope == scope);
            newest.cloned()
        };
        let found = match which {
            Entries::OfRun(run_id) => ledger.iter().find(|entry| entry.run_id == run_id).cloned(),
            Entries::After(scope, sequence) => of(scope).filter(|newest| newest.sequence > sequence),
            Entries::Newest(scope) => of(scope),
            Entries::NewestOfEach => unreachable!("no load asks this"),
        };
        Ok(found.into_iter().collect())
    }

    async fn rows(&mut self, _which: Wanted<'_>) -> Result<Vec<SummaryRow>, LoadError> {
        unreachable!("no load asks this")
    }

    async fn row_count(&mut self) -> Result<u64, LoadError> {
        self.step("row_count")?;
        Ok(self.seen().rows.len() as u64)
    }

    async fn create_ledger(&mut self) -> Result<(), LoadError> {
        self.step("create_ledger")?;
        self.own().has_ledger = true;
        Ok(())
    }

    async fn check_target(&mut self) -> Result<(), LoadError> {
        self.step("check_target")
    }

    async fn run(&mut self, step: Step<'_>) -> Result<u64, LoadError> {
        self.step(match step {
            Step::CreateTarget => "create target",
            Step::ForgetLoads => "forget loads",
            Step::ForgetDays => "forget days",
            Step::DeleteRemoved => "delete removed",
            Step::DeleteSurplus => "delete surplus",
            Step::TakeDays(_) => "take days",
            Step::LeaveDays(_) => "leave days",
            Step::LeaveRows => "leave rows",
            Step::Record(_) => "record",
        })?;
        let (surplus, days) = (self.surplus(), self.days.clone());
        let removed = self.removed.clone();
        let own = self.own();
        let mut touched = 0;
        match step {
            Step::CreateTarget => own.target = Some(Relation::Table),
            Step::ForgetLoads => own.ledger.clear(),
            Step::ForgetDays => {
                own.owners.clear();
                own.standing.clear();
            }
            Step::DeleteRemoved => {
                touched = removed.iter().filter_map(|key| own.rows.remove(key)).count();
            }
            Step::DeleteSurplus => {
                touched = surplus.iter().filter_map(|key| own.rows.remove(key)).count();
            }
            Step::TakeDays(load) => {
                for day in days {
                    let before = own.owners.insert(day, load.scope.clone());
                    if let Some(other) = before.filter(|before| *before != load.scope) {
                        own.standing.remove(&other);
                    }
                }
                own.standing.insert(load.scope.clone(), load.run_id.clone());
            }
            Step::LeaveDays(load) => {
                let owners = own.owners.clone();
                let before = self.days.len();
                self.days
                    .retain(|day| owners.get(day).is_none_or(|owner| *owner == load.scope));
                touched = before - self.days.len();
            }
            Step::LeaveRows => {
                let before = self.rows.len();
                let rows = std::mem::take(&mut self.rows);
                let left = rows.into_iter().filter(|(key, _)| self.is_staged_day(key));
                self.rows = left.collect();
                touched = before - self.rows.len();
            }
            Step::Record(load) => own.ledger.push(entry(load)),
        }
        Ok(touched as u64)
    }

    async fn stands(&mut self, load: &Load, base: &Base) -> Result<bool, LoadError> {
        self.step("stands")?;
        let seen = self.seen();
        let of_scope = seen.ledger.iter().filter(|entry| entry.scope == load.scope);
        let newest = of_scope.max_by_key(|entry| entry.sequence);
        Ok(newest.is_some_and(|newest| newest.run_id == base.run_id)
            && seen.standing.get(&load.scope) == Some(&base.run_id))
    }

    async fn stage_days(&mut self, _load: &Load, days: Option<&Days>) -> Result<(), LoadError> {
        self.step("stage days")?;
        for (store, dates) in days.into_iter().flat_map(Days::iter) {
            self.days
                .extend(dates.iter().map(|date| (store.to_string(), *date)));
        }
        Ok(())
    }

    async fn fill(
        &mut self,
        load: &Load,
        _days: Option<&Arc<Days>>,
        _progress: Progress<'_>,
    ) -> Result<Option<Arrived>, LoadError> {
        self.step("fill")?;
        if self.own.is_none() || !self.seen().rows.is_empty() {
            return Ok(None);
        }
        let mut batches = input::summary(&load.summary, &self.memory.target.measures);
        while let Some(batch) = batches.recv().await {
            self.add(&batch?);
        }
        let rows = std::mem::take(&mut self.rows);
        let arrived = rows.len() as u64;
        self.own().rows = rows;
        Ok(Some(Arrived {
            rows: arrived,
            uncovered: 0,
        }))
    }

    async fn stage_rows(
        &mut self,
        load: &Load,
        _days: Option<&Arc<Days>>,
        _progress: Progress<'_>,
    ) -> Result<Arrived, Fault> {
        self.step("stage rows")?;
        self.unless_gone(load)?;
        let mut batches = input::summary(&load.summary, &self.memory.target.measures);
        while let Some(batch) = batches.recv().await {
            self.add(&batch?);
        }
        Ok(Arrived {
            rows: self.rows.len() as u64,
            uncovered: 0,
        })
    }

    async fn stage_changes(
        &mut self,
        load: &Load,
        pieces: &mut Pieces,
        _has_days: bool,
    ) -> Result<Option<Tally>, Fault> {
        self.step("stage changes")?;
        self.unless_gone(load)?;
        let mut tally = None;
        while let Some(piece) = pieces.recv().await {
            match piece? {
                Piece::Write(batch) => self.add(&batch),
                Piece::Remove(batch) => {
                    let key = |row| {
                        let (store, item, date) = batch.key(row);
                        (store.to_string(), item.to_string(), date)
                    };
                    self.removed.extend((0..batch.len()).map(key));
                }
                Piece::End(end) => tally = Some(end),
            }
        }
        Ok(tally)
    }

    async fn lock(&mut self) -> Result<bool, LoadError> {
        if self.own.is_some() {
            return Ok(false);
        }
        self.step("lock")?;
        self.own = Some(self.memory.database());
        Ok(true)
    }

    async fn write(&mut self, _load: &Load, _staged: u64) -> Result<(u64, u64), LoadError> {
        self.step("write")?;
        let staged = self.rows.clone();
        let own = self.own();
        let (mut inserted, mut written) = (0, 0);
        for (key, amount) in staged {
            match own.rows.insert(key, amount) {
                None => (inserted, written) = (inserted + 1, written + 1),
                Some(before) => written += u64::from(before != amount),
            }
        }
        Ok((inserted, written))
    }

    async fn compare(&mut self, note: Note<'_>) -> Result<(), LoadError> {
        self.step("compare")?;
        let held = self.seen().rows;
        let text = |amount: &Option<i64>| vec![amount.map(|cents| cents.to_string())];
        let difference = |key: &Key, warehouse, summary| Difference {
            store_id: key.0.clone(),
            item_id: key.1.clone(),
            trans_date: key.2.to_string(),
            warehouse,
            summary,
        };
        for (key, amount) in self
            .rows
            .iter()
            .filter(|(key, amount)| held.get(*key) != Some(*amount))
        {
            note(difference(key, held.get(key).map(text), Some(text(amount))));
        }
        for key in self.surplus() {
            note(difference(&key, held.get(&key).map(text), None));
        }
        Ok(())
    }

    async fn commit(&mut self, _action: &'static str) -> Result<(), LoadError> {
        self.step("commit")?;
        let own = self.own.take().expect("only a transaction is committed");
        let mut state = self.memory.state();
        state.database = own;
        match state.failure {
            Failure::AnswerToCommit => Err(failed("answer")),
            _ => Ok(()),
        }
    }

    async fn roll_back(&mut self) -> Result<(), LoadError> {
        self.step("roll back")?;
        self.own = None;
        Ok(())
    }

    async fn end(self, _load: &Load, is_settled: bool) {
        self.memory.state().ended.push(is_settled);
    }
}
