//! The triggers of a server do what those of SQLite do: the same statements touch the same waves, and both databases hold the
//! same afterwards.

use std::sync::Arc;

use gristmill_state::{Place, StateDb, TestClock};

use crate::place::new_place;
use crate::shell::Shell;

/// Numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn time(&mut self) -> String {
        let (day, second) = (self.below(10), self.below(10));
        format!("'2026-11-2{day}T08:15:0{second}.000000Z'")
    }

    fn day(&mut self) -> String {
        format!("'2026-11-0{}'", 1 + self.below(5))
    }
}

const FILES: u64 = 12;

/// Jobs and files, each file with two versions and a submission.
fn beginning(n: &mut Numbers) -> Vec<String> {
    let mut all = vec!["UPDATE lineage SET is_on = 1".to_owned()];
    all.extend(["A", "B", "C"].map(|job| {
        format!(
            "INSERT INTO aggr_job_configuration
                    (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
             VALUES ('{job}', 'f', '*', 1, 'all')"
        )
    }));
    all.push("INSERT INTO job_follows VALUES ('A', 'B')".to_owned());
    all.push("INSERT INTO job_requires VALUES ('p*', 'C')".to_owned());
    for file in 1..=FILES {
        let (feed, now) = (n.one_of(&["f", "g"]), n.time());
        all.push(format!(
            "INSERT INTO ingested_file_status
                    (file_id, file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp)
             VALUES ({file}, 'file {file}', '{feed}', 'SUBMITTED', {now}, {now})"
        ));
        let (job, day) = (n.one_of(&["A", "B", "C"]), n.day());
        all.push(format!(
            "INSERT INTO job_file VALUES ('{job}', {day}, {file}, NULL)"
        ));
        if file % 3 == 0 {
            all.push(format!("INSERT INTO required_file VALUES ('p*', '', {file})"));
        }
        for version in [2 * file, 2 * file + 1] {
            let (rows, ignored, rejects) = (n.below(9), n.below(9), n.below(9));
            all.push(format!(
                "INSERT INTO file_version
                        (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects,
                         drift_lines, accepted, created_timestamp)
                 VALUES ({version}, {file}, 'h{version}', 'l', {file}, {}, {rows}, {ignored}, 0, {rejects}, 0, 1, {now})",
                rows + ignored + rejects
            ));
        }
        all.push(format!(
            "INSERT INTO submission (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes,
                                     stamp_modified_ns, stamp_inode)
             VALUES ({file}, {file}, {}, 'VALIDATED', {now}, 1, 1, 1)",
            2 * file
        ));
    }
    all
}

/// What the service and people do, by chance. `number` is that of the step.
fn step(n: &mut Numbers, number: u64) -> Vec<String> {
    let (file, run) = (1 + n.below(FILES), n.below(number + 1));
    let (job, time, day) = (n.one_of(&["A", "B", "C"]), n.time(), n.day());
    let one = match n.below(17) {
        0 => format!(
            "UPDATE ingested_file_status
                SET version_id = {}, valid_submission_id = {file}, last_validated_timestamp = {time},
                    last_update_status = 'VALIDATED' WHERE file_id = {file}",
            2 * file + n.below(2)
        ),
        1 => format!(
            "UPDATE ingested_file_status SET feed = '{}' WHERE file_id % 3 = {}",
            n.one_of(&["f", "g", "h"]),
            n.below(3)
        ),
        2 => format!(
            "INSERT INTO file_day (store_id, trans_date, file_id, version_id, standing, since_submission, other_file_id)
             VALUES ('s', {day}, {file}, {}, '{}', 1, {}) ON CONFLICT DO NOTHING",
            2 * file,
            n.one_of(&["STANDS", "COUNTS", "WITHDRAWN"]),
            n.one_of(&["NULL", "1", "5", "9"])
        ),
        3 => format!(
            "UPDATE file_day SET standing = '{}' WHERE file_id = {file}",
            n.one_of(&["STANDS", "COUNTS"])
        ),
        4 => format!("DELETE FROM file_day WHERE trans_date = {day}"),
        5 | 6 => {
            let cause = n.one_of(&["preconditions", "manual"]);
            return vec![
                format!(
                    "INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest,
                                          as_of_submission, queued_timestamp)
                     VALUES ('r{number}', '{job}', {day}, {number}, 'QUEUED', '{cause}', 0, 'd', {file}, {time})
                     ON CONFLICT DO NOTHING"
                ),
                format!(
                    "INSERT INTO job_run_input (run_id, file_id, version_id, submission_id)
                     SELECT run_id, {file}, {}, {file} FROM job_run WHERE run_id = 'r{number}'",
                    2 * file
                ),
            ];
        }
        7 => format!(
            "UPDATE job_run SET state = 'RUNNING', attempts = attempts + 1, started_timestamp = {time}
              WHERE state = 'QUEUED' AND job_config_id = '{job}'"
        ),
        8 | 9 => format!(
            "UPDATE job_run SET state = 'COMPLETED', outcome = '{}', summarized_timestamp = started_timestamp,
                    finished_timestamp = {time}, rows_inserted = {file} WHERE state = 'RUNNING' AND job_config_id = '{job}'",
            n.one_of(&["LOADED", "UNCHANGED", "SUPERSEDED"])
        ),
        10 => format!(
            "UPDATE job_run SET state = 'FAILED', error = 'x', finished_timestamp = {time}
              WHERE state = 'RUNNING' AND job_config_id = '{job}'"
        ),
        11 => format!(
            "UPDATE job_run SET lost_timestamp = {} WHERE state = 'COMPLETED' AND job_config_id = '{job}'",
            n.one_of(&["NULL", &time])
        ),
        12 => format!(
            "UPDATE aggr_job_configuration SET {} WHERE job_config_id = '{job}'",
            match n.below(2) {
                0 => "job_enabled = 1 - job_enabled".to_owned(),
                _ => format!("job_input_pattern = 'y{number}'"),
            }
        ),
        13 => format!(
            "UPDATE file_version SET partial_removed_timestamp = {}, bytes = 100 + {number} WHERE file_id = {file}",
            n.one_of(&["NULL", &time])
        ),
        14 => format!(
            "UPDATE submission SET outcome = '{}' WHERE submission_id < {file}",
            n.one_of(&["UNCHANGED", "VALIDATED", "ACCEPTED"])
        ),
        15 => format!("DELETE FROM open_wave WHERE wave = {day}"),
        _ => {
            return vec![
                format!("DELETE FROM job_run_input WHERE run_id = 'r{run}'"),
                format!("DELETE FROM job_run WHERE run_id = 'r{run}'"),
                format!(
                    "INSERT INTO ingested_file_status
                            (file_id, file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp)
                     VALUES ({}, 'file {file}', 'g', 'FAILED', '2026-11-23T08:15:00.{number:06}Z', {time}),
                            ({}, 'new {number}', 'g', 'FAILED', {time}, {time})
                     ON CONFLICT (file_url) DO UPDATE
                        SET feed = excluded.feed, last_update_status = excluded.last_update_status,
                            last_update_timestamp = excluded.last_update_timestamp",
                    1000 + number,
                    2000 + number
                ),
                "DELETE FROM ingested_file_status WHERE file_url LIKE 'new %' AND file_id % 2 = 0".to_owned(),
            ];
        }
    };
    vec![one]
}

/// Returns a statement as a database reads it.
fn as_read_by(shell: &Shell, statement: &str) -> String {
    let Shell::MySql(_) = shell else {
        return statement.to_owned();
    };
    if let Some((insert, "")) = statement.split_once(" ON CONFLICT DO NOTHING") {
        return insert.replacen("INSERT", "INSERT IGNORE", 1);
    }
    let Some((insert, update)) = statement.split_once("ON CONFLICT (file_url) DO UPDATE") else {
        return statement.to_owned();
    };
    let update = update.trim_start().trim_start_matches("SET").split(',');
    let update = update.map(|assignment| assignment.replace("excluded.", "VALUES(") + ")");
    format!(
        "{insert} ON DUPLICATE KEY UPDATE {}",
        update.collect::<Vec<_>>().join(",")
    )
}

/// What a database holds afterwards.
const HELD: [&str; 13] = [
    "concat_ws('|', file_id, feed, last_update_status, version_id) FROM ingested_file_status",
    "concat_ws('|', file_id, version_id, trans_date, standing, is_older) FROM file_day",
    "concat_ws('|', run_id, state, outcome, attempts) FROM job_run",
    "concat_ws('|', file_id) FROM file_to_match",
    "concat_ws('|', job_config_id) FROM job_to_match",
    "concat_ws('|', feed, status, files) FROM tally_file",
    "concat_ws('|', feed, versions, bytes, rows, ignored, skipped, rejects) FROM tally_version",
    "concat_ws('|', outcome, submissions) FROM tally_submission",
    "concat_ws('|', state, cause, outcome, runs, inserted, updated, deleted, unchanged) FROM tally_run",
    "concat_ws('|', kind, CASE WHEN up_to > 1e9 THEN 'more' END, durations, CAST(seconds AS bigint)) FROM tally_duration",
    "concat_ws('|', run_id, event, at) FROM lineage_event",
    "concat_ws('|', who, action, job_config_id, before, after) FROM job_edit",
    "concat_ws('|', job_config_id, wave) FROM open_wave",
];

#[tokio::test]
async fn the_triggers_do_the_same_as_those_of_sqlite() {
    let clock = Arc::new(TestClock::new("2026-11-23T08:15:00.123456Z".parse().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let file = Place::File(folder.path().join("state.db"));
    let (server, _kept) = new_place();
    let mut shells = Vec::new();
    for place in [&file, &server] {
        StateDb::open(place, clock.clone()).await.unwrap();
        shells.push(Shell::open(place).await);
    }
    // Each statement commits, and nobody needs them after a crash.
    shells[0].execute("PRAGMA synchronous = OFF").await.unwrap();
    let mut n = Numbers(7);
    let mut statements = beginning(&mut n);
    statements.extend((1..=1000).flat_map(|number| step(&mut n, number)));
    let mut revisions = ["0".to_owned(), "0".to_owned()];
    for statement in &statements {
        let mut touched = Vec::new();
        for (shell, revision) in shells.iter_mut().zip(&mut revisions) {
            let statement = as_read_by(shell, statement);
            let done = shell.execute(&statement).await;
            done.unwrap_or_else(|error| panic!("{error}: {statement}"));
            let waves = format!(
                "SELECT concat_ws(' ', job_config_id, wave) FROM open_wave WHERE touched > {revision} ORDER BY 1"
            );
            touched.push(shell.column(&waves).await);
            let now = shell
                .column("SELECT CAST(number AS text) FROM revision WHERE of = 'waves'")
                .await;
            *revision = now.concat();
        }
        assert_eq!(touched[0], touched[1], "{statement}");
    }
    for what in HELD {
        let mut found = Vec::new();
        for shell in &mut shells {
            let mut rows = shell.column(&format!("SELECT {what}")).await;
            for row in &mut rows {
                // MariaDB puts spaces into JSON.
                *row = row.replace("\": ", "\":").replace(", \"", ",\"");
            }
            rows.sort_unstable();
            assert!(!rows.is_empty(), "{what}");
            found.push(rows);
        }
        assert_eq!(found[0], found[1], "{what}");
    }
}
