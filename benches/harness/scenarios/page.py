"""The status page with 120,000 files, 1,000 jobs and 30 days of runs: how long each page takes, and what 50 open tabs cost.

Times are those of a client on the same machine, over one connection, one request after the other. The metrics are kept for 5
seconds by the server, so each of their requests waits that long. While the tabs are open, a file and a run of the
state database change every second, so that most of them have something to show.
"""

import datetime
import http.client
import re
import sqlite3
import threading
import time
import urllib.parse

from .. import history, provinces, table
from ..goal import Goal
from ..measure import Failed, Meter, tail
from ..service import PATIENCE, Installation
from ..stats import percentile
from ..workspace import say
from . import Outcome

JOBS, DAYS, STORES = 1_000, 30, 4
REQUESTS, SCRAPES, KEPT = 100, 10, 5.2
TABS, SECONDS, SETTLING = 50, 60, 10
NEEDED_MS, NEEDED_PERCENT = 100, 2


def run(bench):
    jobs = bench.count(JOBS, least=4)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    days = [today - datetime.timedelta(days=day) for day in reversed(range(DAYS))]
    source = bench.workspace.folder("source")
    installation = Installation(bench.workspace, source, 0, jobs=history.jobs(jobs, 1, STORES))
    (source / "S00000-1.tdf").write_text(provinces.lines("s0"))
    installation.run_until_idle(bench.log("run"))
    files = 1 + history.fill(installation.state, jobs, days, STORES, lambda day: f"{day}T06:00:00.000000Z", named)
    history.load(installation.warehouse, installation.state)
    say(f"{files:,} files are known; they are matched with {jobs:,} jobs once")
    installation.run_until_idle(bench.log("run"))
    installation.start(bench.log("service"), "--http", "127.0.0.1:0")
    try:
        address = wait_until_ready(installation)
        spans = {name: times(address, path, REQUESTS) for name, path in pages(jobs, today).items()}
        spans["metrics"] = times(address, "/metrics", max(2, bench.count(SCRAPES)), pause=KEPT)
        open_tabs = tabs(bench, installation, address, jobs, today)
    finally:
        installation.stop()
    return outcome(files, jobs, spans, open_tabs)


def named(number, store):
    """Each job has stores of its own."""
    return f"{number:05}{store:03}"


def pages(jobs, today):
    """The addresses that are measured, by name."""
    job, store = f"D{jobs // 2:05}", named(jobs // 2, 1)
    file, run = f"{job}/{today}-{store}.tdf", f"{job}-{today}"
    ask = lambda at, **query: f"{at}?{urllib.parse.urlencode(query)}"
    return {
        "Today": "/",
        "Today, page 3": ask("/", page=3),
        "Today, one province": ask("/", q=job),
        "Files": "/files",
        "Files, page 50": ask("/files", page=50),
        "Files, by name": ask("/files", q=job),
        "Files, held": ask("/files", status="held"),
        "Files, of a store": ask("/files", store=store),
        "a file": ask("/file", path=file),
        "Jobs": "/jobs",
        "a job": f"/jobs/{job}",
        "Runs": "/runs",
        "a run": f"/runs/{run}",
        "Stores × days": ask("/stores", job=job),
        "a store": ask("/store", store=store),
        "Row": "/row",
        "SQL": "/sql",
        "SQL, a question": ask("/sql", q="SELECT status, count(*) FROM files GROUP BY status"),
        "API: status": "/api/status",
    }


def times(address, path, count, pause=0):
    """The seconds that each of some requests took."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    spans = []
    for number in range(count):
        if number:
            time.sleep(pause)
        start = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        spans.append(time.perf_counter() - start)
        if response.status != 200:
            raise Failed(f"{path} answers {response.status}")
    connection.close()
    return spans


def tabs(bench, installation, address, jobs, today):
    """What the service costs with open tabs, and without, in percent of a core; and how many parts the tabs were sent."""
    change = changes(jobs, today)
    alone = busy(installation, change, bench.count(SECONDS, least=20))
    job, store = f"D{jobs // 2:05}", named(jobs // 2, 1)
    of_job = [f"/jobs/{job}", f"/stores?job={job}", f"/runs/{job}-{today}", f"/store?store={store}"]
    shown = ["/", "/?page=2", "/files", "/files?page=2", "/jobs", "/runs", *of_job]
    streams = [Tab(address, shown[number % len(shown)]) for number in range(TABS)]
    try:
        time.sleep(min(SETTLING, SECONDS * bench.scale + 2))
        sent = sum(tab.parts for tab in streams)
        together = busy(installation, change, bench.count(SECONDS, least=20))
        sent = sum(tab.parts for tab in streams) - sent
        if not all(tab.is_open for tab in streams):
            raise Failed("a tab was closed")
    finally:
        for tab in streams:
            tab.close()
    return {"alone": alone, "together": together, "parts": sent}


def changes(jobs, today):
    """Returns what changes the state database for the given time: a file and a run as several pages show them."""
    run = f"D{jobs // 2:05}-{today}"

    def change(database, number):
        database.execute("UPDATE ingested_file_status SET last_error = ? WHERE file_id = 1", (f"change {number}",))
        database.execute(
            "UPDATE job_run SET rows_inserted = ?, rows_updated = 0, rows_deleted = 0, rows_unchanged = 0 WHERE run_id = ?",
            (number, run),
        )

    return change


def busy(installation, change, seconds):
    """The share of a core, in percent, that the service takes while its state database changes every second."""
    meter = Meter(installation.service.pid)
    start = time.perf_counter()
    database = sqlite3.connect(installation.state, isolation_level=None, timeout=30)
    number = 0
    while time.perf_counter() - start < seconds:
        number += 1
        change(database, number)
        time.sleep(max(0, start + number - time.perf_counter()))
    database.close()
    cost = meter.cost(time.perf_counter() - start)
    return 100 * cost.cpu / cost.wall


class Tab:
    """An open page: a stream of events, read by a thread of its own."""

    def __init__(self, address, path):
        self.connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        self.connection.request("GET", f"/live?{urllib.parse.urlencode({'at': path, 'have': ''})}")
        self.response = self.connection.getresponse()
        if self.response.status != 200:
            raise Failed(f"/live of {path} answers {self.response.status}")
        self.parts, self.is_open, self.is_closing = 0, True, False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while line := self.response.readline():
                self.parts += line.startswith(b"event: part")
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.is_open = self.is_closing

    def close(self):
        self.is_closing = True
        if self.connection.sock:
            self.connection.sock.shutdown(2)
        self.thread.join(10)
        self.connection.close()


def wait_until_ready(installation):
    """Waits until everything was listed and matched; returns the address of the page."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = re.search(r"status page at http://(\S+)", installation.log.read_text(errors="replace"))
        if found and is_ready(found[1]):
            return found[1]
        if installation.service.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"the service does not start: {tail(installation.log)}")
        time.sleep(0.1)


def is_ready(address):
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def outcome(files, jobs, spans, open_tabs):
    milliseconds = lambda seconds: f"{seconds * 1000:.1f} ms"
    rows = [
        [name, milliseconds(of[0]), milliseconds(percentile(of, 50)), milliseconds(percentile(of, 99))]
        for name, of in spans.items()
    ]
    more = open_tabs["together"] - open_tabs["alone"]
    goals = [
        Goal(f"{name}, p99", percentile(of, 99) * 1000, NEEDED_MS, at_most=True, unit=" ms") for name, of in spans.items()
    ]
    goals.append(Goal(f"CPU of {TABS} open tabs", more, NEEDED_PERCENT, at_most=True, unit=" % of a core"))
    costs = [
        ["without a tab", f"{open_tabs['alone']:.2f} %", ""],
        [f"with {TABS} tabs", f"{open_tabs['together']:.2f} %", f"{open_tabs['parts']:,} parts sent"],
    ]
    title = f"Page: {files:,} files, {jobs:,} jobs, {DAYS} days of runs"
    tables = [table.table(["page", "first", "p50", "p99"], rows), table.table(["a change every second", "CPU", ""], costs)]
    numbers = {"files": files, "jobs": jobs, "seconds": spans, "tabs": open_tabs}
    return Outcome("page", title, tables, goals, numbers)
