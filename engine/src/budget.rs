//! Memory that several pieces of work share: what one of them holds, the others lack.
//!
//! A limit for each piece of work does not bound their sum, because how many there are at a time is not known beforehand:
//! two runs merge at once, and a thread that waits for one file helps with another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes to share. Cheap to clone; all clones share the same bytes.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Bytes>);

#[derive(Debug)]
struct Bytes {
    limit: usize,
    free: AtomicUsize,
}

/// Bytes that a piece of work holds. They are given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// Makes a budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Bytes {
            limit,
            free: AtomicUsize::new(limit),
        }))
    }

    /// Returns an empty share.
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Returns all of its bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Takes bytes, if so many are free.
    fn take(&self, bytes: usize) -> bool {
        let rest = |free: usize| free.checked_sub(bytes);
        let taken = self
            .0
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Share {
    /// Makes the share as large as `bytes`, or leaves it as it is and returns `false` if so many are not free.
    pub fn try_resize(&mut self, bytes: usize) -> bool {
        match bytes.checked_sub(self.bytes) {
            Some(more) if !self.budget.take(more) => return false,
            Some(_) => {}
            None => self.budget.give_back(self.bytes - bytes),
        }
        self.bytes = bytes;
        true
    }

    /// Makes the share as large as `bytes`, or as near to that as it can be, and returns its size.
    pub fn resize_up_to(&mut self, bytes: usize) -> usize {
        while !self.try_resize(bytes.min(self.bytes + self.budget.0.free.load(Ordering::Relaxed))) {
            // Another thread has taken some of it meanwhile.
        }
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_holds_the_others_lack() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.clone().share());
        assert!(one.try_resize(60) && !other.try_resize(50) && other.try_resize(40) && !one.try_resize(61));
        assert!(one.try_resize(30), "a share can shrink");
        assert!(other.try_resize(70));
        drop(one);
        assert!(other.try_resize(100));
        drop(other);
        let mut last = budget.share();
        assert_eq!((last.resize_up_to(70), last.resize_up_to(700)), (70, 100));
        assert!(!budget.share().try_resize(1));
    }

    #[test]
    fn shares_are_counted_rightly_by_many_threads() {
        let budget = Budget::new(1_000);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for bytes in 0..1_000 {
                        let mut share = budget.share();
                        share.try_resize(bytes % 200);
                        share.try_resize(bytes % 130);
                    }
                });
            }
        });
        assert_eq!(budget.share().resize_up_to(usize::MAX), 1_000);
    }
}
