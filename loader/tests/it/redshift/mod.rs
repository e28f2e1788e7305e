//! What only Redshift has: the bucket on the way, statements that it alone understands, temporary users, and the faults of
//! all of them.

mod aws;
mod faults;
mod layout;
pub mod server;
pub mod statements;
mod tamper;

pub use server::Redshift;
