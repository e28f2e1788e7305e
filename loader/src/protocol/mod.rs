//! The one protocol of all warehouses: how a summary is loaded exactly once, how the target is compared with it, and how
//! both get their tables.
//!
//! The protocol says what happens in which order. What a server is told, and how rows get there, is behind two traits: a
//! [`Backend`] opens sessions, and a [`Session`] takes the steps. A new warehouse is these two and a table of
//! statements; what it needs of transactions and locks is what the methods of [`Session`] promise.

mod load;
mod prepare;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;

use crate::days::Days;
use crate::delta::{Fault, Pieces, Tally};
use crate::target::LEDGER;
use crate::{
    Base, Difference, LedgerEntry, Load, LoadError, LoadOutcome, SummaryRow, Target, Verification, Warehouse,
};

/// Is told how many of a summary's rows were sent so far.
pub(crate) type Progress<'p> = &'p (dyn Fn(u64) + Send + Sync);

/// A database that may hold a target.
#[async_trait]
pub(crate) trait Backend: Send + Sync + 'static {
    /// A connection to it.
    type Session<'b>: Session
    where
        Self: 'b;

    /// The target, with the names that the database has for its columns.
    fn target(&self) -> &Target;

    /// The measures as summaries name them.
    fn measures(&self) -> &[String] {
        &self.target().measures
    }

    /// Whether there is a database to open. `false` only where [`Purpose::Prepare`] creates it.
    fn exists(&self) -> bool {
        true
    }

    /// Connects, and begins the transaction that the purpose needs.
    async fn open<'b>(&'b self, purpose: Purpose) -> Result<Self::Session<'b>, LoadError>;
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Single queries, without a transaction.
    Read,
    /// To create tables, and to check the target. The transaction locks out others with this purpose.
    Prepare,
    /// To load. The transaction locks out all others that change the target, from now or from [`Session::lock`] on.
    Load,
    /// To compare. What the session reads does not change meanwhile, from now or from [`Session::lock`] on.
    Compare,
    /// To compare and to correct: as [`Load`](Self::Load).
    Mend,
}

impl Purpose {
    /// What the start of the session's transaction tries, for messages. `None`: it needs no transaction.
    pub(crate) fn action(self) -> Option<&'static str> {
        match self {
            Self::Read => None,
            Self::Prepare => Some(PREPARE),
            Self::Load => Some("begin the load into"),
            Self::Compare | Self::Mend => Some("begin to compare with"),
        }
    }
}

/// What was tried, for messages, where no [`Step`] or [`Purpose`] says it.
pub(crate) const PREPARE: &str = "prepare the target in";
pub(crate) const LOOK_UP: &str = "look the target up in";
pub(crate) const LOOK_UP_COLUMNS: &str = "look the target's columns up in";
pub(crate) const CREATE_LEDGER: &str = "create the ledger in";
pub(crate) const READ_LEDGER: &str = "read the ledger of";
pub(crate) const READ_ROWS: &str = "read rows of";
pub(crate) const COUNT_ROWS: &str = "count rows of";
pub(crate) const CHECK_BASE: &str = "check for the last loaded run in";
pub(crate) const COMPARE: &str = "compare rows of";
pub(crate) const ROLL_BACK: &str = "roll back the load into";

/// A connection to a warehouse. Dropping it ends its transaction as [`roll_back`](Self::roll_back) does.
///
/// After a `LoadError` of its own, nothing is done with a session but to [end](Self::end) it.
#[async_trait]
pub(crate) trait Session: Send {
    /// The target's name in the ledger.
    fn name(&self) -> &str;

    /// The kind of a relation in the target's schema; `None` if there is none of this name.
    async fn kind(&mut self, name: &str) -> Result<Option<Relation>, LoadError>;

    /// Entries of the ledger for this target, which must exist, in the order of loads.
    async fn ledger(&mut self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError>;

    /// Rows of the target, in the order of their keys.
    async fn rows(&mut self, which: Wanted<'_>) -> Result<Vec<SummaryRow>, LoadError>;

    /// How many rows the target holds.
    async fn row_count(&mut self) -> Result<u64, LoadError>;

    /// Creates the tables beside the target, and their index, where they are absent.
    async fn create_ledger(&mut self) -> Result<(), LoadError>;

    /// Fails with `TargetMismatch` if a summary does not fit into the target, which is a table.
    async fn check_target(&mut self) -> Result<(), LoadError>;

    /// Runs the statements of a step. Returns how many rows they touched together.
    async fn run(&mut self, step: Step<'_>) -> Result<u64, LoadError>;

    /// Whether the target still holds the base on the base's days: the base is the newest entry of its scope in the
    /// ledger, no other scope has taken one of its days since, and it was loaded in the target's present form.
    async fn stands(&mut self, load: &Load, base: &Base) -> Result<bool, LoadError>;

    /// Stages days, in which rows that are not staged will be [deleted](Step::DeleteSurplus), and which will be
    /// [taken](Step::TakeDays). `None` for a reload, which needs none.
    async fn stage_days(&mut self, load: &Load, days: Option<&Days>) -> Result<(), LoadError>;

    /// Puts the summary right into the target, if that holds no row to compare with. `None`: it does, and nothing was
    /// done. Comes after [`stage_days`](Self::stage_days); `days` are those, for the count of rows outside of them.
    async fn fill(
        &mut self,
        _load: &Load,
        _days: Option<&Arc<Days>>,
        _progress: Progress<'_>,
    ) -> Result<Option<Arrived>, LoadError> {
        Ok(None)
    }

    /// Stages the whole summary. `days` as for [`fill`](Self::fill).
    async fn stage_rows(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Arrived, Fault>;

    /// Stages a difference: rows to be written, and keys of rows to be removed. `has_days`: days were staged, too.
    /// `None`: the pieces ended without their totals.
    async fn stage_changes(
        &mut self,
        load: &Load,
        pieces: &mut Pieces,
        has_days: bool,
    ) -> Result<Option<Tally>, Fault>;

    /// Locks the target if [`open`](Backend::open) has not, because rows are staged before the transaction that changes
    /// the target begins. `true`: what was asked before may have changed until now.
    async fn lock(&mut self) -> Result<bool, LoadError> {
        Ok(false)
    }

    /// Inserts the staged rows that the target lacks, and updates those that differ. `staged` is the number of staged
    /// rows. Returns how many were inserted, and how many inserted or updated.
    async fn write(&mut self, load: &Load, staged: u64) -> Result<(u64, u64), LoadError>;

    /// Compares the target with the staged rows and days: notes staged rows that the target lacks or holds with other
    /// amounts, then rows that it should not hold, each in the order of their keys.
    async fn compare(&mut self, note: Note<'_>) -> Result<(), LoadError>;

    /// Makes the transaction's changes durable and visible, all at once. After an error they may or may not be.
    async fn commit(&mut self, action: &'static str) -> Result<(), LoadError>;

    /// Undoes the transaction and gives up its locks.
    async fn roll_back(&mut self) -> Result<(), LoadError>;

    /// Ends the session, and removes what it has left outside of the database. `is_settled`: the ledger has the load, so
    /// nothing that any other session has left for it is needed either. Failures here do no harm, and are only logged.
    async fn end(self, _load: &Load, _is_settled: bool)
    where
        Self: Sized,
    {
    }
}

/// Is told each row on which the target and a summary disagree.
pub(crate) type Note<'n> = &'n mut (dyn FnMut(Difference) + Send);

/// What has the name that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Table,
    View,
    /// A view, or something like it.
    Other,
}

/// Which entries of the ledger are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entries<'e> {
    /// That of a run.
    OfRun(&'e str),
    /// The newest of a scope, if its sequence is greater than this one.
    After(&'e str, i64),
    /// The newest of a scope.
    Newest(&'e str),
    /// The newest of each scope.
    NewestOfEach,
}

/// Which rows of the target are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'r> {
    /// That with this store, item and date.
    Key(&'r str, &'r str, Date),
    /// The first ones, at most this many.
    First(u32),
}

/// A step that is nothing but statements.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'s> {
    CreateTarget,
    /// Forgets the target's entries in the ledger.
    ForgetLoads,
    /// Forgets which scopes own which days, and all summaries that the target held.
    ForgetDays,
    /// Deletes the rows whose keys were staged as removed.
    DeleteRemoved,
    /// Deletes the rows that the summary no longer has, as far as the mode allows.
    DeleteSurplus,
    /// Takes over the staged days for the load's scope, and records that the target holds its summary.
    TakeDays(&'s Load),
    /// Removes the days that other scopes than the load's own have loaded since from the staged days.
    LeaveDays(&'s Load),
    /// Removes the rows of days that are not staged from the staged rows.
    LeaveRows,
    /// Writes the ledger's row.
    Record(&'s Load),
}

impl Step<'_> {
    /// What was tried, for messages.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::CreateTarget => "create the target in",
            Self::ForgetLoads => "forget the lost loads in",
            Self::ForgetDays => "forget the loaded days in",
            Self::DeleteRemoved | Self::DeleteSurplus => "delete rows of",
            Self::TakeDays(_) => "record the loaded days in",
            Self::LeaveDays(_) | Self::LeaveRows => "look up the owners of days in",
            Self::Record(_) => "write the ledger of",
        }
    }
}

/// A statement, and the values of its parameters in their order.
pub(crate) struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Statement {
    pub(crate) fn new<const N: usize>(sql: impl Into<String>, values: [Value; N]) -> Self {
        Self {
            sql: sql.into(),
            values: values.into(),
        }
    }
}

/// A parameter's value.
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// The rows that were staged, or put into the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// All of them; as the server counts them, where it does.
    pub rows: u64,
    /// Rows outside the coverage.
    pub uncovered: u64,
}

impl Arrived {
    /// Fails if this is not the summary that the run wrote.
    fn expect_whole(self, load: &Load) -> Result<(), LoadError> {
        load.expect_rows(self.rows)?;
        load.expect_covered(self.uncovered)
    }
}

#[async_trait]
impl<B: Backend> Warehouse for B {
    async fn prepare(&self) -> Result<(), LoadError> {
        prepare::prepare(self).await
    }

    async fn load(
        &self,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<LoadOutcome, LoadError> {
        load::load(self, load, progress).await
    }

    async fn verify(&self, load: &Load, mend: bool, listed: usize) -> Result<Verification, LoadError> {
        verify::verify(self, load, mend, listed).await
    }

    async fn ledger_entry(&self, run_id: &str) -> Result<Option<LedgerEntry>, LoadError> {
        Ok(ledger(self, Entries::OfRun(run_id)).await?.pop())
    }

    async fn has_loads(&self, run_ids: &[String]) -> Result<bool, LoadError> {
        let Some(mut session) = open_ledger(self).await? else {
            return Ok(run_ids.is_empty());
        };
        for run_id in run_ids {
            if session.ledger(Entries::OfRun(run_id)).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn newest_loads(&self, scope: Option<&str>) -> Result<Vec<LedgerEntry>, LoadError> {
        ledger(self, scope.map_or(Entries::NewestOfEach, Entries::Newest)).await
    }

    async fn row(
        &self,
        store_id: &str,
        item_id: &str,
        trans_date: Date,
    ) -> Result<Option<SummaryRow>, LoadError> {
        let mut session = on_target(self, Purpose::Read).await?;
        Ok(session
            .rows(Wanted::Key(store_id, item_id, trans_date))
            .await?
            .pop())
    }

    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError> {
        let mut session = on_target(self, Purpose::Read).await?;
        session.rows(Wanted::First(limit)).await
    }

    async fn row_count(&self) -> Result<u64, LoadError> {
        on_target(self, Purpose::Read).await?.row_count().await
    }
}

/// Entries of the ledger; none if it is absent.
async fn ledger<B: Backend>(backend: &B, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
    match open_ledger(backend).await? {
        Some(mut session) => session.ledger(which).await,
        None => Ok(Vec::new()),
    }
}

/// Opens a session to read the ledger; `None` if it is absent.
async fn open_ledger<B: Backend>(backend: &B) -> Result<Option<B::Session<'_>>, LoadError> {
    if !backend.exists() {
        return Ok(None);
    }
    let mut session = backend.open(Purpose::Read).await?;
    Ok(session.kind(LEDGER).await?.map(|_| session))
}

/// Opens a session on a target that must exist.
async fn on_target<B: Backend>(backend: &B, purpose: Purpose) -> Result<B::Session<'_>, LoadError> {
    let target = backend.target();
    if !backend.exists() {
        return Err(LoadError::TargetAbsent { table: target.name() });
    }
    let mut session = backend.open(purpose).await?;
    match session.kind(&target.table).await? {
        Some(_) => Ok(session),
        None => Err(LoadError::TargetAbsent {
            table: session.name().into(),
        }),
    }
}
