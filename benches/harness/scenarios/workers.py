"""What a worker gains, with the state database on a Postgres server: the same files by a service alone, and with workers.

A second host is stood for by a second processor: service and worker are bound to one each. Then both processors belong to the
service, and workers on the same host have nothing to add: that must cost nothing.
"""

import os
import signal
import subprocess
import time

from .. import formats, table
from ..data import Feed, Spec
from ..goal import Goal
from ..measure import Failed, tail
from ..postgres import server
from ..rounds import Result, guarded
from ..service import PATIENCE, Installation
from ..workspace import say
from . import Outcome, ratio
from .cores import two_processors

FILES = 100_000
LINES = 8
JOINED = "working for the service"


def run(bench):
    first, second = two_processors()
    both = [first, second]
    packed = bench.feed(Spec(files=bench.count(120, least=4)))
    folder, size = formats.folder(packed, "gz", bench.workspace.python)
    tiny = bench.feed(Spec(files=bench.count(FILES, least=100), lines=LINES, stores=bench.count(FILES, least=100)), lines=False)
    feeds = (
        # Where conversion is the work, a second host must help; where recording is, it must not harm.
        ("compressed files", packed, Feed(packed.spec, folder, size), 1.5),
        ("tiny files", tiny, tiny, 1 / 1.1),
    )
    tables, goals, numbers = [], [], {}
    for what, feed, sent, needed in feeds:
        alone, helped = Result("service, one processor"), Result("with a worker on another")
        at_home, crowded = Result("service, both processors"), Result("with 3 workers on the same")
        contenders = ((alone, [first], []), (helped, [first], [[second]]), (at_home, both, []), (crowded, both, [both] * 3))
        verifier = bench.verifier(feed)
        for number in range(bench.rounds):
            say(f"round {number + 1} of {bench.rounds}, {what}")
            for result, own, workers in contenders:
                guarded(result, measure, bench, result, sent, verifier, own, workers)
        results = [alone, helped, at_home, crowded]
        tables.append(f"{what}: {feed}\n" + table.costs(results, alone, sent.bytes))
        goals += [
            Goal(f"times as fast with a worker on another processor, {what}", ratio(alone, helped, "wall"), needed),
            Goal(f"time with workers where the processors are busy, {what}", ratio(crowded, at_home, "wall"), 1.1, at_most=True),
        ]
        numbers[what] = {"data": feed.as_json(), "results": [result.as_json() for result in results]}
    title = "Workers: the whole chain with the state on Postgres, the service alone and with workers"
    return Outcome("workers", title, tables, goals, {"feeds": numbers})


def measure(bench, result, sent, verifier, own, workers):
    """Runs until idle with one more worker for each list of processors in `workers`. The Cost is the service's."""
    source = bench.workspace.folder("source")
    with server() as url:
        installation = Installation(bench.workspace, source, sent.spec.files, state=url)
        # Workers wait for a service to make the tables.
        installation.run_until_idle(bench.log("tables"))
        helpers = [Worker(installation, bench.log(f"worker-{number}"), cpus) for number, cpus in enumerate(workers)]
        try:
            for helper in helpers:
                helper.wait_until_it_works()
            for entry in os.scandir(sent.folder):
                # What is compressed is known by its content.
                os.link(entry.path, source / entry.name.replace(".csv.gz", ".tdf"))
            cost = installation.run_until_idle(bench.log("run"), cpus=own)
        finally:
            for helper in helpers:
                helper.stop()
    verifier.check(installation.dump())
    result.costs.append(cost)
    installation.delete()


class Worker:
    def __init__(self, installation, log, cpus):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                installation.command("--role", "convert"),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            )

    def wait_until_it_works(self):
        deadline = time.monotonic() + PATIENCE
        while JOINED not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"a worker does not start: {tail(self.log)}")
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
