//! Redshift as the warehouse.
//!
//! Redshift has no COPY from the client, does not enforce keys, and has no upsert. So rows go as Parquet to a bucket, by
//! COPY into temporary tables, and from there by key into the target: DELETE, UPDATE and INSERT under a lock, in one
//! transaction with the ledger. docs/redshift.md lists the statements, and explains why each load happens once.

mod bucket;
mod credentials;
mod fault;
mod files;
mod load;
mod prepare;
mod session;
mod settings;
mod sql;
mod stage;
mod verify;

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use jiff::civil::Date;
use tokio_postgres::SimpleQueryRow;

use crate::target::LEDGER;
use crate::{
    Credentials, LedgerEntry, Load, LoadError, LoadOutcome, SummaryRow, Target, Verification, Warehouse,
    amount, redacted,
};
use bucket::Bucket;
use session::Session;
use settings::Settings;

pub use fault::RedshiftFault;

/// The longest name that Redshift allows, in bytes.
const LONGEST_NAME: usize = 127;

/// A Redshift database as the warehouse.
pub(crate) struct RedshiftWarehouse {
    settings: Settings,
    aws: SdkConfig,
    bucket: Bucket,
    /// For messages; without the password.
    url: String,
    /// With names in lower case, as Redshift stores them.
    target: Target,
    /// The measures as summaries name them.
    measures: Vec<String>,
}

impl RedshiftWarehouse {
    pub(crate) fn new(url: &str, target: Target, credentials: &Credentials) -> Result<Self, LoadError> {
        let measures = target.measures.clone();
        let target = target.folded();
        let settings = Settings::read(url, &target)?;
        let bad = |reason| LoadError::BadUrl {
            url: redacted(url),
            reason,
        };
        let bucket = Bucket::new(&settings, credentials.aws.as_ref()).map_err(bad)?;
        let aws = credentials.aws.clone();
        let aws = aws.unwrap_or_else(|| SdkConfig::builder().build());
        let names = target
            .schema
            .iter()
            .chain([&target.table])
            .chain(&target.measures);
        if let Some(name) = names.into_iter().find(|name| name.len() > LONGEST_NAME) {
            return Err(LoadError::BadTarget {
                table: target.name(),
                reason: format!(
                    "has the name {name} of more than {LONGEST_NAME} bytes; give it a shorter one"
                ),
            });
        }
        Ok(Self {
            settings,
            aws,
            bucket,
            url: redacted(url),
            target,
            measures,
        })
    }

    fn failed<E: Into<RedshiftFault>>(&self, action: &'static str) -> impl FnOnce(E) -> LoadError + use<E> {
        let warehouse = self.url.clone();
        move |error| LoadError::Redshift {
            action,
            warehouse,
            source: error.into(),
        }
    }

    fn mismatch(&self, problems: String) -> LoadError {
        LoadError::TargetMismatch {
            table: self.target.name(),
            problems,
        }
    }

    /// A row of the target.
    fn summary_row(&self, row: &SimpleQueryRow) -> Result<SummaryRow, LoadError> {
        let text = |at| row.get(at).unwrap_or_default().to_string();
        let amounts = self.target.measures.iter().enumerate().map(|(at, measure)| {
            let amount = |text| {
                let odd = || {
                    self.mismatch(format!(
                        "{measure} holds a value that is not an amount in whole cents"
                    ))
                };
                amount::from_text(text).ok_or_else(odd)
            };
            row.get(3 + at).map(amount).transpose()
        });
        let far = |_| self.mismatch("trans_date holds a day that is out of range".into());
        Ok(SummaryRow {
            store_id: text(0),
            item_id: text(1),
            trans_date: text(2).parse().map_err(far)?,
            amounts: amounts.collect::<Result<_, _>>()?,
        })
    }
}

#[async_trait]
impl Warehouse for RedshiftWarehouse {
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
        let session = Session::open(self).await?;
        match session.kind(LEDGER).await? {
            Some(_) => session.entry(&session.sql.ledger_of_run(run_id)).await,
            None => Ok(None),
        }
    }

    async fn newest_loads(&self, scope: Option<&str>) -> Result<Vec<LedgerEntry>, LoadError> {
        let session = Session::open(self).await?;
        if session.kind(LEDGER).await?.is_none() {
            return Ok(Vec::new());
        }
        let sql = match scope {
            Some(scope) => session.sql.ledger_newest(scope),
            None => session.sql.ledger_newest_of_each(),
        };
        // The greatest number of one scope may be an older one of another.
        let mut newest: BTreeMap<String, LedgerEntry> = BTreeMap::new();
        for entry in session.entries(&sql).await? {
            newest.insert(entry.scope.clone(), entry);
        }
        let mut newest: Vec<_> = newest.into_values().collect();
        newest.sort_unstable_by_key(|entry| entry.sequence);
        Ok(newest)
    }

    async fn row(
        &self,
        store_id: &str,
        item_id: &str,
        trans_date: Date,
    ) -> Result<Option<SummaryRow>, LoadError> {
        let session = Session::reading(self).await?;
        let sql = session.sql.row(store_id, item_id, trans_date);
        let rows = session.rows("read a row of", &sql).await?;
        rows.first().map(|row| self.summary_row(row)).transpose()
    }

    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError> {
        let session = Session::reading(self).await?;
        let rows = session
            .rows("read rows of", &session.sql.first_rows(limit))
            .await?;
        rows.iter().map(|row| self.summary_row(row)).collect()
    }

    async fn row_count(&self) -> Result<u64, LoadError> {
        let session = Session::reading(self).await?;
        session.number("count rows of", &session.sql.row_count()).await
    }
}
