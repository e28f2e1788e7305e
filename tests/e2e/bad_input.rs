//! Bad input never ends the program, is never lost silently, and keeps nothing good from being loaded.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use gristmill_testkit::gristmill::{Finished, Site};
use gristmill_testkit::oracle::Row;
use gristmill_testkit::venv;

use crate::formats;
use crate::support::{SQLITE, json, settings, site, sqlite_rows};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*\"\ntrigger = \"any\"\n";

fn mill() -> Site {
    site(&settings(SQLITE, JOB))
}

/// A good file of one line.
fn good(store: &str) -> String {
    format!("{store}\t1.25\t4\tBUN\t2026-03-01\n")
}

/// What the warehouse holds of it.
fn row(store: &str) -> Row {
    Row {
        store_id: store.into(),
        item_id: "BUN".into(),
        trans_date: "2026-03-01".into(),
        sale_amount: Some("1.25".into()),
        tax_amount: None,
        discount_amount: None,
    }
}

/// A command has ended by itself: neither a panic nor a signal, which a panic becomes in the binary under test.
fn has_not_panicked(finished: &Finished) {
    assert!(
        finished.status.code().is_some() && !finished.stderr.contains("panicked"),
        "{finished}"
    );
}

/// Runs until idle, and expects this exit status.
fn run(site: &Site, status: i32) -> Finished {
    let finished = site.run(["run", "--until-idle"]);
    has_not_panicked(&finished);
    assert_eq!(finished.status.code(), Some(status), "{finished}");
    finished
}

/// The status of a file and the reason for it, as `files` tells them; none if it is not listed.
fn told(site: &Site, path: &str) -> Option<(String, String)> {
    let files = json(&site.run_ok(["files", "--json"]));
    let file = files
        .as_array()
        .expect("a list")
        .iter()
        .find(|file| file["file_url"] == path)?;
    let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("last_error")))
}

/// Bytes without any order, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn a_file_without_a_good_line_is_rejected_with_a_reason_and_good_files_beside_it_are_loaded() {
    let site = mill();
    let utf16: Vec<u8> = good("S1")
        .repeat(50)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let with_nul = good("S\x001").repeat(50);
    let latin = [&b"S\xE9\t1.25\t4\tBUN\t2026-03-01\n"[..]; 50].concat();
    let cases: [(&str, &[u8], bool); 8] = [
        ("IL-empty.tdf", b"", false),
        ("IL-noise.tdf", b"-- closed\n\n   \n-- on Mondays\n", false),
        ("IL-newlines.tdf", b"\n\r\n\n", false),
        ("IL-bom.tdf", b"\xEF\xBB\xBF", false),
        ("IL-garbage.tdf", &noise(300_000), true),
        ("IL-utf16.tdf", &utf16, true),
        ("IL-nul.tdf", with_nul.as_bytes(), true),
        ("IL-latin.tdf", &latin, true),
    ];
    for (name, bytes, _) in cases {
        site.submit(name, bytes);
    }
    site.submit("IL-good.tdf", good("S7"));
    let finished = run(&site, 0);
    assert!(
        finished.stdout.contains("1 validated, 0 unchanged, 8 rejected"),
        "{finished}"
    );
    assert_eq!(sqlite_rows(&site), [row("S7")]);
    for (name, _, has_rejects) in cases {
        let (status, reason) = told(&site, name).expect(name);
        assert_eq!(status, "REJECTED", "{name}");
        assert!(!reason.is_empty(), "{name} has no reason");
        assert!(finished.stderr.contains(name), "{name} is not in the log");
        let rejects = site.run(["rejects", name, "--json"]);
        has_not_panicked(&rejects);
        let rejects = json(&rejects.stdout);
        assert_eq!(
            !rejects.as_array().expect("a list").is_empty(),
            has_rejects,
            "{name}"
        );
        let shown = site.run_ok(["rejects", name]);
        assert!(shown.contains("is rejected as a whole"), "{shown}");
        let checked = site.run(["check", &format!("incoming/{name}")]);
        assert_eq!(checked.status.code(), Some(1), "{checked}");
    }
    let aggregated = site.run(["aggregate", "incoming", "-o", "out.parquet"]);
    assert_eq!(aggregated.status.code(), Some(1), "{aggregated}");
    assert_eq!(
        crate::support::parquet_rows(&site.folder().join("out.parquet")),
        [row("S7")]
    );
}

#[test]
fn any_name_that_is_text_is_taken_and_shown_in_one_line() {
    let long = [("x", 248), ("%", 248), ("é", 124), ("🍔", 62)]
        .map(|(character, count)| format!("IL-{}.tdf", character.repeat(count)));
    let odd = [
        "IL-'quote'.tdf",
        "IL-\"double\".tdf",
        "IL- a b .tdf",
        "IL-line\nfeed.tdf",
        "IL-tab\tand\x1b[31m.tdf",
        "IL-%2F#?&.tdf",
        "IL-é☃.tdf",
        "IL-;DROP TABLE file_version;--.tdf",
        "IL-\\.tdf",
    ];
    let names: Vec<&str> = odd.into_iter().chain(long.iter().map(String::as_str)).collect();
    let site = mill();
    for (number, name) in names.iter().enumerate() {
        site.submit(name, good(&format!("S{number}")));
    }
    run(&site, 0);
    let mut expected: Vec<_> = (0..names.len())
        .map(|number| row(&format!("S{number}")))
        .collect();
    expected.sort();
    assert_eq!(sqlite_rows(&site), expected);
    for (number, name) in names.iter().enumerate() {
        assert_eq!(told(&site, name).expect(name).0, "VALIDATED");
        assert_eq!(site.run_ok(["rejects", name]), "No rejects.\n");
        let traced = json(&site.run_ok(["trace", &format!("S{number}"), "BUN", "2026-03-01", "--json"]));
        assert_eq!(traced["files"][0]["path"], *name);
    }
    let listed = site.run_ok(["files"]);
    assert_eq!(listed.lines().count(), 2 + names.len(), "{listed}");
    assert!(!listed.contains('\x1b'), "{listed:?}");
}

#[test]
fn a_name_that_is_not_text_is_told_once_and_stays_known() {
    let site = mill();
    site.submit(OsStr::from_bytes(b"IL-caf\xE9.tdf"), good("S1"));
    site.submit("IL-2.tdf", good("S2"));
    run(&site, 1);
    assert_eq!(sqlite_rows(&site), [row("S2")]);
    let (status, reason) = told(&site, r"IL-caf\xE9.tdf").expect("it is listed");
    assert_eq!(status, "FAILED");
    assert!(
        reason.contains("not UTF-8") && reason.contains("rename"),
        "{reason}"
    );
    // Nothing new: the next run has nothing to fail at.
    run(&site, 0);
}

#[test]
fn what_only_looks_like_a_file_holds_nothing_up() {
    let site = mill();
    let incoming = site.incoming();
    fs::create_dir(incoming.join("IL-folder.tdf")).expect("the source can be written");
    fs::write(incoming.join("IL-folder.tdf/part"), good("S1")).expect("the source can be written");
    symlink("nowhere", incoming.join("IL-dangling.tdf")).expect("the source can be written");
    symlink("IL-loop.tdf", incoming.join("IL-loop.tdf")).expect("the source can be written");
    symlink("/dev/zero", incoming.join("IL-zero.tdf")).expect("the source can be written");
    let fifo = Command::new("mkfifo").arg(incoming.join("IL-fifo.tdf")).status();
    assert!(
        fifo.is_ok_and(|status| status.success()),
        "mkfifo is part of every system"
    );
    site.submit("IL-2.tdf", good("S2"));
    run(&site, 0);
    assert_eq!(sqlite_rows(&site), [row("S2")]);
    let checked = site.run(["check", "incoming/IL-folder.tdf"]);
    has_not_panicked(&checked);
    assert_eq!(checked.status.code(), Some(1), "{checked}");
    let aggregated = site.run(["aggregate", "incoming/IL-dangling.tdf", "-o", "out.parquet"]);
    assert_eq!(aggregated.status.code(), Some(1), "{aggregated}");
    assert!(aggregated.stderr.contains("IL-dangling.tdf"), "{aggregated}");
}

/// Runs until idle under a watch, and tells the most memory that the process held, in KiB.
fn peak_of_run(site: &Site) -> u64 {
    const WATCH: &str = "import resource, subprocess, sys\n\
        status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
        print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let output = Command::new(venv::python())
        .args([
            "-c",
            WATCH,
            env!("CARGO_BIN_EXE_gristmill"),
            "run",
            "--until-idle",
        ])
        .current_dir(site.folder())
        .output()
        .expect("the tests' Python runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (status, peak) = text.trim().split_once(' ').expect("the watch prints two numbers");
    assert_eq!(status, "0", "{}", String::from_utf8_lossy(&output.stderr));
    peak.parse().expect("a number of KiB")
}

#[test]
fn a_line_of_100_mb_takes_no_memory_to_speak_of() {
    let usual = mill();
    usual.submit("IL-1.tdf", good("S1").repeat(1000));
    let small = peak_of_run(&usual);

    let site = mill();
    let line = vec![b'x'; 100 << 20];
    // One line is too long among many, and one is all there is.
    site.submit(
        "IL-1.tdf",
        [
            good("S1").repeat(1000).as_bytes(),
            &line,
            b"\n",
            good("S1").as_bytes(),
        ]
        .concat(),
    );
    site.submit("IL-2.tdf", &line);
    drop(line);
    let large = peak_of_run(&site);
    assert!(
        large < small + (60 << 10) && large < (300 << 10),
        "{large} KiB, and {small} KiB without the long lines"
    );
    let rejects = json(&site.run_ok(["rejects", "IL-1.tdf", "--json"]));
    assert_eq!(rejects.as_array().expect("a list").len(), 1);
    assert_eq!(rejects[0]["line_number"], 1001);
    assert_eq!(told(&site, "IL-2.tdf").expect("it is listed").0, "REJECTED");
    let expected = Row {
        sale_amount: Some("1251.25".into()),
        ..row("S1")
    };
    assert_eq!(sqlite_rows(&site), [expected]);
}

const TRAPS: &str = r#"
[[feed]]
name = "sales"
files = "**/*-*"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }

[[feed.profile]]
name = "workbooks"
files = "XL-*"
format = "xlsx"

[[feed.profile]]
name = "json"
files = "JS-*"
format = "json"

[[feed.profile]]
name = "tables"
files = "DB-*"
format = "dbf"

[[feed.profile]]
name = "parquet"
files = "PQ-*"
format = "parquet"
"#;

#[test]
fn files_that_claim_or_hold_far_more_than_they_are_take_little_memory() {
    let site = site(&formats::settings(TRAPS));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/traps.py");
    let written = Command::new(venv::python())
        .arg(script)
        .arg(site.incoming())
        .status();
    assert!(
        written.is_ok_and(|status| status.success()),
        "the traps are written"
    );
    let peak = peak_of_run(&site);
    assert!(peak < (256 << 10), "{peak} KiB");
    for (file, reason) in [
        ("DB-lies.dbf", "it was cut"),
        ("IL-gzip.tdf", "over 200 times its own size"),
        ("IL-zip.tdf", "over 200 times its own size"),
        ("IL-zstd.tdf", "over 200 times its own size"),
        ("JS-deep.json", "are rejects"),
        ("PQ-lies.parquet", "damaged"),
        (
            "XL-corner.xlsx",
            "row 1048576 of its sheet has a cell in column 16384",
        ),
        ("XL-strings.xlsx", "over 48 MiB of texts"),
    ] {
        let (status, told) = told(&site, file).expect("it is listed");
        assert_eq!(status, "REJECTED", "{file}: {told}");
        assert!(told.contains(reason), "{file}: {told}");
    }
}

/// Makes the site belong to a user who is not root, for whom no file is closed, and gives a program that runs the
/// binary as that user. Where the tests run as another user already, that is the binary itself.
fn binary_of_a_common_user(site: &Site) -> std::path::PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_gristmill"));
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        return binary.to_owned();
    }
    let id = |flag: &str| {
        let output = Command::new("id")
            .args([flag, "nobody"])
            .output()
            .expect("id runs");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse::<u32>()
            .expect("there is a user nobody")
    };
    let (user, group) = (id("-u"), id("-g"));
    for path in ["", "incoming", "gristmill.toml"] {
        chown(site.folder().join(path), Some(user), Some(group)).expect("root may give a file away");
    }
    // The binary may lie where that user cannot look: it is opened before the rights are given up.
    let script = site.folder().join("as-nobody");
    let text = format!(
        "#!/bin/sh\nexec 3< '{}'\nexec setpriv --reuid={user} --regid={group} --clear-groups --inh-caps=-all \
         /proc/self/fd/3 \"$@\"\n",
        binary.display()
    );
    fs::write(&script, text).expect("the site can be written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the site can be written");
    script
}

/// Runs another binary than the site's own, to its end.
fn run_as(binary: &Path, site: &Site, arguments: &[&str]) -> Finished {
    let output = Command::new(binary)
        .args(arguments)
        .current_dir(site.folder())
        .output()
        .expect("the binary runs");
    let finished = Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    has_not_panicked(&finished);
    finished
}

#[test]
fn a_folder_that_may_not_be_read_is_told_and_is_no_success() {
    let site = mill();
    let closed = site.incoming().join("closed");
    fs::create_dir(&closed).expect("the source can be written");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("the mode can be set");
    let binary = binary_of_a_common_user(&site);
    let finished = run_as(&binary, &site, &["run", "--until-idle"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert!(
        finished
            .stdout
            .contains("1 folders of the source could not be read"),
        "{finished}"
    );
    assert!(finished.stderr.contains("closed"), "{finished}");
}

#[test]
fn a_file_that_may_not_be_read_is_failed_with_its_remedy_and_retried_on_request() {
    let site = mill();
    let closed = site.submit("IL-1.tdf", good("S1"));
    site.submit("IL-2.tdf", good("S2"));
    let open =
        |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    open(0o000);
    fs::set_permissions(
        site.incoming().join("IL-2.tdf"),
        fs::Permissions::from_mode(0o644),
    )
    .expect("the mode can be set");
    let binary = binary_of_a_common_user(&site);
    let gristmill = |arguments: &[&str]| run_as(&binary, &site, arguments);

    let finished = gristmill(&["run", "--until-idle"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert_eq!(sqlite_rows(&site), [row("S2")]);
    let files = json(&gristmill(&["files", "--status", "failed", "--json"]).stdout);
    assert_eq!(files.as_array().expect("a list").len(), 1);
    assert_eq!(files[0]["file_url"], "IL-1.tdf");
    let reason = files[0]["last_error"].as_str().expect("a reason");
    assert!(
        reason.contains("Permission denied")
            && reason.contains("right to read")
            && reason.contains("gristmill retry"),
        "{reason}"
    );

    open(0o644);
    let retried = gristmill(&["retry", "IL-1.tdf"]);
    assert_eq!(retried.status.code(), Some(0), "{retried}");
    assert_eq!(sqlite_rows(&site), [row("S1"), row("S2")]);
}
