"""Days of waves for 50 stores in 4 provinces, in bad weather; then an audit.

    weather.py --binary GRISTMILL --folder FOLDER --seed N --kills N --processes run,run
               --state URL --warehouse URL [--small-disk MEGABYTES] [--prove]

Some processes work on one site: a source and a lake in folders, the state on a Postgres server, the warehouse on a
server, too. Each is started again when it ends. While the stores send (`weather_stores.py`), processes are killed, stopped
cleanly, and paused, also for longer than their lease; servers stop, connections are cut, refused or fall silent; the lake's
disk is full; and each process has a clock of its own that is stepped. In the end all goes well again, and when nothing is
left to do, `auditor.py` compares warehouse, ledger, state and lake with the model.

What is drawn from the seed is the same each time; when it meets what, is not. Events are told on standard error. On
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
from weather_processes import Processes
from weather_proxy import Proxy
from weather_stores import JOBS, Stores

SETTINGS = """
[source]
url = "incoming"
settle = "100ms"
sweep = "1s"
[lake]
url = "lake"
[state]
url = "{state}"
[warehouse]
url = "{warehouse}"
"""

# How long a lease runs, and how long a pause beyond it lasts.
LEASE = 30
BEYOND_LEASE = 35

# How often each event happens for one kill, and once at least.
EVENTS = {
    "pause": 0.15,
    "pause beyond lease": 0.02,
    "clean stop": 0.1,
    "state server stops": 0.1,
    "warehouse stops": 0.1,
    "state connections cut": 0.2,
    "warehouse connections cut": 0.2,
    "state connection cut at a byte": 0.2,
    "warehouse connection cut at a byte": 0.2,
    "state refuses": 0.05,
    "warehouse refuses": 0.05,
    "state falls silent": 0.05,
    "warehouse falls silent": 0.05,
    "disk full": 0.1,
    "clock stepped": 0.3,
}

# What the state says, in one answer.
LOOK = """SELECT json_build_object(
    'holder', (SELECT pid FROM service_lease WHERE lease_until > clock_timestamp()),
    'arrivals', (SELECT coalesce(json_agg(json_build_array(s.submission_id, f.file_url, s.stamp_modified_ns, s.stamp_inode, s.outcome)), '[]')
                   FROM submission s JOIN ingested_file_status f ON f.file_id = s.file_id WHERE s.submission_id > {newest}),
    'failed', (SELECT coalesce(json_agg(json_build_array(file_url, last_error)), '[]')
                 FROM ingested_file_status WHERE last_update_status = 'FAILED'),
    'runs', (SELECT coalesce(json_agg(json_build_array(run_id, state)), '[]') FROM job_run WHERE state IN ('QUEUED', 'RUNNING')),
    'given up', (SELECT coalesce(json_agg(json_build_array(run_id, error)), '[]') FROM job_run r
                  WHERE state = 'FAILED' AND NOT EXISTS (SELECT 1 FROM job_run l WHERE l.job_config_id = r.job_config_id
                                                            AND l.wave = r.wave AND l.sequence > r.sequence)),
    'completed', (SELECT count(*) FROM job_run WHERE state = 'COMPLETED'),
    'waves', (SELECT coalesce(json_agg(json_build_array(job_config_id, wave)), '[]') FROM open_wave),
    'left', (SELECT coalesce(json_agg(l.what), '[]') FROM (
                SELECT 'waiting ' || subject || ': ' || reason AS what FROM waiting
                UNION ALL SELECT 'attempt ' || file_url FROM file_attempt
                UNION ALL SELECT 'to match ' || file_id FROM file_to_match) l))"""


class Weather:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(options.folder)
        self.draw = random.Random(options.seed)
        self.begun = time.monotonic()
        self.stores = Stores(options.seed)
        self.happened = collections.Counter()
        self.wrong = []
        # What ends by itself: the moment, and how.
        self.ending = []
        self.proxies = {}
        urls = {}
        for name, url in (("state", options.state), ("warehouse", options.warehouse)):
            port = int(re.search(r":(\d+)/", url)[1])
            self.proxies[name] = Proxy(port)
            urls[name] = url.replace(f":{port}/", f":{self.proxies[name].port}/")
            urls[name] += "?tcp_user_timeout=5&connect_timeout=5"
        self.state = auditor_databases.Postgres(options.state)
        self.is_up = {"state": True, "warehouse": True}
        for name in ("incoming", "lake"):
            (self.folder / name).mkdir()
        (self.folder / "gristmill.toml").write_text(SETTINGS.format(**urls) + JOBS)
        if options.small_disk:
            disk = ["mount", "-t", "tmpfs", "-o", f"size={options.small_disk}m", "tmpfs", self.folder / "lake"]
            subprocess.run(disk, check=True)
        # A build may replace the binary meanwhile.
        self.binary = self.folder / "gristmill"
        try:
            os.link(options.binary, self.binary)
        except OSError:
            shutil.copy2(options.binary, self.binary)
        self.processes = Processes(self.binary, self.folder, options.processes.split(","), self.draw, self.tell)
        self.wrong = self.processes.wrong
        # What is known of the state.
        self.newest, self.recorded, self.decided, self.look = 0, set(), set(), None
        # The commands of people that are under way, by file.
        self.commands = {}
        self.retries = []
        self.next_retry = 0.0

    def tell(self, what):
        print(f"{time.monotonic() - self.begun:8.2f} s  {what}", file=sys.stderr, flush=True)

    def ask_for(self, request):
        """Has whoever runs the servers do something."""
        print(request, flush=True)
        answer = sys.stdin.readline()
        assert answer.strip() == "done", f"{request}: {answer!r}"

    # The stores.

    def is_recorded(self, sending):
        if sending.decides:
            return (sending.name, {"accept": "ACCEPTED", "withdraw": "WITHDRAWN"}[sending.decides]) in self.decided
        return (sending.name, *sending.stamp) in self.recorded

    def send(self, file):
        sending = file.to_come.pop(0)
        self.stores.counts["sendings"] += 1
        if sending.decides:
            self.command(sending)
        else:
            part = self.folder / "incoming" / f".{sending.name}.part"
            part.write_text(sending.text)
            at = part.stat()
            sending.stamp = (at.st_mtime_ns, at.st_ino)
            part.rename(self.folder / "incoming" / sending.name)
        file.done(sending)

    def send_some(self, count):
        ready = self.stores.ready(self.is_recorded)
        for file in self.draw.sample(ready, min(count, len(ready))):
            self.send(file)

    # People.

    def command(self, sending):
        with open(self.folder / "logs" / f"{sending.decides}.{sending.name}.{time.monotonic_ns()}", "w") as log:
            child = subprocess.Popen(
                [self.binary, sending.decides, sending.name],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self.commands[sending.name] = (sending, child, time.monotonic())

    def people(self):
        """Sees to it that what people decided is done, and that what kills have stopped is tried again."""
        for name, (sending, child, since) in list(self.commands.items()):
            if child.poll() is None:
                if time.monotonic() - since > 60:
                    # It may be the service now, and waits for what cannot come.
                    child.terminate()
                continue
            if self.is_recorded(sending):
                del self.commands[name]
            elif time.monotonic() - since > 1:
                self.command(sending)
        if time.monotonic() < self.next_retry or not self.look:
            return
        for what, error in self.look["failed"] + self.look["given up"]:
            if auditor.GIVEN_UP not in (error or ""):
                self.wrong.append(f"{what} is FAILED: {error}")
                continue
            if what in self.commands:
                continue
            self.happened["given up and retried"] += 1
            self.tell(f"a person retries {what}: {error}")
            self.next_retry = time.monotonic() + 3
            with open(self.folder / "logs" / f"retry.{time.monotonic_ns()}", "w") as log:
                child = subprocess.Popen([self.binary, "retry", what], cwd=self.folder,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.retries.append(child)

    # What the state says.

    def look_at_state(self):
        if not self.is_up["state"]:
            return
        try:
            look = json.loads(self.state.run(LOOK.format(newest=self.newest)))
        except (auditor_databases.Unreachable, subprocess.TimeoutExpired) as problem:
            # Before the first start there is nothing to see.
            self.problem = problem
            return
        for number, name, modified, inode, outcome in look["arrivals"]:
            self.newest = max(self.newest, number)
            if outcome in ("ACCEPTED", "WITHDRAWN"):
                self.decided.add((name, outcome))
            elif outcome != "FAILED":
                self.recorded.add((name, modified, inode))
        self.look = look

    def service(self):
        """The process that holds the lease, if it runs."""
        return self.processes.of_pid(self.look["holder"]) if self.look else None

    # Events.

    def plan(self):
        """All events, in the order in which they come."""
        kills = self.options.kills
        events = ["kill"] * kills
        for event, share in EVENTS.items():
            if event != "disk full" or self.options.small_disk:
                events += [event] * max(1, round(kills * share))
        self.draw.shuffle(events)
        return events

    def event(self, event):
        draw = self.draw
        server = event.split()[0]
        if event == "kill":
            return self.kill()
        if event.startswith("pause"):
            return self.pause(BEYOND_LEASE if event == "pause beyond lease" else draw.uniform(0.5, 5))
        if event == "clean stop":
            return self.clean_stop()
        if event == "clock stepped":
            process = draw.choice(self.processes.all)
            self.tell(f"clock of {process.name}: {self.processes.step_clock(process):+d} s")
        elif event.endswith("stops"):
            return self.stop_server(server)
        elif event.endswith("connections cut"):
            self.tell(event)
            self.proxies[server].cut()
        elif event.endswith("at a byte"):
            self.proxies[server].cut_after(draw.randint(1, draw.choice((300, 3000, 30000))))
        elif event.endswith("refuses"):
            self.proxies[server].refuse(True)
            self.proxies[server].cut()
            self.ends_in(draw.uniform(1, 8), event, lambda: self.proxies[server].refuse(False))
        elif event.endswith("silent"):
            self.proxies[server].stall(True)
            self.ends_in(draw.uniform(1, 12), event, lambda: self.proxies[server].stall(False))
        elif event == "disk full":
            self.fill_disk()
        return True

    def ends_in(self, seconds, what, end):
        self.tell(f"{what}, for {seconds:.1f} s")
        self.ending.append((time.monotonic() + seconds, end))

    def end_what_is_over(self, everything=False):
        for moment, end in sorted(self.ending, key=lambda ending: ending[0]):
            if everything or moment <= time.monotonic():
                self.ending.remove((moment, end))
                end()

    def kill(self):
        """Kills the service mostly, sometimes another process or all at once."""
        alive = [process for process in self.processes.alive() if not process.is_paused]
        service = self.service()
        if not alive:
            return False
        what = self.draw.random()
        victims = alive if what < 0.1 else [self.draw.choice(alive)]
        if 0.1 <= what < 0.8 and service in alive:
            victims = [service]
        at_work = len([run for run in self.look["runs"] if run[1] == "RUNNING"]) if self.look else 0
        for process in victims:
            is_service = process is service
            self.processes.signal(process, signal.SIGKILL)
            process.child.wait()
            self.happened["kills of the service"] += is_service
            self.happened["kills with a run in progress"] += is_service and at_work > 0
        names = ", ".join(process.name + " (the service)" * (process is service) for process in victims)
        self.tell(f"kill {names}")
        self.happened["kill"] += len(victims) - 1
        if service in victims and self.draw.random() < 0.9:
            # As if the rest of its time had passed.
            self.end_lease()
        return True

    def end_lease(self):
        if self.is_up["state"] and self.look:
            try:
                self.state.run("UPDATE service_lease SET lease_until = clock_timestamp() - interval '1 s'"
                               f" WHERE pid = {self.look['holder']}")
            except auditor_databases.Unreachable as problem:
                self.tell(f"the lease goes on: {problem}")

    def pause(self, seconds):
        alive = [process for process in self.processes.alive() if not process.is_paused]
        service = self.service()
        if not alive or (seconds > LEASE and service not in alive):
            return False
        process = service if seconds > LEASE or service in alive and self.draw.random() < 0.7 else self.draw.choice(alive)
        self.processes.signal(process, signal.SIGSTOP)
        child, is_killed = process.child, self.draw.random() < 0.3

        def end():
            if process.child is child and child.poll() is None:
                self.processes.signal(process, signal.SIGKILL if is_killed else signal.SIGCONT)
                self.tell(f"{process.name} goes on" if not is_killed else f"{process.name} is killed in its pause")

        self.ends_in(seconds, f"pause of {process.name}", end)
        return True

    def clean_stop(self):
        alive = [process for process in self.processes.alive() if not process.is_paused]
        if not alive:
            return False
        process = self.draw.choice(alive)
        self.tell(f"clean stop of {process.name}")
        self.processes.signal(process, signal.SIGTERM)
        return True

    def stop_server(self, server):
        if not self.is_up[server]:
            return False
        how = self.draw.choice(("fast", "immediate", "kill"))
        if server == "warehouse" and self.options.warehouse.startswith("mysql"):
            how = "kill"
        self.ask_for(f"stop {server} {how}")
        self.is_up[server] = False

        def start():
            self.ask_for(f"start {server}")
            self.is_up[server] = True
            self.tell(f"{server} runs again")

        self.ends_in(self.draw.uniform(0.2, 8), f"{server} stops ({how})", start)
        return True

    def fill_disk(self):
        filler = self.folder / "lake" / "filler"
        if filler.exists():
            return
        with open(filler, "wb") as file:
            block = bytes(1 << 20)
            try:
                while True:
                    file.write(block)
                    file.flush()
            except OSError:
                # It is full.
                pass

        self.ends_in(self.draw.uniform(2, 8), "disk full", lambda: filler.unlink(missing_ok=True))

    # The whole.

    def step(self, count):
        """What happens all the time."""
        self.end_what_is_over()
        self.processes.supervise()
        self.look_at_state()
        self.people()
        self.send_some(count)

    def blow(self):
        """Lets all events happen while the stores send."""
        events = self.plan()
        self.stores.begin_day()
        at = time.monotonic() + 3
        while events:
            if self.stores.is_sent():
                self.stores.begin_day()
                self.tell(f"day {self.stores.day}")
            self.step(self.draw.choice((0, 1, 2, 3, 4)))
            now = time.monotonic()
            if now >= at:
                event = events.pop(0)
                if self.event(event):
                    self.happened[event] += 1
                else:
                    # Later: nothing is there now that it could happen to.
                    events.insert(min(len(events), self.draw.randint(1, 5)), event)
                at = now + self.draw.choice((0.3, 1.0, 2.0, 3.0, 4.0)) * self.draw.uniform(0.5, 1.3)
            time.sleep(0.15)

    def settle(self):
        """Ends all faults, and waits until nothing is left to do."""
        self.tell("the weather is over")
        self.end_what_is_over(everything=True)
        for proxy in self.proxies.values():
            proxy.heal()
        self.processes.go_on()
        done, changed = None, time.monotonic()
        while True:
            self.step(5)
            now_done = (len(self.recorded), self.look and self.look["completed"], self.stores.is_sent())
            if now_done != done:
                done, changed = now_done, time.monotonic()
            left = self.left()
            if not left:
                return True
            if time.monotonic() - changed > self.options.patience:
                self.wrong.append(f"nothing happened for {self.options.patience} s, and this is left: {left}"[:4000])
                return False
            time.sleep(0.2)

    def left(self):
        """What is still to be done."""
        look = self.look
        if not look:
            return ["the state was not seen yet"]
        left = [f"{name} was not recorded" for name, file in self.stores.files.items()
                if file.last and not self.is_recorded(file.last)]
        left += [f"{file.name} was not sent" for file in self.stores.files.values() if file.to_come]
        left += [f"people decide about {name}" for name in self.commands]
        left += [f"{run} is {state}" for run, state in look["runs"]] + look["left"]
        left += [f"{what} is FAILED" for what, _ in look["failed"] + look["given up"]]
        waits = self.stores.open_waves()
        left += [f"the wave {job} {wave} is open" for job, wave in look["waves"] if (job, wave) not in
                 {("CA", wave) for wave in waits}]
        return left

    def stop(self):
        for child in [child for _, child, _ in self.commands.values()] + self.retries:
            if child.poll() is None:
                child.terminate()
                child.wait(60)
        self.wrong += self.processes.stop(60)

    def rest(self):
        """One more start finds nothing to do."""
        before = self.state.ask("run_id, state", "FROM job_run")
        command = [self.binary, "run", "--until-idle"]
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            self.wrong.append(f"one more start ends with {done.returncode}: {done.stdout}{done.stderr}")
        after = self.state.ask("run_id, state", "FROM job_run")
        if sorted(before) != sorted(after):
            self.wrong.append(f"one more start runs {sorted(set(after) - set(before))}")

    def audit(self):
        model = self.stores.model()
        audited = auditor.Audit(self.state, auditor_databases.database(self.options.warehouse), self.folder / "lake", model)
        self.wrong += audited.run()
        self.happened["objects left by kills"] = audited.unnamed
        recorded = {row for row in self.state.ask(
            "f.file_url, s.stamp_modified_ns, s.stamp_inode",
            "FROM submission s JOIN ingested_file_status f ON f.file_id = s.file_id")}
        if lost := self.recorded - recorded:
            self.wrong.append(f"recorded once, and gone: {sorted(lost)[:5]}")
        self.happened["runs loaded"] = len(self.state.ask("run_id", "FROM job_run WHERE outcome = 'LOADED'"))
        self.happened["services begun"] = self.state.ask("epoch", "FROM writer")[0][0]
        self.happened["rows"] = len(model.rows)
        if self.options.prove and not self.wrong:
            self.wrong += weather_damage.unnoticed(audited, self.tell)

    def totals(self):
        return {
            "seed": self.options.seed,
            "processes": self.options.processes,
            "seconds": round(time.monotonic() - self.begun),
            "days": self.stores.day,
            **self.happened,
            **self.stores.counts,
            "starts": sum(process.starts for process in self.processes.all),
            "connections cut": sum(proxy.cuts for proxy in self.proxies.values()),
            "ends": dict(self.processes.ends),
            "wrong": len(self.wrong),
        }

    def keep(self):
        """Keeps what is on the small disk, and in the databases."""
        if self.options.small_disk:
            shutil.copytree(self.folder / "lake", self.folder / "lake-kept")
        for name, url in (("state", self.options.state), ("warehouse", self.options.warehouse)):
            if url.startswith("postgres"):
                with open(self.folder / f"{name}.sql", "w") as out:
                    subprocess.run(["pg_dump", "-d", url], stdout=out, stderr=out)


def main():
    parser = argparse.ArgumentParser()
    for name in ("binary", "folder", "state", "warehouse", "processes"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--small-disk", type=int, help="the size of the lake's disk in megabytes; without it, it is never full")
    parser.add_argument("--patience", type=int, default=120, help="after how many seconds in which nothing happens to give up")
    parser.add_argument("--prove", action="store_true", help="damage the site in the end, and have the auditor notice it")
    weather = Weather(parser.parse_args())
    try:
        weather.blow()
        is_settled = weather.settle()
        weather.stop()
        if is_settled:
            weather.rest()
        weather.audit()
    finally:
        weather.processes.kill()
        if weather.wrong or sys.exc_info()[0]:
            weather.keep()
    for text in weather.wrong:
        weather.tell(f"WRONG: {text}")
    print(json.dumps(weather.totals()), flush=True)
    return 1 if weather.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
