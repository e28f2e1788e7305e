//! Lists a bucket in pages, and looks up single objects.
//!
//! Each page goes to the watcher before the next one is requested, so memory is limited to a few pages, however many
//! objects there are.

use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use object_store::client::HttpError;
use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Error as PathError;
use object_store::{Error as ObjectError, ObjectStoreExt};
use tokio::sync::mpsc;

use super::{Bucket, StorageClient};
use crate::unmatched::Newest;
use crate::{Stamp, UnmatchedFile, Want, Wanted, names};

/// The largest page that S3 and Google return, in keys. Azure allows 5,000.
const PAGE: usize = 1000;

/// How often a page is requested. `object_store` retries a request that fails, but not one whose response breaks off in
/// the middle.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// A look at one object.
#[derive(Debug)]
pub(crate) struct Look {
    /// Relative to the prefix.
    pub(super) path: String,
    /// `None` if it does not exist.
    pub(super) stamp: Option<Stamp>,
    /// The time just before the request: later writes may not have been seen.
    pub(super) at: Instant,
}

/// What the listing task sends to the watcher.
#[derive(Debug)]
pub(crate) enum Report {
    Page(Vec<Look>),
    /// The path of a key that cannot be requested, and why.
    Refused(String, PathError),
    Listed(Listed),
}

/// The end of a listing.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Whether it listed everything.
    pub(super) is_full: bool,
    pub(super) began: Instant,
    /// All objects seen, wanted or not.
    pub(super) objects: u64,
    pub(super) requests: u64,
    /// Of a full listing: the objects that nobody wants.
    pub(super) unmatched: Newest,
    /// Why it ended early.
    pub(super) error: Option<ObjectError>,
}

/// A listing to be made.
pub(super) struct Lister {
    pub(super) bucket: Bucket,
    pub(super) wanted: Wanted,
    pub(super) reports: mpsc::Sender<Report>,
}

impl Lister {
    /// Lists the objects whose paths begin with one of `starts`; everything, if one of them is empty.
    pub(super) async fn list(self, starts: Vec<String>) {
        let mut listed = Listed {
            is_full: starts.iter().any(String::is_empty),
            began: Instant::now(),
            objects: 0,
            requests: 0,
            unmatched: Newest::default(),
            error: None,
        };
        for start in &starts {
            if let Err(error) = self.list_start(start, &mut listed).await {
                listed.error = Some(error);
                break;
            }
        }
        // Sending fails only if the watcher has ended, and then nothing needs the report. The same holds below.
        let _ = self.reports.send(Report::Listed(listed)).await;
    }

    async fn list_start(&self, start: &str, listed: &mut Listed) -> Result<(), ObjectError> {
        let prefix = format!("{}{start}", self.bucket.prefix());
        let mut options = PaginatedListOptions {
            max_keys: Some(PAGE),
            ..PaginatedListOptions::default()
        };
        // The last key that could not be used.
        let mut passed: Option<String> = None;
        while !self.reports.is_closed() {
            let at = Instant::now();
            listed.requests += 1;
            let size = options.max_keys.unwrap_or(PAGE);
            match self.page(&prefix, &options).await {
                Ok(page) => {
                    listed.objects += page.result.objects.len() as u64;
                    let mut looks = Vec::new();
                    for meta in &page.result.objects {
                        let Some(path) = self.bucket.path(meta.location.as_ref()) else {
                            continue;
                        };
                        let stamp = Stamp::of_object(meta);
                        if self.is_looked_at(path) {
                            let (path, stamp) = (path.to_owned(), Some(stamp));
                            looks.push(Look { path, stamp, at });
                        }
                        if listed.is_full && is_unmatched(path, stamp, &self.wanted) {
                            listed.unmatched.add(UnmatchedFile {
                                modified_ns: stamp.modified_ns,
                                path: path.to_owned(),
                                bytes: stamp.bytes,
                            });
                        }
                    }
                    let _ = self.reports.send(Report::Page(looks)).await;
                    if page.page_token.is_none() {
                        return self.look_at_start(start, listed).await;
                    }
                    options.page_token = page.page_token;
                    options.offset = None;
                    options.max_keys = Some((size * 2).min(PAGE));
                }
                // One unusable key makes its whole page fail. So pages get smaller until the key is alone on one, and
                // the listing continues after it.
                Err(ObjectError::InvalidPath { .. }) if size > 1 => options.max_keys = Some(size / 2),
                Err(ObjectError::InvalidPath { source }) => {
                    let Some(key) = object_key_of(&source) else {
                        return Err(ObjectError::InvalidPath { source });
                    };
                    // The listing was to continue after this key, but the server started again at the first one, and
                    // would for ever.
                    if passed.as_deref() == Some(key) {
                        return Err(no_way_on(key));
                    }
                    passed = Some(key.to_owned());
                    options.offset = passed.clone();
                    options.page_token = None;
                    if let Some(path) = self.bucket.path(key)
                        && self.is_looked_at(path)
                    {
                        let refused = Report::Refused(path.to_owned(), source);
                        let _ = self.reports.send(refused).await;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks up, in Azure, the object that a start names in full: a listing there (as `object_store` returns it) has
    /// only longer paths.
    async fn look_at_start(&self, start: &str, listed: &mut Listed) -> Result<(), ObjectError> {
        let is_azure = matches!(self.bucket.kind(), StorageClient::Azure(_));
        if !is_azure || start.is_empty() || start.ends_with('/') || !self.is_looked_at(start) {
            return Ok(());
        }
        listed.requests += 1;
        let look = look(&self.bucket, start.to_owned()).await;
        let look = look.map_err(|(_, error)| error)?;
        listed.objects += u64::from(look.stamp.is_some());
        let _ = self.reports.send(Report::Page(vec![look])).await;
        Ok(())
    }

    fn is_looked_at(&self, path: &str) -> bool {
        is_looked_at(path, &self.wanted)
    }

    async fn page(
        &self,
        prefix: &str,
        options: &PaginatedListOptions,
    ) -> Result<PaginatedListResult, ObjectError> {
        let mut tries = 1;
        loop {
            let page = self.bucket.pages().list_paginated(Some(prefix), options.clone());
            match page.await {
                Err(error) if broke_off(&error) && tries < TRIES => {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                page => return page,
            }
        }
    }
}

/// The error of a listing that cannot continue past an unusable key.
fn no_way_on(key: &str) -> ObjectError {
    let source = format!(
        "the key {key:?} cannot be used, and this server cannot start a listing after a given key: rename or remove the \
         object"
    );
    ObjectError::Generic {
        store: "listing",
        source: source.into(),
    }
}

/// Whether a path is looked at.
pub(super) fn is_looked_at(path: &str, wanted: &Wanted) -> bool {
    names::path_looked_at(FilePath::new(path)) && wanted(path) != Want::No
}

/// Whether an object is a file that nobody wants for certain. An empty one may be what some tools keep for a folder.
fn is_unmatched(path: &str, stamp: Stamp, wanted: &Wanted) -> bool {
    stamp.bytes > 0 && names::path_looked_at(FilePath::new(path)) && wanted(path) != Want::Yes
}

/// Looks at one object.
pub(super) async fn look(bucket: &Bucket, path: String) -> Result<Look, (String, ObjectError)> {
    let at = Instant::now();
    let meta = match bucket.object_key(&path) {
        Ok(key) => bucket.objects().head(&key).await,
        Err(source) => Err(ObjectError::InvalidPath { source }),
    };
    let stamp = match meta {
        Ok(meta) => Some(Stamp::of_object(&meta)),
        Err(ObjectError::NotFound { .. }) => None,
        Err(error) => return Err((path, error)),
    };
    Ok(Look { path, stamp, at })
}

/// Returns the starts that each need a listing: sorted, without those that another covers. No starts mean everything.
pub(super) fn apart(mut starts: Vec<String>) -> Vec<String> {
    if starts.is_empty() {
        starts.push(String::new());
    }
    starts.sort();
    starts.dedup_by(|next, kept| next.starts_with(kept.as_str()));
    starts
}

/// Whether a response began and broke off.
fn broke_off(error: &ObjectError) -> bool {
    let ObjectError::Generic { source, .. } = error else {
        return false;
    };
    source.source().is_some_and(|cause| cause.is::<HttpError>())
}

/// Returns the raw key that an error is about.
fn object_key_of(error: &PathError) -> Option<&str> {
    match error {
        PathError::EmptySegment { path } | PathError::BadSegment { path, .. } => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn apart_of(starts: &[&str]) -> Vec<String> {
        apart(starts.iter().map(|start| start.to_string()).collect())
    }

    #[test]
    fn no_key_is_listed_twice() {
        assert_eq!(apart_of(&["b/2", "a", "b/", "ab", "a", "b"]), ["a", "b"]);
        assert_eq!(
            apart_of(&["in/2026-11-24", "in/2026-11-23"]),
            ["in/2026-11-23", "in/2026-11-24"]
        );
    }

    #[test]
    fn nothing_narrower_means_everything() {
        assert_eq!(apart_of(&[]), [""]);
        assert_eq!(apart_of(&["a", ""]), [""]);
    }
}
