"""Thirteen stores send their files again and again: the time from a wave's last file until its rows are committed in Postgres.

The service is up, the job waits for all 13 (`trigger = "all"`), and each wave's files have the lines of the one before and some
more. Waves come in two ways: spaced, where the other twelve files arrive a moment before the last one (the goals are for this
way); and at once, where all 13 arrive in the same instant.
"""

import json
import subprocess

from .. import data, table
from ..measure import Failed
from ..goal import Goal
from ..postgres import server
from ..service import Installation
from ..stats import median, percentile
from ..verify import Verifier
from ..workspace import BENCHES, Stop, say
from . import Outcome

WAVES, STORES = 200, 13
FIRST_LINES, MORE_LINES = 100, 5
GAP = 0.3


def run(bench):
    waves = bench.count(WAVES, least=5)
    rows, goals, numbers = [], [], {}
    for way, gap in (("spaced", GAP), ("at once", 0.0)):
        say(f"{waves} waves, {way}")
        spans = measure(bench, waves, gap)
        p50, p99 = percentile(spans, 50), percentile(spans, 99)
        rows.append([f"{waves} waves, {way}", *map(table.seconds, (min(spans), p50, p99, max(spans)))])
        numbers[way] = {"gap": gap, "seconds": spans, "median": median(spans)}
        if way == "spaced":
            goals += [
                Goal("from the last rename to the commit, p50", p50 * 1000, 100, at_most=True, unit=" ms"),
                Goal("from the last rename to the commit, p99", p99 * 1000, 300, at_most=True, unit=" ms"),
            ]
    title = f"Waves: the last of {STORES} small files renamed into place, to its rows in Postgres"
    tables = [table.table(["", "least", "p50", "p99", "most"], rows)]
    return Outcome("waves", title, tables, goals, {"waves": numbers})


def measure(bench, waves, gap):
    """Returns the seconds of each wave. An additional first wave, which fills the table, is sent but not counted."""
    staging, source = stage(bench, waves + 1), bench.workspace.folder("source")
    names = sorted(path.name for path in (staging / "0").iterdir())
    with server() as url:
        installation = Installation(bench.workspace, source, STORES, trigger="all", warehouse=url)
        installation.start(bench.log("service"))
        try:
            spans = send(bench, url, staging, source, waves + 1, names, gap)
        finally:
            installation.stop()
    expected = bench.workspace.work / f"last-of-{waves}.parquet"
    Verifier(bench.workspace, source, expected).check(staging / "warehouse.csv")
    return spans


def stage(bench, waves):
    """Writes the files of all waves, each wave in its own folder, on the disk of the source."""
    lines = FIRST_LINES + MORE_LINES * waves
    feed = data.feed(bench.workspace, data.Spec(files=STORES, lines=lines, stores=STORES))
    staging = bench.workspace.folder("staging")
    for path in feed.folder.iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        for wave in range(waves):
            folder = staging / str(wave)
            folder.mkdir(exist_ok=True)
            (folder / path.name).write_bytes(b"".join(lines[: FIRST_LINES + MORE_LINES * wave]))
    return staging


def send(bench, url, staging, source, waves, names, gap):
    job = {"url": url, "staging": str(staging), "source": str(source), "waves": waves, "names": names, "gap": gap}
    client = [bench.workspace.python, BENCHES / "clients" / "waves.py"]
    done = subprocess.run(client, input=json.dumps(job), capture_output=True, text=True)
    if done.returncode != 0:
        if "psycopg" in done.stderr and "No module" in done.stderr:
            raise Stop("the Python given by --python lacks psycopg: see benches/requirements.txt")
        raise Failed(f"{done.stderr.strip()} (the service's log: {bench.log('service').read_text()[-500:]})")
    return json.loads(done.stdout)
