//! The digest that identifies runs with the same inputs.
//!
//! An input that counts as a whole adds to it what it added before days could be named.

use crate::order::Age;
use crate::run::{InputDay, RunInput};

/// Returns a digest of a run's file versions. With the age of each, it depends on their order too.
pub(crate) fn of_inputs(inputs: &[RunInput], ages: Option<&[Age]>) -> String {
    let mut inputs = inputs.to_vec();
    match ages {
        None => inputs.sort_unstable_by_key(|input| (input.file_id, input.version_id)),
        Some(ages) => {
            let mut ordered: Vec<_> = ages.iter().copied().zip(inputs).collect();
            ordered.sort_unstable_by_key(|(age, input)| (*age, input.version_id));
            inputs = ordered.into_iter().map(|(_, input)| input).collect();
        }
    }
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(&input.file_id.to_le_bytes());
        hasher.update(&input.version_id.to_le_bytes());
        if input.days.is_all() {
            continue;
        }
        // No file has this number, so what follows is not taken for another input.
        hasher.update(&i64::MIN.to_le_bytes());
        hasher.update(&[u8::from(input.days.others_count)]);
        hasher.update(&input.days.named.len().to_le_bytes());
        for InputDay {
            store_id,
            trans_date,
            effect,
        } in &input.days.named
        {
            hasher.update(&store_id.len().to_le_bytes());
            for text in [store_id.as_str(), &trans_date.to_string(), effect.as_str(), "\n"] {
                hasher.update(text.as_bytes());
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}
