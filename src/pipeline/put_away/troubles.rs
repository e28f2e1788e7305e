//! What could not be put away: when it is retried, and what is logged about it.
//!
//! A failure of one object may last forever, so it neither holds up newer objects nor hides another failure.

use std::collections::{HashMap, HashSet};
use std::mem;

use gristmill_state::{FileToPutAway, Stamp};
use gristmill_watcher::{PutAwayError, PutAwayKind};

/// The failures of one source.
#[derive(Default)]
pub(super) struct Troubles {
    /// The failed check of the storage, without which nothing can be moved.
    storage: Option<PutAwayKind>,
    /// The failures of objects, by file name.
    objects: HashMap<String, Trouble>,
    news: Vec<News>,
}

struct Trouble {
    /// The object's stamp when it failed.
    stamp: Stamp,
    kind: PutAwayKind,
    /// Whether it is to be retried.
    is_due: bool,
}

/// A failure that was not logged yet: the first error of its kind.
pub(super) struct News {
    pub(super) error: PutAwayError,
    /// How many objects it affects.
    pub(super) objects: u64,
    /// Whether it has just begun; otherwise it persists.
    pub(super) is_new: bool,
}

/// The kinds of failures that there were before a round.
pub(super) struct Before(HashSet<PutAwayKind>);

impl Troubles {
    /// Returns how many failures there are.
    pub(super) fn count(&self) -> u64 {
        self.objects.len() as u64 + u64::from(self.storage.is_some())
    }

    /// Returns the kinds of failures at the start of a round.
    pub(super) fn before(&self) -> Before {
        let kinds = self.objects.values().map(|trouble| trouble.kind);
        Before(kinds.chain(self.storage).collect())
    }

    /// Makes every failure due for a retry. One that was due and was not tried is dropped: its object no longer has to
    /// be put away.
    pub(super) fn make_due(&mut self) {
        self.objects
            .retain(|_, trouble| !mem::replace(&mut trouble.is_due, true));
    }

    /// Returns whether to try a file: either it has not failed in its current version, or this round retries failures
    /// and the file is due.
    pub(super) fn lets_try(&self, file: &FileToPutAway, again: bool) -> bool {
        match self.objects.get(&file.file_url) {
            Some(trouble) => trouble.stamp != file.stamp || (again && trouble.is_due),
            None => true,
        }
    }

    /// Records the result of the check of the storage.
    pub(super) fn checked_storage(&mut self, before: &Before, error: Option<PutAwayError>) {
        self.storage = error.as_ref().map(PutAwayError::kind);
        if let Some(error) = error {
            let is_new = !before.0.contains(&error.kind());
            self.add(error, is_new);
        }
    }

    /// Records that an object was put away.
    pub(super) fn passed(&mut self, file: &FileToPutAway) {
        self.objects.remove(&file.file_url);
    }

    /// Records that an object could not be put away.
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
        let is_same = |news: &&mut News| (news.error.kind(), news.is_new) == (kind, is_new);
        match self.news.iter_mut().find(is_same) {
            Some(news) => news.objects += 1,
            None => self.news.push(News {
                error,
                objects: 1,
                is_new,
            }),
        }
    }

    /// Takes what is to be logged.
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
            changed_ns: None,
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

    /// Plays one round in which these fail, and returns what is logged as new.
    fn logged(troubles: &mut Troubles, failures: Vec<(&str, PutAwayError)>) -> Vec<(String, u64)> {
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
        logged(&mut troubles, vec![("a", full("a")), ("b", full("b"))]);
        assert!(!troubles.lets_try(&file("a", 1), false) && !troubles.lets_try(&file("a", 1), true));
        assert!(troubles.lets_try(&file("c", 1), false));
        assert!(troubles.lets_try(&file("a", 2), false), "it was sent again");

        troubles.make_due();
        assert!(!troubles.lets_try(&file("a", 1), false));
        assert!(troubles.lets_try(&file("a", 1), true));
        troubles.passed(&file("a", 1));
        assert_eq!(troubles.count(), 1);
        // The other was not tried since it was due.
        troubles.make_due();
        assert_eq!(troubles.count(), 0);
    }

    #[test]
    fn no_trouble_hides_another() {
        let mut troubles = Troubles::default();
        let two = vec![("a", full("a")), ("b", full("b"))];
        assert_eq!(logged(&mut troubles, two), [(full("a").to_string(), 2)]);
        // It persists; another object has the same failure; a permission is missing.
        assert!(logged(&mut troubles, vec![("a", full("a"))]).is_empty());
        assert_eq!(
            logged(&mut troubles, vec![("a", full("a")), ("c", full("c"))]),
            [(full("c").to_string(), 1)]
        );
        let refused = vec![("d", denied("copy")), ("e", denied("copy")), ("a", full("a"))];
        assert_eq!(logged(&mut troubles, refused), [(denied("copy").to_string(), 2)]);
        // That permission is missing for others as well; then another one is missing.
        assert!(logged(&mut troubles, vec![("f", denied("copy"))]).is_empty());
        assert_eq!(logged(&mut troubles, vec![("f", denied("remove"))]).len(), 1);
    }

    #[test]
    fn a_place_that_does_not_answer_is_a_trouble_until_it_does() {
        let mut troubles = Troubles::default();
        for is_new in [true, false] {
            let before = troubles.before();
            troubles.checked_storage(&before, Some(denied("put the probe")));
            assert_eq!(troubles.count(), 1);
            assert_eq!(troubles.news()[0].is_new, is_new);
        }
        let before = troubles.before();
        troubles.checked_storage(&before, None);
        assert_eq!((troubles.count(), troubles.news().len()), (0, 0));
    }
}
