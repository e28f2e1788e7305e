//! SQL that means harm, put to the processes that answer criteria and questions: whatever it is, the process ends in time,
//! and nothing was written.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gristmill_testkit::gristmill::Site;

use crate::support::{self, SQLITE, line, settings, site};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-{store}.tdf\"\ntrigger = \"any\"\n";

/// What these processes are given, and what starting them may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(5 + 10);

/// The exit status of one whose time is up.
const TIME_IS_UP: i32 = 124;

/// Puts SQL to one of the hidden commands, as the service does.
fn put(site: &Site, command: &str, sql: &str) -> (Output, Duration) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gristmill"))
        .arg(command)
        .current_dir(site.folder())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is built");
    let mut input = child.stdin.take().expect("it is piped");
    let asked = serde_json::json!({ "answerer": { "File": "state.db" }, "sql": sql });
    input.write_all(asked.to_string().as_bytes()).expect("it listens");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    (output, began.elapsed())
}

/// The files in the site's folder that hold something. Beside a database that is read, SQLite puts an index in memory
/// (`-shm`), and an empty log.
fn contents(site: &Site) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(site.folder()).expect("the folder can be listed");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm"))
        .map(|path| {
            let bytes = fs::read(&path).expect("the file can be read");
            (path.to_string_lossy().into_owned(), bytes)
        })
        .filter(|(name, bytes)| !bytes.is_empty() || name.contains("harm"))
        .collect();
    files.sort();
    files
}

#[test]
fn harmful_sql_ends_in_time_and_leaves_nothing_behind() {
    let site = site(&settings(SQLITE, JOB));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "BUN", "2026-03-01"));
    support::run_until_idle(&site);
    let before = contents(&site);
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let endless = [
        format!("{many} SELECT max(i) FROM n"),
        format!("{many} SELECT count(*) FROM n a, n b, n c"),
        // One instruction, within which nothing interrupts SQLite.
        "SELECT 1 WHERE instr(hex(zeroblob(15000000)), hex(zeroblob(7000000)) || '1') > 0".to_owned(),
    ];
    let greedy = [
        "SELECT length(randomblob(900000000))".to_owned(),
        "SELECT zeroblob(1000000000) AS z ORDER BY z || 'x'".to_owned(),
        format!("{many} SELECT group_concat(hex(randomblob(100000))) FROM n"),
    ];
    let writing = [
        "ATTACH 'harm.db' AS h",
        "VACUUM INTO 'harm.db'",
        "PRAGMA journal_mode = DELETE",
        "SELECT writefile('harm.txt', 'x')",
        "SELECT readfile('gristmill.toml')",
        "SELECT load_extension('./harm.so')",
        "WITH x AS (SELECT 1) DELETE FROM submission",
        "SELECT 1; DELETE FROM submission",
        "DROP TABLE submission",
    ];
    thread::scope(|scope| {
        for command in ["answer-criterion", "answer-query"] {
            for sql in endless.iter().chain(&greedy) {
                let site = &site;
                scope.spawn(move || {
                    let (output, took) = put(site, command, sql);
                    assert!(took < LIMIT, "{command} {sql}: {took:?}");
                    let told = String::from_utf8_lossy(&output.stdout);
                    assert!(
                        output.status.code() == Some(TIME_IS_UP) || told.contains("Err"),
                        "{command} {sql}: {output:?}"
                    );
                });
            }
        }
    });
    for command in ["answer-criterion", "answer-query"] {
        for sql in writing {
            let (output, _) = put(&site, command, sql);
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(told.contains("Err"), "{command} {sql}: {output:?}");
        }
    }
    assert!(contents(&site) == before, "something was written");
}
