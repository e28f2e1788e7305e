//! Every operation on the disk, and every request to a bucket, fails once in a small whole run, or the process is killed
//! at it. After the next start, warehouse, ledger, state database and lake are as `auditor.py` works out.
//!
//! The usual run takes some of the operations. `GRISTMILL_FAULTS=all` takes each one, for hours; docs/reliability.md tells
//! what that came to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gristmill_testkit::gristmill::{Finished, Site};
use gristmill_testkit::s3_faults::{Fault, S3Faults};
use gristmill_testkit::venv;
use serde::Deserialize;
use tempfile::TempDir;

use crate::buckets::{Bucket, reached, set_credentials};
use crate::support;

/// Of how many operations one is hit.
fn every(usual: usize) -> usize {
    match std::env::var("GRISTMILL_FAULTS") {
        Ok(all) if all == "all" => 1,
        _ => usual,
    }
}

fn beside_this(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(name)
}

fn script(arguments: &[&str]) -> Output {
    let mut command = Command::new(venv::python());
    command.arg(beside_this("fault_points.py")).args(arguments);
    command.output().expect("the tests' Python runs")
}

/// What the script says, which must succeed.
fn told(arguments: &[&str]) -> String {
    let output = script(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_operation_on_the_disk_may_fail_or_be_the_last() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let library = folder.path().join("disk_faults.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"]);
    compiler
        .arg(&library)
        .arg(beside_this("disk_faults.c"))
        .arg("-ldl");
    let compiled = compiler.output().expect("there is a C compiler");
    assert!(compiled.status.success(), "{compiled:?}");

    let summary = told(&[
        "hit",
        "--binary",
        env!("CARGO_BIN_EXE_gristmill"),
        "--library",
        &library.to_string_lossy(),
        "--every",
        &every(90).to_string(),
    ]);
    let summary: serde_json::Value = serde_json::from_str(summary.trim()).expect("the last line is JSON");
    assert!(summary["hit"].as_u64().is_some_and(|hit| hit > 20), "{summary}");
    eprintln!("{summary}");
}

/// A whole run, as the script tells it.
#[derive(Deserialize)]
struct Told {
    settings: String,
    /// What is sent at each step.
    steps: Vec<BTreeMap<String, String>>,
}

/// What happens at a request.
#[derive(Clone, Copy, Debug)]
enum Hit {
    /// The server refuses it.
    Refused,
    /// The process is killed before it is answered.
    Killed,
}

/// A run with a fault, or without.
struct Trial<'a> {
    bucket: &'a Bucket,
    proxy: &'a S3Faults,
    told: &'a Told,
    prefix: String,
}

impl Trial<'_> {
    /// Does the whole run. The request with this number is hit. Returns how many requests there were until then, or in all.
    fn run(&self, at: usize, hit: Hit) -> usize {
        let url = format!("s3://{}/{}", crate::buckets::BUCKET, self.prefix);
        let source = format!(
            "[source]\nurl = \"{url}/in\"\npoll = \"300ms\"\n{}",
            reached("source", &self.proxy.url())
        );
        let lake = format!(
            "[lake]\nurl = \"{url}/lake\"\n{}",
            reached("lake", &self.proxy.url())
        );
        let (_, rest) = self.told.settings.split_once("[state]").expect("it has a state");
        let mut site = support::site(&format!("{source}{lake}[state]{rest}"));
        set_credentials(&mut site);

        let (count, victim) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(0)));
        let what = Arc::new(Mutex::new(String::new()));
        let plan = (count.clone(), victim.clone(), what.clone());
        self.proxy.plan(move |request| {
            let (count, victim, what) = &plan;
            if count.fetch_add(1, Ordering::SeqCst) + 1 != at {
                return Fault::None;
            }
            *what.lock().expect("nobody panics with it") = format!("{} {}", request.method, request.target);
            match hit {
                Hit::Refused => Fault::Answer(400, "InvalidRequest"),
                Hit::Killed => {
                    let victim = victim.load(Ordering::SeqCst).to_string();
                    let killed = Command::new("kill").args(["-s", "KILL", &victim]).status();
                    assert!(killed.is_ok_and(|status| status.success()));
                    Fault::Cut
                }
            }
        });
        let mut ends: Vec<Finished> = Vec::new();
        for files in &self.told.steps {
            let objects = files
                .iter()
                .map(|(name, text)| (format!("{}/in/{name}", self.prefix), text.clone().into_bytes()));
            self.bucket.put_all(objects);
            let before = count.load(Ordering::SeqCst);
            let service = site.start(["run", "--until-idle"]);
            victim.store(service.id(), Ordering::SeqCst);
            ends.push(service.wait());
            if before < at && at <= count.load(Ordering::SeqCst) {
                support::run_until_idle(&site);
            }
        }
        let what = what.lock().expect("nobody panics with it").clone();
        self.audit(&site, &format!("request {at}, {what}, {hit:?}: {ends:#?}"));
        count.load(Ordering::SeqCst)
    }

    fn audit(&self, site: &Site, what: &str) {
        let lake = site.folder().join("lake-audited");
        fs::create_dir(&lake).expect("the site's folder can be written");
        for object in self.bucket.list(&format!("{}/lake", self.prefix)) {
            let path = lake.join(&object);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("it can be made");
            let bytes = self.bucket.get(&format!("{}/lake/{object}", self.prefix));
            fs::write(path, bytes).expect("the folder can be written");
        }
        let (site, lake) = (site.folder().to_string_lossy(), lake.to_string_lossy());
        let audited = script(&["audit", &site, &lake]);
        let wrong = String::from_utf8_lossy(&audited.stdout);
        let errors = String::from_utf8_lossy(&audited.stderr);
        assert!(audited.status.success(), "{what}\n{wrong}{errors}");
    }
}

#[test]
fn every_request_to_a_bucket_may_fail_or_be_the_last() {
    let bucket = Bucket::start();
    let proxy = S3Faults::before(bucket.server.port);
    let told: Told = serde_json::from_str(&told(&["tell"])).expect("the script writes JSON");
    let trial = |prefix: String| Trial {
        bucket: &bucket,
        proxy: &proxy,
        told: &told,
        prefix,
    };
    let requests = trial("whole".to_owned()).run(usize::MAX, Hit::Refused);
    assert!(requests > 30, "{requests}");
    let mut hits = 0;
    for at in (1..=requests).step_by(every(20)) {
        for hit in [Hit::Refused, Hit::Killed] {
            trial(format!("{at}-{hit:?}")).run(at, hit);
            hits += 1;
        }
    }
    eprintln!("{requests} requests, {hits} hit");
}
