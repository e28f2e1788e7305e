"""The processes of a site, each started again whenever it ends, as a service manager does; each with a clock of its own."""

import collections
import glob
import os
import re
import signal
import subprocess
import time

# What a process may say when it ends by itself. Everything else is a fault.
EXPECTED = (
    # Another process is the service: it stands by.
    "has a lease on the state database",
    "another gristmill .* with a lease until",
    # It was taken for dead.
    "another one has taken over",
    # One that stands still, or is about to end, holds the lock of the lake's spool.
    "another gristmill .* is running and holds .*_spool",
)


def clocks():
    """The library that steps clocks, as Debian's package faketime has it."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1")
    assert found, "there is no libfaketime: run apt-get install faketime (scripts/test --setup does that)"
    return found[0]


class Process:
    """One of the site's processes: what it is started with, and its present start, if it runs."""

    def __init__(self, number, role):
        self.number, self.role = number, role
        self.child = None
        self.starts = 0
        self.at = 0.0
        self.is_paused = False
        # Whether its end was brought about.
        self.is_told = False

    @property
    def is_worker(self):
        return "+" in self.role

    @property
    def name(self):
        return f"{self.role}-{self.number}"


class Processes:
    """Starts them, and starts them again."""

    def __init__(self, binary, folder, roles, draw, tell):
        self.binary, self.folder, self.draw, self.tell = binary, folder, draw, tell
        self.all = [Process(number, role) for number, role in enumerate(roles)]
        self.ends = collections.Counter()
        self.wrong = []
        self.is_on = True
        self.steps_clocks = True
        (folder / "logs").mkdir()

    def command(self, role):
        """`run` is the service or stands by; `run+convert` and the like have a role."""
        verb, _, part = role.partition("+")
        return [self.binary, verb] + (["--role", part] if part else [])

    def clock(self, process):
        return self.folder / f"clock-{process.number}"

    def step_clock(self, process):
        """Steps a process's clock by up to some minutes."""
        seconds = self.draw.choice((0, 0, self.draw.randint(-240, 240)))
        path = self.clock(process)
        new = path.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.rename(path)
        return seconds

    def environment(self, process):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        if process.role == "run":
            environment |= self.slowness()
        if self.steps_clocks:
            environment |= {
                "LD_PRELOAD": clocks(),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock(process)),
                "FAKETIME_CACHE_DURATION": "1",
                # Spans of time stay true, and so do the times of files, which have one clock for all processes.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
                # What it shares between processes would stay behind after a kill.
                "FAKETIME_DISABLE_SHM": "1",
            }
        return environment

    def slowness(self):
        """Has the service take a while where workers are to get something to do."""
        slow = "after-converted=30%sleep(400);after-summary=30%sleep(600)"
        return {"FAILPOINTS": slow} if any(process.is_worker for process in self.all) else {}

    def log(self, process):
        return self.folder / "logs" / f"{process.name}.{process.starts}"

    def start(self, process):
        process.starts += 1
        process.is_paused = process.is_told = False
        if self.steps_clocks:
            self.step_clock(process)
        with open(self.log(process), "w") as log:
            process.child = subprocess.Popen(
                self.command(process.role),
                cwd=self.folder,
                env=self.environment(process),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def supervise(self):
        """Starts what has ended, after a pause."""
        now = time.monotonic()
        for process in self.all:
            if process.child and process.child.poll() is not None:
                self.ended(process)
                process.at = now + self.draw.uniform(0.1, 1.0)
            if process.child is None and self.is_on and now >= process.at:
                self.start(process)

    def ended(self, process):
        status = process.child.returncode
        process.child = None
        text = self.log(process).read_text(errors="replace")
        last = text[text.rfind("error: "):].strip() if "error: " in text else ""
        if "panicked" in text or "this is a bug" in text:
            self.wrong.append(f"{process.name}, start {process.starts}: {text[-3000:]}")
        if process.is_told and status in (0, -signal.SIGKILL):
            return
        told = re.sub(r"\d+", "N", last)[:300] or f"status {status}"
        self.ends[told] += 1
        if status not in (1, 2) or not any(re.search(known, text) for known in EXPECTED):
            self.tell(f"{process.name} ended with {status}: {last or text[-500:]}")
            self.wrong.append(f"{process.name}, start {process.starts}, ended with status {status}: {text[-3000:]}")

    # What happens to them.

    def alive(self):
        return [process for process in self.all if process.child and process.child.poll() is None]

    def of_pid(self, pid):
        return next((process for process in self.alive() if process.child.pid == pid), None)

    def signal(self, process, what):
        process.is_paused = what == signal.SIGSTOP
        process.is_told |= what in (signal.SIGKILL, signal.SIGTERM)
        process.child.send_signal(what)

    def go_on(self):
        for process in self.alive():
            if process.is_paused:
                self.signal(process, signal.SIGCONT)

    def stop(self, patience):
        """Stops all cleanly. Returns what is wrong."""
        self.is_on = False
        self.go_on()
        for process in self.alive():
            self.signal(process, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        late = self.alive()
        for process in late:
            process.child.kill()
            process.child.wait()
        self.supervise()
        return [f"{process.name} did not stop" for process in late]

    def kill(self):
        """Ends all at once, whatever they do."""
        self.is_on = False
        for process in self.alive():
            process.is_told = True
            process.child.kill()
            process.child.wait()
