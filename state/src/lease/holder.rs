//! Who holds the lease.

use std::time::Duration;

use gristmill_servers::postgres::ConnectError;
use jiff::Timestamp;
use tokio_postgres::{Client, Row};

use super::{of_server, sql};
use crate::lock::Holder;

/// What was seen of the lease. Two are equal if nobody has taken, renewed or given it back in between.
#[derive(Debug)]
pub(super) struct Seen {
    /// The number of the service that began last.
    pub(super) epoch: i64,
    /// Whose lease runs.
    pub(super) holder: Option<Holder>,
    /// How long it still runs.
    pub(super) remaining: Duration,
    /// The owner, and the moment when the lease was renewed, in microseconds, whether or not it runs.
    mark: Option<(String, i64)>,
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        (self.epoch, &self.mark) == (other.epoch, &other.mark)
    }
}

/// Looks at the lease.
pub(super) async fn look(client: &Client) -> Result<Seen, ConnectError> {
    let row = client.query_one(sql::LOOK, &[]).await.map_err(of_server)?;
    seen(&row).map_err(of_server)
}

fn seen(row: &Row) -> Result<Seen, tokio_postgres::Error> {
    let epoch = row.try_get("epoch")?;
    let owner: Option<String> = row.try_get("owner")?;
    let remaining: Option<f64> = row.try_get("remaining")?;
    let remaining = remaining.filter(|seconds| *seconds > 0.0);
    let moment = |column| -> Result<Option<Timestamp>, tokio_postgres::Error> {
        let micros: Option<i64> = row.try_get(column)?;
        Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    };
    let renewed: Option<i64> = row.try_get("renewed")?;
    let holder = match remaining {
        None => None,
        Some(_) => {
            let pid: Option<i64> = row.try_get("pid")?;
            let age: Option<f64> = row.try_get("age")?;
            Some(Holder {
                pid: pid.and_then(|pid| pid.try_into().ok()),
                since: moment("taken")?,
                host: row.try_get("host")?,
                lease_until: moment("lease_until")?,
                lease_age: age.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)).as_secs()),
            })
        }
    };
    Ok(Seen {
        epoch,
        holder,
        remaining: Duration::from_secs_f64(remaining.unwrap_or(0.0)),
        mark: owner.zip(renewed),
    })
}
