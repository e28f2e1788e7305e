//! The settings file as it is written: one struct a table, with the defaults of keys that may be left out.

use gristmill_engine::FeedSpec;
use gristmill_state::{JobConfig, Trigger};
use serde::Deserialize;

use super::variable::Expanded;
use crate::preconditions::{JobParams, Requirement};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsFile {
    pub(super) source: SourceTable,
    pub(super) lake: LakeTable,
    pub(super) state: StateTable,
    pub(super) warehouse: WarehouseTable,
    #[serde(default, rename = "feed")]
    pub(super) feeds: Vec<FeedSpec>,
    #[serde(default, rename = "job")]
    pub(super) jobs: Vec<JobSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    pub(super) url: Expanded,
    #[serde(default = "settle")]
    pub(super) settle: String,
    #[serde(default = "sweep")]
    pub(super) sweep: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LakeTable {
    pub(super) url: Expanded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateTable {
    pub(super) url: Expanded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WarehouseTable {
    pub(super) url: Expanded,
    #[serde(default = "table")]
    pub(super) table: String,
    #[serde(default = "load")]
    pub(super) load: String,
}

/// A `[[job]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobSpec {
    pub(super) id: String,
    feed: String,
    files: String,
    #[serde(default = "one")]
    min_files: u32,
    #[serde(default)]
    trigger: TriggerWord,
    #[serde(default = "yes")]
    enabled: bool,
    job_addl_criteria: Option<String>,
    #[serde(default)]
    requires: Vec<Requirement>,
    min_bytes: Option<u64>,
    min_rows: Option<u64>,
    #[serde(default)]
    after: Vec<String>,
    deadline: Option<String>,
    #[serde(default = "utc")]
    time_zone: String,
    #[serde(default)]
    stores: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TriggerWord {
    #[default]
    All,
    Any,
}

impl JobSpec {
    /// The row that the state database keeps of the job.
    pub(super) fn to_config(&self) -> JobConfig {
        let params = JobParams {
            requires: self.requires.clone(),
            min_bytes: self.min_bytes,
            min_rows: self.min_rows,
            after: self.after.clone(),
            deadline: self.deadline.clone(),
            time_zone: self.time_zone.clone(),
            stores: self.stores.clone(),
        };
        JobConfig {
            id: self.id.clone(),
            feed: self.feed.clone(),
            files: self.files.clone(),
            min_files: self.min_files,
            trigger: match self.trigger {
                TriggerWord::All => Trigger::All,
                TriggerWord::Any => Trigger::Any,
            },
            addl_criteria: self.job_addl_criteria.clone(),
            params: params.to_json(),
            enabled: self.enabled,
        }
    }
}

fn settle() -> String {
    "1s".into()
}

fn sweep() -> String {
    "30s".into()
}

fn table() -> String {
    "sales_summary".into()
}

fn load() -> String {
    "replace-days".into()
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn utc() -> String {
    "UTC".into()
}
