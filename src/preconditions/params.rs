//! The preconditions that are stored as JSON in `aggr_job_configuration.job_params`.

use serde::{Deserialize, Serialize};

/// The keys of `job_params`. All of them are optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobParams {
    /// Files that must have been validated, and how recently.
    #[serde(skip_serializing_if = "Vec::is_empty")]
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
}

/// A file that a job needs in addition to its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
}

fn is_false(value: &bool) -> bool {
    !value
}
