"""A queue of 10,000 tiny files through the whole chain: what a file costs, apart from its lines."""

from .. import table
from ..data import Spec
from ..goal import Goal
from ..rounds import Result, guarded
from ..service import Installation
from ..workspace import say
from . import Outcome
from .memory import until_idle

FILES, LINES = 10_000, 8


def run(bench):
    files = bench.count(FILES)
    feed = bench.feed(Spec(files=files, lines=LINES, stores=files), lines=False)
    verifier = bench.verifier(feed)
    result = Result("gristmill run --until-idle")
    for number in range(bench.rounds):
        say(f"round {number + 1} of {bench.rounds}")
        if not result.error:
            installation = Installation(bench.workspace, feed.folder, feed.spec.files)
            guarded(result, until_idle, installation, result, bench.log("run"), verifier)
            # The installation stays until the end: for minutes after many files were deleted, ext4 creates files slowly.
    rate = feed.spec.files / result.wall if result.ok else None
    goals = [Goal("files a second", rate, 2_000)]
    numbers = {"data": feed.as_json(), "results": [result.as_json()]}
    return Outcome("tiny", f"Tiny files: {feed}", [table.costs([result], result)], goals, numbers)
