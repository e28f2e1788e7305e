"""Large catalogues and long spans: `gristmill aggregate` beside its peers where nearly every line has a key of its own.

Each feed has ten stores with a file of 400,000 lines each. Costs grow with the number of distinct items and keys, which
`aggregate` has few of.
"""

from .. import contender, table
from ..data import Spec
from ..goal import Goal
from ..rounds import in_turn
from ..stats import rounds
from . import Outcome, fastest, ratio

STORES = 10
LINES = 400_000
# Items, days, and how many times as fast as the fastest peer.
SHAPES = [(2_000, 7, 5), (20_000, 7, 4), (50_000, 7, 4), (200_000, 7, 3.5), (2_000, 365, 4)]


def run(bench):
    tables, goals, numbers = [], [], []
    for items, days, needed in SHAPES:
        feed = bench.feed(Spec(files=STORES, lines=LINES, stores=STORES, items=items, days=days))
        verifier = bench.verifier(feed)
        contenders = [contender.ours(bench.workspace), *bench.peers()]
        results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, verifier.check)
        ours, rival = results[0], fastest(results)
        shape = f"{items:,} items, {days} days, {verifier.rows:,} keys" if verifier.rows else f"{items:,} items, {days} days"
        tables += [f"### {shape}", table.costs(results, ours, feed.bytes)]
        peer = f" ({rival.name})" if rival else ""
        goals.append(Goal(f"times as fast as the fastest peer{peer}, {shape}", ratio(rival, ours, "wall"), needed))
        numbers.append({"data": {**feed.as_json(), "keys": verifier.rows}, "results": [result.as_json() for result in results]})
    return Outcome(
        "catalogue",
        f"Catalogue: {STORES} stores with {LINES:,} lines each, {rounds(bench.rounds)} in turn",
        tables,
        goals,
        {"shapes": numbers},
    )
