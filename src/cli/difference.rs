//! What a file would change: its rows and sums by day beside those of the version in force.

use std::path::Path;

use anyhow::Context as _;
use gristmill_engine::{Budget, DayLines, Partial, SalesLayout};
use gristmill_state::VersionDay;

use super::context::Context;
use super::output;
use crate::lake::{Lake, LocalFile};
use crate::overview::{Days, Difference, OfDay, days_of, difference};

/// The version of a file that is in force.
pub(super) struct InForce {
    content_hash: String,
    days: Vec<VersionDay>,
    partial: LocalFile,
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
    let days_before = match before {
        Some(before) => {
            let lines = before.days.iter().map(|day| (day.trans_date, day.lines));
            days_of(before.partial.path(), sales, lines)?
        }
        None => Days::new(),
    };
    let lines = after.1.iter().map(|day| (day.trans_date, day.lines));
    let version = before.map(|before| before.content_hash.clone());
    Ok(difference(
        version,
        days_before,
        days_of(spool, sales, lines)?,
        sales,
    ))
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
