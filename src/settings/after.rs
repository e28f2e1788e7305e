//! What becomes of objects of a source that were taken, and where they may be moved to.

use super::file::{AfterWord, SourceTable};
use super::places::{BucketPlace, LakeSettings, Place, Source, bucket_url};

/// What becomes of an object of a source that was taken.
#[derive(Clone, Debug)]
pub enum After {
    /// Nothing.
    Keep,
    /// It is tagged, for a lifecycle rule to find.
    Tag,
    /// It is moved to another place of the same server.
    Move(BucketPlace),
}

/// What becomes of objects that were taken.
pub(super) fn check_after(table: &SourceTable, place: &Place) -> Result<After, String> {
    let word = table.after;
    let moved = table.moved.as_ref().map(|moved| moved.0.as_str());
    match (word, moved, place) {
        (AfterWord::Keep, None, _) => Ok(After::Keep),
        (AfterWord::Tag | AfterWord::Move, _, Place::Folder(_)) => Err(
            "source.after: only objects of a bucket can be tagged or moved; leave it out: files of a folder stay \
             where they are"
                .into(),
        ),
        (AfterWord::Tag, None, Place::Bucket(_)) => Ok(After::Tag),
        (AfterWord::Move, Some(url), Place::Bucket(source)) => {
            let url = bucket_url("source.moved", url)?;
            let options = source.options.clone();
            Ok(After::Move(BucketPlace { url, options }))
        }
        (AfterWord::Move, None, Place::Bucket(_)) => Err(
            "source.moved: write where objects that were taken are moved to: s3://BUCKET/PREFIX, on the same server".into(),
        ),
        (AfterWord::Keep | AfterWord::Tag, Some(_), _) => {
            Err("source.moved: only with after = \"move\"; leave it out".into())
        }
    }
}

/// Sees to it that no object is moved to where it would be read again, or would meet what somebody else puts there.
pub(super) fn check_moved(sources: &[Source], lake: &LakeSettings) -> Result<(), String> {
    for (number, source) in sources.iter().enumerate() {
        let After::Move(moved) = &source.after else {
            continue;
        };
        let mut others = Vec::new();
        for (other_number, other) in sources.iter().enumerate() {
            if let Place::Bucket(place) = &other.place {
                others.push(("a source", place));
            }
            if let After::Move(place) = &other.after
                && other_number != number
            {
                others.push(("the place that another source moves to", place));
            }
        }
        if let LakeSettings::Bucket { place, .. } = lake {
            others.push(("the lake", place));
        }
        if let Some((what, other)) = others.into_iter().find(|(_, other)| moved.overlaps(other)) {
            return Err(format!(
                "source.moved: {} and {what}, {}, overlap: name a prefix that no other place begins with, and that \
                 begins with no other",
                moved.url, other.url
            ));
        }
    }
    Ok(())
}

impl BucketPlace {
    /// Whether an object may lie in both.
    fn overlaps(&self, other: &Self) -> bool {
        let (ours, others) = (format!("{}/", self.url), format!("{}/", other.url));
        self.options.endpoint == other.options.endpoint
            && (ours.starts_with(&others) || others.starts_with(&ours))
    }
}
