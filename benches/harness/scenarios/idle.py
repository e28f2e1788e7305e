"""A service that has nothing to do: what it costs to wait, with 20,000 known files and 200 jobs that are complete."""

import time

from .. import provinces, table
from ..goal import Goal
from ..measure import Failed, Meter
from ..service import Installation
from ..stats import median
from ..workspace import say
from . import Outcome

JOBS, STORES = 200, 100
SECONDS, SETTLING = 90, 15


def run(bench):
    jobs = bench.count(JOBS, least=2)
    source = bench.workspace.folder("provinces")
    provinces.write(source, jobs, STORES)
    installation = Installation(bench.workspace, source, 0, jobs=provinces.jobs(jobs, STORES))
    say(f"loading {jobs:,} jobs")
    installation.run_until_idle(bench.log("run"))
    lack = provinces.missing(installation, jobs, jobs * STORES)
    if lack:
        raise Failed(lack)
    installation.start(bench.log("service"))
    try:
        time.sleep(SETTLING)
        costs = [measure(bench, installation, number) for number in range(bench.rounds)]
    finally:
        installation.stop()
    shares = [100 * cost.cpu / cost.wall for cost in costs]
    rows = [[f"{jobs:,} jobs, {jobs * STORES:,} files", *(f"{share:.2f} %" for share in shares)]]
    header = ["", *(f"round {number + 1}" for number in range(len(shares)))]
    goal = Goal("CPU of an idle service", median(shares), 1, at_most=True, unit=" % of a core")
    numbers = {"seconds": SECONDS, "percent": shares}
    return Outcome("idle", "Idle: a service whose jobs are complete", [table.table(header, rows)], [goal], numbers)


def measure(bench, installation, number):
    """Watches the process for some sweeps."""
    say(f"round {number + 1} of {bench.rounds}: {SECONDS} seconds")
    meter = Meter(installation.service.pid)
    start = time.perf_counter()
    time.sleep(SECONDS)
    if installation.service.poll() is not None:
        raise Failed("the service has ended")
    return meter.cost(time.perf_counter() - start)
