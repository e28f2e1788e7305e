"""The command line of `benches/compare`."""

import argparse
import os
import signal
import sys
from pathlib import Path

from . import contender, record
from .data import Spec
from .measure import Failed
from .scenarios import (
    Bench,
    aggregate,
    catalogue,
    cluster,
    cores,
    dirty,
    formats,
    history,
    idle,
    load,
    memory,
    page,
    provinces,
    resend,
    run,
    s3,
    scale,
    tiny,
    waves,
    workers,
)
from .workspace import ROOT, Stop, Workspace, say

SCENARIOS = {
    "aggregate": (aggregate.run, "940 MB, 240,000 keys, beside the peers"),
    "keys": (aggregate.run_keys, "484 MB, 4.6 million keys, beside the peers"),
    "catalogue": (catalogue.run, "up to 200,000 items and 365 days, beside the peers"),
    "dirty": (dirty.run, "quotes, CR LF and bad lines, against clean files"),
    "formats": (formats.run, "gzip, zstd, fixed positions, JSON and others, beside DuckDB and Polars"),
    "run": (run.run, "the whole chain into SQLite, beside the peers' plain aggregation"),
    "resend": (resend.run, "one of 40 files replaced, against the first run"),
    "tiny": (tiny.run, "10,000 files of 8 lines through the whole chain"),
    "provinces": (provinces.run, "200 jobs of 100 stores beside one job, and 1,000 jobs"),
    "history": (history.run, "a submission, start-up, status and explain with a million known files"),
    "page": (page.run, "each page of the status page, and 50 open tabs, with 120,000 files and 1,000 jobs"),
    "idle": (idle.run, "the CPU of a service whose 200 jobs are complete"),
    "waves": (waves.run, "from the last of 13 files to its rows in Postgres, 200 times"),
    "load": (load.run, "5 million rows into Postgres, first, changed and re-sent, beside psql and ADBC"),
    "memory": (memory.run, "peak memory over one file of 8 GB"),
    "cores": (cores.run, "one core against two, on one file and on 40"),
    "s3": (s3.run, "objects on a private S3 server, beside the same files from disk and the peers"),
    "cluster": (cluster.run, "a merge of up to 32 million rows on this host, beside Sail and Spark"),
    "workers": (workers.run, "100,000 files by a service with its state on Postgres, alone and with workers"),
    "scale": (scale.run, "cost against size up to 8 GB, and against files up to 100,000"),
}
# Scenarios whose data may be changed on the command line; the others are about their data.
CHANGEABLE = {"aggregate", "keys", "dirty", "formats", "run", "resend", "s3"}
PEERS = [*contender.PROCESSES.values(), "sail", "spark"]


def parse(arguments):
    listed = "\n".join(f"  {name:<10} {what}" for name, (_, what) in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="benches/compare",
        description="Measures gristmill beside its peers on the same files. Builds, generates and installs what is missing.",
        epilog=f"scenarios:\n{listed}\n  {'all':<10} all of them, in this order\n\ndocs/performance.md says how each is measured.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="+", choices=[*SCENARIOS, "all"], metavar="SCENARIO")
    parser.add_argument("--rounds", type=positive(int), default=3, metavar="N", help="number of rounds (3)")
    parser.add_argument("--scale", type=positive(float), default=1.0, metavar="X", help="shrinks every scenario: 0.01 for a quick look")
    parser.add_argument("--only", metavar="PEER,…", help=f"only these peers, or none: {', '.join(PEERS)}")
    parser.add_argument("--spark", action="store_true", help="also Spark, which needs Java and is slow")
    parser.add_argument(
        "--record",
        nargs="?",
        type=Path,
        const=ROOT / "docs" / "benchmarks",
        metavar="FOLDER",
        help="keep the numbers and charts (docs/benchmarks)",
    )
    parser.add_argument("--keep-data", action="store_true", help="also keep feeds of several GB")
    data = parser.add_argument_group(f"the data of {', '.join(sorted(CHANGEABLE))}, instead of the default")
    for name in ("files", "lines", "stores", "items", "days", "seed"):
        what = {"lines": "lines in each file", "seed": "the same seed gives the same bytes"}.get(name, name)
        data.add_argument(f"--{name}", type=positive(int), metavar="N", help=f"{what} ({getattr(Spec(), name):,})")
    data.add_argument("--shared-stores", action="store_true", default=None, help="every file has lines of all stores: keys overlap")
    programs = parser.add_argument_group("the programs")
    programs.add_argument("--binary", type=Path, metavar="FILE", help="measure this gristmill instead of the one built here")
    programs.add_argument("--no-build", action="store_true", help="use what is already built")
    programs.add_argument("--profile", default="release", metavar="NAME", help="cargo's profile (release); others only to try out the harness")
    programs.add_argument("--python", type=Path, metavar="FILE", help="a Python with the peers installed, instead of target/bench-venv")
    return parser, parser.parse_args(arguments)


def positive(kind):
    def read(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError("it must be greater than 0")
        return value

    read.__name__ = "number"
    return read


def main(arguments):
    parser, options = parse(arguments)
    only = frozenset(options.only.split(",")) - {"none", ""} if options.only else None
    if only is not None and only - set(PEERS):
        parser.error(f"--only knows {', '.join(PEERS)} and none")
    names = ("files", "lines", "stores", "items", "days", "seed", "shared_stores")
    override = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    wanted = list(SCENARIOS) if "all" in options.scenarios else options.scenarios
    if set(override) - {"seed"} and not CHANGEABLE.issuperset(wanted):
        parser.error(f"apart from the seed, the data can be changed only for {', '.join(sorted(CHANGEABLE))}")
    shrunk = options.scale != 1 or override or options.profile != "release"
    if options.record == ROOT / "docs" / "benchmarks" and shrunk:
        parser.error("docs/benchmarks is for full runs of the release build: give --record another folder")
    workspace = Workspace(
        profile=options.profile,
        build=not options.no_build,
        binary=options.binary,
        python=options.python,
        spark=options.spark or "spark" in (only or ()),
    )
    # Exit normally, so that servers are stopped and folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with workspace.prepared():
            bench = Bench(workspace, options.rounds, options.scale, only, override, options.keep_data)
            command = " ".join(["benches/compare", *arguments])
            return measure(bench, wanted, command, options.record)
    except Stop as stop:
        say(f"benches/compare: {stop}")
        return 1
    except KeyboardInterrupt:
        return 130


def measure(bench, wanted, command, folder):
    """Runs the scenarios one by one, and prints and records each as soon as it is done. Returns 1 if one failed."""
    about = record.description(bench.workspace, command, bench.rounds, bench.scale)
    machine = about["machine"]
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; commit {about['commit']}")
    print(", ".join(f"{name} {version}" for name, version in about["versions"].items()) + "\n")
    status = 0
    if bench.scale != 1 or bench.override:
        print("This run is shrunk or changed: the goals are meant for the unchanged scenarios.\n")
    for name in wanted:
        busy = os.getloadavg()[0]
        if busy > 0.5 and name == wanted[0]:
            say(f"the machine is already busy (load {busy:.1f}): the results will be worse than on an idle one")
        try:
            outcome = SCENARIOS[name][0](bench)
        except Failed as failure:
            say(f"{name} failed: {failure}")
            status = 1
            continue
        print(outcome, flush=True)
        status = 1 if outcome.broken else status
        record.write(folder or bench.workspace.results, about, outcome)
    return status
