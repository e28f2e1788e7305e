//! Who holds the lease.

use std::time::Duration;

use jiff::Timestamp;

use super::sql;
use crate::dialect::{Connection, Result, Row, query};
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
pub(super) async fn look(connection: &mut Connection) -> Result<Seen> {
    query(sql::LOOK)
        .try_map(|row| seen(&row))
        .fetch_one(connection)
        .await
}

fn seen(row: &Row) -> Result<Seen> {
    let epoch = row.get("epoch")?;
    let owner: Option<String> = row.get("owner")?;
    let remaining: Option<f64> = row.get("remaining")?;
    let remaining = remaining.filter(|seconds| *seconds > 0.0);
    let moment = |column| -> Result<Option<Timestamp>> {
        let micros: Option<i64> = row.get(column)?;
        Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    };
    let renewed: Option<i64> = row.get("renewed")?;
    let holder = match remaining {
        None => None,
        Some(_) => {
            let pid: Option<i64> = row.get("pid")?;
            let age: Option<f64> = row.get("age")?;
            Some(Holder {
                pid: pid.and_then(|pid| pid.try_into().ok()),
                since: moment("taken")?,
                host: row.get("host")?,
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
