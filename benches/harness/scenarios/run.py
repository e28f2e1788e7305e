"""The whole chain: `gristmill run --until-idle` from the source folder to a loaded SQLite warehouse, from nothing.

It tracks every file in the state database, writes converted rows, rejects, partials and the summary to the lake, and loads the
warehouse. It is measured beside the peers that only aggregate the same files.
"""

from .. import bars, contender, table
from ..data import Spec
from ..goal import Goal
from ..rounds import in_turn
from ..service import Installation
from ..stats import rounds
from . import Outcome, fastest, ratio


class FirstRun:
    """A contender: each time, a new installation converts and loads the whole folder."""

    name = "gristmill run --until-idle"
    writes_summary = True

    def __init__(self, workspace, files):
        self.workspace, self.files = workspace, files
        self.installation = None

    def start(self, work):
        pass

    def stop(self):
        if self.installation:
            self.installation.delete()

    def run(self, folder, out, log):
        self.stop()
        self.installation = Installation(self.workspace, folder, self.files)
        return self.installation.run_until_idle(log)


def run(bench):
    feed = bench.feed(Spec())
    verifier = bench.verifier(feed)
    first = FirstRun(bench.workspace, feed.spec.files)
    contenders = [first, contender.ours(bench.workspace, name="gristmill aggregate"), *bench.peers()]

    def check(out):
        # The first run writes no Parquet to `out`; its rows are in its warehouse.
        verifier.check(out if out.exists() else first.installation.dump())

    results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, check)
    ours, rival = results[0], fastest(results)
    what = "times as fast to a loaded warehouse as the fastest peer to its Parquet"
    goals = [Goal(f"{what} ({rival.name})" if rival else what, ratio(rival, ours, "wall"), 2.5)]
    title = f"Run: {feed}, to a loaded warehouse"
    subtitle = f"peers only aggregate; {rounds(bench.rounds)} in turn, files in the page cache"
    return Outcome(
        "run",
        title,
        [table.costs(results, ours, feed.bytes)],
        goals,
        {"data": feed.as_json(), "results": [result.as_json() for result in results]},
        {"run": bars.chart(title, subtitle, results)},
    )
