//! What could not be put away: when it is tried again, and what is told of it.
//!
//! A trouble of one object may last for ever, so it neither holds up what has come since nor hides another trouble.

use std::collections::{HashMap, HashSet};
use std::mem;

use gristmill_state::{FileToPutAway, Stamp};
use gristmill_watcher::{PutAwayError, PutAwayKind};

/// The troubles of one source's objects.
#[derive(Default)]
pub(super) struct Troubles {
    /// Those of the place that objects are moved to.
    place: Option<PutAwayKind>,
    /// Those of objects, by the names of these.
    objects: HashMap<String, Trouble>,
    news: Vec<News>,
}

struct Trouble {
    /// What the object looked like.
    stamp: Stamp,
    kind: PutAwayKind,
    /// Whether it is to be tried again.
    is_due: bool,
}

/// What has failed and was not told yet: the first error of its kind.
pub(super) struct News {
    pub(super) error: PutAwayError,
    /// How many objects have it.
    pub(super) objects: u64,
    /// Whether it has begun; otherwise it goes on.
    pub(super) is_new: bool,
}

/// The kinds of troubles that there were before a round.
pub(super) struct Before(HashSet<PutAwayKind>);

impl Troubles {
    /// How many things fail.
    pub(super) fn count(&self) -> u64 {
        self.objects.len() as u64 + u64::from(self.place.is_some())
    }

    /// What there was before a round that now begins.
    pub(super) fn before(&self) -> Before {
        let kinds = self.objects.values().map(|trouble| trouble.kind);
        Before(kinds.chain(self.place).collect())
    }

    /// Has everything that has failed tried again. What was due and was not tried is not to be put away any more.
    pub(super) fn make_due(&mut self) {
        self.objects
            .retain(|_, trouble| !mem::replace(&mut trouble.is_due, true));
    }

    /// Whether a file is to be tried: it has not failed as it is now, or is due again, where such are tried.
    pub(super) fn lets_try(&self, file: &FileToPutAway, again: bool) -> bool {
        match self.objects.get(&file.file_url) {
            Some(trouble) => trouble.stamp != file.stamp || (again && trouble.is_due),
            None => true,
        }
    }

    /// The place that objects are moved to was tried.
    pub(super) fn tried_place(&mut self, before: &Before, error: Option<PutAwayError>) {
        self.place = error.as_ref().map(PutAwayError::kind);
        if let Some(error) = error {
            let is_new = !before.0.contains(&error.kind());
            self.add(error, is_new);
        }
    }

    /// An object was put away.
    pub(super) fn passed(&mut self, file: &FileToPutAway) {
        self.objects.remove(&file.file_url);
    }

    /// An object could not be put away.
    pub(super) fn failed(&mut self, before: &Before, file: FileToPutAway, error: PutAwayError) {
        let (stamp, kind) = (file.stamp, error.kind());
        let trouble = Trouble {
            stamp,
            kind,
            is_due: false,
        };
        let known = self.objects.insert(file.file_url, trouble);
        let is_new = match error.is_of_object() {
            true => known.is_none_or(|known| (known.stamp, known.kind) != (stamp, kind)),
            false => !before.0.contains(&kind),
        };
        self.add(error, is_new);
    }

    fn add(&mut self, error: PutAwayError, is_new: bool) {
        let kind = error.kind();
        let told = |news: &&mut News| (news.error.kind(), news.is_new) == (kind, is_new);
        match self.news.iter_mut().find(told) {
            Some(news) => news.objects += 1,
            None => self.news.push(News {
                error,
                objects: 1,
                is_new,
            }),
        }
    }

    /// What there is to tell of.
    pub(super) fn news(&mut self) -> Vec<News> {
        mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: u64) -> FileToPutAway {
        let stamp = Stamp {
            bytes,
            modified_ns: 0,
            inode: 0,
        };
        FileToPutAway {
            file_url: name.to_owned(),
            stamp,
            is_valid: true,
        }
    }

    fn full(url: &str) -> PutAwayError {
        PutAwayError::TooManyTags { url: url.to_owned() }
    }

    fn denied(action: &'static str) -> PutAwayError {
        PutAwayError::Denied {
            action,
            url: String::new(),
            cause: String::new(),
            rights: "",
        }
    }

    /// One round in which these fail; what is told as new.
    fn told(troubles: &mut Troubles, failures: Vec<(&str, PutAwayError)>) -> Vec<(String, u64)> {
        let before = troubles.before();
        for (name, error) in failures {
            troubles.failed(&before, file(name, 1), error);
        }
        let news = troubles.news().into_iter().filter(|news| news.is_new);
        news.map(|news| (news.error.to_string(), news.objects)).collect()
    }

    #[test]
    fn what_failed_waits_until_it_is_due_and_what_is_new_does_not() {
        let mut troubles = Troubles::default();
        told(&mut troubles, vec![("a", full("a")), ("b", full("b"))]);
        assert!(!troubles.lets_try(&file("a", 1), false) && !troubles.lets_try(&file("a", 1), true));
        assert!(troubles.lets_try(&file("c", 1), false));
        assert!(troubles.lets_try(&file("a", 2), false), "it was sent anew");

        troubles.make_due();
        assert!(!troubles.lets_try(&file("a", 1), false));
        assert!(troubles.lets_try(&file("a", 1), true));
        troubles.passed(&file("a", 1));
        assert_eq!(troubles.count(), 1);
        // Nobody has asked for the other since it was due.
        troubles.make_due();
        assert_eq!(troubles.count(), 0);
    }

    #[test]
    fn no_trouble_hides_another() {
        let mut troubles = Troubles::default();
        let two = vec![("a", full("a")), ("b", full("b"))];
        assert_eq!(told(&mut troubles, two), [(full("a").to_string(), 2)]);
        // It goes on; another object has the same; a right lacks.
        assert!(told(&mut troubles, vec![("a", full("a"))]).is_empty());
        assert_eq!(
            told(&mut troubles, vec![("a", full("a")), ("c", full("c"))]),
            [(full("c").to_string(), 1)]
        );
        let lacks = vec![("d", denied("copy")), ("e", denied("copy")), ("a", full("a"))];
        assert_eq!(told(&mut troubles, lacks), [(denied("copy").to_string(), 2)]);
        // Others lack that right as well; then another lacks.
        assert!(told(&mut troubles, vec![("f", denied("copy"))]).is_empty());
        assert_eq!(told(&mut troubles, vec![("f", denied("remove"))]).len(), 1);
    }

    #[test]
    fn a_place_that_does_not_answer_is_a_trouble_until_it_does() {
        let mut troubles = Troubles::default();
        for is_new in [true, false] {
            let before = troubles.before();
            troubles.tried_place(&before, Some(denied("put the probe")));
            assert_eq!(troubles.count(), 1);
            assert_eq!(troubles.news()[0].is_new, is_new);
        }
        let before = troubles.before();
        troubles.tried_place(&before, None);
        assert_eq!((troubles.count(), troubles.news().len()), (0, 0));
    }
}
