//! The digest that identifies runs with the same inputs.

use crate::run::RunInput;

/// Returns a digest of a run's file versions. It depends on their order of submission only if `order_matters`.
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
