//! End-to-end tests of the binary: real files, real databases, real signals.

mod support;

mod aggregate;
mod alerts;
mod api_schema;
mod archives;
mod bad_input;
mod browser;
mod buckets;
mod clouds;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "cluster")]
mod cluster_faults;
mod commands;
mod crashes;
mod desk;
mod desk_pages;
mod fault_points;
mod formats;
mod guards;
mod hostile_sql;
mod infer;
mod life_of_a_file;
mod life_of_a_job;
mod lineage;
mod losses;
mod metrics;
mod moves;
mod operators_sql;
mod oracle;
mod order;
mod outages;
mod page;
mod poolers;
mod provinces;
mod putting_away;
mod records;
mod reference_sample;
mod retention;
mod server_questions;
mod server_state;
mod service;
mod sight;
mod standbys;
mod stores;
mod trace;
mod verify;
mod warehouse_faults;
mod weather;
mod workers;
mod wrong_settings;
