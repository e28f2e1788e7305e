//! The files that wait for their conversion, and which of them are next.

use std::collections::{HashMap, VecDeque};

use super::super::arrived::Arrived;
use super::super::delegation::By;
use super::super::sources::to_state;

/// Files up to this size are converted in groups. It is less than a thread reads at a time.
const SMALL: u64 = 128 << 10;

/// The most files in a group. After a crash, a whole group is converted again.
const GROUP: usize = 256;

/// No more files are received while so many large ones wait for room.
const LARGE: usize = 16;

/// The files with which processes have died, as they were then, and how often.
type Attempts = HashMap<String, (gristmill_state::Stamp, u32)>;

/// The files that wait for room.
#[derive(Default)]
pub(super) struct Queue {
    /// Small files that wait for their group.
    small: VecDeque<Arrived>,
    /// Files that are converted by themselves.
    large: VecDeque<Arrived>,
    /// Whether a large file was next the last time.
    large_was_next: bool,
    suspects: VecDeque<Arrived>,
    is_suspect_in_progress: bool,
    /// How often an earlier process, or a worker, has died with a file.
    attempts: Attempts,
}

/// What is converted together.
pub(super) struct Group {
    pub(super) files: Vec<Arrived>,
    /// Of a suspect, how often a process has died with it.
    pub(super) attempts: Option<u32>,
}

impl Queue {
    pub(super) fn new(attempts: Attempts) -> Self {
        Self {
            attempts,
            ..Self::default()
        }
    }

    /// Returns how many files wait.
    pub(super) fn len(&self) -> usize {
        self.small.len() + self.large.len() + self.suspects.len()
    }

    /// Returns whether more files may come.
    pub(super) fn has_room(&self) -> bool {
        self.small.len() < GROUP && self.large.len() < LARGE
    }

    pub(super) fn push(&mut self, arrived: Arrived) {
        let queue = if self.attempts_at(&arrived) > 0 {
            &mut self.suspects
        } else if arrived.is_alone
            || arrived.is_archive
            || arrived.is_probe
            || arrived.arrival.stamp.bytes > SMALL
        {
            &mut self.large
        } else {
            &mut self.small
        };
        queue.push_back(arrived);
    }

    /// Adds a file with which a worker may have died.
    pub(super) fn push_suspect(&mut self, suspect: Arrived) {
        let attempts = self.attempts_at(&suspect) + 1;
        let stamp = to_state(suspect.arrival.stamp);
        self.attempts
            .insert(suspect.arrival.path.clone(), (stamp, attempts));
        self.suspects.push_back(suspect);
    }

    /// Returns whether something waits that can be converted now.
    pub(super) fn has_next(&self, by: By) -> bool {
        match by {
            By::Service => self.has_suspect() || !self.large.is_empty() || !self.small.is_empty(),
            By::Worker => {
                self.small.iter().any(can_be_handed_out) || self.large.front().is_some_and(can_be_handed_out)
            }
        }
    }

    fn has_suspect(&self) -> bool {
        !self.is_suspect_in_progress && !self.suspects.is_empty()
    }

    /// Takes what is next, if there is anything. Suspects go first, then large files and groups of small ones by turns.
    pub(super) fn next(&mut self, by: By) -> Option<Group> {
        if by == By::Service
            && self.has_suspect()
            && let Some(suspect) = self.suspects.pop_front()
        {
            self.is_suspect_in_progress = true;
            let attempts = Some(self.attempts_at(&suspect));
            let files = vec![suspect];
            return Some(Group { files, attempts });
        }
        let is_taken = |arrived: &Arrived| by == By::Service || can_be_handed_out(arrived);
        let large = match !self.large_was_next || self.small.is_empty() {
            true => self.large.pop_front_if(|large| is_taken(large)),
            false => None,
        };
        self.large_was_next = large.is_some();
        let files = large.map_or_else(|| take(&mut self.small, GROUP, is_taken), |large| vec![large]);
        let attempts = None;
        (!files.is_empty()).then_some(Group { files, attempts })
    }

    /// Notes that a suspect has not ended the process.
    pub(super) fn suspect_ended(&mut self) {
        self.is_suspect_in_progress = false;
    }

    /// How often a process has died with just this file.
    fn attempts_at(&self, arrived: &Arrived) -> u32 {
        let now = to_state(arrived.arrival.stamp);
        let known = self.attempts.get(&arrived.arrival.path);
        let known = known.filter(|(stamp, _)| {
            (stamp.bytes, stamp.modified_ns, stamp.inode) == (now.bytes, now.modified_ns, now.inode)
        });
        known.map_or(0, |(_, attempts)| *attempts)
    }

    /// Forgets that processes have died with a file.
    pub(super) fn acquit(&mut self, path: &str) {
        self.attempts.remove(path);
    }

    /// Forgets the same of all files that are not in progress, and returns them.
    pub(super) fn acquit_all_but(&mut self, is_in_progress: impl Fn(&str) -> bool) -> Vec<String> {
        let others = self.attempts.extract_if(|path, _| !is_in_progress(path));
        others.map(|(path, _)| path).collect()
    }
}

/// Takes the first files that fit, and leaves the others in their order.
fn take(files: &mut VecDeque<Arrived>, most: usize, is_taken: impl Fn(&Arrived) -> bool) -> Vec<Arrived> {
    let (mut taken, mut left) = (Vec::new(), VecDeque::new());
    while taken.len() < most
        && let Some(arrived) = files.pop_front()
    {
        match is_taken(&arrived) {
            true => taken.push(arrived),
            false => left.push_back(arrived),
        }
    }
    left.append(files);
    *files = left;
    taken
}

/// Returns whether a worker can convert a file. The members of an archive are recorded one after the other; what finds out
/// whether there is room finds it out for this host; and what was doubted for nothing, the state database is told at once.
fn can_be_handed_out(arrived: &Arrived) -> bool {
    !(arrived.is_for_service || arrived.is_archive || arrived.is_probe || arrived.is_doubted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gristmill_engine::{Captures, FeedLayout, FeedSpec};
    use gristmill_watcher::{Arrival, Stamp};

    use super::*;
    use crate::pipeline::activity::Activity;

    fn file(path: &str, bytes: u64) -> Arrived {
        let arrival = Arrival {
            path: path.to_owned(),
            stamp: Stamp {
                bytes,
                modified_ns: 0,
                identity: 0,
                changed_ns: None,
            },
        };
        let feed = Arc::new(FeedLayout::new(&FeedSpec::default()).unwrap());
        let activity = Arc::new(Activity::default());
        Arrived::new(arrival, feed, Captures::default(), activity.begin())
    }

    /// The paths of what is next.
    fn next(queue: &mut Queue, by: By) -> Vec<String> {
        let files = queue.next(by).map_or_else(Vec::new, |group| group.files);
        files.into_iter().map(|arrived| arrived.arrival.path).collect()
    }

    fn nothing() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn large_files_and_groups_take_turns() {
        let mut queue = Queue::default();
        for (path, bytes) in [("a", 1), ("b", 1), ("x", SMALL + 1), ("y", SMALL + 1)] {
            queue.push(file(path, bytes));
        }
        assert_eq!(queue.len(), 4);
        assert_eq!(next(&mut queue, By::Service), ["x"]);
        assert_eq!(next(&mut queue, By::Service), ["a", "b"]);
        assert_eq!(next(&mut queue, By::Service), ["y"]);
        assert!(!queue.has_next(By::Service) && next(&mut queue, By::Service).is_empty());
    }

    #[test]
    fn a_worker_gets_what_it_can_convert_and_the_rest_keeps_its_order() {
        let mut queue = Queue::default();
        type Mark = fn(&mut Arrived);
        let kinds: [(&str, Mark); 5] = [
            ("doubted", |arrived| arrived.is_doubted = true),
            ("plain", |_| ()),
            ("returned", |arrived| arrived.is_for_service = true),
            ("archive", |arrived| arrived.is_archive = true),
            ("probe", |arrived| arrived.is_probe = true),
        ];
        for (path, mark) in kinds {
            let mut arrived = file(path, 1);
            mark(&mut arrived);
            queue.push(arrived);
        }
        assert_eq!(next(&mut queue, By::Worker), ["plain"]);
        assert!(!queue.has_next(By::Worker));
        assert_eq!(next(&mut queue, By::Worker), nothing());
        assert_eq!(next(&mut queue, By::Service), ["archive"]);
        assert_eq!(next(&mut queue, By::Service), ["doubted", "returned"]);
        assert_eq!(next(&mut queue, By::Service), ["probe"]);
    }

    #[test]
    fn suspects_are_for_the_service_one_after_the_other() {
        let mut queue = Queue::default();
        for path in ["a", "b"] {
            queue.push_suspect(file(path, 1));
        }
        assert!(!queue.has_next(By::Worker));
        assert_eq!(queue.next(By::Service).unwrap().attempts, Some(1));
        assert!(!queue.has_next(By::Service), "the first one is in progress");
        queue.suspect_ended();
        assert_eq!(next(&mut queue, By::Service), ["b"]);
        queue.suspect_ended();
        // Another death with the same file counts, and one with the file as it is later does not.
        queue.push_suspect(file("a", 1));
        assert_eq!(queue.next(By::Service).unwrap().attempts, Some(2));
        queue.suspect_ended();
        queue.push(file("a", 2));
        assert_eq!(queue.next(By::Service).unwrap().attempts, None);
        queue.acquit("b");
        queue.push(file("b", 1));
        assert_eq!(queue.next(By::Service).unwrap().attempts, None);
        assert_eq!(queue.acquit_all_but(|path| path == "a"), nothing());
        assert_eq!(queue.acquit_all_but(|_| false), ["a"]);
    }

    #[test]
    fn no_group_is_larger_than_its_limit() {
        let mut queue = Queue::default();
        for number in 0..GROUP + 1 {
            assert_eq!(queue.has_room(), number < GROUP);
            queue.push(file(&number.to_string(), 1));
        }
        assert_eq!(next(&mut queue, By::Worker).len(), GROUP);
        assert_eq!(next(&mut queue, By::Worker), [GROUP.to_string()]);
    }
}
