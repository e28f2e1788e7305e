//! OpenLineage events of runs, sent to a real receiver on loopback and held against OpenLineage's own model.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::venv;
use serde_json::Value;

use crate::support::{self, json, line, state};

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
";

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/lineage.py")
}

/// A receiver of events. Its folder outlives it, so that it can be started again at the same port.
struct Receiver {
    folder: tempfile::TempDir,
    process: Child,
}

fn serve(folder: &Path, port: &str) -> Child {
    let process = Command::new(venv::python())
        .arg(script())
        .arg("serve")
        .arg(folder)
        .arg(port)
        .stdout(Stdio::null())
        .spawn()
        .expect("the receiver starts");
    wait_until("the receiver listens", || folder.join("port").exists());
    process
}

impl Receiver {
    fn start(status: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::write(folder.path().join("answer"), status.to_string()).expect("the answer can be set");
        let process = serve(folder.path(), "0");
        Self { folder, process }
    }

    fn port(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("port")).expect("the receiver has told its port")
    }

    fn answers(&self, status: u16) {
        let new = self.folder.path().join("answer.new");
        std::fs::write(&new, status.to_string()).expect("the answer can be set");
        std::fs::rename(new, self.folder.path().join("answer")).expect("the answer can be set");
    }

    fn stop(&mut self) {
        self.process.kill().expect("the receiver can be stopped");
        self.process.wait().expect("the receiver ends");
        std::fs::remove_file(self.folder.path().join("port")).expect("the port can be forgotten");
    }

    /// Everything that was accepted so far.
    fn received(&self) -> Vec<Value> {
        let kept = std::fs::read_to_string(self.folder.path().join("events")).unwrap_or_default();
        kept.lines().map(json).collect()
    }

    /// What happened, in the order in which it was told.
    fn kinds(&self) -> Vec<String> {
        let kind = |kept: &Value| {
            kept["event"]["eventType"]
                .as_str()
                .expect("an event has a type")
                .to_owned()
        };
        self.received().iter().map(kind).collect()
    }

    fn refusals(&self) -> usize {
        let refused = std::fs::read_to_string(self.folder.path().join("refused")).unwrap_or_default();
        refused.lines().count()
    }

    /// Holds everything that was accepted against OpenLineage's model.
    fn check(&self) {
        let done = Command::new(venv::python())
            .arg(script())
            .arg("check")
            .arg(self.folder.path())
            .output()
            .expect("the check runs");
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert_eq!(said, format!("ok: {}\n", self.received().len()), "{said}");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mill(port: &str, more: &str) -> Site {
    let settings = support::settings(support::SQLITE, JOB);
    support::site(&format!(
        "{settings}\n[lineage]\nurl = \"http://127.0.0.1:{port}\"\n{more}"
    ))
}

fn sale(store: &str, amount: &str) -> String {
    line(store, amount, 4, "BUN", "2026-03-01")
}

#[test]
fn a_run_is_told_with_its_files_and_its_table() {
    let receiver = Receiver::start(201);
    let mut site = mill(
        &receiver.port(),
        "namespace = \"mill\"\napi_key = \"${LINEAGE_KEY}\"\n",
    );
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("lineage.api_key") && refused.stderr.contains("LINEAGE_KEY is not set"));
    site.set_variable("LINEAGE_KEY", "very-secret");
    site.submit("IL-1.tdf", sale("S1", "1.00") + &sale("S2", "2.00"));
    support::run_until_idle(&site);
    assert_eq!(receiver.kinds(), ["START", "COMPLETE"]);
    receiver.check();
    let kept = receiver.received();
    let (start, complete) = (&kept[0], &kept[1]);
    assert_eq!(start["path"], "/api/v1/lineage");
    assert_eq!(start["authorization"], "Bearer very-secret");
    let event = &complete["event"];
    assert_eq!(event["run"]["runId"], start["event"]["run"]["runId"]);
    assert_eq!(event["run"]["facets"].get("parent"), None);
    assert_eq!(
        (&event["job"]["namespace"], &event["job"]["name"]),
        (&"mill".into(), &"IL".into())
    );
    let input = &event["inputs"][0];
    assert_eq!(input["namespace"], "file");
    assert_eq!(input["name"], site.incoming().join("IL-1.tdf").to_str().unwrap());
    let hash = state(&site, "SELECT content_hash FROM file_version").remove(0);
    assert_eq!(input["facets"]["version"]["datasetVersion"], hash);
    assert_eq!(input["inputFacets"]["inputStatistics"]["rowCount"], 2);
    let output = &event["outputs"][0];
    let warehouse = site.folder().join("warehouse.db");
    assert_eq!(output["namespace"], format!("sqlite://{}", warehouse.display()));
    assert_eq!(output["name"], "main.sales_summary");
    assert_eq!(output["outputFacets"]["outputStatistics"]["rowCount"], 2);
    assert_eq!(output["facets"]["schema"]["fields"][3]["name"], "sale_amount");
    assert_eq!(
        start["event"]["outputs"][0]["outputFacets"],
        serde_json::json!({})
    );

    // Nothing is told twice, and a run that has nothing to do is none.
    site.submit("IL-1.tdf", sale("S1", "1.00") + &sale("S2", "2.00"));
    support::run_until_idle(&site);
    assert_eq!(receiver.kinds().len(), 2);
    let log = site.run_ok(["status"]);
    assert!(!log.contains("very-secret"));
}

#[test]
fn a_failed_run_is_told_with_its_cause() {
    let receiver = Receiver::start(200);
    let site = mill(&receiver.port(), "");
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    support::run_until_idle(&site);
    // A trigger of theirs that no retry can pass.
    support::sqlite_warehouse(
        &site,
        "CREATE TRIGGER no BEFORE UPDATE ON sales_summary BEGIN SELECT RAISE(ABORT, 'not today'); END",
    );
    site.submit("IL-1.tdf", sale("S1", "2.00"));
    site.run(["run", "--until-idle"]);
    assert_eq!(receiver.kinds(), ["START", "COMPLETE", "START", "FAIL"]);
    receiver.check();
    let kept = receiver.received();
    let message = &kept[3]["event"]["run"]["facets"]["errorMessage"]["message"];
    assert!(message.as_str().unwrap().contains("not today"), "{message}");
    assert_ne!(kept[1]["event"]["run"]["runId"], kept[3]["event"]["run"]["runId"]);
}

#[test]
fn a_receiver_that_is_down_holds_up_nothing_and_gets_everything_later() {
    let mut receiver = Receiver::start(503);
    let port = receiver.port();
    let site = mill(&port, "");
    receiver.stop();
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    // Nobody listens: the work is done all the same.
    support::run_until_idle(&site);
    let completed = "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'";
    assert_eq!(state(&site, completed), ["1"]);
    assert_eq!(state(&site, "SELECT count(*) FROM lineage_event"), ["2"]);

    // It is back, but does not take anything yet.
    receiver.process = serve(receiver.folder.path(), &port);
    let service = site.start(["run"]);
    site.submit("IL-1.tdf", sale("S1", "2.00"));
    wait_until("the run completed", || state(&site, completed) == ["2"]);
    wait_until("the receiver was asked", || receiver.refusals() > 0);
    assert_eq!(receiver.kinds().len(), 0);
    receiver.answers(200);
    wait_until("everything was told", || receiver.kinds().len() == 4);
    assert_eq!(receiver.kinds(), ["START", "COMPLETE", "START", "COMPLETE"]);
    receiver.check();
    let log = service.terminate().stderr;
    assert!(
        log.contains("lineage events are not taken") && log.contains("taken again"),
        "{log}"
    );
    assert_eq!(state(&site, "SELECT count(*) FROM lineage_event"), ["0"]);

    // What it will never take is dropped, and told.
    receiver.answers(422);
    site.submit("IL-1.tdf", sale("S1", "3.00"));
    let done = site.run(["run", "--until-idle"]);
    assert!(done.stderr.contains("a lineage event is dropped: 422"), "{done}");
    assert_eq!(state(&site, "SELECT dropped FROM lineage"), ["2"]);
    assert_eq!(state(&site, "SELECT count(*) FROM lineage_event"), ["0"]);
}
