"""Feeds for the benchmarks: the generator makes each when it is first needed, and it is kept under the name of its options."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, fields, replace

from .workspace import Stop, say

# About the length of a clean line of the generator, with eight columns.
BYTES_A_LINE = 56.6


@dataclass(frozen=True)
class Spec:
    """Which feed to make; the names are those of the generator's options. The default has 940 MB and 240,000 keys."""

    files: int = 40
    lines: int = 415_000
    stores: int = 100
    items: int = 200
    days: int = 12
    seed: int = 1
    bad: int = 0
    shared_stores: bool = False
    quoted: bool = False
    crlf: bool = False

    def options(self):
        """The generator's options for this feed."""
        options = []
        for field in fields(self):
            value = getattr(self, field.name)
            option = "--" + field.name.replace("_", "-")
            if isinstance(value, bool):
                options += [option] if value else []
            else:
                options += [option, str(value)]
        return options

    def name(self):
        """A name that no other feed has."""
        return "-".join(option.lstrip("-") for option in self.options())

    def scaled(self, scale):
        """The same feed with fewer lines in each file."""
        return replace(self, lines=max(1, round(self.lines * scale)))


# 4.6 million of the 22.5 million possible keys occur in 484 MB.
MANY_KEYS = Spec(lines=214_000, stores=1_000, items=1_500, days=15)


@dataclass(frozen=True)
class Feed:
    """A feed on disk."""

    spec: Spec
    folder: object
    bytes: int

    @property
    def lines(self):
        return self.spec.files * self.spec.lines

    def as_json(self):
        return {"spec": asdict(self.spec), "lines": self.lines, "bytes": self.bytes}

    def __str__(self):
        files = f"{self.spec.files:,} file" + ("s" if self.spec.files > 1 else "")
        size = f"{self.bytes / 1e6:,.0f}" if self.bytes >= 1e7 else f"{self.bytes / 1e6:,.2f}"
        return f"{files}, {self.lines:,} lines, {size} MB"


def feed(workspace, spec):
    """Returns the feed of a spec: from an earlier run if there is one, otherwise newly generated."""
    place = workspace.data / spec.name()
    folder, done = place / "files", place / "feed.json"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        say(f"generating {spec.files:,} files of {spec.lines:,} lines")
        made = subprocess.run([workspace.generate, *spec.options(), folder], capture_output=True, text=True)
        if made.returncode != 0:
            raise Stop(f"the generator failed: {made.stderr.strip()}")
        # A service considers a file whole at once if it was last written a while ago.
        sizes = [make_old(entry.path) for entry in os.scandir(folder)]
        done.write_text(json.dumps({"bytes": sum(sizes)}))
    return Feed(spec, folder, json.loads(done.read_text())["bytes"])


def make_old(path):
    """Sets a file's modification time to an hour ago; returns its size."""
    then = time.time() - 3600
    os.utime(path, (then, then))
    return os.stat(path).st_size


def warm(workspace, feed):
    """Reads all files once, so that every contender finds them in the page cache (if that is large enough)."""
    subprocess.run([workspace.count_lines, feed.folder], check=True, stdout=subprocess.DEVNULL)


def drop(feed):
    """Deletes a feed that is too large to keep."""
    shutil.rmtree(feed.folder.parent)
