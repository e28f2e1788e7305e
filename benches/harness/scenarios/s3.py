"""The same objects to the same Parquet: `gristmill aggregate s3://…`, the same files from disk, and the peers that read URLs.

Server and contender share the processors, so every contender's time includes the server's work.
"""

from .. import bars, contender, seaweedfs, table
from ..contender import Program
from ..data import Spec
from ..goal import Goal
from ..rounds import in_turn
from ..stats import rounds
from ..workspace import venv
from . import Outcome, fastest, named, ratio

FROM_DISK = "gristmill, from disk"
READERS = {"DuckDB": "duckdb", "Polars": "polars"}


def run(bench):
    feed = bench.feed(Spec())
    verifier = bench.verifier(feed)
    python = venv("bench-venv-s3", "requirements-s3.txt")
    with seaweedfs.server(bench.workspace, python) as server:
        url = server.upload(feed.folder)
        contenders = readers(bench, python, server.environment(), feed.folder)
        results = in_turn(bench.workspace, contenders, bench.rounds, url, verifier.check)
    ours, rival, disk = results[0], fastest(results), named(results, FROM_DISK)
    who = f"the fastest peer, {rival.name}" if rival else "the fastest peer"
    goals = [Goal(f"times as fast as {who}", ratio(rival, ours, "wall"), 2)]
    share = ratio(disk, ours, "wall")
    beside_disk = f"The same files from disk take {share:.0%} of the time." if share else ""
    return Outcome(
        "s3",
        f"Objects: {feed} on SeaweedFS",
        [table.costs(results, ours, feed.bytes), beside_disk],
        goals,
        {"data": feed.as_json(), "results": [result.as_json() for result in results]},
        {"s3": bars.chart("The same objects to the same Parquet", rounds(bench.rounds), results)},
    )


def readers(bench, python, env, folder):
    """gristmill, gristmill without the server, and the peers that read URLs by themselves."""
    ours = bench.workspace.gristmill
    everyone = [
        Program(contender.OURS, lambda url, out: [ours, "aggregate", url, "-o", out], env=env),
        Program(FROM_DISK, lambda _, out: [ours, "aggregate", folder, "-o", out]),
    ]
    for name, script in READERS.items():
        if bench.only is None or script in bench.only:
            everyone.append(peer(name, python, contender.PEERS / f"with_{script}.py", env))
    return everyone


def peer(name, python, script, env):
    return Program(name, lambda url, out: [python, script, url, out], env=env)
