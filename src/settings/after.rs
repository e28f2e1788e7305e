//! What becomes of objects of a source that were taken, and where they may be moved to.

use gristmill_watcher::{Address, Provider};

use super::file::{AfterWord, SourceTable};
use super::places::{BucketPlace, LakeSettings, Place, Source};

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
    if word != AfterWord::Move && moved.is_some() {
        return Err("source.moved: only with after = \"move\"; leave it out".into());
    }
    if word == AfterWord::Keep {
        return Ok(After::Keep);
    }
    let source = match place {
        Place::Bucket(source) if is_in_s3(source) => source,
        _ => {
            return Err(
                "source.after: only objects of a bucket of S3 can be tagged or moved; leave it out: all others stay \
                 where they are"
                    .into(),
            );
        }
    };
    if word == AfterWord::Tag {
        return Ok(After::Tag);
    }
    let address =
        Address::parse(moved.ok_or(NO_TARGET)?).map_err(|error| format!("source.moved: {error}"))?;
    let to = BucketPlace {
        address,
        options: source.options.clone(),
    };
    match is_in_s3(&to) {
        true => Ok(After::Move(to)),
        false => Err(NO_TARGET.into()),
    }
}

/// What is said of a place that nothing can be moved to.
const NO_TARGET: &str =
    "source.moved: write where objects that were taken are moved to: s3://BUCKET/PREFIX, on the same server";

fn is_in_s3(place: &BucketPlace) -> bool {
    place.address.provider() == Provider::S3
}

/// Sees to it that no object is moved before each source has read it, to where it would be read again, or to where it
/// would meet what somebody else puts there.
pub(super) fn check_moved(sources: &[Source], lake: &LakeSettings) -> Result<(), String> {
    for (number, source) in sources.iter().enumerate() {
        let After::Move(moved) = &source.after else {
            continue;
        };
        let mut others = Vec::new();
        for (other_number, other) in sources.iter().enumerate() {
            if let Place::Bucket(place) = &other.place {
                if other_number != number
                    && let Place::Bucket(ours) = &source.place
                    && ours.overlaps(place)
                {
                    return Err(format!(
                        "source.after: {} and another source, {}, overlap, so objects would be moved before that has \
                         read them: give each a prefix of its own, or set after = \"keep\" or \"tag\"",
                        ours.address.url(),
                        place.address.url()
                    ));
                }
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
                moved.address.url(),
                other.address.url()
            ));
        }
    }
    Ok(())
}

impl BucketPlace {
    /// Whether an object may lie in both.
    fn overlaps(&self, other: &Self) -> bool {
        let (ours, others) = (
            format!("{}/", self.address.url()),
            format!("{}/", other.address.url()),
        );
        self.is_on_server_of(other) && (ours.starts_with(&others) || others.starts_with(&ours))
    }

    /// Whether both are reached at the same URL, however that is written.
    fn is_on_server_of(&self, other: &Self) -> bool {
        let endpoint = |place: &Self| {
            let endpoint = place.options.endpoint.as_deref()?;
            Some(endpoint.trim_end_matches('/').to_ascii_lowercase())
        };
        endpoint(self) == endpoint(other)
    }
}
