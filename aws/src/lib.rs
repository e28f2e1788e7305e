//! Signed requests to AWS's services: to S3, SQS and Redshift, for the few calls that `object_store` does not make.
//!
//! AWS's own clients for these services are hundreds of thousands of generated lines, which took minutes to compile for
//! nine operations. Here `aws-config` finds region and credentials as every AWS tool does, `object_store` signs and sends
//! a request, and this crate adds the rest: retries, and errors with AWS's own codes. The caller of an operation writes
//! its body and reads its answer.

mod answer;
mod credentials;
mod endpoint;
mod error;
mod service;

pub use self::answer::{read_json, read_xml};
pub use self::credentials::credentials;
pub use self::endpoint::{endpoint, public_host};
pub use self::error::AwsError;
pub use self::service::{Call, Patience, Service};
