"""The same files to the same Parquet, by all contenders: `gristmill aggregate` beside its peers, and the limit of reading.

`aggregate` has 940 MB with 240,000 keys; `keys` has 484 MB with 4.6 million keys, nearly one for each line.
"""

from .. import bars, contender, table
from ..data import MANY_KEYS, Spec
from ..goal import Goal
from ..rounds import in_turn
from ..stats import rounds
from . import Outcome, fastest, leanest, named, ratio, with_name


def run(bench):
    return compare(bench, "aggregate", Spec(), speed=6, memory=0.5, sail=4)


def run_keys(bench):
    return compare(bench, "keys", MANY_KEYS, speed=3, memory=0.6)


def compare(bench, scenario, spec, speed, memory, sail=None):
    feed = bench.feed(spec)
    verifier = bench.verifier(feed)
    contenders = [contender.ours(bench.workspace), *bench.peers(), contender.limit(bench.workspace)]
    results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, verifier.check)
    ours = results[0]

    rival, lean, warm = fastest(results), leanest(results), named(results, contender.SAIL)
    limit = named(results, contender.LIMIT)
    goals = [
        Goal(with_name("times as fast as the fastest peer", rival), ratio(rival, ours, "wall"), speed),
        Goal(with_name("of the memory of the leanest peer", lean), ratio(ours, lean, "peak"), memory, at_most=True),
    ]
    if sail:
        goals.append(Goal("times as fast as a warm Sail server", ratio(warm, ours, "wall"), sail))
    share = ratio(limit, ours, "wall")
    limits = f"Reading and counting newlines takes {share:.0%} of our time." if share else ""

    keys = f"{verifier.rows:,} keys" if verifier.rows else "keys unknown"
    title = f"Aggregate: {feed}, {keys}"
    subtitle = f"the same files to the same sorted Parquet; {rounds(bench.rounds)} in turn, files in the page cache"
    return Outcome(
        scenario,
        title,
        [table.costs(results, ours, feed.bytes), limits],
        goals,
        {"data": {**feed.as_json(), "keys": verifier.rows}, "results": [result.as_json() for result in results]},
        {scenario: bars.chart(title, subtitle, results)},
    )
