//! Digests by which equal things are recognised.

use crate::job::JobConfig;
use crate::run::RunInput;

/// Names the set of file versions of a run, whatever their order; or, where that matters, their order of submission too.
pub(crate) fn of_inputs(inputs: &[RunInput], order_matters: bool) -> String {
    let mut inputs = inputs.to_vec();
    match order_matters {
        true => inputs.sort_unstable_by_key(|input| input.submission_id),
        false => inputs.sort_unstable_by_key(|input| input.file_id),
    }
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(&input.file_id.to_le_bytes());
        hasher.update(&input.version_id.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Names everything that a job is configured with.
pub(crate) fn of_job(job: &JobConfig) -> String {
    let mut hasher = blake3::Hasher::new();
    let min_files = job.min_files.to_string();
    let enabled = job.enabled.to_string();
    let criteria = job.addl_criteria.as_deref();
    let fields = [
        Some(job.id.as_str()),
        Some(&job.feed),
        Some(&job.files),
        Some(&min_files),
        Some(job.trigger.as_str()),
        criteria,
        Some(&job.params),
        Some(&enabled),
    ];
    for field in fields {
        // The length goes first, so that no two lists of fields give the same bytes.
        let length = field.map_or(u64::MAX, |text| text.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(field.unwrap_or_default().as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
