//! Redshift as the warehouse.
//!
//! Redshift has no COPY from the client, does not enforce keys, and has no upsert. So rows go as Parquet to a bucket, by
//! COPY into temporary tables, and from there by key into the target: DELETE, UPDATE and INSERT under a lock, in one
//! transaction with the ledger. docs/redshift.md lists the statements, and explains why each load happens once.

mod bucket;
mod credentials;
mod fault;
mod files;
mod session;
mod settings;
mod sql;
mod stage;
mod steps;
mod table;

use aws_config::SdkConfig;
use gristmill_servers::url::redacted;
use tokio_postgres::SimpleQueryRow;

use crate::{Credentials, LoadError, SummaryRow, Target, amount};
use bucket::StagingBucket;
use settings::Settings;

pub use fault::RedshiftFault;

/// The longest name that Redshift allows, in bytes.
const LONGEST_NAME: usize = 127;

/// A Redshift database as the warehouse.
pub(crate) struct RedshiftWarehouse {
    settings: Settings,
    aws: SdkConfig,
    bucket: StagingBucket,
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
        let bucket = StagingBucket::new(&settings, credentials.aws.as_ref()).map_err(bad)?;
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
