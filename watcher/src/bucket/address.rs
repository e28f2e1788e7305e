//! URLs of buckets: the provider, the bucket's name, and a prefix or key in it.

use object_store::path::{Error as PathError, Path};

/// The provider of a bucket, or the one whose protocol its server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3 and compatible servers: `s3://BUCKET/PREFIX`.
    S3,
    /// Google Cloud Storage: `gs://BUCKET/PREFIX`.
    Google,
    /// Azure Blob Storage: `az://CONTAINER/PREFIX`, and `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX`, which
    /// also names the storage account.
    Azure,
}

/// A bucket, or the part of it below a prefix, as a URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    provider: Provider,
    /// The URL of the whole bucket.
    root: String,
    /// The bucket's own name, which Azure calls a container.
    bucket: String,
    account: Option<String>,
    /// Without a `/` at its end.
    path: String,
}

/// Why a URL cannot be used. The messages do not quote it, because it may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It does not name a bucket.
    #[error(
        "the URL names no bucket: write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or \
         abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX. Supply credentials in the provider's standard way, never \
         in a URL"
    )]
    NoBucket,
    /// The prefix has a segment that cannot be requested.
    #[error("the prefix cannot be used: {0}")]
    BadPrefix(PathError),
}

/// The domain of the accounts in `abfss://` URLs.
const ACCOUNTS: &str = ".dfs.core.windows.net";

impl Provider {
    /// Returns the provider that a text's scheme names, if the text is the URL of a bucket.
    pub fn of_url(text: &str) -> Option<Self> {
        match text.split_once("://")?.0 {
            "s3" => Some(Self::S3),
            "gs" => Some(Self::Google),
            "az" | "abfss" => Some(Self::Azure),
            _ => None,
        }
    }
}

impl Address {
    /// Parses a URL.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let provider = Provider::of_url(url).ok_or(AddressError::NoBucket)?;
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::NoBucket)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (bucket, account) = match scheme {
            "abfss" => authority
                .strip_suffix(ACCOUNTS)
                .and_then(|named| named.split_once('@'))
                .map(|(container, account)| (container, Some(account)))
                .ok_or(AddressError::NoBucket)?,
            _ => (authority, None),
        };
        let is_name = |name: &str| {
            let is_of_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            !name.is_empty() && name.bytes().all(is_of_name)
        };
        if !is_name(bucket) || !account.is_none_or(is_name) {
            return Err(AddressError::NoBucket);
        }
        let path = path.trim_end_matches('/');
        // `Path` drops a `/` at the beginning, which is a part of the key.
        if path.starts_with('/') {
            let path = path.to_owned();
            return Err(AddressError::BadPrefix(PathError::EmptySegment { path }));
        }
        Path::parse(path).map_err(AddressError::BadPrefix)?;
        Ok(Self {
            provider,
            root: format!("{scheme}://{authority}"),
            bucket: bucket.to_owned(),
            account: account.map(str::to_owned),
            path: path.to_owned(),
        })
    }

    /// The provider of the bucket.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The URL of the whole bucket.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The URL, without a `/` at its end.
    pub fn url(&self) -> String {
        match self.path.as_str() {
            "" => self.root.clone(),
            path => format!("{}/{path}", self.root),
        }
    }

    /// The bucket's own name, which Azure calls a container.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The storage account, where the URL names one.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// What follows the bucket, without a `/` at its end: a prefix, or a key.
    pub fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<String> {
        let Address {
            provider,
            root,
            bucket,
            account,
            path,
        } = Address::parse(url).ok()?;
        let account = account.unwrap_or_default();
        Some(format!("{provider:?} {root} {bucket} {account} {path}"))
    }

    #[test]
    fn a_url_names_a_bucket_and_a_folder_in_it() {
        for (url, expected) in [
            ("s3://b", "S3 s3://b b  "),
            ("s3://b/", "S3 s3://b b  "),
            ("s3://b/in/50% é", "S3 s3://b b  in/50% é"),
            ("s3://b/in/", "S3 s3://b b  in"),
            ("gs://b_1.c/in", "Google gs://b_1.c b_1.c  in"),
            ("az://c/in/x y", "Azure az://c c  in/x y"),
            (
                "abfss://c@shops.dfs.core.windows.net/in",
                "Azure abfss://c@shops.dfs.core.windows.net c shops in",
            ),
        ] {
            assert_eq!(parsed(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(Address::parse("gs://b/in/").unwrap().url(), "gs://b/in");
    }

    #[test]
    fn what_names_no_bucket_is_refused_and_not_quoted() {
        for url in [
            "s3://",
            "s3:///in",
            "b/in",
            "http://b/in",
            "s3://user:hunter2@b",
            "gs://user:hunter2@b",
            "az://c@hunter2",
            "abfss://c",
            "abfss://c@shops.example.com/in",
            "abfss://c:hunter2@shops.dfs.core.windows.net/in",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, AddressError::NoBucket), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        for url in ["gs://b/in//x", "gs://b//x", "gs://b/../x"] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, AddressError::BadPrefix(_)), "{error}");
        }
    }
}
