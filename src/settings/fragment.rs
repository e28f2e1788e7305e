//! Feeds that are not in a settings file yet: a fragment to paste into one, read and checked as it would be there.

use std::path::Path;

use gristmill_engine::{FeedSpec, ProfileSpec};

use super::{Feeds, SettingsError, check_feeds, file, shared_measures};

/// What makes a settings file of a fragment.
const REST: &str = "source = { url = \"incoming\" }\nlake = { url = \"lake\" }\n\
                    state = { url = \"sqlite://state.db\" }\nwarehouse = { url = \"sqlite://warehouse.db\" }\n";

/// Reads a `[[feed]]` table.
pub fn read_feed(fragment: &str) -> Result<FeedSpec, String> {
    let file = file::read(&format!("{REST}{fragment}"))?;
    file.feeds
        .into_iter()
        .next()
        .ok_or_else(|| "there is no [[feed]]".to_owned())
}

/// Reads a `[[feed.profile]]` table.
pub fn read_profile(fragment: &str) -> Result<ProfileSpec, String> {
    let feed = read_feed(&format!("[[feed]]\nname = \"feed\"\nfiles = \"**\"\n{fragment}"))?;
    feed.profiles
        .into_iter()
        .next()
        .ok_or_else(|| "there is no [[feed.profile]]".to_owned())
}

/// Checks a feed that stands alone.
pub fn check_feed(feed: &FeedSpec) -> Result<Feeds, String> {
    let feeds = check_feeds(std::slice::from_ref(feed))?;
    shared_measures(&feeds)?;
    feeds.with_jobs(&[])
}

/// Returns the feed of a settings file that has this name or, without one, its only feed that is aggregated.
pub fn feed_in(path: &Path, name: Option<&str>) -> Result<FeedSpec, SettingsError> {
    let fail = |problem: String| SettingsError {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        fail(format!(
            "cannot read the settings file, which has the feed of the profile: {error}; -c FILE names another"
        ))
    })?;
    let feeds = file::read(&text).map_err(fail)?.feeds;
    let mut fitting = feeds.into_iter().filter(|feed| match name {
        Some(name) => feed.name == name,
        None => !feed.reference,
    });
    match (fitting.next(), fitting.next(), name) {
        (Some(feed), None, _) => Ok(feed),
        (None, _, Some(name)) => Err(fail(format!("there is no feed {name:?}"))),
        (None, _, None) => Err(fail("there is no feed that is aggregated".to_owned())),
        (Some(_), Some(_), _) => Err(fail(
            "there are several feeds: name the one of the profile with --feed".to_owned(),
        )),
    }
}
