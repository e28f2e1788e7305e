//! gristmill: point-of-sale files in, one row for each store, item and day in the warehouse.
//!
//! This root crate ties the others together: the commands, the settings, the preconditions of jobs, the lake, and the
//! pipeline. `docs/architecture.md` follows one file through them.

mod actions;
mod alerts;
mod aside;
mod buckets;
mod causes;
pub mod cli;
mod criterion;
mod csv;
mod disks;
mod guards;
mod http;
pub mod lake;
mod ledger;
mod lineage;
pub mod memory;
mod others;
mod overview;
pub mod pipeline;
pub mod preconditions;
pub mod progress;
mod query;
mod report;
pub mod settings;
mod shown;
mod through;
mod usage;
mod warehouse;
mod web;
