//! The settings of alerts: what each watches for, whom it tells, how often, and when it is quiet.

use std::time::Duration;

use bytesize::ByteSize;
use gristmill_engine::parse_span;
use gristmill_state::JobConfig;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::feeds::Feeds;
use super::quiet::{QuietHours, quiet_hours};
use super::receivers::{DeadMan, DeadManTable, Receiver, ReceiverTable};
use crate::preconditions::JobPlan;

/// The `[alerts]` table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsTable {
    time_zone: Option<String>,
    quiet: Option<String>,
}

/// An `[[alert]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTable {
    name: String,
    when: WhenWord,
    jobs: Option<Vec<String>>,
    feeds: Option<Vec<String>>,
    at: Option<String>,
    day: Option<Day>,
    waves: Option<u32>,
    percent: Option<f64>,
    within: Option<String>,
    over: Option<String>,
    free: Option<String>,
    to: Option<Vec<String>>,
    repeat: Option<String>,
    quiet: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WhenWord {
    RunFailed,
    JobIncomplete,
    StoreSilent,
    Rejects,
    Held,
    Lag,
    Disk,
}

/// Which day a time of day is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// The same day.
    #[default]
    Today,
    /// The day before: for a time after midnight.
    Yesterday,
}

/// All that the settings say of alerts.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// The zone of quiet hours, and of moments in messages.
    pub time_zone: TimeZone,
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// Whom they tell.
    pub receivers: Vec<Receiver>,
    /// What is called while all is well.
    pub dead_man: Option<DeadMan>,
}

/// What to watch for, and whom to tell.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// What to watch for.
    pub when: When,
    /// The names of the receivers.
    pub to: Vec<String>,
    /// After how long it is told again what is not over; `None` means never.
    pub repeat: Option<Duration>,
    /// When nothing is told.
    pub quiet: Option<QuietHours>,
}

/// What an alert watches for. Empty lists of jobs and feeds mean all.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// The newest run of a wave has failed.
    RunFailed {
        /// Of these jobs.
        jobs: Vec<String>,
    },
    /// At a time of day, a job has not had everything.
    JobIncomplete {
        /// These jobs.
        jobs: Vec<String>,
        /// The time of day, in the job's zone.
        at: Time,
        /// The day that must be complete.
        day: Day,
    },
    /// A store has sent nothing for some waves.
    StoreSilentFor {
        /// To these jobs.
        jobs: Vec<String>,
        /// For how many waves.
        waves: u32,
    },
    /// At a time of day, a store has sent nothing.
    StoreSilentAt {
        /// To these jobs.
        jobs: Vec<String>,
        /// The time of day, in the job's zone.
        at: Time,
        /// The day for which it must have sent something.
        day: Day,
    },
    /// Many lines of a file are rejects.
    Rejects {
        /// Files of these feeds.
        feeds: Vec<String>,
        /// More than so many percent.
        percent: f64,
        /// How long a file is looked at after it came.
        within: Duration,
    },
    /// A file, or a day of it, waits until a person accepts it.
    Held {
        /// Files of these feeds.
        feeds: Vec<String>,
    },
    /// A file has not reached the warehouse.
    Lag {
        /// Of these jobs.
        jobs: Vec<String>,
        /// For longer than this.
        over: Duration,
    },
    /// A disk is nearly full.
    Disk {
        /// With less room than this.
        free: Free,
    },
}

/// How much room is to be left on a disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Free {
    /// A share of the disk.
    Percent(f64),
    /// Bytes.
    Bytes(u64),
}

impl AlertSettings {
    /// Checks the tables.
    pub(super) fn check(
        common: &AlertsTable,
        alerts: &[AlertTable],
        receivers: &[ReceiverTable],
        dead_man: Option<&DeadManTable>,
        feeds: &Feeds,
    ) -> Result<Self, String> {
        let receivers: Vec<_> = receivers.iter().map(Receiver::check).collect::<Result<_, _>>()?;
        let names: Vec<_> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        if let Some(name) = twice(&names) {
            return Err(format!(
                "receiver {name:?} is defined twice: give each receiver its own name"
            ));
        }
        let quiet = common.quiet.as_deref().map(quiet_hours).transpose();
        let quiet = quiet.map_err(|problem| format!("alerts.quiet: {problem}"))?;
        let check = |table: &AlertTable| {
            let checked = table.check(&names, quiet.flatten(), feeds);
            checked.map_err(|problem| format!("alert {:?}: {problem}", table.name))
        };
        let alerts: Vec<_> = alerts.iter().map(check).collect::<Result<_, _>>()?;
        let names: Vec<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
        if let Some(name) = twice(&names) {
            return Err(format!(
                "alert {name:?} is defined twice: give each alert its own name"
            ));
        }
        let time_zone = match common.time_zone.as_deref() {
            None | Some("UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!(
                    "alerts.time_zone: {name:?} is unknown: write an IANA name such as \"America/Chicago\""
                )
            })?,
        };
        Ok(Self {
            time_zone,
            alerts,
            receivers,
            dead_man: dead_man.map(DeadMan::check).transpose()?,
        })
    }

    /// Returns whether anybody is to be told anything.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.dead_man.is_none()
    }

    /// Returns why alerts cannot be told, if a variable is not set.
    pub(super) fn check_secrets(&self) -> Result<(), String> {
        for receiver in &self.receivers {
            receiver.endpoint().map_err(str::to_owned)?;
        }
        match self.dead_man.as_ref().map(DeadMan::url) {
            Some(Err(problem)) => Err(problem.to_owned()),
            _ => Ok(()),
        }
    }

    /// Checks that the jobs which alerts name are there, and that their files tell stores apart where that is asked for.
    pub(super) fn check_jobs(&self, jobs: &[JobConfig], feeds: &Feeds) -> Result<(), String> {
        for alert in &self.alerts {
            let needs_stores = matches!(
                alert.when,
                When::StoreSilentFor { .. } | When::StoreSilentAt { .. }
            );
            for name in alert.when.jobs() {
                let Some(job) = jobs.iter().find(|job| job.id == *name) else {
                    let known: Vec<_> = jobs.iter().take(10).map(|job| format!("{:?}", job.id)).collect();
                    return Err(format!(
                        "alert {:?}: jobs: {name:?} is unknown: write the id of a job, such as {}",
                        alert.name,
                        known.join(" or ")
                    ));
                };
                let plan = JobPlan::new(job, feeds);
                let has_stores = plan.is_ok_and(|plan| plan.files.has_store() || plan.feed.files.has_store());
                if needs_stores && !has_stores {
                    return Err(format!(
                        "alert {:?}: jobs: the files of {name:?} do not tell stores apart: write {{store}} in place of the \
                         store's number in the job's files",
                        alert.name
                    ));
                }
            }
        }
        Ok(())
    }
}

impl AlertTable {
    fn check(&self, receivers: &[&str], quiet: Option<QuietHours>, feeds: &Feeds) -> Result<Alert, String> {
        if self.name.is_empty() {
            return Err("name is empty: write a name that messages can use".to_owned());
        }
        let known = || {
            receivers
                .iter()
                .map(|name| format!("{name:?}"))
                .collect::<Vec<_>>()
                .join(" or ")
        };
        if receivers.is_empty() {
            return Err("there is nobody to tell: add a [[receiver]]".to_owned());
        }
        let to = match &self.to {
            None => receivers.iter().map(|name| (*name).to_owned()).collect(),
            Some(to) if to.is_empty() => {
                return Err(format!(
                    "to: the list is empty: write {}, or remove it to tell all",
                    known()
                ));
            }
            Some(to) => to.clone(),
        };
        if let Some(name) = to.iter().find(|name| !receivers.contains(&name.as_str())) {
            return Err(format!(
                "to: there is no [[receiver]] {name:?}: write {}",
                known()
            ));
        }
        for name in self.feeds.iter().flatten() {
            if feeds.get(name).is_none() {
                let known: Vec<_> = feeds.iter().map(|feed| format!("{:?}", feed.name)).collect();
                return Err(format!(
                    "feeds: {name:?} is unknown: write {}",
                    known.join(" or ")
                ));
            }
        }
        let repeat = self.repeat.as_deref().map(parse_span).transpose();
        let repeat = repeat.map_err(|problem| format!("repeat: {problem}"))?;
        if repeat.is_some_and(|repeat| repeat < Duration::from_secs(1)) {
            return Err("repeat is too short: write \"1s\" or more".to_owned());
        }
        let quiet = match self.quiet.as_deref() {
            None => quiet,
            Some(text) => quiet_hours(text).map_err(|problem| format!("quiet: {problem}"))?,
        };
        Ok(Alert {
            name: self.name.clone(),
            when: self.when()?,
            to,
            repeat,
            quiet,
        })
    }

    fn when(&self) -> Result<When, String> {
        let jobs = self.jobs.clone().unwrap_or_default();
        let feeds = self.feeds.clone().unwrap_or_default();
        let day = self.day.unwrap_or_default();
        let missing = |key: &str, example: &str| format!("{key} is missing: write {key} = {example}");
        let (when, takes): (When, &[&str]) = match self.when {
            WhenWord::RunFailed => (When::RunFailed { jobs }, &["jobs"]),
            WhenWord::JobIncomplete => {
                let at = self.at()?.ok_or_else(|| missing("at", "\"18:00\""))?;
                (When::JobIncomplete { jobs, at, day }, &["jobs", "at", "day"])
            }
            WhenWord::StoreSilent => match (self.at()?, self.waves) {
                (Some(at), None) => (When::StoreSilentAt { jobs, at, day }, &["jobs", "at", "day"]),
                (None, Some(0)) => return Err("waves is 0: write 1 or more".to_owned()),
                (None, Some(waves)) => (When::StoreSilentFor { jobs, waves }, &["jobs", "waves"]),
                _ => return Err("write either waves = 2 or at = \"10:00\"".to_owned()),
            },
            WhenWord::Rejects => {
                let percent = self.percent.ok_or_else(|| missing("percent", "5"))?;
                if !(0.0..100.0).contains(&percent) {
                    return Err(format!(
                        "percent: {percent} is no share: write a number from 0 to 99"
                    ));
                }
                let within = parse_span(self.within.as_deref().unwrap_or("1 day"));
                let within = within.map_err(|problem| format!("within: {problem}"))?;
                (
                    When::Rejects {
                        feeds,
                        percent,
                        within,
                    },
                    &["feeds", "percent", "within"],
                )
            }
            WhenWord::Held => (When::Held { feeds }, &["feeds"]),
            WhenWord::Lag => {
                let over = self.over.as_deref().ok_or_else(|| missing("over", "\"2h\""))?;
                let over = parse_span(over).map_err(|problem| format!("over: {problem}"))?;
                (When::Lag { jobs, over }, &["jobs", "over"])
            }
            WhenWord::Disk => {
                let free = self.free.as_deref().ok_or_else(|| missing("free", "\"10 %\""))?;
                (
                    When::Disk {
                        free: free_room(free)?,
                    },
                    &["free"],
                )
            }
        };
        let set = [
            ("jobs", self.jobs.is_some()),
            ("feeds", self.feeds.is_some()),
            ("at", self.at.is_some()),
            ("day", self.day.is_some()),
            ("waves", self.waves.is_some()),
            ("percent", self.percent.is_some()),
            ("within", self.within.is_some()),
            ("over", self.over.is_some()),
            ("free", self.free.is_some()),
        ];
        match set.iter().find(|(key, is_set)| *is_set && !takes.contains(key)) {
            Some((key, _)) => Err(format!(
                "{key} says nothing about {:?}: remove it; the keys for that are {}",
                when.word(),
                takes.join(", ")
            )),
            None => Ok(when),
        }
    }

    fn at(&self) -> Result<Option<Time>, String> {
        self.at
            .as_deref()
            .map(|text| time(text).map_err(|problem| format!("at: {problem}")))
            .transpose()
    }
}

impl When {
    /// Returns the word for it in the settings.
    pub fn word(&self) -> &'static str {
        match self {
            Self::RunFailed { .. } => "run-failed",
            Self::JobIncomplete { .. } => "job-incomplete",
            Self::StoreSilentFor { .. } | Self::StoreSilentAt { .. } => "store-silent",
            Self::Rejects { .. } => "rejects",
            Self::Held { .. } => "held",
            Self::Lag { .. } => "lag",
            Self::Disk { .. } => "disk",
        }
    }

    /// Returns the jobs that it names.
    fn jobs(&self) -> &[String] {
        match self {
            Self::RunFailed { jobs }
            | Self::JobIncomplete { jobs, .. }
            | Self::StoreSilentFor { jobs, .. }
            | Self::StoreSilentAt { jobs, .. }
            | Self::Lag { jobs, .. } => jobs,
            Self::Rejects { .. } | Self::Held { .. } | Self::Disk { .. } => &[],
        }
    }
}

fn time(text: &str) -> Result<Time, String> {
    let parsed = text.parse();
    parsed.map_err(|_| format!("{text:?} is not a time of day: write one such as \"18:00\""))
}

fn free_room(text: &str) -> Result<Free, String> {
    let help = || format!("free: {text:?} is no room on a disk: write \"10 %\" or \"20 GB\"");
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.trim().parse().map_err(|_| help())?;
        return match (0.0..=100.0).contains(&percent) {
            true => Ok(Free::Percent(percent)),
            false => Err(help()),
        };
    }
    let bytes: ByteSize = text.parse().map_err(|_| help())?;
    Ok(Free::Bytes(bytes.as_u64()))
}

fn twice<'n>(names: &[&'n str]) -> Option<&'n str> {
    let is_known = |(place, name): &(usize, &&str)| names[..*place].contains(name);
    names.iter().enumerate().find(is_known).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_a_share_or_a_size() {
        assert_eq!(free_room("10 %"), Ok(Free::Percent(10.0)));
        assert_eq!(free_room("20 GB"), Ok(Free::Bytes(20_000_000_000)));
        for bad in ["", "ten", "101%", "-1 %"] {
            assert!(free_room(bad).is_err(), "{bad}");
        }
    }
}
