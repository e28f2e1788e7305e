"""Cost against size, from 0.1 to 8 GB, and against the number of files, from 10 to 100,000: both must grow linearly.

Large feeds are made one after the other, and deleted once they are measured. Folders with many files stay until the end of the
run: for minutes after many files were deleted, ext4 creates files slowly, because it checks every recently deleted inode first.
"""

from .. import contender, curve, table
from ..data import BYTES_A_LINE, Spec
from ..rounds import Result, guarded, in_turn
from ..service import Installation
from ..stats import line_through, rounds
from ..workspace import say
from . import Outcome
from .memory import until_idle

SIZES = (0.1e9, 1e9, 4e9, 8e9)
FILES = (10, 1_000, 10_000, 100_000)
LINES = 8


def run(bench):
    errors = []
    sizes, files = against_size(bench, errors), against_files(bench, errors)
    header = ["wall", "CPU", "peak memory", "off the line"]
    tables = [
        table.table(["cost against size", *header], rows(sizes)),
        table.table(["cost against files", *header], [row for points in files.values() for row in rows(points)]),
        "\n".join(errors),
    ]
    charts = {}
    if len(sizes) > 1:
        subtitle = f"gristmill aggregate, 40 files, 240,000 keys; {rounds(bench.rounds)}, files in the page cache"
        points = [("aggregate", [(point["x"] / 1e9, point["wall"]) for point in sizes])]
        charts["scale-size"] = curve.chart("Cost against size", subtitle, points, "GB", "seconds")
    series = [(name, [(point["x"], point["wall"]) for point in points]) for name, points in files.items() if len(points) > 1]
    if series:
        subtitle = f"files of {LINES} lines; {rounds(bench.rounds)}, files in the page cache"
        charts["scale-files"] = curve.chart("Cost against files", subtitle, series, "files", "seconds", log=True)
    numbers = {"size": sizes, "files": files, "errors": errors}
    return Outcome("scale", "Scale: cost against size and against files", tables, [], numbers, charts)


def against_size(bench, errors):
    """Returns the measured points; failures are added to `errors`."""
    points = []
    for size in SIZES:
        feed = bench.feed(Spec(lines=int(size / BYTES_A_LINE / 40)))
        result, = in_turn(
            bench.workspace, [contender.ours(bench.workspace)], bench.rounds, feed.folder, bench.verifier(feed).check
        )
        note(points, errors, feed.bytes, f"{feed.bytes / 1e9:.3g} GB", result)
        bench.done_with(feed)
    return points


def against_files(bench, errors):
    """Returns the measured points of both commands."""
    series = {"aggregate": [], "run": []}
    for wanted in FILES:
        count = bench.count(wanted, least=2)
        feed = bench.feed(Spec(files=count, lines=LINES, stores=count), lines=False)
        verifier = bench.verifier(feed)
        aggregate, = in_turn(
            bench.workspace, [contender.ours(bench.workspace)], bench.rounds, feed.folder, verifier.check
        )
        whole = Result("run --until-idle")
        for number in range(bench.rounds):
            say(f"round {number + 1} of {bench.rounds}: run --until-idle, {count:,} files")
            if not whole.error:
                installation = Installation(bench.workspace, feed.folder, count)
                guarded(whole, until_idle, installation, whole, bench.log("run"), verifier)
        for name, result in (("aggregate", aggregate), ("run", whole)):
            note(series[name], errors, count, f"{name}, {count:,} files", result)
    return series


def note(points, errors, x, label, result):
    """Adds a measured point, or the failure."""
    if result.ok:
        points.append({"x": x, "label": label, **result.as_json()["median"], "rounds": result.as_json()["rounds"]})
    else:
        errors.append(f"{label} failed: {result.error}")


def rows(points):
    """The rows of a table, with each point's distance from the straight line between the first and the last."""
    line = line_through(*((point["x"], point["wall"]) for point in (points[0], points[-1]))) if len(points) > 1 else None
    cells = []
    for point in points:
        off = f"{point['wall'] / line(point['x']) - 1:+.0%}" if line else ""
        row = [point["label"], table.seconds(point["wall"]), table.seconds(point["cpu"]), table.megabytes(point["peak"])]
        cells.append([*row, off])
    return cells
