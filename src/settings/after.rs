//! What happens to the objects of a source after they were taken, and where they may be moved to.

use gristmill_watcher::{Address, Provider};

use super::file::{AfterWord, SourceTable};
use super::places::{After, BucketPlace, LakeSettings, Place, Source};

/// Checks `source.after` and `source.moved`.
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
                "source.after: only objects in an S3 bucket can be tagged or moved; leave it out: all other files stay \
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

/// The error if `source.moved` is missing, or is not in S3.
const NO_TARGET: &str =
    "source.moved: write where taken objects are moved to: s3://BUCKET/PREFIX, on the same server";

fn is_in_s3(place: &BucketPlace) -> bool {
    place.address.provider() == Provider::S3
}

/// Makes sure that no object is moved before every source has read it, to a place where it would be read again, or to
/// a place where it could collide with objects that something else writes.
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
                        "source.after: {} and another source, {}, overlap, so objects would be moved before that source \
                         has read them: give each its own prefix, or set after = \"keep\" or \"tag\"",
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
                "source.moved: {} and {what}, {}, overlap: name a prefix that is neither inside another place nor \
                 contains one",
                moved.address.url(),
                other.address.url()
            ));
        }
    }
    Ok(())
}
