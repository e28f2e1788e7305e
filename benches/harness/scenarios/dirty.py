"""What untidy files cost: every text in quotes, CR LF, one bad line in a thousand, beside the same feed written cleanly.

Only gristmill runs: most peers stop at the first bad line. Speed is in lines a second, because quotes make the same lines longer.
"""

from dataclasses import replace

from .. import contender, table
from ..data import Spec
from ..goal import Goal
from ..rounds import Result, guarded, one_round
from ..workspace import say
from . import Outcome


def run(bench):
    feeds = [bench.feed(spec) for spec in (Spec(), replace(Spec(), quoted=True, crlf=True, bad=1))]
    checks = [bench.verifier(feed).check for feed in feeds]
    ours = contender.ours(bench.workspace)
    clean, dirty = results = [Result("gristmill, clean"), Result("gristmill, quoted, CR LF, 1 bad in 1,000")]
    work = bench.workspace.folder("rounds")
    for number in range(bench.rounds):
        say(f"round {number + 1} of {bench.rounds}: clean and dirty")
        for feed, check, result in zip(feeds, checks, results):
            if not result.error:
                guarded(result, one_round, ours, result, feed.folder, work, check)

    reached, speeds = None, ""
    if clean.ok and dirty.ok:
        lines = [feed.lines / result.wall for feed, result in zip(feeds, results)]
        rates = [feed.bytes / result.wall for feed, result in zip(feeds, results)]
        reached = lines[1] / lines[0]
        speeds = f"In lines a second {reached:.2f} of the clean speed, in bytes a second {rates[1] / rates[0]:.2f}."
    data = {name: feed.as_json() for name, feed in zip(("clean", "dirty"), feeds)}
    return Outcome(
        "dirty",
        f"Dirty files: {feeds[1]}",
        [table.costs(results, clean), speeds],
        [Goal("of the clean speed in lines a second", reached, 0.7)],
        {"data": data, "results": [result.as_json() for result in results]},
    )
