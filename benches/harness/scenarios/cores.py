"""The gain from a second core: the same job bound to one processor and to two, on one large file and on many."""

import os
from dataclasses import replace
from pathlib import Path

from .. import contender, table
from ..data import Spec
from ..goal import Goal
from ..rounds import in_turn
from ..workspace import Stop
from . import Outcome


def run(bench):
    pair = two_processors()
    many = Spec()
    one = replace(many, files=1, lines=many.files * many.lines)
    tables, goals, numbers = [], [], {}
    for what, spec in (("one file", one), (f"{many.files} files", many)):
        feed = bench.feed(spec)
        contenders = [
            contender.ours(bench.workspace, name="gristmill, one core", cpus=pair[:1]),
            contender.ours(bench.workspace, name="gristmill, two cores", cpus=pair),
        ]
        results = in_turn(bench.workspace, contenders, bench.rounds, feed.folder, bench.verifier(feed).check)
        alone, both = results
        tables.append(f"{what}: {feed}\n" + table.costs(results, both, feed.bytes))
        gain = alone.wall / both.wall if alone.ok and both.ok else None
        goals.append(Goal(f"times as fast on two cores as on one, {what}", gain, 1.8))
        numbers[what] = {"data": feed.as_json(), "results": [result.as_json() for result in results]}
    return Outcome("cores", f"Cores: processor {pair[0]}, and {pair[0]} with {pair[1]}", tables, goals, {"feeds": numbers})


def two_processors():
    """Two processors, of different cores if there are two: siblings of one core share its execution units."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Stop("the scenario `cores` needs two processors")
    siblings = Path(f"/sys/devices/system/cpu/cpu{usable[0]}/topology/thread_siblings_list")
    shared = processors(siblings.read_text()) if siblings.exists() else set()
    apart = [number for number in usable[1:] if number not in shared]
    return [usable[0], (apart or usable[1:])[0]]


def processors(text):
    """The numbers in a list in the kernel's form: `0,4` or `0-1`."""
    numbers = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers
