use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Far more time than any of these tests takes: a thread that is not done by then waits for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a unit does with its turn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Pass,
    Take,
    /// Gives up its unit before the turn comes, like a thread that cannot encode its rows.
    GiveUp,
    /// Panics while it reads its unit.
    Panic,
    /// Panics while it writes.
    PanicInWrite,
}

/// Runs work that must end.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = mpsc::channel();
    let worker = thread::spawn(move || {
        let result = work();
        let _ = done.send(());
        result
    });
    assert!(
        end.recv_timeout(PATIENCE) != Err(mpsc::RecvTimeoutError::Timeout),
        "a thread waits for a turn that does not come"
    );
    worker.join().expect("the threads' own panics are caught")
}

/// Lets threads act on each unit, and returns what was written: unit and lines before.
fn run(acts: &[Act], threads: usize) -> Result<Vec<(u64, u64)>, ()> {
    let acts = acts.to_vec();
    ends(move || {
        let turns = Turns::new(Vec::new());
        let next = AtomicU64::new(0);
        let work = || {
            loop {
                // Turns are handed out in the order of units, as they are in conversion: under one lock with the input.
                let unit = next.fetch_add(1, Ordering::SeqCst);
                let Some(act) = acts.get(unit as usize) else {
                    return;
                };
                let turn = turns.of(unit);
                let lines = unit % 5;
                if unit.is_multiple_of(3) {
                    thread::yield_now();
                }
                match act {
                    Act::Pass => turn.pass(lines),
                    Act::Take => {
                        let taken =
                            turn.take(lines, |before, written: &mut Vec<_>| written.push((unit, before)));
                        if taken.is_none() {
                            return;
                        }
                    }
                    Act::GiveUp => return,
                    Act::Panic => panic!("as asked"),
                    Act::PanicInWrite => {
                        turn.take(lines, |_, _| panic!("as asked"));
                        return;
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| catch_unwind(AssertUnwindSafe(work)));
            }
        });
        catch_unwind(AssertUnwindSafe(|| turns.into_writer())).map_err(|_| ())
    })
}

fn expected(acts: &[Act]) -> Vec<(u64, u64)> {
    let mut before = 0;
    let mut written = Vec::new();
    for (unit, act) in (0..).zip(acts) {
        if *act == Act::Take {
            written.push((unit, before));
        }
        before += unit % 5;
    }
    written
}

#[test]
fn many_units_of_many_threads_are_written_in_order() {
    for seed in 0..4 {
        let mut random = fastrand_like(seed);
        let acts: Vec<Act> = (0..20_000)
            .map(|_| {
                if random().is_multiple_of(3) {
                    Act::Take
                } else {
                    Act::Pass
                }
            })
            .collect();
        assert_eq!(run(&acts, 8), Ok(expected(&acts)));
    }
}

fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed + 1;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// Runs work without printing the panics that a test wants.
fn without_messages<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let message = info.payload_as_str().unwrap_or_default();
            if !message.contains("as asked") && !message.contains("no holder panics") {
                usual(info);
            }
        }));
    });
    work()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_passes_and_takes_is_written_in_order(
        acts in prop::collection::vec(prop::sample::select(vec![Act::Pass, Act::Take]), 0..60),
        threads in 1..9_usize,
    ) {
        prop_assert_eq!(run(&acts, threads), Ok(expected(&acts)));
    }

    #[test]
    fn a_thread_that_fails_or_panics_leaves_no_other_waiting(
        acts in prop::collection::vec(
            prop_oneof![
                4 => Just(Act::Pass),
                8 => Just(Act::Take),
                1 => Just(Act::GiveUp),
                1 => Just(Act::Panic),
                1 => Just(Act::PanicInWrite),
            ],
            0..60,
        ),
        threads in 1..9_usize,
    ) {
        let written = without_messages(|| run(&acts, threads));
        // What was written before the failure is a prefix of what would have been written.
        if let Ok(written) = written {
            prop_assert!(expected(&acts).starts_with(&written));
        }
    }
}

#[test]
fn a_waiting_thread_wakes_when_the_turn_before_is_dropped() {
    ends(|| {
        let turns = Turns::new(());
        let first = turns.of(0);
        thread::scope(|scope| {
            let second = scope.spawn(|| turns.of(1).take(1, |_, ()| ()));
            thread::sleep(Duration::from_millis(20));
            drop(first);
            assert_eq!(second.join().unwrap(), None);
        });
    });
}
