//! Measures how long loads take. It checks nothing; CONTRIBUTING.md has the command. Its results set the number of rows
//! in a statement, the page size and the cache size in `sqlite`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on may panic anywhere")]

#[path = "../tests/it/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io::Write;
use std::time::Instant;

use gristmill_loader::{Load, LoadMode, Warehouse};

use support::{Place, Summary, day};

/// 40 stores, 200 items, 30 days.
fn summary() -> Summary {
    let mut summary = Summary::default();
    for store in 0..40 {
        for item in 0..200i64 {
            for date in 1..=30i64 {
                let date_of = day("2026-03-01").with().day(date as i8).build().unwrap();
                let discount = ((item + date) % 3 == 0).then_some(date);
                let amounts = vec![Some(item * date * 100 + date), Some(item * 100), discount];
                summary.add(
                    &format!("IL-{:04}", 1000 + store),
                    &format!("ITEM-{item:05}"),
                    date_of,
                    amounts,
                );
            }
        }
    }
    summary
}

/// Rounds. The best time of each step counts, because other work on the machine only ever adds time.
const ROUNDS: usize = 5;

/// The sequence, the interval between changed rows, and whether the load before is named as the base.
const STEPS: [(i64, usize, bool); 4] = [(2, 2_400, true), (3, 2_400, true), (4, 40, true), (5, 40, false)];

async fn measure(name: &str, place: fn() -> Place) {
    let mut best = [f64::INFINITY; 1 + STEPS.len()];
    for _ in 0..ROUNDS {
        let place = place();
        let warehouse = place.ready(LoadMode::ReplaceDays).await;
        let mut summary = summary();
        let mut before = place.load(1, &summary);
        best[0] = best[0].min(timed(&*warehouse, &before).await);
        for ((sequence, step, with_base), best) in STEPS.into_iter().zip(&mut best[1..]) {
            for amounts in summary.rows.values_mut().step_by(step) {
                amounts[1] = amounts[1].map(|cents| cents + 1);
            }
            let next = match with_base {
                true => place.load_on(&before, sequence, &summary),
                false => place.load(sequence, &summary),
            };
            *best = best.min(timed(&*warehouse, &next).await);
            before = next;
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "{name}: first load of 240,000 rows {:.1} ms", best[0]).unwrap();
    for ((_, step, with_base), best) in STEPS.into_iter().zip(&best[1..]) {
        let way = if with_base {
            "only the difference"
        } else {
            "compared in full"
        };
        writeln!(
            out,
            "{name}: {} rows changed, {way}: {best:.1} ms",
            240_000 / step
        )
        .unwrap();
    }
}

/// Milliseconds.
async fn timed(warehouse: &dyn Warehouse, load: &Load) -> f64 {
    let start = Instant::now();
    warehouse.load(load, &|_| ()).await.unwrap();
    start.elapsed().as_secs_f64() * 1000.0
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    measure("sqlite", Place::sqlite).await;
    measure("postgres", Place::postgres).await;
    measure("mariadb", Place::mysql).await;
}
