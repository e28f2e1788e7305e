"""The JSON of a run: every number, with the machine, the versions and the commit that it came from.

One file holds the latest outcome of each scenario, so that scenarios can be run one by one. Beside it are what each printed, and
the charts. With --record they go to docs/benchmarks/, where the README shows them from.
"""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from .workspace import BENCHES, ROOT, say

FILE = "record.json"


def description(workspace, command, rounds, scale):
    """What an outcome depends on besides the data."""
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "rounds": rounds,
        "scale": scale,
        "commit": commit(),
        "machine": machine(),
        "versions": versions(workspace),
    }


def commit():
    """The commit, and whether the work tree differs from it; earlier records do not count."""
    head = output(["git", "rev-parse", "HEAD"])
    changes = output(["git", "status", "--porcelain", "--", ".", ":!docs/benchmarks"])
    return f"{head} with changes" if changes else head


def machine():
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "system": platform.platform(),
    }


def versions(workspace):
    """The versions of all programs, as they report them."""
    found = {
        "gristmill": output([workspace.gristmill, "--version"]).rpartition(" ")[2],
        "rustc": output(["rustc", "--version"]),
        "harness python": platform.python_version(),
    }
    for python in filter(None, (workspace.python, workspace.spark_python)):
        found["python of the peers"] = output([python, "-c", "import platform; print(platform.python_version())"])
        # `pip list` would do, but an environment need not have pip.
        lines = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
        wanted = pinned("requirements.txt") | pinned("requirements-spark.txt")
        for line in output([python, "-c", lines]).splitlines():
            name, version = line.split()
            if name.lower() in wanted:
                found[name.lower()] = version
    return dict(sorted(found.items()))


def pinned(requirements):
    lines = (BENCHES / requirements).read_text().splitlines()
    return {line.partition("==")[0].partition("[")[0] for line in lines if line and not line.startswith("#")}


def output(command):
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip()


def write(folder, about, outcome):
    """Writes an outcome to the folder's record, replacing the earlier one of the same scenario, and its charts beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    record = json.loads(file.read_text()) if file.exists() else {"scenarios": {}}
    record["scenarios"][outcome.scenario] = {"run": about, **outcome.as_json()}
    part = file.with_suffix(".part")
    part.write_text(json.dumps(rounded(record), indent=1, ensure_ascii=False) + "\n")
    part.rename(file)
    beside = {f"{outcome.scenario}.txt": str(outcome)} | {f"{name}.svg": chart for name, chart in outcome.charts.items()}
    for name, text in beside.items():
        (folder / name).write_text(text)
    say(f"written to {folder}: {', '.join([FILE, *beside])}")


def rounded(value):
    """The same value, with all floats in it rounded to microseconds."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value
