//! The settling rules, with made-up times.

use super::*;

const SETTLE: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A wall clock at 1,000 s, and a stamp last written at 999.9 s.
fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + 1000 * SETTLE
}

fn young(bytes: u64) -> Stamp {
    Stamp {
        bytes,
        modified_ns: 999_900_000_000,
        identity: 7,
        changed_ns: Some(0),
    }
}

fn written_at(seconds: i64) -> Stamp {
    Stamp {
        bytes: 1,
        modified_ns: seconds * 1_000_000_000,
        identity: 7,
        changed_ns: Some(0),
    }
}

struct Story {
    settling: Settling,
    start: Instant,
}

impl Story {
    fn new() -> Self {
        Self {
            settling: Settling::new(SETTLE),
            start: Instant::now(),
        }
    }

    fn look(&mut self, stamp: Stamp, why: Reason, ms: u32) -> bool {
        self.settling
            .look(Path::new("f"), stamp, why, self.start + MS * ms, wall())
            .is_some()
    }

    fn due(&mut self, ms: u32) -> bool {
        self.settling.take_due(self.start + MS * ms) == [Path::new("f")]
    }
}

#[test]
fn a_renamed_file_is_whole_at_once_even_while_it_waits() {
    let mut story = Story::new();
    assert!(story.look(young(1), Reason::Renamed, 0));
    assert!(!story.look(young(2), Reason::Changed, 0));
    assert!(story.look(young(3), Reason::Renamed, 1));
    assert_eq!(story.settling.len(), 0);
    assert!(!story.due(5000), "nothing is left to look at");
}

#[test]
fn two_equal_looks_a_settling_time_apart() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Found, 0));
    assert!(!story.due(999));
    assert!(story.due(1000));
    assert!(story.look(young(1), Reason::Due, 1000));
}

#[test]
fn a_growing_file_waits_until_it_rests() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Changed, 0));
    for second in 1..20 {
        assert!(story.due(second * 1000));
        assert!(!story.look(young(u64::from(second) + 1), Reason::Due, second * 1000));
    }
    assert!(story.due(20_000));
    assert!(story.look(young(20), Reason::Due, 20_000));
}

#[test]
fn a_closed_file_gets_a_second_look_soon() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Changed, 0));
    assert!(!story.look(young(9), Reason::Closed, 10));
    assert!(!story.due(59));
    assert!(story.due(60));
    assert!(story.look(young(9), Reason::Due, 60));
}

#[test]
fn a_closed_file_that_changes_again_must_settle() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Closed, 0));
    assert!(story.due(50));
    assert!(!story.look(young(2), Reason::Due, 50));
    assert!(!story.due(1049));
    assert!(story.due(1050));
    assert!(story.look(young(2), Reason::Due, 1050));
}

#[test]
fn notices_and_listings_do_not_move_a_deadline() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Changed, 0));
    for why in [Reason::Changed, Reason::Found] {
        assert!(story.settling.needs_no_look(Path::new("f"), why));
        assert!(!story.look(young(1), why, 999));
        assert!(
            !story.look(written_at(0), why, 999),
            "an old mtime says nothing of a file that was just changed"
        );
    }
    assert!(story.due(1000));
    assert_eq!(story.settling.deadlines.len(), 0, "a notice costs no deadline");
}

#[test]
fn age_speaks_only_for_what_was_found() {
    for (modified, why, whole) in [
        (990, Reason::Found, true),
        (991, Reason::Found, false),
        (-5, Reason::Found, true),
        (1001, Reason::Found, false),
        (2000, Reason::Found, false),
        (0, Reason::Changed, false),
        (0, Reason::Closed, false),
    ] {
        assert_eq!(
            Story::new().look(written_at(modified), why, 0),
            whole,
            "{modified} {why:?}"
        );
    }
}

#[test]
fn a_file_of_the_future_settles_like_any_other() {
    let mut story = Story::new();
    assert!(!story.look(written_at(5000), Reason::Found, 0));
    assert!(story.due(1000));
    assert!(story.look(written_at(5000), Reason::Due, 1000));
}

#[test]
fn another_file_under_the_same_name_starts_anew() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Changed, 0));
    assert!(story.due(1000));
    assert!(!story.look(
        Stamp {
            identity: 8,
            ..young(1)
        },
        Reason::Due,
        1000
    ));
}

#[test]
fn a_forgotten_file_has_no_deadline() {
    let mut story = Story::new();
    assert!(!story.look(young(1), Reason::Changed, 10));
    let (path, at) = (Path::new("f"), story.start + 10 * MS);
    assert!(
        !story.settling.forget(path, at - MS),
        "an older look proves nothing"
    );
    assert!(story.settling.forget(path, at));
    assert!(!story.settling.forget(path, at));
    assert!(!story.due(2000));
}

#[test]
fn a_hundred_thousand_files_share_one_timer() {
    let mut settling = Settling::new(SETTLE);
    let start = Instant::now();
    for n in 0..100_000 {
        let path = format!("f{n}");
        let whole = settling.look(Path::new(&path), young(1), Reason::Found, start, wall());
        assert_eq!(whole, None);
    }
    assert_eq!(settling.next_due(), Some(start + SETTLE));
    let due = settling.take_due(start + SETTLE);
    assert_eq!((due.len(), settling.next_due()), (100_000, None));
    assert!(due.iter().all(|path| {
        settling
            .look(path, young(1), Reason::Due, start + SETTLE, wall())
            .is_some()
    }));
    assert_eq!(settling.len(), 0);
}

#[test]
fn a_close_is_remembered_until_the_file_is_whole() {
    let mut settling = Settling::new(SETTLE);
    let (path, start) = (Path::new("f"), Instant::now());
    let mut look = |stamp, why, ms| settling.look(path, stamp, why, start + MS * ms, wall());
    assert_eq!(look(young(1), Reason::Closed, 0), None);
    // Its time was set after the close, so it has to settle.
    assert_eq!(look(written_at(1), Reason::Due, 50), None);
    assert_eq!(
        look(written_at(1), Reason::Due, 1050),
        Some(Whole { is_closed: true })
    );
    assert_eq!(look(young(1), Reason::Changed, 2000), None);
    assert_eq!(
        look(young(1), Reason::Due, 3000),
        Some(Whole { is_closed: false })
    );
}
