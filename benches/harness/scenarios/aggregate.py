"""The same files to the same Parquet, by everybody: `gristmill aggregate` beside its peers, and the limit of reading.

`aggregate` has 940 MB in 240,000 keys; `keys` has 484 MB in 4.6 million keys, nearly one for each line.
"""

from .. import bars, contender, table
from ..data import MANY_KEYS, Spec
from ..need import Need
from ..rounds import in_turn
from . import Outcome, fastest, leanest, named


def run(bench):
    return compare(bench, "aggregate", Spec(), speed=5, memory=0.5, sail=3)


def run_keys(bench):
    return compare(bench, "keys", MANY_KEYS, speed=3, memory=0.6)


def compare(bench, scenario, spec, speed, memory, sail=None):
    feed = bench.feed(spec)
    verifier = bench.verifier(feed)
    contenders = [contender.ours(bench.workspace), *bench.peers(), contender.limit(bench.workspace)]
    results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, verifier.check)
    ours = results[0]

    needs = []
    rival, lean = fastest(results), leanest(results)
    if ours.ok and rival:
        needs.append(Need(f"times as fast as the fastest peer, {rival.name}", rival.wall / ours.wall, speed))
    warm = named(results, contender.SAIL)
    if ours.ok and warm and sail:
        needs.append(Need("times as fast as a warm Sail server", warm.wall / ours.wall, sail))
    if ours.ok and lean:
        what = f"of the memory of the leanest peer, {lean.name}"
        needs.append(Need(what, ours.peak / lean.peak, memory, at_most=True))
    limit = named(results, contender.LIMIT)
    if ours.ok and limit:
        limits = f"Reading and counting newlines takes {limit.wall / ours.wall:.0%} of our time."
    else:
        limits = ""

    keys = f"{verifier.rows:,} keys" if verifier.rows else "keys unknown"
    title = f"Aggregate: {feed}, {keys}"
    subtitle = f"the same files to the same sorted Parquet; medians of {bench.rounds} rounds in turn, files in the page cache"
    return Outcome(
        scenario,
        title,
        [table.costs(results, ours, feed.bytes), limits],
        needs,
        {"data": {**feed.as_json(), "keys": verifier.rows}, "results": [result.as_json() for result in results]},
        {scenario: bars.chart(title, subtitle, results)},
    )
