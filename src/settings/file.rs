//! The settings file as written: one struct per table, with the defaults of optional keys.

use std::fmt;

use gristmill_engine::FeedSpec;
use gristmill_state::{JobConfig, Trigger};
use gristmill_watcher::BucketOptions;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Keep;
use super::alerts::{AlertTable, AlertsTable};
use super::receivers::{DeadManTable, ReceiverTable};
use super::variable::{Expanded, ExpandedLater, Secret};
use super::words::in_plain_words;
use crate::preconditions::{JobParams, MergeEngine, Requirement, list_of_requirements};

/// Parses the text of a settings file. Errors name the line, its table and its key, but do not quote the line: it may
/// contain a password.
pub(super) fn read(text: &str) -> Result<SettingsFile, String> {
    toml::from_str(text).map_err(|error| {
        let message = in_plain_words(&without_url(error.message()));
        match error.span().and_then(|span| location(text, span.start)) {
            Some(location) => format!("{location}: {message}"),
            None => message,
        }
    })
}

/// Describes where a mistake is: its line, and the table and key if they are recognized. Returns `None` for a mistake
/// that concerns the whole file.
fn location(text: &str, at: usize) -> Option<String> {
    let number = text.get(..at)?.matches('\n').count();
    // Other lines that begin with a bracket may be values, and so may hold a password.
    let is_of_table = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let table = text
        .lines()
        .take(number + 1)
        .filter_map(|line| line.split('#').next())
        .map(str::trim)
        .filter(|line| line.starts_with('[') && line.chars().all(is_of_table))
        .last();
    let key = text.lines().nth(number).and_then(|line| line.split_once('='));
    let key = key
        .map(|(key, _)| key.trim())
        .filter(|key| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    let of_whole_file = table.is_none() && key.is_none();
    (!of_whole_file).then(|| {
        let names = [table, key].map(|name| name.map_or(String::new(), |name| format!(" {name}")));
        format!("line {}{}", number + 1, names.concat())
    })
}

/// Removes the URL that a message quotes.
fn without_url(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if message.contains("://") => {
            format!("{}…{}", &message[..=first], &message[last..])
        }
        _ => message.to_owned(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsFile {
    #[serde(deserialize_with = "one_or_many")]
    pub(super) source: Vec<SourceTable>,
    pub(super) lake: LakeTable,
    pub(super) state: StateTable,
    pub(super) warehouse: WarehouseTable,
    #[serde(default)]
    pub(super) convert: ConvertTable,
    #[serde(default)]
    pub(super) http: HttpTable,
    pub(super) lineage: Option<LineageTable>,
    pub(super) cluster: Option<ClusterTable>,
    #[serde(default, rename = "feed")]
    pub(super) feeds: Vec<FeedSpec>,
    #[serde(default, rename = "job")]
    pub(super) jobs: Vec<JobSpec>,
    #[serde(default)]
    pub(super) alerts: AlertsTable,
    #[serde(default, rename = "alert")]
    pub(super) alert_tables: Vec<AlertTable>,
    #[serde(default, rename = "receiver")]
    pub(super) receivers: Vec<ReceiverTable>,
    pub(super) dead_man: Option<DeadManTable>,
}

/// Reads one table, or an array of tables. An untagged enum would do, but its errors name no key.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SourceTable>, D::Error> {
    struct Tables;

    impl<'de> Visitor<'de> for Tables {
        type Value = Vec<SourceTable>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a [source] table or [[source]] tables")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            SourceTable::deserialize(MapAccessDeserializer::new(map)).map(|table| vec![table])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(Tables)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    pub(super) name: Option<String>,
    pub(super) url: Expanded,
    #[serde(default = "settle")]
    pub(super) settle: String,
    pub(super) sweep: Option<String>,
    pub(super) sweep_hash: Option<String>,
    pub(super) follow_links: Option<bool>,
    pub(super) poll: Option<String>,
    #[serde(default)]
    pub(super) after: AfterWord,
    pub(super) moved: Option<Expanded>,
    pub(super) s3: Option<S3Table>,
    pub(super) google: Option<ServerTable>,
    pub(super) azure: Option<ServerTable>,
    pub(super) events: Option<EventsTable>,
}

/// What happens to an object of the source after it was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AfterWord {
    #[default]
    Keep,
    Tag,
    Move,
}

/// How an S3 bucket is reached. Credentials are not part of it: they come from AWS's standard chain.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S3Table {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<Expanded>,
    #[serde(default)]
    pub(super) path_style: bool,
    #[serde(default)]
    pub(super) allow_http: bool,
    #[serde(default)]
    pub(super) requester_pays: bool,
    pub(super) sse_kms_key: Option<String>,
}

/// How a Google or Azure bucket is reached. Credentials are not part of it either.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTable {
    pub(super) endpoint: Option<Expanded>,
    #[serde(default)]
    pub(super) allow_http: bool,
}

impl S3Table {
    pub(super) fn options(&self) -> BucketOptions {
        BucketOptions {
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.0.clone()),
            allow_http: self.allow_http,
            region: self.region.clone(),
            path_style: self.path_style,
            requester_pays: self.requester_pays,
            sse_kms_key: self.sse_kms_key.clone(),
        }
    }
}

impl ServerTable {
    pub(super) fn options(&self) -> BucketOptions {
        BucketOptions {
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.0.clone()),
            allow_http: self.allow_http,
            ..BucketOptions::default()
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsTable {
    pub(super) queue: Expanded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LakeTable {
    pub(super) url: Expanded,
    pub(super) s3: Option<S3Table>,
    pub(super) google: Option<ServerTable>,
    pub(super) azure: Option<ServerTable>,
    pub(super) scratch: Option<String>,
    pub(super) cache_limit: Option<String>,
    #[serde(default)]
    pub(super) retention: RetentionTable,
}

/// How long the lake keeps its objects. Kinds that are left out are kept forever.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionTable {
    pub(super) converted: Option<String>,
    pub(super) partials: Option<String>,
    pub(super) rejects: Option<String>,
    pub(super) summaries: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateTable {
    pub(super) url: Expanded,
    pub(super) criteria_url: Option<Expanded>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WarehouseTable {
    pub(super) url: ExpandedLater,
    #[serde(default = "table")]
    pub(super) table: String,
    #[serde(default = "load")]
    pub(super) load: String,
    #[serde(default)]
    pub(super) audit: bool,
    #[serde(default = "super::defaults::yes")]
    pub(super) refill: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConvertTable {
    #[serde(default)]
    pub(super) keep: Keep,
    pub(super) memory_limit: Option<String>,
}

/// Where the status page listens, and who may act there.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpTable {
    pub(super) listen: Option<String>,
    pub(super) token: Option<Secret>,
    #[serde(default)]
    pub(super) hosts: Vec<String>,
}

/// Who is told of runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineageTable {
    pub(super) url: Expanded,
    pub(super) namespace: Option<String>,
    pub(super) api_key: Option<Secret>,
}

/// The cluster that may merge in place of this host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(feature = "cluster"),
    expect(dead_code, reason = "a build that can use none refuses it")
)]
pub(super) struct ClusterTable {
    /// It may hold a token.
    pub(super) url: Secret,
    pub(super) lake: Option<Expanded>,
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
    #[serde(default = "super::defaults::yes")]
    enabled: bool,
    job_addl_criteria: Option<String>,
    #[serde(default, deserialize_with = "list_of_requirements")]
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
    #[serde(default)]
    engine: MergeEngine,
    cluster_rows: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TriggerWord {
    #[default]
    All,
    Any,
}

impl JobSpec {
    /// Converts the table to the row that the state database keeps of the job.
    pub(super) fn to_config(&self) -> JobConfig {
        let params = JobParams {
            requires: self.requires.clone(),
            min_bytes: self.min_bytes,
            min_rows: self.min_rows,
            after: self.after.clone(),
            deadline: self.deadline.clone(),
            time_zone: self.time_zone.clone(),
            stores: self.stores.clone(),
            engine: self.engine,
            cluster_rows: self.cluster_rows,
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

fn table() -> String {
    "sales_summary".into()
}

fn load() -> String {
    "replace-days".into()
}

fn one() -> u32 {
    1
}

fn utc() -> String {
    "UTC".into()
}
