//! Archives: each member is a file of its own, whoever packed it, wherever it lies, and whatever ends the process meanwhile.

use std::path::Path;
use std::process::Command;

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::venv;

use crate::buckets::{self, BUCKET, Bucket};
use crate::support::{self, SQLITE, json, run_until_idle, site, sqlite_rows, state, told};

/// Settings of a feed whose files may lie anywhere, with these keys, and one job for all of them.
fn settings(keys: &str) -> String {
    format!(
        "[source]\nurl = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n[lake]\nurl = \"lake\"\n\
         [state]\nurl = \"sqlite://state.db\"\n[warehouse]\nurl = \"{SQLITE}\"\n\
         [[feed]]\nname = \"sales\"\nfiles = \"**/IL-{{store}}.*\"\n\
         columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
         measures = {{ sale_amount = 4, tax_amount = 5, discount_amount = 6 }}\n{keys}\n\
         [[job]]\nid = \"J\"\nfeed = \"sales\"\nfiles = \"**/IL-{{store}}.*\"\ntrigger = \"any\"\n"
    )
}

/// Has Python write an archive, and rename it into place.
fn pack(folder: &Path, name: &str, kind: &str, members: &[&str]) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/archives.py");
    let output = Command::new(venv::python())
        .arg(script)
        .arg(kind)
        .arg(folder.join(name))
        .args(members)
        .output()
        .expect("the tests' Python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn member(store: &str, amount: &str) -> String {
    format!("IL-{store}.tdf={store}\\t{amount}\\t4\\tCOLA\\t2016-06-01\\n")
}

fn rows(site: &Site) -> Vec<String> {
    told(&sqlite_rows(site))
}

/// The status and the reason of each file, by name.
fn files(site: &Site) -> Vec<String> {
    let sql = "SELECT file_url || ' ' || last_update_status || coalesce(' ' || members, '') FROM ingested_file_status \
               ORDER BY file_url";
    state(site, sql)
}

fn reason(site: &Site, file: &str) -> String {
    let sql = format!(
        "SELECT coalesce(last_error, last_note, '') FROM ingested_file_status WHERE file_url = '{file}'"
    );
    state(site, &sql).concat()
}

fn submissions(site: &Site) -> usize {
    state(site, "SELECT submission_id FROM submission").len()
}

#[test]
fn members_of_every_kind_of_archive_are_files_of_their_own() {
    let site = site(&settings(""));
    let kinds = [
        "zip", "stored", "zip64", "streamed", "tar", "gnu", "gz", "bz2", "xz",
    ];
    let mut expected = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let (one, other) = (number * 2 + 1, number * 2 + 2);
        let deep = format!("{}/{}", "long".repeat(40), member(&other.to_string(), "2.50"));
        let name = match *kind {
            "zip" | "stored" | "zip64" | "streamed" => format!("{kind}.zip"),
            "tar" | "gnu" => format!("{kind}.tar"),
            kind => format!("packed.tar.{kind}"),
        };
        let ignored = "__MACOSX/._IL-9.tdf=x";
        pack(
            &site.incoming(),
            &name,
            kind,
            &[&member(&one.to_string(), "1.50"), &deep, ignored, ".DS_Store=x"],
        );
        expected.push(format!("{one} COLA 2016-06-01 1.50 - -"));
        expected.push(format!("{other} COLA 2016-06-01 2.50 - -"));
    }
    expected.sort();
    let archive = site.incoming().join("zip.zip");
    let checked = site.run_ok(["check", "--json", archive.to_str().expect("it is text")]);
    let checked = json(&checked);
    let checked = checked.as_array().expect("it is a list");
    let names: Vec<&str> = checked.iter().filter_map(|file| file["file"].as_str()).collect();
    assert_eq!(names.len(), 2, "{checked:?}");
    assert_eq!(names[0], "zip.zip/IL-1.tdf");
    assert!(checked.iter().all(|file| file["rows"] == 1), "{checked:?}");

    run_until_idle(&site);
    assert_eq!(rows(&site), expected);
    let files = files(&site);
    assert_eq!(files.len(), 3 * kinds.len(), "{files:?}");
    assert!(files.contains(&"gnu.tar VALIDATED 2".to_owned()), "{files:?}");
    assert!(
        files.contains(&"packed.tar.xz/IL-17.tdf VALIDATED".to_owned()),
        "{files:?}"
    );
    let listed = site.run_ok(["files"]);
    assert!(
        listed.contains("2 members") && listed.contains("(archive)"),
        "{listed}"
    );

    // Nothing is read again at the next start, and nothing is submitted.
    let before = submissions(&site);
    let again = site.run(["run", "--until-idle"]);
    assert!(
        again.stdout.contains("files: 0 validated, 0 unchanged"),
        "{again}"
    );
    assert_eq!(submissions(&site), before);

    let summed = site.run_ok([
        "aggregate".as_ref(),
        "--output".as_ref(),
        site.folder().join("out.parquet").as_os_str(),
        "--feed".as_ref(),
        "sales".as_ref(),
        "-c".as_ref(),
        site.folder().join("gristmill.toml").as_os_str(),
        site.incoming().as_os_str(),
    ]);
    assert!(
        summed.contains("18 files") && summed.contains("18 keys"),
        "{summed}"
    );
}

#[test]
fn a_member_that_is_gone_from_a_resent_archive_stays_in_force() {
    let site = site(&settings(""));
    pack(
        &site.incoming(),
        "night.zip",
        "zip",
        &[&member("1", "1.00"), &member("2", "2.00")],
    );
    run_until_idle(&site);
    pack(
        &site.incoming(),
        "night.zip",
        "zip",
        &[&member("1", "5.00"), &member("3", "3.00")],
    );
    run_until_idle(&site);
    let expected = [
        "1 COLA 2016-06-01 5.00 - -",
        "2 COLA 2016-06-01 2.00 - -",
        "3 COLA 2016-06-01 3.00 - -",
    ];
    assert_eq!(rows(&site), expected);

    // The same bytes once more: all that is in it has been submitted again.
    let before = submissions(&site);
    pack(
        &site.incoming(),
        "night.zip",
        "zip",
        &[&member("1", "5.00"), &member("3", "3.00")],
    );
    run_until_idle(&site);
    assert_eq!(submissions(&site), before + 3);

    // A member is read again alone; the one that is gone is no longer asked for.
    site.run_ok(["retry", "night.zip/IL-1.tdf"]);
    assert_eq!(submissions(&site), before + 3 + 2);
    site.run_ok(["retry", "night.zip/IL-2.tdf"]);
    let marked = "SELECT file_url FROM ingested_file_status WHERE stamp_bytes IS NULL";
    assert_eq!(state(&site, marked), [""; 0]);
    assert_eq!(rows(&site), expected);

    // A partial that the lake has lost is made anew from the archive.
    let partial = "SELECT partial_object FROM file_version v JOIN ingested_file_status f USING (version_id) \
                   WHERE file_url = 'night.zip/IL-3.tdf'";
    let partial = site.folder().join("lake").join(state(&site, partial).concat());
    std::fs::remove_file(&partial).expect("the partial is there");
    site.submit("IL-4.tdf", support::line("4", "4.00", 4, "COLA", "2016-06-01"));
    run_until_idle(&site);
    assert!(partial.exists());
    assert_eq!(rows(&site).len(), 4);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    let site = site(&settings(""));
    let folder = site.incoming();
    pack(&folder, "encrypted.zip", "encrypted", &[&member("1", "1.00")]);
    pack(&folder, "outside.tar", "tar", &["../IL-2.tdf=x"]);
    pack(
        &folder,
        "nested.zip",
        "zip",
        &["inner.zip=x", &member("3", "1.00")],
    );
    pack(
        &folder,
        "twice.tar",
        "tar",
        &[&member("4", "1.00"), &member("4", "2.00")],
    );
    pack(&folder, "photos.zip", "zip", &["a.jpg=x", "b.jpg=y"]);
    pack(&folder, "IL-5.zip", "zip", &["readme.txt=x"]);
    pack(
        &folder,
        "mixed.zip",
        "zip",
        &[&member("6", "6.00"), "readme.txt=x", "IL-7.tdf=no sales\\n"],
    );
    pack(
        &folder,
        "IL-8.tdf",
        "zip",
        &["IL-8.tdf=8\\t8.00\\t4\\tCOLA\\t2016-06-01\\n"],
    );
    site.submit("empty.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    site.submit("text.zip", b"no archive");
    run_until_idle(&site);
    for (file, words) in [
        ("encrypted.zip", "encrypted"),
        ("outside.tar", "`..`"),
        ("nested.zip", "archives in archives"),
        ("twice.tar", "two members"),
        ("IL-5.zip", "none of which a feed matches: IL-5.zip/readme.txt"),
        ("mixed.zip", "3 members; no feed matches mixed.zip/readme.txt"),
        ("empty.zip", "holds no file"),
    ] {
        let reason = reason(&site, file);
        assert!(reason.contains(words), "{file}: {reason}");
    }
    let files = files(&site);
    for file in [
        "encrypted.zip",
        "outside.tar",
        "nested.zip",
        "twice.tar",
        "IL-5.zip",
        "empty.zip",
        "mixed.zip/IL-7.tdf",
    ] {
        let starts = format!("{file} REJECTED");
        assert!(
            files.iter().any(|listed| listed.starts_with(&starts)),
            "{file}: {files:?}"
        );
    }
    assert_eq!(
        rows(&site),
        ["6 COLA 2016-06-01 6.00 - -", "8 COLA 2016-06-01 8.00 - -"]
    );

    // What nobody asked for is told like any file that no feed matches.
    let unmatched = json(&site.run_ok(["files", "--unmatched", "--json"]));
    let unmatched = unmatched.as_array().expect("it is a list").iter();
    let unmatched: Vec<&str> = unmatched.filter_map(|file| file["file_url"].as_str()).collect();
    assert_eq!(unmatched, ["photos.zip", "text.zip"]);
    run_until_idle(&site);
    assert_eq!(
        state(&site, "SELECT file_url FROM unmatched_file ORDER BY 1"),
        ["photos.zip", "text.zip"]
    );
    std::fs::remove_file(folder.join("photos.zip")).expect("it is there");
    run_until_idle(&site);
    assert_eq!(state(&site, "SELECT file_url FROM unmatched_file"), ["text.zip"]);

    // A feed that matches what is in an archive has it read at the next start.
    pack(
        &folder,
        "late.zip",
        "zip",
        &["WI-9.tdf=9\\t9.00\\t4\\tCOLA\\t2016-06-01\\n"],
    );
    run_until_idle(&site);
    assert_eq!(rows(&site).len(), 2);
    site.write_settings(&settings("").replace("**/IL-{store}.*", "**/*-{store}.*"));
    site.run_ok(["jobs", "apply"]);
    run_until_idle(&site);
    assert_eq!(rows(&site).len(), 3);
    assert_eq!(state(&site, "SELECT file_url FROM unmatched_file"), ["text.zip"]);
}

#[test]
fn a_kill_between_members_loses_and_doubles_nothing() {
    let mut site = site(&settings(""));
    pack(&site.incoming(), "night.zip", "zip", &["@600"]);
    for kill in ["after-members=panic", "after-record=1*off->panic"] {
        site.set_variable("FAILPOINTS", kill);
        let killed = site.run(["run", "--until-idle"]);
        assert!(!killed.status.success(), "{killed}");
        site.clear_variable("FAILPOINTS");
    }
    run_until_idle(&site);
    assert_eq!(rows(&site).len(), 600);
    assert_eq!(
        submissions(&site),
        601,
        "each member was submitted once, and the archive"
    );
    assert_eq!(reason(&site, "night.zip"), "600 members");
}

/// Counts how often a process has data forced to disk, and adds the number to the file that FORCED names.
const COUNTER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static int count;
int fsync(int file) {
    __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}
int fdatasync(int file) {
    __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}
__attribute__((destructor)) static void tell(void) {
    FILE *file = fopen(getenv("FORCED"), "a");
    if (file) {
        fprintf(file, "%d\n", count);
        fclose(file);
    }
}
"#;

#[test]
fn ten_thousand_members_are_forced_to_disk_and_recorded_in_groups() {
    let mut site = site(&settings(""));
    let counter = site.folder().join("counter.so");
    std::fs::write(site.folder().join("counter.c"), COUNTER).expect("the site can be written");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&counter, &site.folder().join("counter.c")])
        .arg("-ldl")
        .output()
        .expect("there is a C compiler, as CONTRIBUTING.md says");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    pack(&site.incoming(), "night.zip", "zip", &["@10000"]);
    let forced = site.folder().join("forced");
    site.set_variable("FORCED", forced.to_str().expect("it is text"));
    site.set_variable("LD_PRELOAD", counter.to_str().expect("it is text"));
    let mut running = site.start(["run", "--until-idle"]);
    // Each part has as long as other tests have for everything: a flush of a slow disk for each member would take longer.
    let mut looks = 0;
    for part in 1..=4 {
        wait_until(&format!("{part} of 4 parts are recorded"), || {
            looks += 1;
            !running.is_running() || looks % 50 == 0 && submissions(&site) >= part * 2_500
        });
    }
    let finished = running.wait();
    assert!(finished.status.success(), "{finished}");
    site.clear_variable("LD_PRELOAD");
    assert_eq!(rows(&site).len(), 10_000);
    assert_eq!(reason(&site, "night.zip"), "10000 members");
    assert_eq!(submissions(&site), 10_001);
    let forced = std::fs::read_to_string(forced).expect("the counter has told");
    let forced: u32 = forced.lines().map(|count| count.parse().unwrap_or(0)).sum();
    assert!(
        (1..2_000).contains(&forced),
        "10,000 members were forced to disk {forced} times"
    );
}

#[test]
fn members_expire_and_are_compared_like_other_files() {
    let retention =
        "[lake.retention]\nconverted = \"0s\"\npartials = \"0s\"\nrejects = \"0s\"\nsummaries = \"0s\"\n";
    let keys = format!("shrink_percent = 0\n{retention}");
    let site = site(&settings("shrink_percent = 0\n"));
    let archive = site.incoming().join("night.zip");
    let archive = archive.to_str().expect("it is text");
    let send = |amount: &str| {
        let members = [member("1", amount), member("2", "2.00")];
        pack(&site.incoming(), "night.zip", "zip", &[&members[0], &members[1]]);
    };
    send("1.00");
    run_until_idle(&site);
    send("5.00");
    let compared = site.run_ok(["check", "--diff", archive]);
    assert!(
        compared.contains("night.zip/IL-1.tdf") && compared.contains("1.00") && compared.contains("5.00"),
        "{compared}"
    );
    assert_eq!(
        rows(&site)[0],
        "1 COLA 2016-06-01 1.00 - -",
        "nothing was recorded"
    );
    run_until_idle(&site);

    // Of each member, the partial in force stays.
    site.write_settings(&settings(&keys));
    run_until_idle(&site);
    let kept = |folder: &str| {
        let walk = walk(&site.folder().join("lake").join(folder));
        walk.into_iter().filter(|path| path.contains("IL-")).count()
    };
    assert_eq!((kept("converted"), kept("partials")), (0, 2));
    // What has expired comes back when it is sent again.
    send("1.00");
    run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["1 COLA 2016-06-01 1.00 - -", "2 COLA 2016-06-01 2.00 - -"]
    );
    let compared = site.run_ok(["check", "--diff", archive]);
    assert!(compared.contains("night.zip/IL-2.tdf"), "{compared}");
}

/// Returns all files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    crate::formats::files_below(folder)
        .into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn an_archive_in_a_bucket_is_put_away_when_its_members_are_recorded() {
    let bucket = Bucket::start();
    let endpoint = bucket.server.endpoint();
    let after = format!("after = \"move\"\nmoved = \"s3://{BUCKET}/done\"");
    let source = format!(
        "[source]\nurl = \"s3://{BUCKET}/in\"\npoll = \"300ms\"\n{after}\n{}",
        buckets::reached("source", &endpoint)
    );
    let usual = "[source]\nurl = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n";
    let mut site = site(&settings("").replacen(usual, &source, 1));
    buckets::set_credentials(&mut site);
    let folder = site.folder().join("made");
    pack(
        &folder,
        "night.zip",
        "zip",
        &[&member("1", "1.00"), &member("2", "2.00")],
    );
    pack(&folder, "day.tar.gz", "gz", &[&member("3", "3.00")]);
    pack(
        &folder,
        "bad.zip",
        "zip",
        &[&member("4", "4.00"), "IL-5.tdf=no sales\\n"],
    );
    pack(&folder, "photos.zip", "zip", &["a.jpg=x"]);
    let names = ["night.zip", "day.tar.gz", "bad.zip", "photos.zip"];
    bucket.put_all(names.map(|name| {
        let bytes = std::fs::read(folder.join(name)).expect("it was written");
        (format!("in/{name}"), bytes)
    }));
    run_until_idle(&site);
    assert_eq!(rows(&site).len(), 4);
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    wait_until("all are moved", || {
        bucket.list("done") == set(&["day.tar.gz", "night.zip"])
    });
    assert_eq!(bucket.list("in"), set(&["bad.zip", "photos.zip"]));
    let open = "SELECT file_url FROM ingested_file_status WHERE put_away_timestamp IS NULL";
    assert_eq!(state(&site, open), [""; 0]);
    let before = submissions(&site);
    run_until_idle(&site);
    assert_eq!(submissions(&site), before);
}

#[test]
fn a_program_that_files_go_through_is_told_of_when_it_fails() {
    let through = |program: &str| format!("through = [{program}]\nthrough_limit = \"20s\"");
    let site = site(&settings(&through("\"sh\", \"-c\", \"echo no key >&2; exit 2\"")));
    let sale = |store: &str| support::line(store, "1.00", 4, "COLA", "2016-06-01");
    site.submit("IL-1.tdf", sale("1").replace("COLA", "cola"));
    pack(
        &site.incoming(),
        "night.zip",
        "zip",
        &["IL-2.tdf=2\\t1.00\\t4\\tcola\\t2016-06-01\\n"],
    );
    let file = site.incoming().join("IL-1.tdf");
    let checked = site.run(["check", file.to_str().expect("it is text")]);
    assert!(
        checked.stdout.contains("ended with status 2: no key"),
        "{checked}"
    );
    assert!(!site.run(["run", "--until-idle"]).status.success());
    let failed = "SELECT last_error FROM ingested_file_status WHERE last_update_status = 'FAILED'";
    let reasons = state(&site, failed);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].contains("sh -c echo no key >&2; exit 2 (through) ended with status 2: no key"),
        "{reasons:?}"
    );

    // With a program that works they are read: at the start, because the settings have changed, or by `retry`.
    site.write_settings(&settings(&through("\"tr\", \"a-z\", \"A-Z\"")));
    site.run_ok(["retry"]);
    run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["1 COLA 2016-06-01 1.00 - -", "2 COLA 2016-06-01 1.00 - -"]
    );
    let checked = site.run_ok(["check", file.to_str().expect("it is text")]);
    assert!(checked.contains("1 rows"), "{checked}");

    // An archive may come out of a program; its members then go through none.
    site.write_settings(&settings(&through("\"base64\", \"-d\"")));
    let folder = site.folder().join("made");
    pack(&folder, "IL-night.b64", "gz", &[&member("3", "3.00")]);
    let packed = Command::new("base64").arg(folder.join("IL-night.b64")).output();
    site.submit("IL-night.b64", packed.expect("base64 is there").stdout);
    // The others are read again, and are not what this program reads: what was loaded of them stays.
    assert!(!site.run(["run", "--until-idle"]).status.success());
    assert_eq!(rows(&site).len(), 3);
    assert!(
        files(&site).contains(&"IL-night.b64/IL-3.tdf VALIDATED".to_owned()),
        "{:?}",
        files(&site)
    );
}
