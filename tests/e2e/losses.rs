//! The state database, the lake or the warehouse was lost, or set back to a backup: it is found, told and mended, and
//! older rows never replace newer ones.

use std::fs;

use gristmill_testkit::gristmill::{Finished, Site, wait_until};
use gristmill_testkit::postgres::{execute, shared};

use crate::support::{self, line, run_until_idle, told};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*.tdf\"\ntrigger = \"any\"\n";
const DAY: &str = "2026-03-08";

/// A site, and the warehouse that it loads.
struct Place {
    site: Site,
    /// The Postgres database; `None` if the warehouse is a SQLite file.
    postgres: Option<String>,
}

impl Place {
    fn sqlite() -> Self {
        Self {
            site: support::site(&support::settings(support::SQLITE, JOB)),
            postgres: None,
        }
    }

    fn postgres() -> Self {
        let url = shared().create_database();
        Self {
            site: support::site(&support::settings(&url, JOB)),
            postgres: Some(url),
        }
    }

    /// The rows as `store amount`.
    fn rows(&self) -> Vec<String> {
        let rows = match &self.postgres {
            Some(url) => support::postgres_rows(url),
            None => support::sqlite_rows(&self.site),
        };
        let short = |row: &String| {
            let words: Vec<_> = row.split(' ').collect();
            format!("{} {}", words[0], words[3])
        };
        told(&rows).iter().map(short).collect()
    }

    /// Changes the warehouse behind gristmill's back.
    fn edit(&self, sql: &str) {
        match &self.postgres {
            Some(url) => execute(url, sql),
            None => support::sqlite(&self.site, sql),
        }
    }

    fn submit(&self, store: &str, amount: &str) {
        let lines = line(store, amount, 4, "A", DAY);
        self.site.submit(format!("IL-{store}.tdf"), lines);
    }

    fn run(&self) {
        run_until_idle(&self.site);
    }

    /// Runs until idle; the command must fail.
    fn run_in_vain(&self) -> Finished {
        let finished = self.site.run(["run", "--until-idle"]);
        assert_eq!(finished.status.code(), Some(1), "{finished}");
        finished
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.site.folder().join(name)
    }

    /// Copies a file of the site, as a backup does while nothing runs.
    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("the file can be copied");
    }

    fn remove_source(&self, store: &str) {
        let file = self.site.incoming().join(format!("IL-{store}.tdf"));
        fs::remove_file(file).expect("the file was submitted");
    }

    /// The object of a store's file in a folder of the lake.
    fn object(&self, folder: &str, store: &str) -> std::path::PathBuf {
        let folder = fs::read_dir(self.path("lake").join(folder).join("sales")).expect("the lake has it");
        let mut paths = folder.map(|entry| entry.expect("the folder can be listed").path());
        let start = format!("IL-{store}.tdf.");
        let is_of_store = |path: &std::path::PathBuf| {
            let name = path.file_name().expect("it has a name");
            name.to_string_lossy().starts_with(&start)
        };
        paths.find(is_of_store).expect("the store has sent a file")
    }

    /// How often files were submitted, and how many versions there are, with what was counted of each.
    fn counted(&self) -> Vec<String> {
        let counts = "SELECT 'submissions ' || count(*) FROM submission UNION ALL
                      SELECT version_id || ' ' || lines || ' ' || rows || ' ' || rejects FROM file_version UNION ALL
                      SELECT version_id || ' ' || store_id || ' ' || trans_date || ' ' || lines || ' ' || turnover
                        FROM version_day";
        support::state(&self.site, counts)
    }

    /// Every partial of the lake.
    fn partials(&self) -> Vec<std::path::PathBuf> {
        let folder = fs::read_dir(self.path("lake/partials/sales")).expect("there are partials");
        folder
            .map(|entry| entry.expect("the folder can be listed").path())
            .collect()
    }
}

/// Runs a test against both kinds of warehouse.
macro_rules! every_warehouse {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(super::Place::sqlite()) })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(super::Place::postgres()) })*
        }
    };
}

every_warehouse!(
    a_state_database_from_a_backup_never_loads_older_files_over_newer_ones,
    a_lost_state_database_and_a_clock_that_was_once_ahead,
    a_target_that_was_dropped_is_filled_again,
    a_ledger_that_is_set_back_while_the_service_runs,
    without_refill_a_lost_warehouse_is_told_and_its_jobs_wait,
);

fn a_state_database_from_a_backup_never_loads_older_files_over_newer_ones(place: Place) {
    let site = &place.site;
    place.submit("S1", "0.99");
    place.submit("S2", "2.00");
    place.run();
    place.copy("state.db", "backup.db");
    place.submit("S1", "99.99");
    place.submit("S2", "3.00");
    place.run();
    assert_eq!(place.rows(), ["S1 99.99", "S2 3.00"]);
    place.copy("backup.db", "state.db");
    // The backup believes in the first file of S1, and the source has none any more.
    place.remove_source("S1");
    place.submit("S3", "5.00");

    let stopped = place.run_in_vain();
    assert!(
        stopped.stderr.contains("gristmill state check --repair") && stopped.stdout.contains("1 jobs wait"),
        "{stopped}"
    );
    assert_eq!(place.rows(), ["S1 99.99", "S2 3.00"], "nothing was loaded");
    let (holds, facts) = support::explained(site, "IL", "warehouse");
    assert!(!holds && facts.contains("does not know"), "{facts}");
    let status = site.run_ok(["status"]);
    assert!(status.contains("gristmill state check --repair"), "{status}");
    // A person who insists does not get older rows either.
    let forced = site.run(["jobs", "run", "IL"]);
    assert_eq!(forced.status.code(), Some(1), "{forced}");
    assert_eq!(place.rows(), ["S1 99.99", "S2 3.00"]);

    let found = site.run(["state", "check"]);
    assert_eq!(found.status.code(), Some(1), "{found}");
    assert!(found.stdout.contains("state database, job IL: "), "{found}");
    let repaired = site.run_ok(["state", "check", "--repair"]);
    assert!(repaired.contains("Repaired: accepted; 3 files"), "{repaired}");
    place.run();
    assert_eq!(place.rows(), ["S1 99.99", "S2 3.00", "S3 5.00"]);
    let agrees = site.run_ok(["state", "check"]);
    assert!(agrees.contains("agree."), "{agrees}");
    // The store sends again, and counts as usual.
    place.submit("S1", "1.50");
    place.run();
    assert_eq!(place.rows(), ["S1 1.50", "S2 3.00", "S3 5.00"]);
    assert!(site.run_ok(["load", "--verify", "IL"]).contains("They agree."));
}

fn a_lost_state_database_and_a_clock_that_was_once_ahead(place: Place) {
    let site = &place.site;
    place.submit("S1", "1.00");
    place.run();
    // The clock was far ahead during that run.
    place.edit(
        "UPDATE gristmill_ledger SET sequence = 4000000000000000, run_id = 'IL-20961002T000000.000000'",
    );
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(place.path(name));
    }
    place.submit("S1", "2.00");
    let stopped = place.run_in_vain();
    assert!(stopped.stderr.contains("IL-20961002T000000.000000"), "{stopped}");
    assert_eq!(place.rows(), ["S1 1.00"]);
    site.run_ok(["state", "check", "--repair"]);
    place.run();
    assert_eq!(place.rows(), ["S1 2.00"]);
    let order = "SELECT sequence > 4000000000000000 FROM job_run WHERE outcome = 'LOADED'";
    assert_eq!(support::state(site, order), ["1"]);
    place.submit("S1", "3.00");
    place.run();
    assert_eq!(place.rows(), ["S1 3.00"]);
}

fn a_target_that_was_dropped_is_filled_again(place: Place) {
    place.submit("S1", "1.00");
    place.run();
    place.edit("DROP TABLE sales_summary");
    let filled = place.site.run(["run", "--until-idle"]);
    assert!(filled.status.success(), "{filled}");
    assert!(
        filled.stderr.contains("loaded again from its summary"),
        "{filled}"
    );
    assert_eq!(place.rows(), ["S1 1.00"]);
    place.submit("S1", "2.00");
    place.run();
    assert_eq!(place.rows(), ["S1 2.00"]);
}

fn a_ledger_that_is_set_back_while_the_service_runs(place: Place) {
    place.submit("S1", "1.00");
    let mut service = support::service(&place.site);
    wait_until("the first file is loaded", || {
        assert!(service.is_running(), "{}", service.stderr());
        support::state(
            &place.site,
            "SELECT count(*) FROM job_run WHERE outcome = 'LOADED'",
        ) == ["1"]
    });
    place.edit("DELETE FROM gristmill_ledger");
    place.edit("DELETE FROM sales_summary");
    // S1 does not send again, so only a refill brings its row back: as a file of this job it would be loaded anyway,
    // but the run that lost its row must count as loaded again.
    place.submit("S2", "2.00");
    wait_until("the second file is loaded", || {
        assert!(service.is_running(), "{}", service.stderr());
        support::state(
            &place.site,
            "SELECT count(*) FROM job_run WHERE outcome = 'LOADED'",
        ) == ["2"]
    });
    let ended = service.terminate();
    assert!(ended.status.success(), "{ended}");
    assert!(ended.stderr.contains("loaded again from its summary"), "{ended}");
    assert_eq!(place.rows(), ["S1 1.00", "S2 2.00"]);
}

fn without_refill_a_lost_warehouse_is_told_and_its_jobs_wait(place: Place) {
    let site = &place.site;
    let settings = fs::read_to_string(place.path("gristmill.toml")).expect("the site has settings");
    site.write_settings(&settings.replace("[warehouse]\n", "[warehouse]\nrefill = false\n"));
    place.submit("S1", "1.00");
    place.run();
    place.edit("DROP TABLE sales_summary");
    let told = place.run_in_vain();
    assert!(
        told.stderr.contains("warehouse.refill is false")
            && told.stderr.contains("load --verify IL --repair"),
        "{told}"
    );
    let status = site.run_ok(["status"]);
    assert!(status.contains("not in the warehouse"), "{status}");
    assert!(!status.contains("+1 ~0 -0 =0"), "{status}");
    assert!(!support::explained(site, "IL", "warehouse").0);
    place.submit("S1", "2.00");
    place.run_in_vain();
    assert_eq!(place.rows(), [""; 0], "the job waits");
    site.run_ok(["load", "--verify", "IL", "--repair"]);
    assert_eq!(place.rows(), ["S1 1.00"]);
    place.run();
    assert_eq!(place.rows(), ["S1 2.00"]);

    // A run that a person asks for mends it as well.
    place.edit("DROP TABLE sales_summary");
    place.run_in_vain();
    site.run_ok(["jobs", "run", "IL"]);
    assert_eq!(place.rows(), ["S1 2.00"]);
    assert!(site.run_ok(["state", "check"]).contains("agree."));
}

#[test]
fn a_warehouse_from_a_backup_gets_back_what_was_loaded_since() {
    let place = Place::sqlite();
    let two_jobs =
        format!("{JOB}[[job]]\nid = \"MI\"\nfeed = \"sales\"\nfiles = \"MI-*.tdf\"\ntrigger = \"any\"\n");
    place
        .site
        .write_settings(&support::settings(support::SQLITE, &two_jobs));
    place.submit("S1", "1.00");
    place.run();
    place.copy("warehouse.db", "backup.db");
    place.submit("S1", "2.00");
    place.site.submit("MI-S7.tdf", line("S7", "7.00", 4, "A", DAY));
    place.run();
    place.copy("backup.db", "warehouse.db");
    assert_eq!(place.rows(), ["S1 1.00"]);
    place.run();
    assert_eq!(place.rows(), ["S1 2.00", "S7 7.00"]);
    for job in ["IL", "MI"] {
        assert!(
            place
                .site
                .run_ok(["load", "--verify", job])
                .contains("They agree.")
        );
    }
    // The summary of what was lost is gone as well.
    place.copy("backup.db", "warehouse.db");
    fs::remove_dir_all(place.path("lake/summaries/MI")).expect("the job has summaries");
    let told = place.run_in_vain();
    assert!(told.stderr.contains("no longer in the lake"), "{told}");
    assert_eq!(place.rows(), ["S1 2.00"], "the other job is filled");
    place.site.run_ok(["jobs", "run", "MI"]);
    assert_eq!(place.rows(), ["S1 2.00", "S7 7.00"]);
    // A summary that was damaged is not loaded.
    place.copy("backup.db", "warehouse.db");
    for entry in fs::read_dir(place.path("lake/summaries/MI")).expect("the job has summaries") {
        let path = entry.expect("the folder can be listed").path();
        if !path.to_string_lossy().contains("coverage") {
            fs::write(path, "rubbish").expect("it can be written");
        }
    }
    let told = place.run_in_vain();
    assert!(told.stderr.contains("is damaged"), "{told}");
}

#[test]
fn days_that_only_earlier_runs_loaded_come_back_too() {
    let place = Place::sqlite();
    let send = |amount: &str, day: &str| {
        place.site.submit("IL-S1.tdf", line("S1", amount, 4, "A", day));
        place.run();
    };
    // The file is used again each day, and holds that day alone.
    send("1.00", "2026-03-08");
    send("1.50", "2026-03-08");
    send("2.00", "2026-03-09");
    send("3.00", "2026-03-10");
    fs::remove_file(place.path("warehouse.db")).expect("there is a warehouse");
    place.run();
    assert_eq!(place.rows(), ["S1 1.50", "S1 2.00", "S1 3.00"]);
    let loaded = support::sqlite_warehouse(&place.site, "SELECT run_id FROM gristmill_ledger");
    assert_eq!(loaded.len(), 3, "what a later run replaced is not loaded");
    let status = place.site.run_ok(["status"]);
    assert!(!status.contains("not in the warehouse"), "{status}");
    assert!(place.site.run_ok(["state", "check"]).contains("agree."));

    // The summary of the first days is gone.
    fs::remove_file(place.path("warehouse.db")).expect("there is a warehouse");
    let second = "SELECT summary_object FROM job_run ORDER BY sequence LIMIT 1 OFFSET 1";
    let second = support::state(&place.site, second).concat();
    fs::remove_file(place.path("lake").join(second)).expect("the lake has it");
    let filled = place.site.run(["run", "--until-idle"]);
    assert!(
        filled
            .stderr
            .contains("which cannot be repeated: its summary is no longer in the lake"),
        "{filled}"
    );
    assert_eq!(
        place.rows(),
        ["S1 2.00", "S1 3.00"],
        "no older state of the first day"
    );
}

#[test]
fn partials_that_the_lake_lost_are_made_anew_from_the_source() {
    let place = Place::sqlite();
    for (store, amount) in [("S1", "1.00"), ("S2", "2.00"), ("S3", "3.00")] {
        place.submit(store, amount);
    }
    place.run();
    // The whole lake, found at the start.
    fs::remove_dir_all(place.path("lake")).expect("there is a lake");
    let found = place.site.run(["state", "check"]);
    assert_eq!(found.status.code(), Some(1), "{found}");
    assert!(found.stdout.contains("the partial of IL-S1.tdf"), "{found}");
    place.submit("S1", "1.50");
    let mended = place.site.run(["run", "--until-idle"]);
    assert!(mended.status.success(), "{mended}");
    assert!(
        mended.stderr.contains("has lost the partials of IL-S1.tdf"),
        "{mended}"
    );
    assert_eq!(place.rows(), ["S1 1.50", "S2 2.00", "S3 3.00"]);
    assert_eq!(place.partials().len(), 3);

    // Damaged ones, found by the run that needs them.
    for partial in place.partials() {
        fs::write(partial, "rubbish").expect("it can be written");
    }
    place.submit("S1", "1.75");
    let mended = place.site.run(["run", "--until-idle"]);
    assert!(mended.status.success(), "{mended}");
    assert!(
        mended
            .stderr
            .contains("waits: the lake has lost the partials of IL-S2.tdf, IL-S3.tdf"),
        "{mended}"
    );
    assert_eq!(place.rows(), ["S1 1.75", "S2 2.00", "S3 3.00"]);
    assert_eq!(
        support::state(
            &place.site,
            "SELECT count(*) FROM job_run WHERE state <> 'COMPLETED'"
        ),
        ["0"]
    );
}

#[test]
fn a_partial_that_neither_the_lake_nor_the_source_has_is_told() {
    let place = Place::sqlite();
    place.submit("S1", "1.00");
    place.submit("S2", "2.00");
    place.run();
    let kept = place.path("kept");
    fs::create_dir(&kept).expect("the site can be written");
    for partial in place.partials() {
        let name = partial.file_name().expect("it has a name").to_owned();
        fs::rename(&partial, kept.join(name)).expect("it can be moved");
    }
    place.remove_source("S2");
    // There are no converted rows that it could be made of, either.
    fs::remove_dir_all(place.path("lake/converted")).expect("the lake has converted rows");
    place.submit("S1", "1.50");
    let told = place.run_in_vain();
    assert!(
        told.stderr
            .contains("has lost the partials of IL-S2.tdf, and the source no longer has")
            && told
                .stderr
                .contains("IL-S2.tdf: its converted rows are gone from the lake"),
        "{told}"
    );
    assert_eq!(place.rows(), ["S1 1.00", "S2 2.00"]);
    // The lake comes back from its backup.
    for entry in fs::read_dir(&kept).expect("the folder exists") {
        let entry = entry.expect("the folder can be listed");
        let back = place.path("lake/partials/sales").join(entry.file_name());
        fs::rename(entry.path(), back).expect("it can be moved");
    }
    place.site.run_ok(["retry"]);
    assert_eq!(place.rows(), ["S1 1.50", "S2 2.00"]);
}

/// Lines of a store with returns, several days and measures, and some that are no rows.
fn mixed(store: &str) -> String {
    let sold = ["2.00", "-7.25", "0.00"].map(|amount| line(store, amount, 4, "A", DAY));
    let others = [
        line(store, "0.17", 5, "A", DAY),
        line(store, "1.00", 6, "B", "2026-03-07"),
        line(store, "9.00", 99, "B", "2026-03-06"),
        "-- noise\n".to_owned(),
    ];
    sold.concat() + &others.concat()
}

/// What the warehouse has of these lines.
const MIXED: [&str; 2] = ["A 2026-03-08 -5.25 0.17 -", "B 2026-03-07 - - 1.00"];

/// The rows of all stores but S1, whose file comes again and again.
fn rows_of_others(place: &Place) -> Vec<String> {
    let rows = told(&support::sqlite_rows(&place.site)).into_iter();
    rows.filter(|row| !row.starts_with("S1 ")).collect()
}

fn mixed_rows(stores: &[&str]) -> Vec<String> {
    let rows = |store: &&str| MIXED.map(|row| format!("{store} {row}"));
    stores.iter().flat_map(rows).collect()
}

/// A place whose stores S2 and S3 have sent such files.
fn mixed_place() -> Place {
    let place = Place::sqlite();
    place.submit("S1", "1.00");
    for store in ["S2", "S3"] {
        place.site.submit(format!("IL-{store}.tdf"), mixed(store));
    }
    place.run();
    assert_eq!(rows_of_others(&place), mixed_rows(&["S2", "S3"]));
    place
}

#[test]
fn partials_whose_files_are_gone_are_made_of_converted_rows() {
    let place = mixed_place();
    let read = |store: &str| fs::read(place.object("partials", store)).expect("it can be read");
    let whole = ["S2", "S3"].map(read);
    let counted = place.counted();

    // One is missing at a start.
    place.remove_source("S2");
    let lost = place.object("partials", "S2");
    fs::remove_file(&lost).expect("it can be removed");
    let mended = place.site.run(["run", "--until-idle"]);
    assert!(mended.status.success(), "{mended}");
    let made = "the lake had no partials of IL-S2.tdf; they were made anew from converted rows";
    assert!(mended.stderr.contains(made), "{mended}");
    assert!(fs::read(&lost).expect("it is there again") == whole[0]);
    assert_eq!(place.counted(), counted, "nothing was submitted or counted");

    // Damaged ones are found by the run that needs them.
    place.remove_source("S3");
    for store in ["S2", "S3"] {
        fs::write(place.object("partials", store), "rubbish").expect("it can be written");
    }
    place.submit("S1", "1.50");
    let mended = place.site.run(["run", "--until-idle"]);
    assert!(mended.status.success(), "{mended}");
    let made = "the lake had no partials of IL-S2.tdf, IL-S3.tdf; they were made anew from converted rows";
    assert!(mended.stderr.contains(made), "{mended}");
    assert_eq!(["S2", "S3"].map(read), whole);
    assert_eq!(rows_of_others(&place), mixed_rows(&["S2", "S3"]));
    assert_eq!(place.rows()[0], "S1 1.50");
    let unfinished = "SELECT count(*) FROM job_run WHERE state <> 'COMPLETED'";
    assert_eq!(support::state(&place.site, unfinished), ["0"]);
    assert!(
        place
            .site
            .run_ok(["load", "--verify", "IL"])
            .contains("They agree.")
    );
    assert!(place.site.run_ok(["state", "check"]).contains("agree."));
}

#[test]
fn a_partial_that_a_repair_has_given_up_is_made_of_converted_rows() {
    let place = mixed_place();
    let whole = fs::read(place.object("partials", "S2")).expect("it can be read");
    place.remove_source("S2");
    fs::remove_dir_all(place.path("lake/partials")).expect("the lake has partials");
    let repaired = place.site.run_ok(["state", "check", "--repair"]);
    assert!(repaired.contains("the file is to be read again"), "{repaired}");
    place.submit("S1", "1.50");
    place.run();
    assert!(fs::read(place.object("partials", "S2")).expect("it is there again") == whole);
    assert_eq!(rows_of_others(&place), mixed_rows(&["S2", "S3"]));
    assert_eq!(place.rows()[0], "S1 1.50");
}

#[test]
fn rows_that_are_not_those_of_the_version_make_no_partial() {
    let place = mixed_place();
    let (converted, partial) = (place.object("converted", "S2"), place.object("partials", "S2"));
    let whole = fs::read(&converted).expect("it can be read");
    place.remove_source("S2");
    fs::remove_file(&partial).expect("it can be removed");
    // A whole file, of another store.
    fs::copy(place.object("converted", "S3"), &converted).expect("it can be copied");
    place.submit("S1", "1.50");
    let told = place.run_in_vain();
    assert!(
        told.stderr
            .contains("IL-S2.tdf: its converted rows are not those that were counted by day"),
        "{told}"
    );
    fs::write(&converted, &whole[..whole.len() / 2]).expect("it can be written");
    let told = place.site.run(["retry"]);
    assert!(
        !told.status.success() && told.stderr.contains("IL-S2.tdf: cannot read"),
        "{told}"
    );
    assert!(!partial.exists());
    assert_eq!(place.rows()[0], "S1 1.00", "nothing was loaded");
    fs::write(&converted, whole).expect("it can be written");
    place.site.run_ok(["retry"]);
    assert_eq!(rows_of_others(&place), mixed_rows(&["S2", "S3"]));
    assert_eq!(place.rows()[0], "S1 1.50");
}

#[test]
fn without_converted_rows_a_partial_whose_file_is_gone_is_told() {
    let place = Place::sqlite();
    let settings = fs::read_to_string(place.path("gristmill.toml")).expect("the site has settings");
    place
        .site
        .write_settings(&format!("{settings}\n[convert]\nkeep = \"partials\"\n"));
    place.submit("S1", "1.00");
    place.submit("S2", "2.00");
    place.run();
    place.remove_source("S2");
    fs::write(place.object("partials", "S2"), "rubbish").expect("it can be written");
    place.submit("S1", "1.50");
    let told = place.run_in_vain();
    assert!(
        told.stderr
            .contains("has lost the partials of IL-S2.tdf, and the source no longer has these files")
            && told
                .stderr
                .contains("IL-S2.tdf: the lake keeps no converted rows of it"),
        "{told}"
    );
    assert_eq!(place.rows(), ["S1 1.00", "S2 2.00"]);
}

#[test]
fn a_partial_of_amounts_side_by_side_is_made_of_converted_rows() {
    let place = Place::sqlite();
    let settings = fs::read_to_string(place.path("gristmill.toml")).expect("the site has settings");
    let settings = settings
        .replacen("\"amount\", \"code\"", "\"sale\", \"tax\"", 1)
        .replacen("sale_amount = 4", "sale_amount = { field = \"sale\" }", 1)
        .replacen(
            "tax_amount = 5, discount_amount = 6",
            "tax_amount = { field = \"tax\" }",
            1,
        );
    place.site.write_settings(&settings);
    let send = |store: &str, sale: &str| {
        let lines = format!("{store}\t{sale}\t0.50\tA\t{DAY}\n").repeat(2);
        place.site.submit(format!("IL-{store}.tdf"), lines);
    };
    send("S1", "1.00");
    send("S2", "2.00");
    place.run();
    let partial = place.object("partials", "S2");
    let whole = fs::read(&partial).expect("it can be read");
    place.remove_source("S2");
    fs::remove_file(&partial).expect("it can be removed");
    send("S1", "1.50");
    place.run();
    assert!(fs::read(&partial).expect("it is there again") == whole);
    let rows = "SELECT store_id || ' ' || sale_amount || ' ' || tax_amount FROM sales_summary ORDER BY 1";
    assert_eq!(
        support::sqlite_warehouse(&place.site, rows),
        ["S1 3.00 1.00", "S2 4.00 1.00"]
    );
}

#[test]
fn a_file_that_leaves_before_it_is_read_again_is_made_up_for_by_converted_rows() {
    let mut place = mixed_place();
    let partial = place.object("partials", "S2");
    let whole = fs::read(&partial).expect("it can be read");
    fs::write(&partial, "rubbish").expect("it can be written");
    place.submit("S1", "1.50");
    // The run finds the damage and waits for the file. The process dies once that was read, before it is recorded.
    place
        .site
        .set_variable("FAILPOINTS", "before-record=1*off->panic");
    let died = place.site.run(["run", "--until-idle"]);
    assert!(
        died.stderr
            .contains("waits: the lake has lost the partials of IL-S2.tdf"),
        "{died}"
    );
    place.site.clear_variable("FAILPOINTS");
    assert_eq!(place.rows()[0], "S1 1.00", "nothing was loaded");
    place.remove_source("S2");
    fs::remove_file(&partial).expect("it can be removed");
    let mended = place.site.run(["run", "--until-idle"]);
    assert!(mended.status.success(), "{mended}");
    let made = "the lake had no partials of IL-S2.tdf; they were made anew from converted rows";
    assert!(mended.stderr.contains(made), "{mended}");
    assert!(fs::read(&partial).expect("it is there again") == whole);
    assert_eq!(rows_of_others(&place), mixed_rows(&["S2", "S3"]));
    assert_eq!(place.rows()[0], "S1 1.50");
}
