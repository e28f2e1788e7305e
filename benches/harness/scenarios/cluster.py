"""A run's merge on this host, beside the same merge on a Sail that is up, and with --spark on a Spark that is up.

The files have rows of all stores, so that each key stands in nearly all of them: the most that a merge has to do. They are converted
once. Then each contender merges the same partials in a copy of that installation, and loads the summary, which is checked.
"""

import datetime
import subprocess

from .. import table
from ..contender import ConnectServer, sail_server, spark_server
from ..data import Spec
from ..measure import Cost, Failed, Meter
from ..rounds import in_turn
from ..service import Installation, ReadOnly, job
from ..stats import median, rounds
from . import Outcome, ratio

FILES = (10, 40, 160)
HERE, SAIL, SPARK = "this host", "Sail (warm server)", "Spark (warm server)"


class Here:
    """A contender: a process of gristmill that has nothing left to do but the run."""

    writes_summary = True

    def __init__(self, bench, base, files, name=HERE):
        self.bench, self.base, self.files, self.name = bench, base, files, name
        self.installation = None
        # The peaks of gristmill's processes in all rounds.
        self.own_peaks = []

    def start(self, work):
        pass

    def stop(self):
        self.forget()

    def forget(self):
        if self.installation:
            self.installation.delete()
            self.installation = None

    def run(self, folder, out, log):
        cost = self.merge("", log)
        self.own_peaks.append(cost.peak)
        return cost

    def merge(self, engine, log):
        """Runs a new copy of the installation; returns the seconds of its merge, with the process's CPU time and peak."""
        self.forget()
        settings = job("bench", "*-{store}.tdf", self.files) + engine
        self.installation = self.base.twin(self.bench.workspace, settings)
        cost = self.installation.run_until_idle(log)
        return Cost(merge_seconds(self.installation.state, bool(engine)), cost.cpu, cost.peak)


class Elsewhere(Here):
    """A contender: the same, merged by a server of Spark Connect that has done it once before."""

    def __init__(self, bench, base, files, name, command, env=None):
        super().__init__(bench, base, files, name)
        self.server = ConnectServer(name, command, env)
        self.is_warm = False

    def start(self, work):
        self.server.start(self.bench.workspace.folder(f"server-{self.name.split()[0]}"))

    def stop(self):
        self.server.stop()
        super().stop()

    def run(self, folder, out, log):
        engine = f'engine = "cluster"\n[cluster]\nurl = "sc://127.0.0.1:{self.server.port}"\n'
        if not self.is_warm:
            self.merge(engine, log)
            self.is_warm = True
        meter = Meter(self.server.server.pid)
        cost = self.merge(engine, log)
        theirs = meter.cost(cost.wall)
        self.own_peaks.append(cost.peak)
        return Cost(cost.wall, cost.cpu + theirs.cpu, cost.peak + theirs.peak)


def run(bench):
    tables, numbers, ratios = [], [], []
    for count in FILES:
        feed = bench.feed(Spec(files=count, shared_stores=True))
        verifier = bench.verifier(feed)
        base = Installation(bench.workspace, feed.folder, 0, jobs=[""])
        base.run_until_idle(bench.log("convert"))
        partials = rows_of_partials(bench, base)
        contenders = everyone(bench, base, count)
        results = in_turn(
            bench.workspace, contenders, bench.rounds, feed.folder, lambda out: check(contenders, verifier)
        )
        base.delete()
        bench.done_with(feed)
        title = f"{count} files, {partials:,} rows of partials, {verifier.rows or 0:,} keys"
        tables.append(shown(title, contenders, results))
        numbers.append(
            {
                "data": {**feed.as_json(), "partial_rows": partials, "keys": verifier.rows},
                "results": [
                    {**result.as_json(), "own_peaks": contender.own_peaks} for contender, result in zip(contenders, results)
                ],
            }
        )
        ratios += [ratio(result, results[0], "wall") for result in results[1:]]
    ratios = [each for each in ratios if each]
    verdict = ""
    if ratios:
        verdict = "A cluster was never faster." if min(ratios) >= 1 else f"A cluster took at best {min(ratios):.2f} of this host's time."
    title = f"Cluster: one merge on this host and on engines that are up, {rounds(bench.rounds)} in turn"
    return Outcome("cluster", title, [*tables, verdict], [], {"sizes": numbers})


def everyone(bench, base, files):
    """This host, and the engines that this run asks."""
    workspace, wanted = bench.workspace, lambda peer: bench.only is None or peer in bench.only
    contenders = [Here(bench, base, files)]
    if wanted("sail"):
        contenders.append(Elsewhere(bench, base, files, SAIL, sail_server(workspace)))
    if workspace.spark_python and wanted("spark"):
        contenders.append(Elsewhere(bench, base, files, SPARK, *spark_server(workspace)))
    return contenders


def check(contenders, verifier):
    """Checks the rows of the contender that has just run: all others have forgotten theirs."""
    for contender in contenders:
        if contender.installation:
            verifier.check(contender.installation.dump())
            contender.forget()


def merge_seconds(state, on_cluster):
    """The seconds of the one run from its start to its summary; fails if it was merged elsewhere than was asked."""
    columns = "started_timestamp, summarized_timestamp, cluster_operation"
    with ReadOnly(state) as database:
        runs = database.execute(f"SELECT {columns} FROM job_run WHERE state = 'COMPLETED'").fetchall()
    if len(runs) != 1:
        raise Failed(f"{len(runs)} runs completed instead of one")
    started, summarized, operation = runs[0]
    if bool(operation) != on_cluster:
        raise Failed("it was not merged where it should have been")
    started, summarized = (datetime.datetime.fromisoformat(time) for time in (started, summarized))
    return (summarized - started).total_seconds()


def rows_of_partials(bench, base):
    """How many rows the partials have together, by their footers."""
    query = f"SELECT count(*) FROM read_parquet('{base.folder}/lake/partials/**/*.parquet')"
    code = f"import duckdb; print(duckdb.sql({query!r}).fetchall()[0][0])"
    done = subprocess.run([bench.workspace.python, "-c", code], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"the partials cannot be counted: {' '.join(done.stderr.split()[-40:])}")
    return int(done.stdout)


def shown(title, contenders, results):
    """The table of one size, with the memory of gristmill's process and of both together."""
    header = [title, "merge", "from", "to", "CPU of all", "gristmill", "with the server", "times this host"]
    rows, failures = [], []
    for contender, result in zip(contenders, results):
        if not result.ok:
            rows.append([result.name, "failed"])
            failures.append(f"{result.name} failed: {result.error}")
            continue
        walls = [cost.wall for cost in result.costs]
        row = [result.name, *(table.seconds(wall) for wall in (result.wall, min(walls), max(walls)))]
        row += [table.seconds(result.cpu), table.megabytes(median(contender.own_peaks)), table.megabytes(result.peak)]
        row += [table.times(result.wall / results[0].wall)] if results[0].ok else [""]
        rows.append(row)
    return "\n".join([table.table(header, rows), *failures])
