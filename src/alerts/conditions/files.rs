//! Conditions about files: what is held, and what has many rejects.

use std::time::Duration;

use gristmill_state::StateError;
use jiff::Timestamp;

use super::super::finding::{Finding, Found, sooner};
use super::{Scene, has};

/// Finds files of which something is held.
pub(super) async fn held(scene: &Scene<'_>, feeds: &[String]) -> Result<Found, StateError> {
    let held = scene.state.held_files().await?.into_iter();
    let of_feeds = held.filter(|file| has(feeds, &file.feed));
    let findings = of_feeds.map(|file| Finding {
        facts: match file.days {
            0 => format!("is held: {}", file.reason),
            1 => format!("a day of it is held: {}", file.reason),
            days => format!("{days} days of it are held: {}", file.reason),
        },
        subject: format!("file {}", file.file_url),
        since: file.since,
    });
    Ok(Found {
        findings: findings.collect(),
        next: None,
    })
}

/// Finds files with many rejects among those that came lately.
pub(super) async fn rejects(
    scene: &Scene<'_>,
    feeds: &[String],
    percent: f64,
    within: Duration,
) -> Result<Found, StateError> {
    let from = scene.now.checked_sub(within).unwrap_or(Timestamp::MIN);
    let mut found = Found::default();
    for file in scene.state.files_with_many_rejects(percent, from).await? {
        if !has(feeds, &file.feed) {
            continue;
        }
        let share = 100.0 * file.rejects as f64 / file.lines.max(1) as f64;
        let counted = format!(
            "{share:.1} % of its lines are rejects: {} of {}",
            file.rejects, file.lines
        );
        found.findings.push(Finding {
            facts: match file.is_whole {
                true => format!("was rejected as a whole; {counted}"),
                false => counted,
            },
            subject: format!("file {}", file.file_url),
            since: file.since,
        });
        sooner(&mut found.next, file.since.checked_add(within).ok());
    }
    Ok(found)
}
