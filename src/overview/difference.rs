//! On which days two versions of a file differ: by their rows and by their sums.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use gristmill_engine::{EngineError, SalesLayout, format_cents, sums_by_day};
use gristmill_state::{StateDb, VersionRow};
use jiff::civil::Date;
use serde::Serialize;

use crate::lake::Lake;
use crate::settings::Settings;

/// The days on which a file differs from its version in force.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    /// The content hash of the version in force; none if the file is new.
    pub(crate) version: Option<String>,
    /// Names of the sums.
    pub(crate) measures: Vec<String>,
    pub(crate) days: Vec<DayDifference>,
}

/// A day on which they differ.
#[derive(Debug, Serialize)]
pub(crate) struct DayDifference {
    pub(crate) trans_date: Date,
    pub(crate) before: OfDay,
    pub(crate) after: OfDay,
}

/// What a version holds of a day.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct OfDay {
    /// Its rows; none if only the sums are known.
    pub(crate) rows: Option<u64>,
    /// Decimal texts, in the order of the measures.
    pub(crate) sums: Vec<Option<String>>,
}

/// What a version holds, by day.
pub(crate) type Days = BTreeMap<Date, OfDay>;

/// Returns what a version holds of each day: sums from a partial, and how many lines each day of a store has.
pub(crate) fn days_of(
    partial: &Path,
    sales: &SalesLayout,
    lines: impl IntoIterator<Item = (Date, Option<u64>)>,
) -> Result<Days, EngineError> {
    let mut days = Days::new();
    for day in sums_by_day(partial, sales)? {
        let sums = day.sums.iter().map(|sum| sum.map(format_cents));
        days.entry(day.trans_date).or_default().sums = sums.collect();
    }
    for (date, lines) in lines {
        let day = days.entry(date).or_default();
        if let Some(lines) = lines {
            *day.rows.get_or_insert(0) += lines;
        }
    }
    Ok(days)
}

/// Returns the days on which what a version holds differs from what another holds, in their order. `version` names the
/// first of them, if there is one.
pub(crate) fn difference(
    version: Option<String>,
    mut before: Days,
    after: Days,
    sales: &SalesLayout,
) -> Difference {
    let mut both: BTreeMap<Date, (OfDay, OfDay)> = BTreeMap::new();
    for (date, day) in after {
        both.insert(date, (before.remove(&date).unwrap_or_default(), day));
    }
    both.extend(
        before
            .into_iter()
            .map(|(date, day)| (date, (day, OfDay::default()))),
    );
    let names = sales.measures.iter().map(|measure| measure.name.clone());
    let differ = both.into_iter().filter(|(_, (before, after))| before != after);
    Difference {
        version,
        measures: names.collect(),
        days: differ
            .map(|(trans_date, (before, after))| DayDifference {
                trans_date,
                before,
                after,
            })
            .collect(),
    }
}

/// Compares two versions of a file of a feed, as far as the lake still has their sums.
pub(crate) async fn between(
    settings: &Settings,
    state: &StateDb,
    feed: &str,
    (before, after): (&VersionRow, &VersionRow),
) -> anyhow::Result<Difference> {
    let feed = settings.feeds.get(feed);
    let sales = feed
        .and_then(|feed| feed.sales())
        .context("nothing is summed of this feed")?;
    let lake = Lake::open(&settings.lake).await?;
    let mut lines = state.version_days(&[before.version_id, after.version_id]).await?;
    let mut sides = Vec::with_capacity(2);
    for row in [before, after] {
        let hash = &row.version.content_hash;
        let partial = row.version.partial.as_deref();
        let partial =
            partial.with_context(|| format!("the lake no longer has the sums of version {hash:.16}"))?;
        let partial = lake.fetch(partial).await?;
        let lines = lines.remove(&row.version_id).unwrap_or_default();
        let lines = lines.iter().map(|day| (day.trans_date, day.lines));
        sides.push(days_of(partial.path(), sales, lines)?);
    }
    let after = sides.pop().unwrap_or_default();
    let before_days = sides.pop().unwrap_or_default();
    let version = before.version.content_hash.clone();
    Ok(difference(Some(version), before_days, after, sales))
}
