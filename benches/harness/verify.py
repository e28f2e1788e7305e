"""Checks a summary: compares it, cell by cell, with what DuckDB computes from the same files.

DuckDB runs in the private Python (benches/clients/verify.py). The expected summary is kept beside a feed, because it never changes.
"""

import json
import subprocess

from .measure import Failed
from .workspace import BENCHES, Stop

CLIENT = BENCHES / "clients" / "verify.py"


class Verifier:
    """Knows the expected summary of one folder."""

    def __init__(self, workspace, folder, expected, dirty=False):
        self.python, self.expected = workspace.python, expected
        if not expected.exists():
            part = expected.with_suffix(".part")
            try:
                ask(self.python, "expected-dirty" if dirty else "expected", folder, part)
            except Failed as failure:
                raise Stop(str(failure)) from failure
            part.rename(expected)
        self.rows = None

    def check(self, summary):
        """Raises Failed unless the summary, a Parquet or the CSV of a warehouse, has exactly the expected rows."""
        if not summary.exists():
            raise Failed(f"it wrote no {summary.name}")
        found = json.loads(ask(self.python, "compare", self.expected, summary))
        self.rows = found.pop("rows")
        wrong = [f"{count:,} rows {kind}" for kind, count in found.items() if count]
        if wrong:
            raise Failed(f"its summary is wrong: {', '.join(wrong)}, of {self.rows:,} expected")


def of_feed(workspace, feed):
    """Returns the Verifier of a feed."""
    dirty = feed.spec.quoted or feed.spec.bad > 0
    return Verifier(workspace, feed.folder, feed.folder.parent / "expected.parquet", dirty)


def ask(python, *arguments):
    done = subprocess.run([python, CLIENT, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"its summary cannot be verified: {' '.join(done.stderr.split()[-40:])}")
    return done.stdout
