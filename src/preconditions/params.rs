//! What is stored as JSON in `aggr_job_configuration.job_params`: preconditions, and where runs are merged.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The keys of `job_params`. All of them are optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobParams {
    /// Files that must have been validated, and how recently.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list_of_requirements"
    )]
    pub requires: Vec<Requirement>,
    /// The minimum total size of all matching files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
    /// The minimum total number of rows of all matching files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// Jobs that must have completed since this one last began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The time of day at which an incomplete wave runs anyway, such as `18:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The zone of `deadline` and of "today", by its IANA name; empty for UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    /// The stores of the province; files of other stores are not part of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Where its runs are merged.
    #[serde(skip_serializing_if = "is_local")]
    pub engine: MergeEngine,
    /// How many rows the files of a run may have before `auto` takes the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_rows: Option<u64>,
}

/// Where the runs of a job are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeEngine {
    /// On this host.
    #[default]
    Local,
    /// On the cluster of the settings.
    Cluster,
    /// On this host, unless a run has very many rows.
    Auto,
}

/// How many rows the files of a run may have before `auto` takes the cluster, unless the job says it.
pub(crate) const USUAL_CLUSTER_ROWS: u64 = 1_000_000_000;

impl MergeEngine {
    /// Returns whether a run whose files have so many rows is merged on the cluster.
    pub(crate) fn takes_cluster(self, rows: u64, cluster_rows: Option<u64>) -> bool {
        match self {
            Self::Local => false,
            Self::Cluster => true,
            Self::Auto => rows > cluster_rows.unwrap_or(USUAL_CLUSTER_ROWS),
        }
    }

    /// Returns the word for it in the settings.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cluster => "cluster",
            Self::Auto => "auto",
        }
    }
}

/// A file that a job needs in addition to its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { files = \"Item*\", within = \"1 day\" }"
)]
pub struct Requirement {
    /// Its pattern; one matching file is enough.
    pub files: String,
    /// How long ago it may have been validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Whether it must have been validated today, in the job's time zone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub today: bool,
}

impl JobParams {
    /// Returns the JSON text for the state database.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and lists of them always serialize")
    }

    /// Describes what is set in a few words, for tables.
    pub fn brief(&self) -> String {
        // By name, so that none is forgotten.
        let Self {
            requires,
            min_bytes,
            min_rows,
            after,
            deadline,
            time_zone,
            stores,
            engine,
            cluster_rows,
        } = self;
        let mut words: Vec<String> = Vec::new();
        for required in requires {
            let within = required.within.as_ref().map(|span| format!(" within {span}"));
            let today = if required.today { " today" } else { "" };
            words.push(format!(
                "requires {}{}{today}",
                required.files,
                within.unwrap_or_default()
            ));
        }
        words.extend(min_bytes.map(|least| format!("min_bytes {least}")));
        words.extend(min_rows.map(|least| format!("min_rows {least}")));
        if !after.is_empty() {
            words.push(format!("after {}", after.join(", ")));
        }
        if let Some(deadline) = deadline {
            words.push(format!("deadline {deadline} {time_zone}"));
        }
        if !stores.is_empty() {
            words.push(format!("{} stores", stores.len()));
        }
        if *engine != MergeEngine::Local {
            words.push(format!("engine {}", engine.word()));
        }
        words.extend(cluster_rows.map(|most| format!("cluster_rows {most}")));
        words.join("; ")
    }
}

/// Reads a list of required files. The error for anything else says how to write one.
pub(crate) fn list_of_requirements<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Requirement>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<Requirement>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list such as [{ files = \"Item*\", within = \"1 day\" }]")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_seq(List)
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_local(engine: &MergeEngine) -> bool {
    *engine == MergeEngine::Local
}
