"""The folders, and the programs that a run needs, built by cargo or installed by pip."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ROOT / "benches"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or "target")
TARGET = TARGET if TARGET.is_absolute() else ROOT / TARGET


class Stop(Exception):
    """Raised when the run cannot go on. The text says what to do."""


def say(text):
    """Reports progress on standard error; results go to standard output."""
    print(text, file=sys.stderr, flush=True)


class Workspace:
    """The programs and folders of one run."""

    def __init__(self, *, profile="release", build=True, binary=None, python=None, spark=False):
        self.profile, self.build_wanted, self.spark = profile, build, spark
        programs = TARGET / ("debug" if profile == "dev" else profile)
        self.gristmill = Path(binary).resolve() if binary else programs / "gristmill"
        self.generate = programs / "generate"
        self.count_lines = programs / "count-lines"
        self.load = programs / "examples" / "load"
        self.python = Path(python).absolute() if python else None
        self.spark_python = None
        self.data = TARGET / "bench-data"
        self.results = TARGET / "bench-results"
        self.work = None

    @contextmanager
    def prepared(self):
        """Builds and installs what is missing, and creates the folder for this run's files; removes that folder at the end."""
        if self.build_wanted:
            self.build()
        for program in (self.gristmill, self.generate, self.count_lines):
            if not program.exists():
                raise Stop(f"{program} does not exist: leave out --no-build")
        if self.python is None:
            self.python = venv("bench-venv", "requirements.txt")
        if self.spark:
            if shutil.which("java") is None:
                raise Stop("Spark needs Java: apt-get install default-jre-headless, or leave out --spark")
            self.spark_python = venv("bench-venv-spark", "requirements-spark.txt")
        self.results.mkdir(parents=True, exist_ok=True)
        # Below target, so that it is on the same disk as the data: files are linked and renamed between the two.
        work = Path(tempfile.mkdtemp(prefix="bench-work-", dir=TARGET))
        try:
            self.work = work
            yield self
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def build(self):
        """Builds the binary as packages have it, and the tools separately, so that they do not change its features."""
        for rest in (["--features", "cluster"], ["-p", "gristmill-fixtures", "--bins"], ["-p", "gristmill-loader", "--example", "load"]):
            command = ["cargo", "build", "--profile", self.profile, "--locked", *rest]
            say(" ".join(command))
            if subprocess.run(command, cwd=ROOT).returncode != 0:
                raise Stop("the build failed: see above")

    def folder(self, name):
        """Creates an empty folder for some of this run's files."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def venv(name, requirements):
    """The Python of a private environment that has exactly the pinned requirements."""
    folder, wanted = TARGET / name, BENCHES / requirements
    # The copy of the list is written last, so it marks a complete installation of exactly these versions.
    installed = folder / "requirements.txt"
    python = folder / "bin" / "python"
    if python.exists() and installed.exists() and installed.read_bytes() == wanted.read_bytes():
        return python
    say(f"installing the Python packages of benches/{requirements} in {folder}")
    steps = [
        [sys.executable, "-m", "venv", "--clear", folder],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", wanted],
    ]
    for step in steps:
        if subprocess.run(step).returncode != 0:
            raise Stop(f"cannot install benches/{requirements}: see above (python3-venv and a package registry are needed)")
    shutil.copyfile(wanted, installed)
    return python
