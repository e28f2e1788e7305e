"""Large catalogues and long spans: `gristmill aggregate` beside its peers where nearly every line has a key of its own.

Each feed has ten stores with one file each. Costs grow with the number of distinct items and keys, which `aggregate` has few
of. The last two are a hypermarket's month and a grocer's year, in which nearly every sale has a key of its own.
"""

from dataclasses import dataclass

from .. import contender, table
from ..data import Spec
from ..goal import Goal
from ..rounds import in_turn
from ..stats import rounds
from . import Outcome, fastest, leanest, named, ratio, with_name

STORES = 10


@dataclass(frozen=True)
class Shape:
    """A feed, and what is needed of it: how many times as fast as the fastest peer and as a warm Sail, and at most which
    part of the leanest peer's memory."""

    items: int
    days: int
    speed: float
    lines: int = 400_000
    sail: float | None = None
    memory: float | None = None

    def spec(self):
        return Spec(files=STORES, lines=self.lines, stores=STORES, items=self.items, days=self.days)


SHAPES = [
    Shape(2_000, 7, speed=5),
    Shape(20_000, 7, speed=4),
    Shape(50_000, 7, speed=4),
    Shape(200_000, 7, speed=3.5),
    Shape(2_000, 365, speed=4),
    Shape(200_000, 30, lines=860_000, speed=3, sail=2, memory=0.5),
    Shape(69_000, 365, lines=280_000, speed=4),
]


def run(bench):
    tables, goals, numbers = [], [], []
    for shape in SHAPES:
        feed = bench.feed(shape.spec())
        verifier = bench.verifier(feed)
        contenders = [contender.ours(bench.workspace), *bench.peers()]
        results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, verifier.check)
        title = f"{shape.items:,} items, {shape.days} days, {feed.lines:,} lines"
        title += f", {verifier.rows:,} keys" if verifier.rows else ""
        tables += [f"### {title}", table.costs(results, results[0], feed.bytes)]
        goals += needs(shape, title, results)
        numbers.append({"data": {**feed.as_json(), "keys": verifier.rows}, "results": [result.as_json() for result in results]})
    return Outcome(
        "catalogue",
        f"Catalogue: {STORES} stores with a file each, {rounds(bench.rounds)} in turn",
        tables,
        goals,
        {"shapes": numbers},
    )


def needs(shape, title, results):
    ours, rival, lean, warm = results[0], fastest(results), leanest(results), named(results, contender.SAIL)
    goals = [Goal(f"{with_name('times as fast as the fastest peer', rival)}, {title}", ratio(rival, ours, "wall"), shape.speed)]
    if shape.sail:
        goals.append(Goal(f"times as fast as a warm Sail server, {title}", ratio(warm, ours, "wall"), shape.sail))
    if shape.memory:
        of_lean = with_name("of the memory of the leanest peer", lean)
        goals.append(Goal(f"{of_lean}, {title}", ratio(ours, lean, "peak"), shape.memory, at_most=True))
    return goals
