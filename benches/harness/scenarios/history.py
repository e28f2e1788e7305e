"""One million known files, three years of daily waves, 10,000 jobs: what is new must cost what is new, not what is known."""

import os
import time

from .. import history, provinces, table
from ..goal import Goal
from ..measure import Failed, Meter, tail
from ..service import PATIENCE, Installation, ReadOnly
from ..stats import median, percentile
from ..workspace import say
from . import Outcome

DATED, DAYS, JOBS = 18, 1_095, 10_000
SUBMISSIONS = 50


def run(bench):
    dated, days = bench.count(DATED), history.days(bench.count(DAYS, least=3))
    plain = bench.count(JOBS - DATED, least=SUBMISSIONS + 1)
    source = bench.workspace.folder("source")
    installation = Installation(bench.workspace, source, 0, jobs=history.jobs(dated, plain))
    submit(bench, source, 0)
    installation.run_until_idle(bench.log("run"))
    files = 1 + history.fill(installation.state, dated, days)
    history.load(installation.warehouse, installation.state)
    say(f"{files:,} files are known; they are matched with {dated + plain:,} jobs once")
    matching = installation.run_until_idle(bench.log("run")).wall
    starting = installation.run_until_idle(bench.log("run"))
    asked = {words: installation.ask(bench.log("ask"), *words.split()).wall for words in ("status", f"explain D00000 --date {days[-1]}")}
    installation.start(bench.log("service"))
    try:
        wait_until_ready(installation)
        meter = Meter(installation.service.pid)
        say(f"{SUBMISSIONS} submissions")
        spans = [verdict_on(bench, installation, source, number) for number in range(1, SUBMISSIONS + 1)]
        peak = meter.cost(0).peak
    finally:
        installation.stop()
    p50, p99 = percentile(spans, 50), percentile(spans, 99)
    rows = [
        ["files matched with the jobs, once", table.seconds(matching)],
        ["start to idle, as a whole process", table.seconds(starting.wall)],
        *([f"gristmill {words}", table.seconds(wall)] for words, wall in asked.items()),
        ["from a rename to the verdict, p50", table.seconds(p50)],
        ["from a rename to the verdict, p99", table.seconds(p99)],
        ["memory of the service", table.megabytes(peak)],
    ]
    goals = [
        Goal("from a rename to the verdict, p50", p50 * 1000, 20, at_most=True, unit=" ms"),
        Goal("peak memory of the service", peak / 1e6, 400, at_most=True, unit=" MB"),
    ]
    numbers = {"files": files, "matching": matching, "start": starting.as_json(), "asked": asked, "seconds": spans, "median": median(spans)}
    title = f"History: {files:,} known files, {len(days):,} days, {dated + plain:,} jobs"
    return Outcome("history", title, [table.table(["", ""], rows)], goals, numbers)


def submit(bench, source, number):
    """Renames a new file into the source; returns the time of the rename."""
    staged = bench.workspace.work / f"S{number:05}-1.tdf"
    staged.write_text(provinces.lines(f"s{number}"))
    then = time.time() - 1800
    os.utime(staged, (then, then))
    os.sync()
    moment = time.perf_counter()
    staged.rename(source / staged.name)
    return moment


def verdict_on(bench, installation, source, number):
    """Returns the seconds from the rename of a file until the run of its job stands in the queue."""
    moment = submit(bench, source, number)
    with ReadOnly(installation.state) as state:
        deadline = time.monotonic() + PATIENCE
        while not state.execute("SELECT 1 FROM job_run WHERE job_config_id = ?", (f"S{number:05}",)).fetchone():
            if installation.service.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"no verdict: {tail(installation.log)}")
            time.sleep(0.0005)
    return time.perf_counter() - moment


def wait_until_ready(installation):
    deadline = time.monotonic() + PATIENCE
    while b"the warehouse is ready" not in installation.log.read_bytes():
        if installation.service.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"the service does not start: {tail(installation.log)}")
        time.sleep(0.05)
    time.sleep(2)
