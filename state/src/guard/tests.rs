//! The decision, case by case.

use jiff::civil::date;

use super::*;

const D1: i8 = 1;
const D2: i8 = 2;

fn day(store: &str, day: i8, lines: u64, turnover: u64) -> VersionDay {
    VersionDay {
        store_id: store.to_owned(),
        trans_date: date(2016, 6, day),
        lines: Some(lines),
        turnover,
    }
}

/// Files that were recorded so far, and the guards that they were recorded under.
struct Story {
    holdings: Holdings,
    guards: Guards,
    submissions: i64,
}

impl Story {
    fn new(guards: Guards) -> Self {
        Self {
            holdings: Holdings::default(),
            guards,
            submissions: 0,
        }
    }

    /// Decides about a version; a version that comes into force stands from then on.
    fn submit(&mut self, file_id: i64, days: &[VersionDay]) -> Decision {
        self.submit_named(file_id, (None, None), days)
    }

    fn submit_named(
        &mut self,
        file_id: i64,
        (store, day): (Option<&str>, Option<i8>),
        days: &[VersionDay],
    ) -> Decision {
        self.submissions += 1;
        let file_url = format!("file-{file_id}");
        let candidate = Candidate {
            file_id,
            file_url: &file_url,
            named_store: store,
            named_date: day.map(|day| date(2016, 6, day)),
            modified_ns: self.submissions,
            version_id: self.submissions,
            days,
            guards: self.guards,
            accepted: None,
        };
        let decision = decide(&candidate, &self.holdings, &|_: &str, _: &str| true);
        if let Decision::InForce { days, taken_over } = &decision {
            let mut touched = Touched::new();
            self.holdings
                .put_in_force(&candidate, days, taken_over, self.submissions, &mut touched);
        }
        decision
    }

    /// What is known of a store's day: file, version and standing.
    fn of(&self, store: &str, of: i8) -> Vec<(i64, i64, Standing)> {
        let day = day(store, of, 0, 0);
        let mut all: Vec<_> = self
            .holdings
            .of_day(&day)
            .iter()
            .map(|held| (held.file_id, held.version_id, held.standing))
            .collect();
        all.sort_by_key(|(file, version, _)| (*file, *version));
        all
    }
}

fn late(late: Late) -> Guards {
    Guards {
        late,
        ..Guards::default()
    }
}

fn is_in_force(decision: &Decision) -> bool {
    matches!(decision, Decision::InForce { .. })
}

#[test]
fn a_few_lines_of_an_older_day_are_held_added_or_replace_it() {
    use Standing::{Counts, Held, Stands};
    for (setting, expected) in [
        (Late::Hold, vec![(1, 1, Stands), (1, 3, Held)]),
        (Late::Add, vec![(1, 1, Stands), (1, 3, Counts)]),
        (Late::Replace, vec![(1, 3, Stands)]),
    ] {
        let mut story = Story::new(late(setting));
        story.submit(1, &[day("s", D1, 1, 2500)]);
        // One line for one line: the amount tells that it is not the day.
        let decision = story.submit(1, &[day("s", D1, 1, 250), day("s", D2, 1, 1500)]);
        assert!(is_in_force(&decision), "{decision:?}");
        // The file grows, and repeats the late line.
        story.submit(1, &[day("s", D1, 1, 250), day("s", D2, 2, 1600)]);
        assert_eq!(story.of("s", D1), expected, "{setting}");
        assert_eq!(story.of("s", D2), [(1, 3, Stands)]);
    }
}

#[test]
fn a_late_line_is_known_as_such_after_the_day_has_left_the_file() {
    let mut story = Story::new(Guards::default());
    story.submit(1, &[day("s", D1, 40, 4000)]);
    story.submit(1, &[day("s", D2, 1, 100)]);
    story.submit(1, &[day("s", D1, 1, 100), day("s", D2, 2, 200)]);
    assert_eq!(
        story.of("s", D1),
        [(1, 1, Standing::Stands), (1, 3, Standing::Held)]
    );
}

#[test]
fn late_lines_of_several_days_are_each_added_once() {
    use Standing::{Counts, Stands};
    let mut story = Story::new(late(Late::Add));
    story.submit(1, &[day("s", D1, 40, 4000)]);
    story.submit(1, &[day("s", D1, 1, 100), day("s", D2, 1, 100)]);
    story.submit(1, &[day("s", D1, 2, 200), day("s", 3, 1, 100)]);
    story.submit(1, &[day("s", D1, 2, 200), day("s", 3, 5, 500)]);
    assert_eq!(
        story.of("s", D1),
        [(1, 1, Stands), (1, 2, Counts), (1, 4, Counts)]
    );
    // The day's own file comes once more, whole: what came later stays added.
    story.submit(1, &[day("s", D1, 41, 4100)]);
    assert_eq!(
        story.of("s", D1),
        [(1, 2, Counts), (1, 4, Counts), (1, 5, Stands)]
    );
    // A later file restates the whole day.
    story.submit(1, &[day("s", D1, 44, 4400), day("s", 4, 5, 500)]);
    assert_eq!(story.of("s", D1), [(1, 6, Stands)]);
}

#[test]
fn a_version_whose_newest_day_has_shrunk_is_held_as_a_whole() {
    let mut story = Story::new(Guards::default());
    story.submit(1, &[day("s", D1, 40, 4000)]);
    let decision = story.submit(1, &[day("s", D1, 19, 1900)]);
    let Decision::Held { reason, .. } = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(
        reason,
        "it has 19 lines of 2016-06-01, where the version in force has 40 lines: less than shrink_percent = 50"
    );
    assert_eq!(story.of("s", D1), [(1, 1, Standing::Stands)]);
    assert!(
        is_in_force(&story.submit(1, &[day("s", D1, 20, 100)])),
        "half is enough"
    );
    let mut off = Story::new(Guards {
        shrink_percent: 0.0,
        ..Guards::default()
    });
    off.submit(1, &[day("s", D1, 40, 4000)]);
    assert!(is_in_force(&off.submit(1, &[day("s", D1, 1, 1)])));
}

#[test]
fn one_store_that_shrinks_does_not_hold_the_province() {
    let mut story = Story::new(Guards::default());
    let stores: Vec<_> = ["a", "b", "c"].map(|store| day(store, D1, 40, 4000)).to_vec();
    story.submit(1, &stores);
    let one_less = [
        day("a", D1, 1, 100),
        day("b", D1, 41, 4100),
        day("c", D1, 40, 4000),
    ];
    assert!(is_in_force(&story.submit(1, &one_less)));
    assert_eq!(
        story.of("a", D1),
        [(1, 1, Standing::Stands), (1, 2, Standing::Held)]
    );
    assert_eq!(story.of("b", D1), [(1, 2, Standing::Stands)]);
}

#[test]
fn a_day_without_counted_lines_is_compared_by_its_amounts() {
    let unknown = |turnover| VersionDay {
        lines: None,
        ..day("s", D1, 0, turnover)
    };
    let mut story = Story::new(Guards::default());
    story.submit(1, &[unknown(4000)]);
    assert!(!is_in_force(&story.submit(1, &[day("s", D1, 40, 1900)])));
    assert!(is_in_force(&story.submit(1, &[day("s", D1, 1, 2000)])));
}

#[test]
fn a_second_file_of_a_store_and_day_is_held_with_the_name_of_the_first() {
    let mut story = Story::new(Guards::default());
    story.submit(1, &[day("s", D1, 1, 2500)]);
    let decision = story.submit(2, &[day("s", D1, 1, 2500)]);
    assert_eq!(
        decision,
        Decision::Held {
            reason: "store s, 2016-06-01 is already in file-1 (1 line; here 1 line)".to_owned(),
            other_file_id: Some(1),
        }
    );
    let mut adding = Story::new(Guards {
        same_day: SameDay::Add,
        ..Guards::default()
    });
    adding.submit(1, &[day("s", D1, 1, 2500)]);
    assert!(is_in_force(&adding.submit(2, &[day("s", D1, 1, 2500)])));
}

#[test]
fn an_older_day_that_another_file_has_is_held_by_itself() {
    let mut story = Story::new(Guards::default());
    story.submit_named(1, (None, Some(D1)), &[day("s", D1, 40, 4000)]);
    let later = [day("s", D1, 1, 100), day("s", D2, 30, 3000)];
    assert!(is_in_force(&story.submit_named(2, (None, Some(D2)), &later)));
    assert_eq!(
        story.of("s", D1),
        [(1, 1, Standing::Stands), (2, 2, Standing::Held)]
    );
}

#[test]
fn the_file_whose_name_says_the_day_takes_it_from_one_that_came_before() {
    let mut story = Story::new(Guards::default());
    let later = [day("s", D1, 1, 100), day("s", D2, 30, 3000)];
    story.submit_named(2, (None, Some(D2)), &later);
    assert_eq!(story.of("s", D1), [(2, 1, Standing::Stands)]);
    story.submit_named(1, (None, Some(D1)), &[day("s", D1, 40, 4000)]);
    assert_eq!(
        story.of("s", D1),
        [(1, 2, Standing::Stands), (2, 1, Standing::Held)]
    );
}

#[test]
fn the_file_whose_name_says_the_store_takes_it_from_one_that_says_another() {
    let mut story = Story::new(Guards::default());
    let (wrong, right) = ([day("1003", D1, 1, 100)], [day("1003", D1, 2, 200)]);
    assert!(is_in_force(&story.submit_named(7, (Some("1007"), None), &wrong)));
    assert!(is_in_force(&story.submit_named(3, (Some("1003"), None), &right)));
    assert_eq!(
        story.of("1003", D1),
        [(3, 2, Standing::Stands), (7, 1, Standing::Held)]
    );
}

#[test]
fn check_store_refuses_lines_of_another_store() {
    let mut story = Story::new(Guards {
        check_store: true,
        ..Guards::default()
    });
    let decision = story.submit_named(7, (Some("1007"), None), &[day("1003", D1, 1, 100)]);
    assert_eq!(
        decision,
        Decision::Refused {
            reason:
                "its name says store 1007, but it has lines of store 1003 (the feed has check_store = true)"
                    .to_owned()
        }
    );
}

#[test]
fn a_store_with_a_prefix_in_its_lines_is_the_one_in_the_name() {
    let refused = |named: &str, store_id: &str| {
        let mut story = Story::new(Guards {
            check_store: true,
            ..Guards::default()
        });
        let decision = story.submit_named(7, (Some(named), None), &[day(store_id, D1, 1, 100)]);
        matches!(decision, Decision::Refused { .. })
    };
    assert!(!refused("1003", "IL-1003") && !refused("1003", "1003"));
    assert!(refused("1003", "11003") && refused("1003", "IL-1007") && refused("1003", "1003-2"));
}

#[test]
fn where_the_newest_file_counts_it_is_compared_with_the_older_ones() {
    let guards = Guards {
        newest_file_counts: true,
        ..Guards::default()
    };
    let mut story = Story::new(guards);
    story.submit(1, &[day("s", D1, 40, 4000)]);
    assert!(is_in_force(&story.submit(2, &[day("s", D1, 50, 5000)])));
    // The next wave begins a new day, with a late line of the old one.
    let next = [day("s", D1, 1, 100), day("s", D2, 4, 400)];
    assert!(is_in_force(&story.submit(3, &next)));
    assert_eq!(story.of("s", D1).last(), Some(&(3, 3, Standing::Held)));
    let shrunk = story.submit(4, &[day("s", D2, 1, 100)]);
    assert!(!is_in_force(&shrunk), "the day itself has shrunk");
}
