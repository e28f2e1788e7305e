//! The warehouse: SQLite, Postgres, MySQL and Redshift behind one trait.
//!
//! A run ends with a summary in Parquet; a [`Warehouse`] loads it into a table that has exactly one row for each store,
//! item and date. The data and one row in the ledger (`gristmill_ledger`) commit together. The ledger makes a load safe
//! to repeat after any failure, and shows the rest of gristmill whether a run was loaded.
//!
//! Every operation opens its own connection. Loads are minutes apart, and a connection kept that long has often gone
//! stale; a fresh one also starts without leftovers of a failed load.

mod amount;
mod changed;
mod credentials;
mod days;
mod delta;
mod error;
mod input;
mod model;
mod mysql;
mod postgres;
mod protocol;
mod redshift;
mod shape;
mod sqlite;
mod target;
mod verification;

use async_trait::async_trait;
use gristmill_servers::url::redacted;
use jiff::civil::Date;

pub use changed::{ChangedRow, Loaded, RowChange, changed_rows};
pub use credentials::Credentials;
pub use days::GatheredDays;
pub use error::LoadError;
pub use model::{Base, LedgerEntry, Load, LoadCounts, LoadOutcome, SummaryRow};
pub use mysql::MySqlFault;
pub use redshift::RedshiftFault;
pub use target::{LoadMode, Target};
pub use verification::{Difference, Verification};

/// A place where summaries become rows that people query.
#[async_trait]
pub trait Warehouse: Send + Sync {
    /// Creates the target and the ledger where they are absent; checks columns, types and key where the target
    /// exists. Any number of processes may do this at the same time. Where the target was dropped, its entries in the
    /// ledger go too: their rows are no more.
    async fn prepare(&self) -> Result<(), LoadError>;

    /// Loads a summary into the target: all of it, or nothing. Needs an earlier [`prepare`](Self::prepare).
    ///
    /// If the target still holds the [base](Load::base), only the difference is sent; the result is the same.
    ///
    /// Safe to call again after any failure or crash, including a lost answer to the commit: a run that is in the ledger
    /// is never loaded twice, and an older run never overwrites a newer one of the same scope.
    /// `progress` is called with the number of the summary's rows sent so far.
    async fn load(
        &self,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<LoadOutcome, LoadError>;

    /// Compares all rows of the target with the summary that its scope loaded last, whatever the ledger says. Days that
    /// another scope has loaded since are left out. `mend` corrects the target's rows in the same transaction, and adds
    /// the run to the ledger if it is absent. The first `listed` differences are returned one by one.
    async fn verify(&self, load: &Load, mend: bool, listed: usize) -> Result<Verification, LoadError>;

    /// The ledger's entry of a run for this target; `None` if the run or the whole ledger is absent.
    async fn ledger_entry(&self, run_id: &str) -> Result<Option<LedgerEntry>, LoadError>;

    /// Whether the ledger has entries of all these runs for this target.
    async fn has_loads(&self, run_ids: &[String]) -> Result<bool, LoadError>;

    /// The newest entry of each scope in the ledger for this target, in the order of loads; with `scope`, of that one.
    /// Empty if the ledger is absent.
    async fn newest_loads(&self, scope: Option<&str>) -> Result<Vec<LedgerEntry>, LoadError>;

    /// The row of one key.
    async fn row(
        &self,
        store_id: &str,
        item_id: &str,
        trans_date: Date,
    ) -> Result<Option<SummaryRow>, LoadError>;

    /// The first rows in the order of the keys (text by its bytes).
    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError>;

    /// How many rows the target holds.
    async fn row_count(&self) -> Result<u64, LoadError>;
}

/// Returns the warehouse that a URL names: `sqlite://path`, `postgres://…`, `postgresql://…`, `redshift://…` or
/// `mysql://…`.
///
/// Contacts nothing yet; the first operation does that. `credentials` supply what the URL lacks.
pub fn open(url: &str, target: Target, credentials: &Credentials) -> Result<Box<dyn Warehouse>, LoadError> {
    target.check()?;
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Box::new(sqlite::SqliteWarehouse::new(url, target)?)),
        Some("postgres" | "postgresql") => Ok(Box::new(postgres::PostgresWarehouse::new(
            url,
            target,
            credentials,
        )?)),
        Some("redshift") => Ok(Box::new(redshift::RedshiftWarehouse::new(
            url,
            target,
            credentials,
        )?)),
        Some("mysql") => Ok(Box::new(mysql::MySqlWarehouse::new(url, target)?)),
        _ => Err(LoadError::BadUrl {
            url: redacted(url),
            reason: "a warehouse is sqlite://path, postgres://…, postgresql://…, redshift://… or mysql://…"
                .into(),
        }),
    }
}
