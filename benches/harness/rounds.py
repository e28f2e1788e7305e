"""Runs contenders in turn: each does the job once a round, so that a slow minute of the machine affects all of them alike."""

import os
import shutil
from dataclasses import dataclass, field

from .measure import Failed
from .stats import median
from .workspace import say


@dataclass
class Result:
    """What a contender's rounds cost. A contender that failed once is excluded, and has its error."""

    name: str
    costs: list = field(default_factory=list)
    error: str | None = None

    @property
    def ok(self):
        return self.error is None and bool(self.costs)

    @property
    def wall(self):
        return median([cost.wall for cost in self.costs])

    @property
    def cpu(self):
        return median([cost.cpu for cost in self.costs])

    @property
    def peak(self):
        return median([cost.peak for cost in self.costs])

    def as_json(self):
        medians = {"wall": self.wall, "cpu": self.cpu, "peak": self.peak} if self.costs else None
        rounds = [cost.as_json() for cost in self.costs]
        return {"name": self.name, "median": medians, "rounds": rounds, "error": self.error}


def in_turn(workspace, contenders, rounds, folder, check=None):
    """Lets each contender do the job over `folder` in each of several rounds; returns a Result for each.

    `check(out)` verifies each summary and raises Failed if it is wrong; its time is not counted.
    """
    work = workspace.folder("rounds")
    results = [Result(contender.name) for contender in contenders]
    pairs = list(zip(contenders, results))
    try:
        for contender, result in pairs:
            guarded(result, contender.start, work)
        for number in range(rounds):
            for contender, result in pairs:
                if result.error:
                    continue
                say(f"round {number + 1} of {rounds}: {contender.name}")
                guarded(result, one_round, contender, result, folder, work, check)
    finally:
        for contender in contenders:
            contender.stop()
    return results


def one_round(contender, result, folder, work, check):
    out = work / "summary.parquet"
    # What an earlier contender wrote goes to disk now, and does not cost this one time.
    os.sync()
    cost = contender.run(folder, out, work / "log")
    if check and contender.writes_summary:
        check(out)
    result.costs.append(cost)
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True)


def guarded(result, action, *arguments):
    """Runs the action, and records a failure in the result instead of raising it, so that the others go on."""
    try:
        action(*arguments)
    except Failed as failure:
        result.error = str(failure)
        say(f"{result.name} failed: {failure}")
