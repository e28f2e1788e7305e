"""The whole chain: `gristmill run --until-idle` from the source folder to a loaded SQLite warehouse, from nothing.

It tracks every file in the state database, writes converted rows, rejects, partials and the summary to the lake, and loads the
warehouse. It is measured beside the peers that only aggregate the same files.
"""

from .. import bars, contender, table
from ..data import Spec
from ..need import Need
from ..rounds import in_turn
from ..service import Installation
from . import Outcome, fastest


class FirstRun:
    """A contender: each time a new installation takes in the whole folder."""

    name = "gristmill run --until-idle"
    writes_summary = True

    def __init__(self, workspace, files):
        self.workspace, self.files = workspace, files

    def start(self, work):
        pass

    def stop(self):
        pass

    def run(self, folder, out, log):
        installation = Installation(self.workspace, folder, self.files)
        cost = installation.run_until_idle(log)
        # What is checked is the warehouse; `out` names a Parquet, so the check gets the dump another way.
        self.dumped = installation.dump()
        return cost


def run(bench):
    feed = bench.feed(Spec())
    verifier = bench.verifier(feed)
    first = FirstRun(bench.workspace, feed.spec.files)
    contenders = [first, contender.ours(bench.workspace, name="gristmill aggregate"), *bench.peers()]

    def check(out):
        verifier.check(out if out.exists() else first.dumped)

    results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, check)
    ours, rival = results[0], fastest(results)
    needs = []
    if ours.ok and rival:
        what = f"times as fast to a loaded warehouse as the fastest peer, {rival.name}, to its Parquet"
        needs.append(Need(what, rival.wall / ours.wall, 1.5))
    title = f"Run: {feed}, to a loaded warehouse"
    subtitle = f"peers only aggregate; medians of {bench.rounds} rounds in turn, files in the page cache"
    return Outcome(
        "run",
        title,
        [table.costs(results, ours, feed.bytes)],
        needs,
        {"data": feed.as_json(), "results": [result.as_json() for result in results]},
        {"run": bars.chart(title, subtitle, results)},
    )
