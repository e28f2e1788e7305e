"""One file for each scenario: its docstring says what it shows, and its `run(bench)` returns an Outcome."""

from dataclasses import dataclass, field
from pathlib import Path

from .. import contender, data, verify
from ..workspace import Workspace


@dataclass
class Outcome:
    """What a scenario found: tables to print, goals, and numbers and charts to keep."""

    scenario: str
    title: str
    tables: list = field(default_factory=list)
    goals: list = field(default_factory=list)
    numbers: dict = field(default_factory=dict)
    charts: dict = field(default_factory=dict)

    @property
    def broken(self):
        """Whether any contender failed."""
        return has_error(self.numbers)

    def as_json(self):
        goals = [goal.as_json() for goal in self.goals]
        return {"title": self.title, "needs": goals, "charts": sorted(self.charts), **self.numbers}

    def __str__(self):
        parts = [f"## {self.title}", *self.tables, "\n".join(map(str, self.goals))]
        return "\n\n".join(filter(None, parts)) + "\n"


def has_error(numbers):
    """Whether a nested dictionary or list has an `error` or `errors` anywhere."""
    if isinstance(numbers, dict):
        return bool(numbers.get("error") or numbers.get("errors")) or any(map(has_error, numbers.values()))
    return isinstance(numbers, list) and any(map(has_error, numbers))


@dataclass(frozen=True)
class Bench:
    """What every scenario works with."""

    workspace: Workspace
    rounds: int = 3
    scale: float = 1.0
    only: frozenset | None = None
    # Fields of the Spec that were given on the command line.
    override: dict = field(default_factory=dict)
    keep_data: bool = False

    def feed(self, spec, *, lines=True):
        """The feed of a spec, shrunk (in lines per file) and changed as the options of this run say, and read once."""
        spec = spec.scaled(self.scale) if lines else spec
        made = data.feed(self.workspace, data.replace(spec, **self.override))
        data.warm(self.workspace, made)
        return made

    def count(self, number, least=1):
        """A number of files or of waves, shrunk."""
        return max(least, round(number * self.scale))

    def done_with(self, feed):
        """Deletes a large feed, unless --keep-data was given."""
        if not self.keep_data:
            data.drop(feed)

    def peers(self):
        return contender.peers(self.workspace, only=self.only)

    def verifier(self, feed):
        return verify.of_feed(self.workspace, feed)

    def log(self, name) -> Path:
        return self.workspace.work / f"{name}.log"


def fastest(results):
    """The fastest of the peers that are whole processes and did the job."""
    return min(whole(results), key=lambda result: result.wall, default=None)


def leanest(results):
    """The peer with the least peak memory."""
    return min(whole(results), key=lambda result: result.peak, default=None)


def whole(results):
    return [result for result in results if result.ok and result.name in contender.PROCESSES]


def ratio(over, under, what):
    """The ratio of two Results' medians, or None if one of them is missing or failed."""
    done = over and under and over.ok and under.ok
    return getattr(over, what) / getattr(under, what) if done else None


def named(results, name):
    return next((result for result in results if result.name == name and result.ok), None)


def with_name(what, peer):
    """The same words with the peer's name, if there is one."""
    return f"{what} ({peer.name})" if peer else what
