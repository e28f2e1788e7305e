//! gristmill: point-of-sale files in, one row for each store, item and day in the warehouse.
//!
//! This is the root of the program, which ties the crates together: the commands, the settings, the preconditions of
//! jobs, the lake, and the pipeline. `docs/architecture.md` follows one file on its way through them.

mod buckets;
mod causes;
pub mod cli;
pub mod lake;
pub mod memory;
pub mod pipeline;
pub mod preconditions;
pub mod progress;
pub mod settings;
