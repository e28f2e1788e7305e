//! The digest that identifies runs with the same inputs.

use crate::order::Age;
use crate::run::RunInput;

/// Returns a digest of a run's file versions. With the age of each, it depends on their order too.
pub(crate) fn of_inputs(inputs: &[RunInput], ages: Option<&[Age]>) -> String {
    let mut inputs = inputs.to_vec();
    match ages {
        None => inputs.sort_unstable_by_key(|input| input.file_id),
        Some(ages) => {
            let mut ordered: Vec<_> = ages.iter().copied().zip(inputs).collect();
            ordered.sort_unstable_by_key(|(age, _)| *age);
            inputs = ordered.into_iter().map(|(_, input)| input).collect();
        }
    }
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(&input.file_id.to_le_bytes());
        hasher.update(&input.version_id.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
