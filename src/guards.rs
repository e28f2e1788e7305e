//! What the guards of the state database need to know from elsewhere: the feeds' settings, and which jobs read a file.

use gristmill_engine::{FeedLayout, LateLines, SecondFile, Supersede};
use gristmill_state::{Guards, Late, SameDay, StateDb};

use crate::preconditions::JobIndex;
use crate::settings::Settings;

/// Returns the guards of a feed.
pub(crate) fn of_feed(feed: &FeedLayout) -> Guards {
    Guards {
        late: match feed.guards.late {
            LateLines::Hold => Late::Hold,
            LateLines::Add => Late::Add,
            LateLines::Replace => Late::Replace,
        },
        shrink_percent: feed.guards.shrink_percent,
        same_day: match feed.guards.same_day {
            SecondFile::Hold => SameDay::Hold,
            SecondFile::Add => SameDay::Add,
        },
        check_store: feed.guards.check_store,
        newest_file_counts: feed
            .sales()
            .is_some_and(|sales| sales.supersede == Supersede::StoreDay),
    }
}

/// Returns what `accept` and `withdraw` need to know of a file: which files the jobs read, and the guards of its feed.
pub(crate) async fn of_file(
    settings: &Settings,
    state: &StateDb,
    file: &str,
) -> anyhow::Result<(JobIndex, Guards)> {
    let jobs = JobIndex::empty(&settings.feeds).read_again(state).await?;
    let row = state.file(file).await?;
    let feed = row.and_then(|row| settings.feeds.get(&row.feed).cloned());
    Ok((jobs, feed.map_or_else(Guards::default, |feed| of_feed(&feed))))
}

/// Returns who runs this command, for the record.
pub(crate) fn who() -> String {
    let of = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = of("SUDO_USER").or_else(|| of("USER")).or_else(|| of("LOGNAME"));
    user.unwrap_or_else(|| "unknown".to_owned())
}
