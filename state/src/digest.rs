//! The digest by which runs with the same inputs are recognised.

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
