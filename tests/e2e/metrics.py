"""Audits a scrape of /metrics: reads it with prometheus_client's parser, and counts the same in the state database.

Usage: metrics.py SCRAPE STATE_DATABASE [EARLIER_SCRAPE]

Prints "ok" and how many series were compared, or what differs. Counters of an earlier scrape must not be higher.
"""

import sqlite3
import sys
from collections import Counter, defaultdict
from datetime import datetime

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def series(path):
    """Every sample of a scrape by its name and labels, and the names of those that only grow."""
    values, growing = {}, set()
    for family in text_string_to_metric_families(open(path, encoding="utf-8").read()):
        assert family.documentation, f"{family.name} has no help"
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in values, f"{key} occurs twice"
            values[key] = sample.value
            if family.type == "counter" or (family.type == "histogram" and sample.name.endswith(("_bucket", "_count"))):
                growing.add(key)
    return values, growing


def key(name, **labels):
    return (name, tuple(sorted(labels.items())))


def truth(db):
    """What the scrape has to tell, counted row by row."""
    told = Counter()
    feeds = {}
    for file_id, feed, status, held in db.execute(
        "SELECT file_id, feed, last_update_status, held_version_id IS NOT NULL FROM ingested_file_status"
    ):
        feeds[file_id] = feed
        told[key("gristmill_files", feed=feed, status=status)] += 1
        told[key("gristmill_held")] += held
    told[key("gristmill_held")] += len(db.execute("SELECT 1 FROM file_day WHERE standing = 'HELD'").fetchall())
    for (outcome,) in db.execute("SELECT outcome FROM submission"):
        told[key("gristmill_submissions_total", outcome=outcome)] += 1
    for file_id, size, rows, ignored, skipped, rejects in db.execute(
        "SELECT file_id, bytes, rows, ignored, skipped, rejects FROM file_version"
    ):
        feed = feeds[file_id]
        told[key("gristmill_versions_total", feed=feed)] += 1
        told[key("gristmill_read_bytes_total", feed=feed)] += size
        for fate, lines in [("row", rows), ("ignored", ignored), ("skipped", skipped), ("reject", rejects)]:
            told[key("gristmill_lines_total", feed=feed, fate=fate)] += lines
    durations = defaultdict(list)
    moment = datetime.fromisoformat
    for row in db.execute("SELECT * FROM job_run"):
        run = {name: row[name] for name in row.keys()}
        state, outcome = run["state"], run["outcome"]
        if state in ("QUEUED", "RUNNING"):
            told[key("gristmill_runs", state=state)] += 1
        else:
            labels = {"state": state, "cause": run["cause"], "outcome": outcome or ""}
            told[key("gristmill_runs_ended_total", **labels)] += 1
        for change in ("inserted", "updated", "deleted", "unchanged"):
            told[key("gristmill_loaded_rows_total", change=change)] += run[f"rows_{change}"] or 0
        if state != "COMPLETED" or outcome == "UNCHANGED":
            continue
        started, summarized, finished = (
            run[f"{name}_timestamp"] and moment(run[f"{name}_timestamp"].replace("Z", "+00:00"))
            for name in ("started", "summarized", "finished")
        )
        durations["run_duration"].append(finished - started)
        if outcome == "LOADED" and summarized:
            durations["merge_duration"].append(summarized - started)
            durations["load_duration"].append(finished - summarized)
        if outcome == "LOADED" and run["cause"] in ("preconditions", "deadline", "retry"):
            (newest,) = db.execute(
                "SELECT max(submitted_timestamp) FROM submission WHERE submission_id IN"
                " (SELECT submission_id FROM job_run_input WHERE run_id = ?)",
                [run["run_id"]],
            ).fetchone()
            durations["lag"].append(finished - moment(newest.replace("Z", "+00:00")))
    for kind, took in durations.items():
        told[key(f"gristmill_{kind}_seconds_count")] = len(took)
        told[key(f"gristmill_{kind}_seconds_sum")] = sum(duration.total_seconds() for duration in took)
        told[key(f"gristmill_{kind}_seconds_bucket", le="3600.0")] = len(took)
    for job, status in db.execute("SELECT job_config_id, last_exec_status FROM aggr_job_configuration"):
        told[key("gristmill_province_failed", province=job)] = status == "FAILED"
    (told[key("gristmill_unmatched_files")],) = db.execute("SELECT count(*) FROM unmatched_file").fetchone()
    return told


def main():
    values, _ = series(sys.argv[1])
    db = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    told = truth(db)
    wrong = []
    for name, labels in told:
        expected, found = told[name, labels], values.get((name, labels), 0)
        # Each duration is counted to the millisecond.
        if abs(expected - found) > (0.1 if name.endswith("_sum") else 0):
            wrong.append(f"{name}{dict(labels)} is {found}, and should be {expected}")
    audited = {name for name, _ in told}
    for name, labels in values:
        if name in audited and (name, labels) not in told and values[name, labels] and not name.endswith("_bucket"):
            wrong.append(f"{name}{dict(labels)} is {values[name, labels]}, and the database has none")
    if len(sys.argv) > 3:
        earlier, growing = series(sys.argv[3])
        for name, labels in growing:
            # Only these begin anew with each start.
            if name.startswith(("gristmill_conversion_", "gristmill_retries_")):
                continue
            if values.get((name, labels), 0) < earlier[name, labels]:
                wrong.append(f"{name}{dict(labels)} went back from {earlier[name, labels]}")
    print("\n".join(wrong) or f"ok: {len(told)}")


main()
