//! What is to be judged: the waves that were touched, those whose moment has come, and those that wait for nothing but a
//! query.
//!
//! The state database knows which waves are open, and which of them were touched. What is kept here can always be found
//! anew by judging all open waves, as at the start.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use gristmill_state::{OpenWave, Touched};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::preconditions::Verdict;

/// The most waves of one job that are judged at a time: all their files are in memory.
const AT_ONCE: usize = 64;

/// A wave of a job.
type Wave = (String, Option<Date>);

#[derive(Debug)]
pub(super) struct Board {
    /// The revision of the last look at what was touched.
    seen: i64,
    /// When that was.
    looked: Timestamp,
    to_judge: BTreeMap<String, BTreeSet<Option<Date>>>,
    /// When time alone may let a wave run.
    moments: BTreeSet<(Timestamp, Wave)>,
    moment_of: HashMap<Wave, Timestamp>,
    /// The waves that wait for nothing but `job_addl_criteria`, whose answer may change with anything.
    criteria: BTreeSet<Wave>,
    /// The waves that wait for an outage to end, with the files that it holds up, or for a person to correct a value.
    held_up: BTreeMap<Wave, Vec<String>>,
    /// The waves that turned out to have nothing left to do.
    over: Vec<OpenWave>,
}

impl Board {
    /// Makes a board on which everything that is open counts as touched.
    pub(super) fn new() -> Self {
        Self {
            seen: -1,
            looked: Timestamp::MIN,
            to_judge: BTreeMap::new(),
            moments: BTreeSet::new(),
            moment_of: HashMap::new(),
            criteria: BTreeSet::new(),
            held_up: BTreeMap::new(),
            over: Vec::new(),
        }
    }

    /// Returns the revision after which to look for what was touched. If the clock was set back, that is before the first
    /// one: a moment that had passed may come again.
    pub(super) fn look(&mut self, now: Timestamp) -> i64 {
        if std::mem::replace(&mut self.looked, now) > now {
            self.seen = -1;
        }
        self.seen
    }

    /// Notes what was touched since the last look. Returns whether it was anything.
    pub(super) fn note(&mut self, touched: Touched) -> bool {
        self.seen = touched.revision;
        let is_any = !touched.waves.is_empty();
        for wave in touched.waves {
            self.add(wave);
        }
        is_any
    }

    /// Notes the waves whose moment has come.
    pub(super) fn note_time(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.moments.first()
            && *at <= now
            && let Some((_, wave)) = self.moments.pop_first()
        {
            self.moment_of.remove(&wave);
            self.add(wave);
        }
    }

    /// Notes the waves whose query may answer otherwise now.
    pub(super) fn note_criteria(&mut self) {
        for wave in std::mem::take(&mut self.criteria) {
            self.add(wave);
        }
    }

    /// Returns whether a wave waits for an outage to end, or for a person to correct a value.
    pub(super) fn is_any_held_up(&self) -> bool {
        !self.held_up.is_empty()
    }

    /// Notes the waves that waited for files which wait no longer. With `is_sweep`, all that were held up: a value may have
    /// been corrected.
    pub(super) fn note_ends(&mut self, waiting: &HashSet<String>, is_sweep: bool) {
        let held_up = std::mem::take(&mut self.held_up).into_iter();
        for (wave, files) in held_up {
            match is_sweep || files.iter().any(|file| !waiting.contains(file)) {
                true => self.add(wave),
                false => drop(self.held_up.insert(wave, files)),
            }
        }
    }

    /// Notes waves of a job that are to be judged again.
    pub(super) fn note_again(&mut self, job: &str, waves: BTreeSet<Option<Date>>) {
        for wave in waves {
            self.add((job.to_owned(), wave));
        }
    }

    fn add(&mut self, (job, wave): Wave) {
        self.to_judge.entry(job).or_default().insert(wave);
    }

    /// Returns the next moment that matters to a wave.
    pub(super) fn next_moment(&self) -> Option<Timestamp> {
        self.moments.first().map(|(at, _)| *at)
    }

    /// Takes some waves of a job that are to be judged.
    pub(super) fn take(&mut self) -> Option<(String, BTreeSet<Option<Date>>)> {
        let mut first = self.to_judge.first_entry()?;
        let waves = first.get_mut();
        let rest = match waves.iter().nth(AT_ONCE).copied() {
            Some(next) => waves.split_off(&next),
            None => BTreeSet::new(),
        };
        let waves = std::mem::replace(waves, rest);
        let job = first.key().clone();
        if first.get().is_empty() {
            first.remove();
        }
        for wave in &waves {
            self.forget(&(job.clone(), *wave));
        }
        Some((job, waves))
    }

    fn forget(&mut self, wave: &Wave) {
        self.criteria.remove(wave);
        self.held_up.remove(wave);
        if let Some((wave, at)) = self.moment_of.remove_entry(wave) {
            self.moments.remove(&(at, wave));
        }
    }

    /// Notes what a verdict leaves to be done.
    pub(super) fn judged(&mut self, job: &str, verdict: &Verdict) {
        let wave = (job.to_owned(), verdict.wave);
        if verdict.is_over {
            let of_wave = |touched| OpenWave {
                job_id: wave.0,
                wave: wave.1,
                touched,
            };
            self.over.extend(verdict.touched.map(of_wave));
            return;
        }
        if verdict.waits_for_criterion() {
            self.criteria.insert(wave.clone());
        }
        if verdict.is_damaged || !verdict.waits_for_files.is_empty() {
            self.held_up.insert(wave.clone(), verdict.waits_for_files.clone());
        }
        if let Some(at) = verdict.next_moment {
            self.moments.insert((at, wave.clone()));
            self.moment_of.insert(wave, at);
        }
    }

    /// Takes the waves that turned out to have nothing left to do.
    pub(super) fn take_over(&mut self) -> Vec<OpenWave> {
        std::mem::take(&mut self.over)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn waves_are_taken_some_at_a_time_and_each_once() {
        let mut board = Board::new();
        let day = |n: usize| Some(date(2026, 1, 1) + jiff::Span::new().days(n as i64));
        let mut waves: Vec<_> = (0..AT_ONCE + 1).map(|n| ("J".to_owned(), day(n))).collect();
        waves.push(("K".to_owned(), None));
        let touched = |waves| Touched {
            waves,
            revision: 7,
            edition: 1,
        };
        assert!(board.note(touched(waves.clone())));
        assert!(board.note(touched(waves[..1].to_vec())));
        assert!(!board.note(touched(Vec::new())));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(board.look(now), 7);
        assert_eq!(
            board.look(now - jiff::SignedDuration::from_secs(1)),
            -1,
            "the clock was set back"
        );
        let taken: Vec<_> = std::iter::from_fn(|| board.take()).collect();
        let sizes: Vec<_> = taken
            .iter()
            .map(|(job, waves)| (job.as_str(), waves.len()))
            .collect();
        assert_eq!(sizes, [("J", AT_ONCE), ("J", 1), ("K", 1)]);
        assert_eq!(taken[1].1, BTreeSet::from([day(AT_ONCE)]));
    }

    #[test]
    fn what_is_held_up_is_judged_again_when_its_file_waits_no_longer_or_at_a_sweep() {
        let mut board = Board::new();
        let wave = |job: &str| (job.to_owned(), None);
        board.held_up.insert(wave("outage"), vec!["a".into(), "b".into()]);
        board.held_up.insert(wave("damage"), Vec::new());
        let waiting = |files: &[&str]| files.iter().map(ToString::to_string).collect();
        board.note_ends(&waiting(&["a", "b", "c"]), false);
        assert_eq!(board.take(), None);
        board.note_ends(&waiting(&["b"]), false);
        assert_eq!(board.take(), Some(("outage".to_owned(), BTreeSet::from([None]))));
        assert!(board.is_any_held_up());
        board.note_ends(&waiting(&[]), true);
        assert_eq!(board.take(), Some(("damage".to_owned(), BTreeSet::from([None]))));
        assert!(!board.is_any_held_up());
    }

    #[test]
    fn a_moment_comes_once() {
        let mut board = Board::new();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, job) in [(20, "late"), (10, "soon")] {
            let wave = (job.to_owned(), None);
            board.moments.insert((at(second), wave.clone()));
            board.moment_of.insert(wave, at(second));
        }
        assert_eq!(board.next_moment(), Some(at(10)));
        board.note_time(at(9));
        assert_eq!(board.take(), None);
        board.note_time(at(10));
        assert_eq!(board.take(), Some(("soon".to_owned(), BTreeSet::from([None]))));
        assert_eq!(board.next_moment(), Some(at(20)));
        // A wave that is judged for another reason gets its moment anew.
        board.add(("late".to_owned(), None));
        board.take();
        assert_eq!(board.next_moment(), None);
    }
}
