"""Days of waves for 50 stores in 4 provinces, in bad weather; then an audit.

    weather.py --binary GRISTMILL --folder FOLDER --seed N --kills N --processes run,run
               --state URL --warehouse URL [--bucket ENDPOINT] [--small-disk MEGABYTES] [--prove]

Some processes work on one site: a source and a lake in folders, the state and the warehouse on servers. With --bucket, source and
lake are in the bucket `gristmill` of an S3 server, whose keys are in the environment, and the small disk has the lake's scratch.
Each process is started again when it ends. While the stores send (`weather_stores.py`), processes are killed, stopped cleanly,
and paused, also for longer than their lease; servers stop, connections are cut, refused or fall silent; the lake's disk is
full; and each process has a clock of its own that is stepped (`weather_events.py`). In the end all goes well again,
and when nothing is left to do, `auditor.py` compares warehouse, ledger, state and lake with the model.

What is planned is drawn from the seed; what it meets, and so how it goes, differs each time. Events are told on standard error. On
standard output stand requests to whoever runs the servers, `stop state fast` and the like, each answered with a line; and at
last the totals, as JSON. --prove damages the audited site in many ways, and asks that the auditor notices each.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import auditor
import auditor_databases
import weather_damage
from weather_bucket import Bucket
from weather_events import Events
from weather_processes import Processes
from weather_proxy import Proxy
from weather_state import State
from weather_stores import JOBS, Stores

SETTINGS = """
[state]
url = "{state}"
[warehouse]
url = "{warehouse}"
"""

IN_FOLDERS = """
[source]
url = "incoming"
settle = "100ms"
sweep = "1s"
[lake]
url = "lake"
"""

# So that a connection that has fallen silent is given up in time.
PATIENT = "?tcp_user_timeout=5&connect_timeout=5"


class Site:
    """A folder with settings, a source and a lake, and the processes that work on it."""

    def __init__(self, options, draw, tell):
        self.folder = pathlib.Path(options.folder)
        self.has_small_disk = bool(options.small_disk)
        self.state = State(options.state, has_inodes=not options.bucket)
        self.urls = {"state": options.state, "warehouse": options.warehouse}
        self.proxies = {}
        urls = {name: self.proxied(name, url) + PATIENT for name, url in self.urls.items()}
        self.bucket, places = None, IN_FOLDERS
        if options.bucket:
            self.bucket = Bucket(options.bucket)
            places = self.bucket.settings(self.proxied("bucket", options.bucket))
        for name in ("incoming", "lake"):
            (self.folder / name).mkdir()
        (self.folder / "gristmill.toml").write_text(places + SETTINGS.format(**urls) + JOBS)
        if self.has_small_disk:
            disk = ["mount", "-t", "tmpfs", "-o", f"size={options.small_disk}m", "tmpfs", self.folder / "lake"]
            subprocess.run(disk, check=True)
        # A build may replace the binary meanwhile.
        self.binary = self.folder / "gristmill"
        try:
            os.link(options.binary, self.binary)
        except OSError:
            shutil.copy2(options.binary, self.binary)
        # Those of people that are under way.
        self.commands = []
        self.processes = Processes(self.binary, self.folder, options.processes.split(","), draw, tell)

    def proxied(self, name, url):
        """The URL of a proxy before a server."""
        port = re.search(r":(\d+)", url.rpartition("@")[2])[1]
        self.proxies[name] = Proxy(int(port))
        return url.replace(f":{port}", f":{self.proxies[name].port}")

    def submit(self, name, text):
        """Sends a file as careful stores do. Returns its stamp."""
        if self.bucket:
            return self.bucket.submit(name, text)
        part = self.folder / "incoming" / f".{name}.part"
        part.write_text(text)
        stamp = part.stat()
        part.rename(self.folder / "incoming" / name)
        return stamp.st_mtime_ns, stamp.st_ino

    def command(self, *arguments):
        """Starts a command of a person."""
        with open(self.folder / "logs" / f"{'.'.join(arguments)}.{time.monotonic_ns()}", "w") as log:
            child = subprocess.Popen(
                [self.binary, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.commands = [command for command in self.commands if command.poll() is None] + [child]
        return child

    def command_of(self, pid):
        return next((child for child in self.commands if child.pid == pid and child.poll() is None), None)


class Weather:
    def __init__(self, options):
        self.options, self.begun = options, time.monotonic()
        # What one draws does not depend on how often another does.
        self.draw, of_site, of_events = (random.Random(f"{options.seed} {what}") for what in ("stores", "site", "events"))
        self.site = Site(options, of_site, self.tell)
        self.state, self.processes = self.site.state, self.site.processes
        self.stores = Stores(options.seed)
        self.events = Events(self.site, options.kills, of_events, self.tell, self.ask_for)
        self.wrong, self.found = [], collections.Counter()
        # The decisions of people that are under way, by file.
        self.commands = {}
        self.next_retry = 0.0

    def tell(self, what):
        print(f"{time.monotonic() - self.begun:8.2f} s  {what}", file=sys.stderr, flush=True)

    def ask_for(self, request):
        """Has whoever runs the servers do something."""
        print(request, flush=True)
        answer = sys.stdin.readline()
        assert answer.strip() == "done", f"{request}: {answer!r}"

    # Stores and people.

    def send_some(self, count):
        ready = self.stores.ready(self.state.has)
        for file in self.draw.sample(ready, min(count, len(ready))):
            sending = file.to_come.pop(0)
            self.stores.counts["sendings"] += 1
            if sending.decides:
                self.decide(sending)
            else:
                sending.stamp = self.site.submit(sending.name, sending.text)
            file.done(sending)

    def decide(self, sending):
        self.commands[sending.name] = (sending, self.site.command(sending.decides, sending.name), time.monotonic())

    def people(self):
        """Sees to it that what people decided is done, and that what kills have stopped is tried again."""
        for name, (sending, child, since) in list(self.commands.items()):
            if child.poll() is None:
                if time.monotonic() - since > 60:
                    # It may be the service now, and wait for what cannot come.
                    child.terminate()
            elif self.state.has(sending):
                del self.commands[name]
            elif time.monotonic() - since > 1:
                self.decide(sending)
        if not self.state.seen or time.monotonic() < self.next_retry:
            return
        for what, error in self.state.seen["failed"] + self.state.seen["given up"]:
            if auditor.GIVEN_UP not in (error or ""):
                if (told := f"{what} is FAILED: {error}") not in self.wrong:
                    self.wrong.append(told)
            elif what not in self.commands:
                self.found["given up, and retried by a person"] += 1
                self.tell(f"a person retries {what}: {error}")
                self.site.command("retry", what)
            self.next_retry = time.monotonic() + 3

    # The whole.

    def step(self, sendings):
        """What happens all the time."""
        self.processes.supervise()
        if self.events.is_up["state"]:
            self.state.look()
        self.people()
        self.send_some(sendings)

    def blow(self):
        """Lets all events happen while the stores send."""
        while not self.events.are_over():
            if self.stores.is_sent():
                self.stores.begin_day()
                self.tell(f"day {self.stores.day}")
            self.events.step()
            # Some come one by one, and sometimes many at once.
            self.step(30 if self.draw.random() < 0.03 else self.draw.choice((0, 1, 2, 3, 4)))
            time.sleep(0.15)

    def settle(self):
        """Ends all faults, and waits until nothing is left to do. Returns whether that was so."""
        self.tell("the weather is over")
        self.events.end_all()
        done, changed = None, time.monotonic()
        while left := self.left():
            self.step(5)
            completed = self.state.seen and self.state.seen["completed"]
            now_done = len(self.state.recorded), completed, self.stores.is_sent()
            if now_done != done:
                done, changed = now_done, time.monotonic()
            if time.monotonic() - changed > self.options.patience:
                self.wrong.append(f"nothing happened for {self.options.patience} s, and this is left: {left}"[:4000])
                return False
            time.sleep(0.2)
        return True

    def left(self):
        """What is still to be done."""
        seen, files = self.state.seen, self.stores.files.values()
        if not seen:
            return ["the state was not seen yet"]
        left = [f"{file.name} was not recorded" for file in files if file.last and not self.state.has(file.last)]
        left += [f"{file.name} was not sent" for file in files if file.to_come]
        left += [f"people decide about {name}" for name in self.commands]
        left += [f"{run} is {state}" for run, state in seen["runs"]]
        left += [f"{what} {subject}" for what, subject in seen["left"]]
        left += [f"{what} is FAILED" for what, _ in seen["failed"] + seen["given up"]]
        waits = {("CA", wave) for wave in self.stores.open_waves()}
        return left + [f"the wave {job} {wave} is open" for job, wave in seen["waves"] if (job, wave) not in waits]

    def stop(self):
        for child in self.site.commands:
            if child.poll() is None:
                child.terminate()
                child.wait(60)
        self.wrong += self.processes.stop(60)

    def kill(self):
        for child in self.site.commands:
            child.kill()
        self.processes.kill()

    def rest(self):
        """One more start finds nothing to do."""
        before = self.state.database.ask("run_id, state", "FROM job_run")
        done = self.site.command("run", "--until-idle")
        try:
            status = done.wait(180)
        except subprocess.TimeoutExpired:
            done.kill()
            status = "nothing: it does not end"
        if status != 0:
            self.wrong.append(f"one more start ends with {status}: see its log")
        after = self.state.database.ask("run_id, state", "FROM job_run")
        if sorted(before) != sorted(after):
            self.wrong.append(f"one more start finds work: {sorted(set(after) - set(before))}")

    def audit(self):
        self.tell("audit")
        lake = scratch = self.site.folder / "lake"
        if self.site.bucket:
            lake = self.site.bucket.lake_copied(self.site.folder / "copy")
            self.wrong += self.site.bucket.unfinished()
        model, warehouse = self.stores.model(), auditor_databases.database(self.options.warehouse)
        audit = auditor.Audit(self.state.database, warehouse, lake, model, scratch)
        self.wrong += audit.run()
        if lost := self.state.lost():
            self.wrong.append(f"recorded once, and gone: {lost[:5]}")
        self.found["runs loaded"] = len(self.state.database.ask("run_id", "FROM job_run WHERE outcome = 'LOADED'"))
        self.found["services begun"] = self.state.database.ask("epoch", "FROM writer")[0][0]
        self.found["tasks of workers"] = len(self.state.tasks)
        self.found["rows"] = len(model.rows)
        self.found["objects left by kills"] = audit.unnamed
        if self.options.prove and not self.wrong:
            self.wrong += weather_damage.unnoticed(audit, self.tell)

    def totals(self):
        return {
            "seed": self.options.seed,
            "processes": self.options.processes,
            "seconds": round(time.monotonic() - self.begun),
            "days": self.stores.day,
            **self.events.happened,
            **self.stores.counts,
            **self.found,
            "starts": sum(process.starts for process in self.processes.all),
            "connections cut": sum(proxy.cuts for proxy in self.site.proxies.values()),
            "ends": dict(self.processes.ends),
            "wrong": len(self.wrong) + len(self.processes.wrong),
        }

    def keep(self):
        """Keeps what is on the small disk, and in the databases."""
        folder = self.site.folder
        if self.site.has_small_disk:
            (folder / "lake" / "filler").unlink(missing_ok=True)
            shutil.copytree(folder / "lake", folder / "lake-kept")
        for name, url in (("state", self.options.state), ("warehouse", self.options.warehouse)):
            if url.startswith("postgres"):
                with open(folder / f"{name}.sql", "w") as out:
                    subprocess.run(["pg_dump", "-d", url], stdout=out, stderr=out)


def main():
    parser = argparse.ArgumentParser()
    for name in ("binary", "folder", "state", "warehouse", "processes"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--bucket", help="the S3 server with the bucket for source and lake")
    parser.add_argument("--small-disk", type=int, help="the size of the lake's disk, in megabytes")
    parser.add_argument("--patience", type=int, default=120, help="after how many seconds without progress to give up")
    parser.add_argument("--prove", action="store_true", help="damage the site in the end: the auditor must notice")
    # So that nothing is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    weather = Weather(parser.parse_args())
    is_well = False
    try:
        weather.blow()
        is_settled = weather.settle()
        weather.stop()
        if is_settled:
            weather.rest()
        weather.audit()
        wrong = weather.wrong + weather.processes.wrong
        is_well = not wrong
        for text in wrong:
            weather.tell(f"WRONG: {text}")
    finally:
        weather.kill()
        if not is_well:
            weather.keep()
    print(json.dumps(weather.totals()), flush=True)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
