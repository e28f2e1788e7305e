//! What a file would change: its rows and sums by day beside those of the version in force.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use gristmill_engine::{Budget, DayLines, Partial, SalesLayout, format_cents, sums_by_day};
use gristmill_state::VersionDay;
use jiff::civil::Date;
use serde::Serialize;

use super::context::Context;
use super::output;
use crate::lake::{Lake, LocalFile};

/// The version of a file that is in force.
pub(super) struct InForce {
    content_hash: String,
    days: Vec<VersionDay>,
    partial: LocalFile,
}

/// The days on which a file differs from its version in force.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    /// The content hash of the version in force; none if the file is new.
    version: Option<String>,
    /// Names of the sums.
    measures: Vec<String>,
    days: Vec<DayDifference>,
}

/// A day on which they differ.
#[derive(Debug, Serialize)]
struct DayDifference {
    trans_date: Date,
    before: OfDay,
    after: OfDay,
}

/// What a version holds of a day.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct OfDay {
    /// Its rows; none if only the sums are known.
    rows: Option<u64>,
    /// Decimal texts, in the order of the measures.
    sums: Vec<Option<String>>,
}

/// Finds the version in force of a file; none if the file is not known, or nothing of it is in force.
pub(super) async fn in_force(context: &Context, lake: &Lake, file: &str) -> anyhow::Result<Option<InForce>> {
    let Some(version) = context.state.file(file).await?.and_then(|file| file.in_force) else {
        return Ok(None);
    };
    let partial = version.version.partial.as_deref();
    let partial =
        partial.with_context(|| format!("the lake no longer has the sums of {}", output::path(file)))?;
    let mut days = context.state.version_days(&[version.version_id]).await?;
    Ok(Some(InForce {
        partial: lake.fetch(partial).await?,
        days: days.remove(&version.version_id).unwrap_or_default(),
        content_hash: version.version.content_hash,
    }))
}

/// Compares what was read of a file with its version in force. `spool` is a path for its sums.
pub(super) fn compare(
    before: Option<&InForce>,
    after: (&Partial, &[DayLines]),
    sales: &SalesLayout,
    (spool, memory): (&Path, &Budget),
) -> anyhow::Result<Difference> {
    after.0.write(spool, memory)?;
    let mut days: BTreeMap<Date, (OfDay, OfDay)> = BTreeMap::new();
    if let Some(before) = before {
        for day in sums_by_day(before.partial.path(), sales)? {
            days.entry(day.trans_date).or_default().0.sums = texts(&day.sums);
        }
        for day in &before.days {
            count(&mut days.entry(day.trans_date).or_default().0, day.lines);
        }
    }
    for day in sums_by_day(spool, sales)? {
        days.entry(day.trans_date).or_default().1.sums = texts(&day.sums);
    }
    for day in after.1 {
        count(&mut days.entry(day.trans_date).or_default().1, day.lines);
    }
    Ok(Difference {
        version: before.map(|before| before.content_hash.clone()),
        measures: sales
            .measures
            .iter()
            .map(|measure| measure.name.clone())
            .collect(),
        days: days
            .into_iter()
            .filter(|(_, (before, after))| before != after)
            .map(|(trans_date, (before, after))| DayDifference {
                trans_date,
                before,
                after,
            })
            .collect(),
    })
}

fn texts(sums: &[Option<i64>]) -> Vec<Option<String>> {
    sums.iter().map(|sum| sum.map(format_cents)).collect()
}

fn count(day: &mut OfDay, lines: Option<u64>) {
    if let Some(lines) = lines {
        *day.rows.get_or_insert(0) += lines;
    }
}

/// Prints the days that differ, each value as `before → after`.
pub(super) fn print(difference: &Difference) -> std::io::Result<()> {
    if difference.version.is_none() {
        output::line("  nothing of this file is in force: all of it is new")?;
    } else if difference.days.is_empty() {
        return output::line("  its rows and sums by day are those of the version in force");
    }
    for day in &difference.days {
        let mut changes = vec![changed("rows", day.before.rows, day.after.rows)];
        for (at, name) in difference.measures.iter().enumerate() {
            let of = |day: &OfDay| day.sums.get(at).cloned().flatten();
            changes.push(changed(name, of(&day.before), of(&day.after)));
        }
        let changes: Vec<_> = changes.into_iter().flatten().collect();
        output::line(format!("  {}: {}", day.trans_date, changes.join(", ")))?;
    }
    Ok(())
}

fn changed<T: PartialEq + ToString>(name: &str, before: Option<T>, after: Option<T>) -> Option<String> {
    (before != after).then(|| format!("{name} {} → {}", output::or_dash(before), output::or_dash(after)))
}
