//! Partials that are made anew from the converted rows that the lake has of their versions.
//!
//! Nothing is submitted and nothing is counted anew: the lake gets the object that it lacks, under the name that conversion
//! gave it. What the rows add up to must be what was recorded of each store and day when they were converted.

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use gristmill_engine::{DayLines, EngineError, FeedLayout, Scratch, partial_of_rows};
use gristmill_state::{FileRow, InputFile, VersionDay, VersionRecord};
use object_store::path::Path as ObjectPath;

use super::super::Components;
use super::super::retry::StepError;
use super::failed_to_read;
use crate::causes;
use crate::lake::{Spooled, partial_beside};
use crate::preconditions::some_of;

/// How many partials are made before they are put into the lake together.
const GROUP: usize = 64;

/// The most converted files that are fetched and summed at the same time. Each needs a core to be summed.
const AT_ONCE: usize = 8;

/// A version whose partial the lake lacks.
pub(super) struct Lacking {
    pub(super) file: String,
    feed: String,
    version_id: i64,
    version: VersionRecord,
}

/// What came of making partials anew.
#[derive(Default)]
pub(super) struct Outcome {
    /// Those that the lake has again, each by the version and its lake path.
    pub(super) made: Vec<(i64, String)>,
    /// The files of the others, each with the reason.
    pub(super) impossible: Vec<(String, String)>,
}

impl Lacking {
    pub(super) fn of_input(input: &InputFile) -> Self {
        Self {
            file: input.file_url.clone(),
            feed: input.feed.clone(),
            version_id: input.version_id,
            version: input.version.clone(),
        }
    }

    /// Returns the version in force of a file, if there is one.
    pub(super) fn in_force(row: FileRow) -> Option<Self> {
        let in_force = row.in_force?;
        Some(Self {
            file: row.file_url,
            feed: row.feed,
            version_id: in_force.version_id,
            version: in_force.version,
        })
    }

    /// Returns whether its sums can be read with the settings of its feed.
    pub(super) fn is_read_with(&self, feed: &FeedLayout) -> bool {
        feed.of_file(&self.file).sums_with(&self.version.layout_digest)
    }
}

/// Makes partials anew from converted rows, puts them into the lake, and has the state database name them again.
pub(super) async fn make(components: &Components, lacking: &[Lacking]) -> Result<Outcome, StepError> {
    let mut outcome = Outcome::default();
    for group in lacking.chunks(GROUP) {
        let ids: Vec<i64> = group.iter().map(|lacking| lacking.version_id).collect();
        let recorded = components.state.version_days(&ids).await?;
        let summed = group.iter().map(|lacking| {
            let days = recorded.get(&lacking.version_id);
            sum(components, lacking, days.map_or(&[][..], Vec::as_slice))
        });
        let summed: Vec<_> = stream::iter(summed.collect::<Vec<_>>())
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let (mut files, mut made, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (lacking, summed) in group.iter().zip(summed) {
            match summed {
                Ok((spooled, object)) => {
                    made.push((lacking.version_id, object.to_string()));
                    named.push(lacking.file.as_str());
                    files.push((spooled, object));
                }
                Err(reason) => outcome.impossible.push((lacking.file.clone(), reason)),
            }
        }
        if made.is_empty() {
            continue;
        }
        let lake = components.lake.clone();
        let published = tokio::task::spawn_blocking(move || lake.publish(files)).await;
        published
            .map_err(StepError::permanent)?
            .map_err(StepError::transient)?;
        components.state.name_partials(&made).await?;
        tracing::warn!(
            files = made.len(),
            "the lake had no partials of {}; they were made anew from converted rows",
            some_of(&named)
        );
        outcome.made.extend(made);
    }
    Ok(outcome)
}

/// A version that can be summed: its feed, the lake path of its converted rows, and the name of its partial.
type Summable<'l> = (Arc<FeedLayout>, &'l str, ObjectPath);

/// Returns what a partial is made of, or why it cannot be made.
fn summable<'l>(
    components: &Components,
    lacking: &'l Lacking,
    recorded: &[VersionDay],
) -> Result<Summable<'l>, &'static str> {
    let Lacking { feed, version, .. } = lacking;
    let feed = components.settings.feeds.get(feed);
    let feed = feed.filter(|feed| feed.of_file(&lacking.file).sales().is_some());
    let feed = feed.ok_or("the settings have no aggregated feed for it")?;
    if !lacking.is_read_with(feed) {
        return Err("it was converted with other settings of its feed");
    }
    let rows = version.converted.as_deref();
    let rows = rows.ok_or("the lake keeps no converted rows of it")?;
    if version.rows > 0 && recorded.is_empty() {
        return Err("it is not recorded which days it holds");
    }
    let object = match &version.partial {
        Some(object) => ObjectPath::parse(object).ok(),
        None => partial_beside(rows),
    };
    let object = object.ok_or("its objects in the lake have names that gristmill did not give")?;
    Ok((feed.clone(), rows, object))
}

/// Sums the converted rows of a version into the spool. Returns the partial and its name, or why that cannot be.
async fn sum(
    components: &Components,
    lacking: &Lacking,
    recorded: &[VersionDay],
) -> Result<Result<(Spooled, ObjectPath), String>, StepError> {
    let (feed, rows, object) = match summable(components, lacking, recorded) {
        Ok(summable) => summable,
        Err(reason) => return Ok(Err(reason.to_owned())),
    };
    let found = components.lake.find(rows).await;
    let Some(rows) = found.map_err(StepError::transient)? else {
        return Ok(Err("its converted rows are gone from the lake".to_owned()));
    };
    let (spooled, folder) = (components.lake.spool(), components.lake.scratch());
    let memory = components.memory.conversions.clone();
    let (file, recorded, count) = (lacking.file.clone(), recorded.to_vec(), lacking.version.rows);
    let _core = components.cores.acquire().await.map_err(StepError::permanent)?;
    let summed = tokio::task::spawn_blocking(move || {
        let Some(sales) = feed.of_file(&file).sales() else {
            return Ok(Err("its feed is not aggregated".to_owned()));
        };
        let scratch = Scratch {
            folder: &folder,
            memory: &memory,
        };
        let (partial, days) = match partial_of_rows(rows.path(), sales, scratch) {
            Err(error) if is_of_rows(&error, rows.path()) => {
                return Ok(Err(causes::joined(&error.into(), ": ")));
            }
            summed => summed?,
        };
        if let Some(difference) = difference(&recorded, count, &days) {
            return Ok(Err(difference));
        }
        partial.write(spooled.path(), &memory)?;
        Ok(Ok((spooled, object)))
    });
    summed.await.map_err(StepError::permanent)?
}

/// Tells what is wrong with converted rows from other failures to sum them.
fn is_of_rows(error: &EngineError, rows: &Path) -> bool {
    match error {
        EngineError::Parquet { path, source, .. } => path == rows && !failed_to_read(&**source),
        EngineError::Overflow { .. } | EngineError::TooManyItems => true,
        _ => false,
    }
}

/// Says how rows differ from what was recorded of their version: of each store and day, and how many there were in all.
fn difference(recorded: &[VersionDay], rows: u64, found: &[DayLines]) -> Option<String> {
    let counted: u64 = found.iter().filter_map(|day| day.lines).sum();
    // A record with amounts side by side is one row of its version, and one for each amount in the lake.
    if counted < rows {
        return Some(format!(
            "its version has {rows} rows, and the lake only {counted} of them"
        ));
    }
    // A day without sales has no row.
    let recorded = recorded.iter().filter(|day| day.lines != Some(0));
    let mut recorded: Vec<&VersionDay> = recorded.collect();
    recorded.sort_unstable_by(|one, other| {
        (&one.store_id, one.trans_date).cmp(&(&other.store_id, other.trans_date))
    });
    let is_same = |(recorded, found): (&&VersionDay, &DayLines)| {
        recorded.store_id == found.store_id
            && recorded.trans_date == found.trans_date
            // An earlier gristmill did not count lines.
            && (recorded.lines.is_none() || recorded.lines == found.lines)
            // So it is recorded where it is larger.
            && recorded.turnover == found.turnover.min(i64::MAX.unsigned_abs())
    };
    let are_same = recorded.len() == found.len() && recorded.iter().zip(found).all(is_same);
    (!are_same).then(|| "its converted rows are not those that were counted by day".to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::pipeline::conversion::version_day;

    fn day(store: &str, lines: u64, turnover: u64) -> DayLines {
        DayLines {
            store_id: store.to_owned(),
            trans_date: date(2026, 3, 1),
            lines: Some(lines),
            turnover,
        }
    }

    #[test]
    fn rows_that_are_not_what_was_recorded_are_refused() {
        let found = [day("1", 2, 500), day("2", 1, 0)];
        let recorded = || found.iter().rev().cloned().map(version_day).collect::<Vec<_>>();
        let differs = |recorded: &[VersionDay], rows| difference(recorded, rows, &found).is_some();
        assert!(!differs(&recorded(), 3), "in whatever order");
        assert!(!differs(&recorded(), 2), "amounts side by side");
        assert!(differs(&recorded(), 4), "a row more");
        assert!(differs(&recorded()[1..], 3), "a day that was not recorded");
        let changed = |change: fn(&mut VersionDay)| {
            let mut recorded = recorded();
            change(&mut recorded[0]);
            recorded
        };
        assert!(differs(&changed(|day| day.turnover += 1), 3));
        assert!(differs(&changed(|day| day.lines = Some(2)), 3));
        assert!(differs(&changed(|day| day.store_id = "3".to_owned()), 3));
        assert!(differs(&changed(|day| day.trans_date = date(2026, 3, 2)), 3));
        assert!(!differs(&changed(|day| day.lines = None), 3), "not counted then");
        let mut closed = recorded();
        closed.push(version_day(day("3", 0, 0)));
        assert!(!differs(&closed, 3), "a day without sales");
    }
}
