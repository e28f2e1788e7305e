"""`gristmill run` for the benchmarks: a new installation with its own settings, lake, state database and warehouse."""

import copy
import csv
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from .measure import Failed, run, tail

# How many seconds a service may take for anything that is waited for here.
PATIENCE = 600
NUMBERS = itertools.count(1)

SETTINGS = """\
[source]
url = "{source}"
[lake]
url = "lake"
[state]
url = "{state}"
[warehouse]
url = "{warehouse}"

[[feed]]
name = "sales"
files = "*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = {{ sale_amount = 4, tax_amount = 5, discount_amount = 6 }}
same_day = "add"
"""

JOB = """
[[job]]
id = "{name}"
feed = "sales"
files = "{pattern}"
min_files = {files}
trigger = "{trigger}"
"""


def job(name, pattern, files, trigger="any"):
    """A job that waits for `files` files."""
    return JOB.format(name=name, pattern=pattern, files=files, trigger=trigger)


class Installation:
    """A new gristmill that watches `source`, and has one job that waits for `files` files, or the given `jobs`."""

    def __init__(self, workspace, source, files, *, trigger="any", warehouse="sqlite://warehouse.db", state="sqlite://state.db", jobs=None):
        self.gristmill = workspace.gristmill
        self.folder = workspace.folder(f"installation-{next(NUMBERS)}")
        self.settings = self.folder / "gristmill.toml"
        self.warehouse = self.folder / "warehouse.db"
        self.state = self.folder / "state.db"
        self.service = None
        jobs = jobs or [job("bench", "*-{store}.tdf", files, trigger)]
        self.settings.write_text(SETTINGS.format(source=source, warehouse=warehouse, state=state) + "".join(jobs))

    def twin(self, workspace, more):
        """A copy of an installation that is at rest, with more in its settings. The files of the lake are shared."""
        twin = copy.copy(self)
        twin.folder = workspace.folder(f"installation-{next(NUMBERS)}")
        for name in ("settings", "warehouse", "state"):
            setattr(twin, name, twin.folder / getattr(self, name).name)
        for path in sorted(self.folder.rglob("*")):
            place = twin.folder / path.relative_to(self.folder)
            if path.is_dir():
                place.mkdir()
            elif path.parts[len(self.folder.parts)] == "lake":
                os.link(path, place)
            else:
                shutil.copyfile(path, place)
        twin.settings.write_text(self.settings.read_text() + more)
        return twin

    def command(self, *options):
        return [self.gristmill, "run", "-c", self.settings, *options]

    def ask(self, log, *words):
        """Runs another command, which only reads; returns its Cost."""
        return run([self.gristmill, *words, "-c", self.settings], log)

    def run_until_idle(self, log, cpus=None):
        """Converts what is new, runs and loads it, on these processors only if they are given; returns the Cost of the process."""
        return run(self.command("--until-idle"), log, cpus=cpus)

    def start(self, log, *options):
        """Starts the service, which stays up until `stop`."""
        self.log = log
        with open(log, "wb") as out:
            self.service = subprocess.Popen(self.command(*options), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def stop(self):
        if self.service:
            self.service.send_signal(signal.SIGTERM)
            self.service.wait()
            self.service = None

    def wait_for_loads(self, count):
        """Waits until the SQLite warehouse's ledger has `count` rows; returns the time by `time.perf_counter`."""
        deadline = time.monotonic() + PATIENCE
        while True:
            loads = self.loads()
            moment = time.perf_counter()
            if loads >= count:
                return moment
            if self.service.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"the service did not load: {tail(self.log)}")
            time.sleep(0.002)

    def loads(self):
        if not self.warehouse.exists():
            return 0
        try:
            with ReadOnly(self.warehouse) as warehouse:
                return warehouse.execute("SELECT count(*) FROM gristmill_ledger").fetchone()[0]
        except sqlite3.OperationalError:
            # The service is still creating the table.
            return 0

    def dump(self):
        """The SQLite warehouse's rows as a CSV, for the verifier."""
        path = self.folder / "warehouse.csv"
        with ReadOnly(self.warehouse) as warehouse, open(path, "w", newline="") as out:
            columns = "store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount"
            writer = csv.writer(out)
            writer.writerow(columns.split(", "))
            writer.writerows(warehouse.execute(f"SELECT {columns} FROM sales_summary"))
        return path

    def delete(self):
        """Stops the service and frees its disk space."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class ReadOnly:
    """A read-only connection that is closed at the end of its block."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        return self.connection

    def __exit__(self, *_):
        self.connection.close()


def linked_source(workspace, feed):
    """A source folder for this run, with links to the feed's files: one can be replaced without changing the feed."""
    source = workspace.folder("source")
    for entry in os.scandir(feed.folder):
        os.link(entry.path, source / entry.name)
    return source


def resend(path: Path, staging: Path):
    """Replaces a file by a newer version of it, as a store would: writes it elsewhere, then renames it into place.

    Three amounts differ and two lines are new. Everything written so far, including the file, is forced to disk before the rename.
    Returns the time of the rename by `time.perf_counter`.
    """
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    changed = 0
    for number, line in enumerate(lines):
        fields = line.split(b"\t")
        if changed < 3 and fields[2] == b"4":
            fields[1] = b"1.23"
            lines[number] = b"\t".join(fields)
            changed += 1
    lines += lines[:2]
    staged = staging / path.name
    staged.write_bytes(b"".join(lines))
    then = time.time() - 1800
    os.utime(staged, (then, then))
    os.sync()
    moment = time.perf_counter()
    staged.rename(path)
    return moment
