//! Putting objects away that were taken: tagging them, or moving them to another place.
//!
//! A newer version may be put under the same key at any instant, and must not be touched before it was read. So every
//! step is about one version. A move is a copy and a removal that the server does only if the object still has the ETag
//! of what was read; [`PutAway::check_server`] finds out whether it does. A tag is put on a version by its id; where the
//! bucket has no versions, the object is looked at once more, and the tag taken off what has come in between.
//!
//! All of it may be done again: what is gone, or newer, needs nothing more.

mod error;

use object_store::{Error as ObjectError, ObjectMeta, ObjectStoreExt};
use tracing::debug;

use self::error::{MOST_TAGS, failed, no_etag, of_server};
pub use self::error::{PutAwayError, PutAwayKind};
use super::Bucket;
use super::s3_requests::{S3, S3Error, Tag};
use crate::Stamp;

/// The tag of what was taken.
const TAG: (&str, &str) = ("gristmill", "taken");

/// The largest object that one request copies: S3's own limit.
const MOST_COPIED: u64 = 5 << 30;

/// The object that a server is tried with, below the place that others are moved to, and its copy.
const PROBE: [&str; 2] = ["_gristmill-probe", "_gristmill-probe-copy"];

/// An ETag that no object has.
const WRONG: &str = "\"00000000000000000000000000000000\"";

/// What is to become of an object that was taken.
#[derive(Clone, Debug)]
pub enum After {
    /// It gets the tag `gristmill = taken`.
    Tag,
    /// It is moved below the prefix of another bucket, or another prefix of this one, under the same name.
    Move(Bucket),
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// It is tagged, or lies in its new place.
    Done,
    /// It is not there any more.
    Gone,
    /// Another version is there, which was left as it is.
    Replaced,
    /// It is larger than what one request can copy, and stays.
    TooLarge,
    /// It lies in an archive, where nothing can be copied from, and stays.
    Archived,
}

/// Puts the objects of one bucket away.
#[derive(Clone, Debug)]
pub struct PutAway {
    bucket: Bucket,
    after: After,
    s3: S3,
    most_copied: u64,
}

impl PutAway {
    /// Prepares to put away the objects of a bucket. Nothing is sent yet.
    pub fn new(bucket: Bucket, s3: S3, after: After) -> Self {
        Self {
            bucket,
            after,
            s3,
            most_copied: MOST_COPIED,
        }
    }

    /// For tests that have no gigabytes.
    #[cfg(test)]
    pub(crate) fn with_most_copied(self, most_copied: u64) -> Self {
        Self { most_copied, ..self }
    }

    /// Sees whether the server obeys the conditions that a move depends on. To be asked before anything is put away.
    pub async fn check_server(&self) -> Result<(), PutAwayError> {
        let After::Move(to) = &self.after else {
            return Ok(());
        };
        let [probe, copy] = PROBE;
        let etag = put_probe(to).await?;
        let refused = |action, rights, done: Result<(), S3Error>, what| match done {
            Err(error) if error.is_unmet() => Ok(()),
            Err(error) => Err(failed(action, rights, url(to, probe), &error)),
            Ok(()) => Err(PutAwayError::IgnoresConditions {
                url: to.url().to_owned(),
                what,
            }),
        };
        let copied = self.s3.copy((to, probe), (to, copy), WRONG).await;
        let what = "it copied an object whose ETag was not the one asked for";
        refused(
            "copy the probe",
            "s3:GetObject and s3:PutObject there",
            copied,
            what,
        )?;
        let (action, rights) = ("remove the probe", "s3:DeleteObject and s3:GetObject there");
        let removed = self.s3.remove(to, probe, WRONG).await;
        let what = "it removed an object whose ETag was not the one asked for";
        refused(action, rights, removed, what)?;
        let removed = self.s3.remove(to, probe, &etag).await;
        removed.map_err(|error| failed(action, rights, url(to, probe), &error))
    }

    /// Puts the object of a path away, if it is still what its stamp says.
    pub async fn put_away(&self, path: &str, stamp: Stamp) -> Result<Away, PutAwayError> {
        match self.look(path, stamp).await? {
            Ok(seen) => match &self.after {
                After::Tag => self.tag(path, stamp, seen).await,
                After::Move(to) => self.relocate(to, path, seen).await,
            },
            Err(Away::Replaced) => self.replaced(path).await,
            Err(other) => Ok(other),
        }
    }

    /// Takes the tag off an object that is to stay as it is: it was refused, and may have got the tag of a version that
    /// was not.
    pub async fn leave(&self, path: &str) -> Result<(), PutAwayError> {
        if let After::Tag = self.after
            && let Some(mut tags) = self.tags(path, None).await?
            && tags.iter().any(is_ours)
        {
            tags.retain(|tag| !is_ours(tag));
            debug!(path, "takes the tag off");
            self.set_tags(path, None, tags).await?;
        }
        Ok(())
    }

    /// What is there, if that is what the stamp says; else what has become of it.
    async fn look(&self, path: &str, stamp: Stamp) -> Result<Result<ObjectMeta, Away>, PutAwayError> {
        // What has no key was never read, so there is nothing to put away.
        let Ok(key) = self.bucket.object_key(path) else {
            return Ok(Err(Away::Gone));
        };
        match self.bucket.objects().head(&key).await {
            Ok(meta) if Stamp::of_object(&meta) == stamp => Ok(Ok(meta)),
            Ok(_) => Ok(Err(Away::Replaced)),
            Err(ObjectError::NotFound { .. }) => Ok(Err(Away::Gone)),
            Err(error) => Err(of_server("look at", "s3:GetObject on it", self.url(path), &error)),
        }
    }

    /// Leaves a version alone that is to be read yet. It may have come just when the one before was tagged.
    async fn replaced(&self, path: &str) -> Result<Away, PutAwayError> {
        self.leave(path).await?;
        Ok(Away::Replaced)
    }

    async fn tag(&self, path: &str, stamp: Stamp, seen: ObjectMeta) -> Result<Away, PutAwayError> {
        // What was put when the bucket kept no versions has this one, and is overwritten.
        let version = seen.version.filter(|version| version != "null");
        let Some(mut tags) = self.tags(path, version.as_deref()).await? else {
            return Ok(Away::Gone);
        };
        if tags.iter().any(is_ours) {
            return Ok(Away::Done);
        }
        tags.retain(|tag| tag.key != TAG.0);
        if tags.len() == MOST_TAGS {
            return Err(PutAwayError::TooManyTags { url: self.url(path) });
        }
        tags.push(Tag {
            key: TAG.0.to_owned(),
            value: TAG.1.to_owned(),
        });
        if !self.set_tags(path, version.as_deref(), tags).await? {
            return Ok(Away::Gone);
        }
        if version.is_some() {
            return Ok(Away::Done);
        }
        match self.look(path, stamp).await? {
            Ok(_) => Ok(Away::Done),
            Err(Away::Replaced) => self.replaced(path).await,
            Err(other) => Ok(other),
        }
    }

    /// The tags of an object; none if it is gone.
    async fn tags(&self, path: &str, version: Option<&str>) -> Result<Option<Vec<Tag>>, PutAwayError> {
        let rights = "s3:GetObjectTagging and s3:GetObjectVersionTagging on it";
        match self.s3.tags(path, version).await {
            Ok(tags) => Ok(Some(tags)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(failed("read the tags of", rights, self.url(path), &error)),
        }
    }

    /// Gives an object these tags; tells whether it is there.
    async fn set_tags(
        &self,
        path: &str,
        version: Option<&str>,
        tags: Vec<Tag>,
    ) -> Result<bool, PutAwayError> {
        let rights = "s3:PutObjectTagging and s3:PutObjectVersionTagging on it";
        match self.s3.set_tags(path, version, tags).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(failed("tag", rights, self.url(path), &error)),
        }
    }

    async fn relocate(&self, to: &Bucket, path: &str, seen: ObjectMeta) -> Result<Away, PutAwayError> {
        if seen.size > self.most_copied {
            return Ok(Away::TooLarge);
        }
        let etag = seen.e_tag.ok_or_else(|| no_etag("move", self.url(path)))?;
        // A version that has come since is neither copied nor removed.
        let became = |action, rights, error: S3Error| match error {
            error if error.is_absent() => Ok(Away::Gone),
            error if error.is_unmet() => Ok(Away::Replaced),
            error if error.is_archived() => Ok(Away::Archived),
            error => Err(failed(action, rights, self.url(path), &error)),
        };
        if let Err(error) = self.s3.copy((&self.bucket, path), (to, path), &etag).await {
            let rights = "s3:GetObject and s3:GetObjectTagging on it, s3:PutObject and s3:PutObjectTagging where it goes";
            return became("copy", rights, error);
        }
        match self.s3.remove(&self.bucket, path, &etag).await {
            Ok(()) => Ok(Away::Done),
            Err(error) => became("remove", "s3:DeleteObject on it", error),
        }
    }

    fn url(&self, path: &str) -> String {
        url(&self.bucket, path)
    }
}

/// Puts the probe, and gives its ETag.
async fn put_probe(to: &Bucket) -> Result<String, PutAwayError> {
    let [probe, _] = PROBE;
    let action = "put the probe";
    let put = async { to.objects().put(&to.object_key(probe)?, probe.into()).await };
    let put = put
        .await
        .map_err(|error| of_server(action, "s3:PutObject there", url(to, probe), &error))?;
    put.e_tag.ok_or_else(|| no_etag(action, url(to, probe)))
}

fn url(bucket: &Bucket, path: &str) -> String {
    format!("{}/{path}", bucket.url())
}

fn is_ours(tag: &Tag) -> bool {
    (tag.key.as_str(), tag.value.as_str()) == TAG
}
