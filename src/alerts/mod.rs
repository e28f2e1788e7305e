//! Alerts: what a person must hear of although nobody looks at the page.
//!
//! A look at an alert finds what its condition says ([`conditions`]). What is new, is to be repeated, or is over becomes
//! notices ([`notices`]), which the state database records together with what was found, so that neither is lost. A courier
//! ([`courier`]) sends the notices of each receiver, in the receiver's form ([`forms`]), as often as it takes. All of it runs
//! beside the pipeline ([`watch`]) and only reads what the pipeline writes, so it never holds that up.

mod conditions;
mod courier;
mod dead_man;
mod finding;
mod forms;
mod message;
mod notices;
mod watch;

pub(crate) use self::courier::Courier;
pub(crate) use self::watch::Watch;

#[cfg(test)]
mod tests;
