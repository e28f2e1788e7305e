"""What befalls a site: its processes, its servers, their connections, its disk and its clocks.

Which events come, in which order and for how long is drawn from the seed.
"""

import collections
import signal
import time

# How long a lease runs, and how long a pause beyond it lasts, in seconds.
LEASE = 30
BEYOND_LEASE = 35
PAUSE = "pause beyond lease"

# How often each event happens for one kill, and once at least.
EVENTS = {
    "pause": 0.15,
    PAUSE: 0.02,
    "clean stop": 0.1,
    "state server stops": 0.1,
    "warehouse server stops": 0.1,
    "state fails over": 0.05,
    "warehouse fails over": 0.05,
    "state connections cut": 0.2,
    "warehouse connections cut": 0.2,
    "state connection cut at a byte": 0.2,
    "warehouse connection cut at a byte": 0.2,
    "state refuses": 0.05,
    "warehouse refuses": 0.05,
    "state falls silent": 0.05,
    "warehouse falls silent": 0.05,
    "bucket connections cut": 0.2,
    "bucket connection cut at a byte": 0.2,
    "bucket refuses": 0.1,
    "bucket falls silent": 0.05,
    "disk full": 0.1,
    "clock stepped": 0.3,
}


class Events:
    """Has events happen to a site. `ask_for` has whoever runs the servers stop or start one."""

    def __init__(self, site, kills, draw, tell, ask_for):
        self.site, self.draw, self.tell, self.ask_for = site, draw, tell, ask_for
        self.happened = collections.Counter()
        # What ends by itself: the moment, what it is, and how.
        self.ending = []
        self.is_up = {"state": True, "warehouse": True}
        self.to_come = self.plan(kills)
        self.at = time.monotonic() + 3

    def plan(self, kills):
        """All events, in the order in which they come."""
        events = ["kill"] * kills
        for event, share in EVENTS.items():
            if event != PAUSE and self.is_possible(event):
                events += [event] * max(1, round(kills * share))
        self.draw.shuffle(events)
        for _ in range(max(1, round(kills * EVENTS[PAUSE]))):
            # Not at the end, where nothing more would happen meanwhile.
            events.insert(self.draw.randrange(len(events) * 2 // 3), PAUSE)
        return events

    def is_possible(self, event):
        if event == "disk full":
            return self.site.has_small_disk
        if event.startswith("bucket"):
            return self.site.bucket is not None
        # MariaDB runs without a standby here.
        return not event.endswith("fails over") or self.site.urls[event.split()[0]].startswith("postgres")

    def are_over(self):
        return not self.to_come and not any(what == PAUSE for _, what, _ in self.ending)

    def step(self):
        """Has the next event happen if its time has come, and ends those whose time is over."""
        self.end(lambda moment: moment <= time.monotonic())
        if not self.to_come or time.monotonic() < self.at:
            return
        event = self.to_come.pop(0)
        pause = self.draw.choice((0.3, 0.8, 1.5, 2.5, 4.0)) * self.draw.uniform(0.5, 1.2)
        if self.happen(event):
            self.happened[event] += 1
        else:
            # Later: nothing is there now that it could happen to.
            self.to_come.insert(self.draw.randint(1, 5), event)
            pause = 0.3
        self.at = time.monotonic() + pause

    def end(self, is_over):
        for ending in sorted(self.ending, key=lambda ending: ending[0]):
            if is_over(ending[0]):
                self.ending.remove(ending)
                ending[2]()

    def end_all(self):
        self.to_come.clear()
        self.end(lambda moment: True)
        for proxy in self.site.proxies.values():
            proxy.heal()
        self.site.processes.go_on()

    def ends_in(self, seconds, what, end):
        self.tell(f"{what}, for {seconds:.1f} s")
        self.ending.append((time.monotonic() + seconds, what, end))

    def happen(self, event):
        """Returns whether it could happen."""
        server = event.split()[0]
        proxy = self.site.proxies.get(server)
        if event == "kill":
            return self.kill()
        if event == PAUSE:
            return self.pause_beyond_lease()
        if event == "pause":
            return self.pause(self.any_process(), self.draw.uniform(0.5, 5), event)
        if event == "clean stop":
            return self.clean_stop()
        if event == "disk full":
            return self.fill_disk()
        if event.endswith("server stops"):
            return self.stop_server(server, self.draw.choice(("fast", "immediate", "kill")))
        if event.endswith("fails over"):
            return self.stop_server(server, "failover")
        if event == "clock stepped":
            process = self.draw.choice(self.site.processes.all)
            self.tell(f"the clock of {process.name} is off by {self.site.processes.step_clock(process):+d} s")
        elif event.endswith("connections cut"):
            self.tell(event)
            proxy.cut()
        elif event.endswith("at a byte"):
            proxy.cut_after(self.draw.randint(1, self.draw.choice((300, 3000, 30000))))
        elif event.endswith("refuses"):
            proxy.refuse(True)
            proxy.cut()
            self.ends_in(self.draw.uniform(1, 8), event, lambda: proxy.refuse(False))
        elif event.endswith("silent"):
            proxy.stall(True)
            self.ends_in(self.draw.uniform(1, 12), event, lambda: proxy.stall(False))
        return True

    # Processes.

    def awake(self):
        return [process for process in self.site.processes.alive() if not process.is_paused]

    def service(self):
        """The process that holds the lease, if it runs."""
        return self.site.processes.of_pid(self.site.state.holder())

    def any_process(self):
        """The service mostly."""
        awake, service = self.awake(), self.service()
        if service in awake and self.draw.random() < 0.75:
            return service
        # Without a service, mostly later: to kill those that stand by proves less.
        if not awake or (service is None and self.draw.random() < 0.9):
            return None
        return self.draw.choice(awake)

    def kill(self):
        """Kills one process, or sometimes all at once. A command of a person may be the service, too."""
        command = self.site.command_of(self.site.state.holder())
        if command and self.draw.random() < 0.5:
            command.kill()
            command.wait()
            self.happened["kills of commands that were the service"] += 1
            self.tell("kill a command that is the service")
            self.end_lease()
            return True
        victim, service, at_work = self.any_process(), self.service(), self.site.state.running()
        if not victim:
            return False
        victims = self.awake() if self.draw.random() < 0.1 else [victim]
        for process in victims:
            self.site.processes.signal(process, signal.SIGKILL)
            process.child.wait()
        is_service = service in victims
        self.happened["kills of workers"] += len([process for process in victims if process.is_worker])
        self.happened["kills of the service"] += is_service
        self.happened["kills of the service with a run in progress"] += is_service and at_work > 0
        self.happened["kill"] += len(victims) - 1
        self.tell("kill " + ", ".join(process.name + " (the service)" * (process is service) for process in victims))
        if is_service:
            self.end_lease()
        return True

    def end_lease(self):
        """Ends the lease of who was killed, mostly: as if the rest of its time had passed."""
        if self.is_up["state"] and self.draw.random() < 0.9:
            self.site.state.end_lease()

    def pause(self, process, seconds, what):
        if not process:
            return False
        self.site.processes.signal(process, signal.SIGSTOP)
        child, is_killed = process.child, self.draw.random() < 0.3

        def end():
            if process.child is child and child.poll() is None:
                self.site.processes.signal(process, signal.SIGKILL if is_killed else signal.SIGCONT)
                self.tell(f"{process.name} is killed in its pause" if is_killed else f"{process.name} goes on")

        self.tell(f"pause of {process.name}{' (the service)' * (process is self.service())}")
        self.ends_in(seconds, what, end)
        return True

    def pause_beyond_lease(self):
        """Pauses the service, or sometimes a worker. Others are meant to go on meanwhile: one at a time."""
        awake = self.awake()
        if any(what == PAUSE for _, what, _ in self.ending) or self.service() not in awake:
            return False
        workers = [process for process in awake if process.is_worker]
        paused = self.draw.choice(workers) if workers and self.draw.random() < 0.3 else self.service()
        return self.pause(paused, BEYOND_LEASE, PAUSE)

    def clean_stop(self):
        awake = self.awake()
        if not awake:
            return False
        process = self.draw.choice(awake)
        self.tell(f"clean stop of {process.name}")
        self.site.processes.signal(process, signal.SIGTERM)
        return True

    # Servers and the disk.

    def stop_server(self, server, how):
        if not self.is_up[server]:
            return False
        self.ask_for(f"stop {server} {how}")
        self.is_up[server] = False

        def start():
            self.ask_for(f"start {server}")
            self.is_up[server] = True
            self.tell(f"{server} server runs again")

        self.ends_in(self.draw.uniform(0.2, 8), f"{server} server stops ({how})", start)
        return True

    def fill_disk(self):
        filler = self.site.folder / "lake" / "filler"
        if filler.exists():
            return False
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
            except OSError:
                # It is full. Closing tries once more.
                pass
            finally:
                discard(file)
        self.ends_in(self.draw.uniform(2, 8), "disk full", filler.unlink)
        return True


def discard(file):
    """Closes a file whose last bytes had no room."""
    try:
        file.close()
    except OSError:
        pass
