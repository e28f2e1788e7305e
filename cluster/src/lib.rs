//! The client of an existing distributed engine: it has Spark, or whatever else speaks Spark Connect, merge partials.
//!
//! Spark Connect is gRPC: a client sends a plan, and the server executes it as an *operation* that has an id, outlives
//! connections, and is released by the client when it is done with it. [`Cluster`] sends one kind of plan
//! ([`Merge`]): read files of Parquet, sum by store, item and date, write Parquet. So the handful of messages that this
//! needs are written by hand ([`wire`], [`plan`], [`requests`]), over the HTTP/2 and TLS that are in the binary anyway
//! ([`connection`]): docs/decisions/0122.
//!
//! The numbers of fields are those of Apache Spark's `spark/connect/*.proto`.

mod client;
mod connection;
mod endpoint;
mod error;
mod plan;
mod requests;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{Cluster, OperationId};
pub use endpoint::Endpoint;
pub use error::ClusterError;
pub use plan::{Kept, Merge, MergeInput};
