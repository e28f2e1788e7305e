//! Credentials that are kept until they are about to end.
//!
//! The standard chain may ask a server each time, and clients of buckets ask the chain with each request.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

/// Credentials are asked for anew this long before they end.
const EARLY: Duration = Duration::from_secs(300);

/// A chain, and what it gave last.
#[derive(Debug)]
pub(super) struct KeptCredentials {
    chain: SharedCredentialsProvider,
    last: Mutex<Option<Credentials>>,
    /// The wall clock, which the end of credentials is measured by.
    now: fn() -> SystemTime,
}

impl KeptCredentials {
    pub(super) fn new(chain: SharedCredentialsProvider, now: fn() -> SystemTime) -> Self {
        Self {
            chain,
            last: Mutex::new(None),
            now,
        }
    }

    async fn credentials(&self) -> Result {
        let mut last = self.last.lock().await;
        let lasts = |last: &&Credentials| last.expiry().is_none_or(|ends| (self.now)() + EARLY < ends);
        if let Some(kept) = last.as_ref().filter(lasts) {
            return Ok(kept.clone());
        }
        let found = self.chain.provide_credentials().await?;
        *last = Some(found.clone());
        Ok(found)
    }
}

impl ProvideCredentials for KeptCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SECRET: &str = "hunter2-of-the-chain";

    /// Gives credentials that end 1,000 s after 1970, and numbers them.
    #[derive(Debug, Default)]
    struct Numbered(AtomicU32);

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let name = self.0.fetch_add(1, Ordering::Relaxed).to_string();
            let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
            future::ProvideCredentials::ready(Ok(Credentials::new(name, SECRET, None, Some(ends), "test")))
        }
    }

    /// Asks twice at a time that the test chooses.
    async fn asked_twice(now: fn() -> SystemTime) -> [String; 2] {
        let kept = KeptCredentials::new(SharedCredentialsProvider::new(Numbered::default()), now);
        let names = [kept.credentials().await, kept.credentials().await];
        assert!(!format!("{kept:?}").contains(SECRET), "{kept:?}");
        names.map(|given| given.unwrap().access_key_id().to_owned())
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_about_to_end() {
        assert_eq!(
            asked_twice(|| SystemTime::UNIX_EPOCH + Duration::from_secs(600)).await,
            ["0", "0"]
        );
        assert_eq!(
            asked_twice(|| SystemTime::UNIX_EPOCH + Duration::from_secs(701)).await,
            ["0", "1"]
        );
    }
}
