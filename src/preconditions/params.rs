//! The preconditions that a job keeps as JSON in `aggr_job_configuration.job_params`.

use serde::{Deserialize, Serialize};

/// What `job_params` may hold. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobParams {
    /// Files that must be validated, each within a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// The least size of all matching files together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
    /// The least number of rows of all matching files together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// Jobs that must have completed since this one last began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The time of day at which an incomplete wave runs all the same, as `18:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The zone of `deadline` and of "today", by its IANA name; empty for UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    /// The shops of the province, so that `explain` can name the missing ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
}

/// A file that a job needs besides its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its pattern; one matching file is enough.
    pub files: String,
    /// It was validated at most so long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// It was validated on this day, in the job's time zone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub today: bool,
}

impl JobParams {
    /// The JSON text for the state database.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and lists of them always serialize")
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
