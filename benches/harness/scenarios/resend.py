"""A store sends a correction: one of the files is replaced, and the warehouse must be corrected without reading the others again.

Measured in two ways: as a whole process that starts, finds the file and exits; and with the service up, from the rename of the file
to the row in the warehouse's ledger.
"""

import time

from .. import table
from ..data import Spec
from ..measure import Failed
from ..goal import Goal
from ..service import Installation, linked_source, resend
from ..stats import median
from ..verify import Verifier
from ..workspace import say
from . import Outcome


def run(bench):
    feed = bench.feed(Spec())
    spans = {"process": ([], []), "service": ([], [])}
    errors = []
    for number in range(bench.rounds):
        for kind, measure in (("process", as_process), ("service", as_service)):
            say(f"round {number + 1} of {bench.rounds}: {kind}")
            try:
                first, again = measure(bench, feed)
            except Failed as failure:
                errors.append(f"{kind} failed: {failure}")
                continue
            spans[kind][0].append(first)
            spans[kind][1].append(again)

    rows, goals, numbers = [], [], {}
    for kind, (first, again) in spans.items():
        if not first:
            goals.append(Goal(f"first run against a re-sent file, {kind}", None, 15))
            continue
        ratio = median(first) / median(again)
        rows.append([NAMES[kind], table.seconds(median(first)), table.seconds(median(again)), table.times(ratio)])
        goals.append(Goal(f"times as fast after one re-sent file as at first, {kind}", ratio, 15))
        numbers[kind] = {"first": first, "again": again}
    header = ["", f"all {feed.spec.files} files", "one re-sent", "ratio"]
    tables = [table.table(header, rows), *errors]
    title = f"Re-sent: one of {feed}, to a loaded warehouse"
    return Outcome("resend", title, tables, goals, {"data": feed.as_json(), "seconds": numbers, "errors": errors})


NAMES = {"process": "run --until-idle, whole process", "service": "service, from the rename to the ledger"}


def as_process(bench, feed):
    """Returns the seconds of the first run, and of the run after the correction."""
    source = linked_source(bench.workspace, feed)
    installation = Installation(bench.workspace, source, feed.spec.files)
    first = installation.run_until_idle(bench.log("first"))
    send(bench, feed, source)
    again = installation.run_until_idle(bench.log("again"))
    check(bench, installation, source)
    return first.wall, again.wall


def as_service(bench, feed):
    source = linked_source(bench.workspace, feed)
    installation = Installation(bench.workspace, source, feed.spec.files)
    start = time.perf_counter()
    installation.start(bench.log("service"))
    try:
        first = installation.wait_for_loads(1) - start
        renamed = send(bench, feed, source)
        again = installation.wait_for_loads(2) - renamed
    finally:
        installation.stop()
    check(bench, installation, source)
    return first, again


def send(bench, feed, source):
    """Replaces a file from the middle of the feed."""
    path = sorted(source.iterdir())[feed.spec.files // 2]
    return resend(path, bench.workspace.folder("staging"))


def check(bench, installation, source):
    """Checks the warehouse. The correction is always the same, so the expected rows are computed only once."""
    Verifier(bench.workspace, source, bench.workspace.work / "resent.parquet").check(installation.dump())
    installation.delete()
