//! What the protocol promises whatever the server is: a load happens once, and all of it or nothing, wherever it fails and
//! whoever loads at the same time.

mod memory;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use tokio::sync::watch;

use self::memory::{Database, Deed, Failure, Memory, Rows, entry};
use super::Relation;
use crate::{Base, Load, LoadCounts, LoadMode, LoadOutcome, Warehouse};

/// A row of store `s` on a day.
type Row = (&'static str, i32, i64);

const BEFORE: [Row; 3] = [("changes", 1, 100), ("goes", 1, 200), ("stays", 1, 300)];
const AFTER: [Row; 4] = [
    ("changes", 1, 101),
    ("comes", 1, 400),
    ("new", 2, 500),
    ("stays", 1, 300),
];

fn rows(rows: &[Row]) -> Rows {
    let row = |(item, day, cents): &Row| (("s".to_string(), item.to_string(), *day), Some(*cents));
    rows.iter().map(row).collect()
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Writes the files of a run of scope `J`.
fn load(folder: &TempDir, sequence: i64, rows: &[Row]) -> Load {
    let run_id = format!("run-{sequence}");
    let path = |kind: &str| folder.path().join(format!("{run_id}.{kind}.parquet"));
    let stores = |count| Arc::new(StringArray::from(vec!["s"; count])) as ArrayRef;
    let items = rows.iter().map(|(item, ..)| *item);
    let dates = rows.iter().map(|(_, day, _)| *day);
    let amounts: Decimal128Array = rows.iter().map(|(.., cents)| Some(i128::from(*cents))).collect();
    let amounts = amounts.with_precision_and_scale(18, 2).unwrap();
    write(
        &path("summary"),
        vec![
            ("store_id", stores(rows.len())),
            ("item_id", Arc::new(StringArray::from_iter_values(items))),
            (
                "trans_date",
                Arc::new(Date32Array::from_iter_values(dates.clone())),
            ),
            ("sale_amount", Arc::new(amounts)),
        ],
    );
    let mut days: Vec<i32> = dates.collect();
    days.sort_unstable();
    days.dedup();
    write(
        &path("coverage"),
        vec![
            ("store_id", stores(days.len())),
            ("trans_date", Arc::new(Date32Array::from(days))),
        ],
    );
    Load {
        scope: "J".into(),
        sequence,
        summary: path("summary"),
        coverage: path("coverage"),
        rows: rows.len() as u64,
        digest: String::new(),
        base: None,
        is_safe: None,
        run_id,
    }
}

fn on(base: &Load, load: Load) -> Load {
    Load {
        base: Some(Base {
            run_id: base.run_id.clone(),
            summary: base.summary.clone(),
            coverage: base.coverage.clone(),
            rows: base.rows,
        }),
        ..load
    }
}

/// A warehouse that holds [`BEFORE`] as run 1, or is empty, and the load of [`AFTER`] as run 2.
struct Scene {
    memory: Memory,
    before: Database,
    load: Load,
    _folder: TempDir,
}

/// How a scene's load goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    First,
    InFull,
    OnBase,
    /// The base does not fit, because a row of it was deleted.
    OnEditedBase,
    /// The base's summary is gone.
    OnLostBase,
}

const WAYS: [Way; 5] = [
    Way::First,
    Way::InFull,
    Way::OnBase,
    Way::OnEditedBase,
    Way::OnLostBase,
];
const MODES: [LoadMode; 3] = [LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload];

impl Scene {
    async fn new(mode: LoadMode, locks_late: bool, way: Way) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(mode, locks_late);
        memory.prepare().await.unwrap();
        let base = load(&folder, 1, &BEFORE);
        if way != Way::First {
            memory.load(&base, &|_| ()).await.unwrap();
        }
        let after = load(&folder, 2, &AFTER);
        let load = match way {
            Way::First | Way::InFull => after,
            Way::OnBase | Way::OnEditedBase | Way::OnLostBase => on(&base, after),
        };
        match way {
            Way::OnEditedBase => memory.state().database.rows.retain(|key, _| key.1 != "goes"),
            Way::OnLostBase => std::fs::remove_file(&base.summary).unwrap(),
            _ => {}
        }
        memory.steps();
        memory.state().ended.clear();
        let before = memory.database();
        Self {
            memory,
            before,
            load,
            _folder: folder,
        }
    }

    /// Puts the database back, and sets a failure.
    fn again(&self, failure: Failure, meanwhile: Option<(usize, Deed)>) {
        let mut state = self.memory.state();
        state.database = self.before.clone();
        state.steps.clear();
        state.ended.clear();
        state.failure = failure;
        state.meanwhile = meanwhile;
    }

    async fn tried(&self) -> Result<LoadOutcome, crate::LoadError> {
        let outcome = self.memory.load(&self.load, &|_| ()).await;
        self.memory.state().failure = Failure::Never;
        outcome
    }

    /// The database after the load.
    fn after(&self) -> Database {
        let mut after = self.before.clone();
        if self.memory.target.mode != LoadMode::Upsert {
            after.rows.clear();
        }
        after.rows.extend(rows(&AFTER));
        after.ledger.push(entry(&self.load));
        match self.memory.target.mode {
            LoadMode::Reload => {
                after.owners.clear();
                after.standing.clear();
            }
            LoadMode::ReplaceDays | LoadMode::Upsert => {
                let days = [1, 2].map(|day| (("s".to_string(), day), "J".to_string()));
                after.owners.extend(days);
                after.standing.insert("J".into(), self.load.run_id.clone());
            }
        }
        after
    }
}

#[tokio::test]
async fn a_load_that_fails_at_any_step_leaves_nothing_and_the_next_one_completes_it() {
    for mode in MODES {
        for locks_late in [false, true] {
            for way in WAYS {
                let scene = Scene::new(mode, locks_late, way).await;
                let what = format!("{mode:?}, {locks_late}, {way:?}");
                let whole = scene.tried().await.unwrap();
                assert!(matches!(whole, LoadOutcome::Loaded(_)), "{what}: {whole:?}");
                assert_eq!(scene.memory.database(), scene.after(), "{what}");
                let steps = scene.memory.steps();
                for (at, step) in steps.iter().enumerate() {
                    scene.again(Failure::At(at), None);
                    scene.tried().await.unwrap_err();
                    assert_eq!(scene.memory.database(), scene.before, "{what}: {step}");
                    let ended = &scene.memory.state().ended.clone();
                    assert!(
                        ended.iter().all(|is_settled| !is_settled),
                        "{what}: {step}: {ended:?}"
                    );
                    assert_eq!(scene.tried().await.unwrap(), whole, "{what}: {step}");
                    assert_eq!(scene.memory.database(), scene.after(), "{what}: {step}");
                }
                scene.again(Failure::AnswerToCommit, None);
                scene.tried().await.unwrap_err();
                assert_eq!(scene.memory.database(), scene.after(), "{what}");
                let again = scene.tried().await.unwrap();
                assert_eq!(again, LoadOutcome::AlreadyLoaded(entry(&scene.load)), "{what}");
                assert_eq!(scene.memory.database(), scene.after(), "{what}");
            }
        }
    }
}

fn written(database: &mut Database, sequence: i64, scope: &str) {
    let mut entry = database.ledger.first().cloned().unwrap();
    entry.run_id = format!("run-{sequence}");
    entry.sequence = sequence;
    entry.scope = scope.into();
    database.ledger.push(entry);
}

#[tokio::test]
async fn a_run_that_another_session_loads_meanwhile_is_left_to_it() {
    let same: Deed = |database| {
        written(database, 2, "J");
        database.rows = rows(&AFTER);
        database.standing.insert("J".into(), "run-2".into());
    };
    let newer: Deed = |database| {
        written(database, 3, "J");
        database.rows.clear();
        database.standing.insert("J".into(), "run-3".into());
    };
    for (deed, is_newer) in [(same, false), (newer, true)] {
        for way in [Way::InFull, Way::OnBase] {
            let scene = Scene::new(LoadMode::ReplaceDays, true, way).await;
            scene.tried().await.unwrap();
            let lock = scene.memory.steps().iter().position(|step| *step == "lock");
            for at in 0..=lock.unwrap() {
                scene.again(Failure::Never, Some((at, deed)));
                let outcome = scene.tried().await.unwrap();
                let is_told = match outcome {
                    LoadOutcome::AlreadyLoaded(_) => !is_newer,
                    LoadOutcome::Superseded { .. } => is_newer,
                    LoadOutcome::Loaded(_) => false,
                };
                assert!(is_told, "{way:?} at {at}: {outcome:?}");
                let mut expected = scene.before.clone();
                deed(&mut expected);
                assert_eq!(scene.memory.database(), expected, "{way:?} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_base_that_another_scope_ends_meanwhile_is_not_used() {
    let takes_the_day: Deed = |database| {
        written(database, 7, "other");
        database.owners.insert(("s".into(), 1), "other".into());
        database.rows.clear();
        database.standing.clear();
    };
    let scene = Scene::new(LoadMode::ReplaceDays, true, Way::OnBase).await;
    scene.tried().await.unwrap();
    let lock = scene.memory.steps().iter().position(|step| *step == "lock");
    for at in 0..=lock.unwrap() {
        scene.again(Failure::Never, Some((at, takes_the_day)));
        let outcome = scene.tried().await.unwrap();
        let counts = LoadCounts {
            inserted: 4,
            ..LoadCounts::default()
        };
        assert_eq!(outcome, LoadOutcome::Loaded(counts), "at {at}");
        assert_eq!(scene.memory.database().rows, rows(&AFTER), "at {at}");
    }
}

#[tokio::test]
async fn the_steps_have_this_order() {
    let (begun, in_full) = ("open, ledger, ledger", "stage days, fill, stage rows");
    let on_base = "stands, stage days, stage changes";
    let written = "write, take days, record, commit";
    for (way, locks_late, expected) in [
        (
            Way::First,
            false,
            format!("{begun}, stage days, fill, take days, record, commit"),
        ),
        (
            Way::OnBase,
            false,
            format!("{begun}, {on_base}, delete removed, delete surplus, {written}"),
        ),
        (
            Way::InFull,
            true,
            format!("{begun}, {in_full}, lock, ledger, ledger, delete surplus, {written}"),
        ),
        (
            Way::OnEditedBase,
            false,
            format!(
                "{begun}, {on_base}, delete removed, delete surplus, write, roll back, \
                 {begun}, {in_full}, delete surplus, {written}"
            ),
        ),
    ] {
        let scene = Scene::new(LoadMode::ReplaceDays, locks_late, way).await;
        scene.tried().await.unwrap();
        assert_eq!(scene.memory.steps().join(", "), expected, "{way:?}");
        // Each session is ended, and only the one that settled the run may remove what others left for it.
        let ended = match way {
            Way::OnEditedBase => vec![false, true],
            _ => vec![true],
        };
        assert_eq!(scene.memory.state().ended, ended, "{way:?}");
    }
}

#[tokio::test]
async fn nothing_is_committed_before_the_files_are_safe() {
    let mut scene = Scene::new(LoadMode::ReplaceDays, false, Way::OnBase).await;
    let (safe, is_safe) = watch::channel(false);
    scene.load.is_safe = Some(is_safe);
    {
        let mut waiting = std::pin::pin!(scene.tried());
        // It is polled until it has nothing to do but wait.
        while scene.memory.state().steps.last() != Some(&"record") {
            tokio::select! {
                biased;
                done = &mut waiting => panic!("{done:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(scene.memory.database(), scene.before);
        safe.send_replace(true);
        assert!(matches!(waiting.await.unwrap(), LoadOutcome::Loaded(_)));
    }
    assert_eq!(scene.memory.database(), scene.after());

    scene.again(Failure::Never, None);
    let (safe, is_safe) = watch::channel(false);
    drop(safe);
    scene.load.is_safe = Some(is_safe);
    scene.tried().await.unwrap_err();
    assert_eq!(scene.memory.database(), scene.before);
}

#[tokio::test]
async fn a_repair_that_fails_at_any_step_leaves_nothing_and_the_next_one_completes_it() {
    for mode in MODES {
        for locks_late in [false, true] {
            let mut scene = Scene::new(mode, locks_late, Way::InFull).await;
            let what = format!("{mode:?}, {locks_late}");
            let looked = scene.memory.verify(&scene.load, false, 1).await.unwrap();
            assert_eq!((looked.missing, looked.different), (2, 1), "{what}");
            assert_eq!(looked.surplus, u64::from(mode != LoadMode::Upsert), "{what}");
            assert_eq!(looked.listed.len(), 1);
            assert_eq!(
                scene.memory.database(),
                scene.before,
                "{what}: looking changes nothing"
            );
            assert_eq!(scene.memory.steps().last(), Some(&"roll back"), "{what}");

            scene.memory.verify(&scene.load, true, 1).await.unwrap();
            assert_eq!(scene.memory.database(), scene.after(), "{what}");
            for (at, step) in scene.memory.steps().iter().enumerate() {
                scene.again(Failure::At(at), None);
                scene.memory.verify(&scene.load, true, 1).await.unwrap_err();
                scene.memory.state().failure = Failure::Never;
                assert_eq!(scene.memory.database(), scene.before, "{what}: {step}");
                scene.memory.verify(&scene.load, true, 1).await.unwrap();
                assert_eq!(scene.memory.database(), scene.after(), "{what}: {step}");
            }
            // A run that is in the ledger is not entered again, and an older one changes nothing.
            scene.memory.verify(&scene.load, true, 1).await.unwrap();
            assert_eq!(scene.memory.database(), scene.after(), "{what}");
            scene.load.sequence = 0;
            let older = scene.memory.verify(&scene.load, true, 1).await.unwrap();
            assert_eq!(
                (older.mended, older.newest.unwrap().sequence),
                (None, 2),
                "{what}"
            );
            scene.load.sequence = 2;
            assert_eq!(scene.memory.database(), scene.after(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_preparation_that_fails_at_any_step_leaves_nothing_and_a_new_target_has_no_loads() {
    let scene = Scene::new(LoadMode::ReplaceDays, false, Way::InFull).await;
    let dropped = Database {
        target: None,
        rows: Rows::new(),
        ..scene.before.clone()
    };
    let prepared = Database {
        has_ledger: true,
        target: Some(Relation::Table),
        ..Database::default()
    };
    let scene = Scene {
        before: dropped,
        ..scene
    };
    scene.again(Failure::Never, None);
    scene.memory.prepare().await.unwrap();
    assert_eq!(scene.memory.database(), prepared);
    for at in 0..scene.memory.steps().len() {
        scene.again(Failure::At(at), None);
        scene.memory.prepare().await.unwrap_err();
        assert_eq!(scene.memory.database(), scene.before);
    }
    scene.again(Failure::Never, None);
    scene.memory.state().database.target = Some(Relation::Other);
    let error = scene.memory.prepare().await.unwrap_err();
    assert!(error.to_string().contains("view"), "{error}");
}
