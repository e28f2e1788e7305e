"""One file of 8 GB: memory must depend on the keys and the settings, not on the size of a file."""

from .. import contender, table
from ..data import BYTES_A_LINE, Spec
from ..goal import Goal
from ..rounds import Result, guarded, one_round
from ..service import Installation
from . import Outcome

BYTES = 8e9
MOST = 256e6


def run(bench):
    feed = bench.feed(Spec(files=1, lines=int(BYTES / BYTES_A_LINE)))
    verifier = bench.verifier(feed)
    aggregate, service = results = [Result("gristmill aggregate"), Result("gristmill run --until-idle")]
    work = bench.workspace.folder("rounds")
    guarded(aggregate, one_round, contender.ours(bench.workspace), aggregate, feed.folder, work, verifier.check)
    installation = Installation(bench.workspace, feed.folder, 1)
    guarded(service, until_idle, installation, service, bench.log("run"), verifier)
    installation.delete()
    bench.done_with(feed)
    goals = [
        Goal(f"peak memory of {result.name}", result.peak / 1e6 if result.ok else None, MOST / 1e6, at_most=True, unit=" MB")
        for result in results
    ]
    title = f"Memory: {feed}, {verifier.rows or 0:,} keys"
    numbers = {"data": feed.as_json(), "results": [result.as_json() for result in results]}
    return Outcome("memory", title, [table.costs(results, aggregate, feed.bytes)], goals, numbers)


def until_idle(installation, result, log, verifier):
    cost = installation.run_until_idle(log)
    verifier.check(installation.dump())
    result.costs.append(cost)
