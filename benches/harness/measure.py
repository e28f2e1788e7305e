"""What one process costs: its wall time, its CPU time and its peak memory, as the kernel counts them.

`launch.py` starts the process, so a peak below the launcher's own (about 10 MB) cannot be measured.
"""

import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


LAUNCHER = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time, seconds of CPU time over all threads, and peak resident memory in bytes."""

    wall: float
    cpu: float
    peak: int

    def as_json(self):
        return asdict(self)


class Failed(Exception):
    """A contender did not do its job. The text says why, and is shown in its row of the table."""


def run(command, log, *, cwd=None, env=None, cpus=None):
    """Runs a command to its end and returns its Cost; its output goes to the file `log`.

    With `cpus`, it may use only these processors. The CPU time includes that of its own children, if it waits for them.
    """
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    reader, writer = os.pipe()
    with open(log, "wb") as out, os.fdopen(reader) as report:
        launcher = subprocess.Popen(
            [sys.executable, "-I", "-S", LAUNCHER, str(writer), *(str(part) for part in command)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            preexec_fn=pin,
            pass_fds=[writer],
            start_new_session=True,
        )
        os.close(writer)
        try:
            cost = report.read().split()
            launcher.wait()
        except BaseException:
            os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()
            raise
    name = Path(str(command[0])).name
    if len(cost) != 4:
        raise Failed(f"{name} could not be started: {tail(log)}")
    code, wall, cpu, peak = int(cost[0]), float(cost[1]), float(cost[2]), int(cost[3])
    if code != 0:
        raise Failed(f"{name} ended with {code}: {tail(log)}")
    return Cost(wall, cpu, peak * 1024)


def tail(log, lines=3):
    """The last lines of a log, for a message."""
    text = Path(log).read_text(errors="replace").strip()
    return " | ".join(text.splitlines()[-lines:]) or "it printed nothing"


class Meter:
    """What a process that stays up costs between two readings of /proc."""

    def __init__(self, pid):
        self.proc = Path("/proc") / str(pid)
        # Since Linux 4.0 this resets the peak to what is resident now.
        (self.proc / "clear_refs").write_text("5")
        self.cpu_before = self.cpu()

    def cpu(self):
        # The second field is the program's name in parentheses and may hold spaces.
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cost(self, wall):
        status = (self.proc / "status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        return Cost(wall, self.cpu() - self.cpu_before, peak * 1024)
