//! The names of the lake's objects.

use std::borrow::Cow;

use gristmill_engine::FeedLayout;
use object_store::path::{Path as ObjectPath, PathPart};

/// The longest part of a source path in an object's name. Local file systems allow 255 bytes, including the version.
const LONGEST_PART: usize = 180;

/// The folder of what runs make.
pub(super) const SUMMARIES: &str = "summaries";

/// The objects that conversion makes from a file version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionObject {
    /// The typed rows.
    Converted,
    /// The aggregate.
    Partial,
    /// The rejects.
    Rejects,
}

impl VersionObject {
    /// Returns the object's name for a version of a file.
    pub fn name(self, feed: &FeedLayout, file_url: &str, content_hash: &str) -> ObjectPath {
        let folder = match self {
            Self::Converted => "converted",
            Self::Partial => "partials",
            Self::Rejects => "rejects",
        };
        let (folders, file) = match file_url.rsplit_once('/') {
            Some((folders, file)) => (Some(folders), file),
            None => (None, file_url),
        };
        let version = format!("{}-{}.parquet", &content_hash[..32], feed.digest());
        let mut parts = vec![PathPart::from(folder), PathPart::from(feed.name.clone())];
        let folders = folders.into_iter().flat_map(|folders| folders.split('/'));
        parts.extend(folders.map(|folder| PathPart::from(shortened(folder).into_owned())));
        parts.push(PathPart::from(format!("{}.{version}", shortened(file))));
        parts.into_iter().collect()
    }
}

/// Returns the name of the partial of the version whose converted rows have this name.
pub fn partial_beside(converted: &str) -> Option<ObjectPath> {
    let version = converted.strip_prefix("converted/")?;
    ObjectPath::parse(format!("partials/{version}")).ok()
}

/// Returns the names of a run's summary and of its coverage.
pub fn summary_names(job_id: &str, run_id: &str) -> (ObjectPath, ObjectPath) {
    let name =
        |ending: &str| ObjectPath::from_iter([SUMMARIES, job_id, &format!("{run_id}{ending}.parquet")]);
    (name(""), name(".coverage"))
}

/// Returns whether the lake could have given this name. Objects that people put beside the lake's have other names.
pub(super) fn is_of_lake(object: &ObjectPath) -> bool {
    let parts: Vec<_> = object.parts().collect();
    let (Some(folder), Some(file)) = (parts.first(), object.filename()) else {
        return false;
    };
    let Some(stem) = file.strip_suffix(".parquet") else {
        return false;
    };
    let is_hash = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    match (folder.as_ref(), parts.len()) {
        ("converted" | "partials" | "rejects", 3..) => stem
            .rsplit_once('.')
            .and_then(|(_, version)| version.split_once('-'))
            .is_some_and(|(content, layout)| content.len() == 32 && is_hash(content) && is_hash(layout)),
        (SUMMARIES, 3) => stem.starts_with(&format!("{}-", parts[1].as_ref())),
        _ => false,
    }
}

/// Returns a component of a source path in the form used in an object's name. A long one is cut, and a hash keeps it
/// unique.
fn shortened(component: &str) -> Cow<'_, str> {
    let length_of = |text: &str| PathPart::from(text).as_ref().len();
    if length_of(component) <= LONGEST_PART {
        return Cow::Borrowed(component);
    }
    let hash = blake3::hash(component.as_bytes()).to_hex();
    // The length is measured as written: one character may become twelve.
    let (mut kept, mut length) = (String::new(), 0);
    for character in component.chars() {
        length += length_of(character.encode_utf8(&mut [0; 4]));
        if length > LONGEST_PART - 20 {
            break;
        }
        kept.push(character);
    }
    Cow::Owned(format!("{kept}~{}", &hash[..16]))
}

#[cfg(test)]
mod tests {
    use gristmill_engine::FeedSpec;

    use super::*;

    fn name(file_url: &str) -> String {
        let feed = FeedLayout::new(&FeedSpec::default()).unwrap();
        VersionObject::Converted
            .name(&feed, file_url, &"ab".repeat(32))
            .to_string()
    }

    #[test]
    fn a_partial_is_named_like_the_rows_of_its_version() {
        let feed = FeedLayout::new(&FeedSpec::default()).unwrap();
        for file in ["IL-1.tdf", "north/é %\"1\"\n.tdf"] {
            let name = |kind: VersionObject| kind.name(&feed, file, &"ab".repeat(32));
            let converted = name(VersionObject::Converted).to_string();
            assert_eq!(partial_beside(&converted), Some(name(VersionObject::Partial)));
        }
        assert_eq!(partial_beside("elsewhere/a.parquet"), None);
    }

    #[test]
    fn names_tell_feed_file_and_version_and_fit_the_file_system() {
        assert!(name("IL-1.tdf").starts_with("converted/sales/IL-1.tdf.abababab"));
        assert!(name("north/IL-1.tdf").starts_with("converted/sales/north/IL-1.tdf.abababab"));
        for character in ["a", "%", "é", "☃", "🍔"] {
            let whole = character.repeat(250 / character.len());
            let (long, other) = (name(&whole), name(&format!("{}x", &whole[character.len()..])));
            assert_ne!(long, other);
            assert!(long.split('/').all(|part| part.len() <= 255), "{long}");
        }
    }
}
