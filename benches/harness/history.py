"""A history that nobody has to live through: known files, their versions and days, and the runs over them, written with SQL.

The state database is made by gristmill itself, which has read one file; the history repeats that file's version under other names.
Its partials are not in the lake, and no run reads them: what is measured is how long it takes to find out what there is to do.
"""

import datetime
import sqlite3

from .service import job

STORES = 50
FIRST_DAY = datetime.date(2023, 1, 1)
TIME = "2026-01-01T00:00:00.000000Z"
AT_ONCE = 20_000


def days(count):
    return [FIRST_DAY + datetime.timedelta(days=day) for day in range(count)]


def jobs(dated, plain, stores=STORES):
    """Jobs by day, whose waves are the history; and jobs of one file each, which are there as well."""
    by_day = [job(f"D{number:05}", f"D{number:05}/{{date}}-{{store}}.tdf", stores) for number in range(dated)]
    return by_day + [job(f"S{number:05}", f"S{number:05}-{{store}}.tdf", 1) for number in range(plain)]


def fill(state, dated, days, stores=STORES, time=lambda day: TIME, named=lambda number, store: str(store)):
    """Writes the waves of the dated jobs: each day, each store has sent its file, and a run has read all of them.

    `time` says when the files of a day came, `named` which store the name of a job's file says.
    """
    database = sqlite3.connect(state, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    layout = database.execute("SELECT layout_digest FROM file_version LIMIT 1").fetchone()[0]
    first = database.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0] + 1
    waves = [(number, day) for number in range(dated) for day in days]
    for at in range(0, len(waves), AT_ONCE // stores):
        add(database, waves[at : at + AT_ONCE // stores], first + at * stores, layout, stores, time, named)
    database.close()
    return len(waves) * stores


def load(warehouse, state):
    """Enters the runs of the history in the warehouse's ledger, as if they had been loaded."""
    database = sqlite3.connect(warehouse)
    target = database.execute("SELECT target FROM gristmill_ledger LIMIT 1").fetchone()[0]
    database.execute("ATTACH ? AS state", (str(state),))
    database.execute(
        "INSERT OR IGNORE INTO gristmill_ledger (run_id, target, scope, sequence, rows, digest) "
        "SELECT run_id, ?, job_config_id || '/' || wave, sequence, 0, '' FROM state.job_run WHERE wave <> ''",
        (target,),
    )
    database.commit()
    database.close()


def add(database, waves, first, layout, stores, time, named):
    files, versions, submissions, version_days, file_days, runs, inputs = [], [], [], [], [], [], []
    for place, (number, day) in enumerate(waves):
        name, base, at = f"D{number:05}", first + place * stores, time(day)
        run = f"{name}-{day}"
        for store in range(stores):
            file, code = base + store, f"{number:05}{store:03}"
            in_name = named(number, store)
            path = f"{name}/{day}-{in_name}.tdf"
            files.append((file, path, "sales", in_name, str(day), "VALIDATED", at, at, at, file, file, 1, 1, 1))
            versions.append((file, file, f"{file:064x}", layout, 100, 8, 8, 0, 0, 0, 0, str(day), str(day), 1, 1, at))
            submissions.append((file, file, file, "VALIDATED", at, 1, 1, 1, 1))
            version_days.append((file, code, str(day), 8, 100))
            file_days.append((code, str(day), file, file, "STANDS", file))
            inputs.append((run, file, file, file))
        sequence, newest = base, base + stores - 1
        runs.append((run, name, str(day), sequence, "COMPLETED", "preconditions", 0, 100.0, run, newest, at, at, at, "LOADED"))
    database.execute("BEGIN")
    insert = lambda table, columns, rows: database.executemany(
        f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(rows[0]))})", rows
    )
    insert(
        "ingested_file_status",
        "file_id, file_url, feed, store_id, business_date, last_update_status, last_update_timestamp, submitted_timestamp, "
        "last_validated_timestamp, version_id, valid_submission_id, stamp_bytes, stamp_modified_ns, stamp_inode",
        files,
    )
    insert(
        "file_version",
        "version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects, drift_lines, first_date, "
        "last_date, accepted, days_counted, created_timestamp",
        versions,
    )
    insert(
        "submission",
        "submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode, written_ns",
        submissions,
    )
    insert("version_day", "version_id, store_id, trans_date, lines, turnover", version_days)
    insert("file_day", "store_id, trans_date, file_id, version_id, standing, since_submission", file_days)
    insert(
        "job_run",
        "run_id, job_config_id, wave, sequence, state, cause, incomplete, completeness_percent, inputs_digest, as_of_submission, "
        "queued_timestamp, started_timestamp, finished_timestamp, outcome",
        runs,
    )
    insert("job_run_input", "run_id, file_id, version_id, submission_id", inputs)
    database.execute("COMMIT")
