"""Fails each operation on the disk of a small whole run, once; then runs on without a fault, and audits.

    fault_points.py hit --binary GRISTMILL --library DISK_FAULTS.so [--every K] [--at-once N] [--keep]
    fault_points.py tell                   settings and files of the run, as JSON
    fault_points.py audit SITE LAKE        what is wrong after it; LAKE has the lake's objects

The run has three stores, two jobs, a bad file, a correction, an identical re-send, and a file that is held. It happens in
three steps, each a start of the program: an empty folder, the first files, and what is sent later. Every Kth operation of
each step is hit in two ways: it fails with an error of the disk, or the process is killed before it. The last line says
how many there were, as JSON.
"""

import argparse
import concurrent.futures
import errno
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

import auditor

SETTINGS = """
[source]
url = "incoming"
settle = "100ms"
sweep = "1s"
[lake]
url = "lake"
[state]
url = "sqlite://state.db"
[warehouse]
url = "sqlite://warehouse.db"
[[feed]]
name = "sales"
files = "*-*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }
[[feed]]
name = "items"
files = "Item*"
reference = true
columns = ["item_id", "name"]
[[job]]
id = "IL"
feed = "sales"
files = "IL-{store}.tdf"
min_files = 2
trigger = "any"
requires = [{ files = "Item*", within = "1 day" }]
[[job]]
id = "CA"
feed = "sales"
files = "CA-{store}.tdf"
trigger = "any"
"""


def lines(store, days, count, items=7, more=0):
    line = "{}\t{}.{:02}\t{}\tI{}\t2026-03-{:02}\n".format
    return "".join(line(store, i + more, i, 4 + i % 3, i % items, day) for day in days for i in range(count))


FIRST = {
    "Item.tdf": "I1\tBun\n",
    "IL-1.tdf": lines("1", [1, 2], 40),
    "IL-2.tdf": lines("2", [1, 2], 30) + "2\tmuch\t4\tI1\t2026-03-01\n",
    "CA-3.tdf": lines("3", [1, 2], 30),
    "IL-9.tdf": "nothing\tof\tsales\n" * 5,
}
LATER = {
    # A correction that changes rows, adds some and removes some.
    "IL-1.tdf": lines("1", [1, 2, 3], 35, items=6, more=1),
    # The same bytes again.
    "IL-2.tdf": FIRST["IL-2.tdf"],
    # Much less than there was: held.
    "CA-3.tdf": lines("3", [2], 5),
}
STEPS = [{}, FIRST, LATER]
IN_FORCE = {name: text for name, text in {**FIRST, "IL-1.tdf": LATER["IL-1.tdf"]}.items() if name != "IL-9.tdf"}


def loaded(state):
    """What the job of a state must have loaded."""
    texts = {name: text for name, text in IN_FORCE.items() if name.startswith(f"{state}-")}
    return auditor.Run(texts, auditor.sums_of(texts.values()))


MODEL = auditor.Model(
    in_force=IN_FORCE,
    statuses={
        "Item.tdf": "VALIDATED",
        "IL-1.tdf": "VALIDATED",
        "IL-2.tdf": "VALIDATED",
        "IL-9.tdf": "REJECTED",
        "CA-3.tdf": "HELD",
    },
    runs={("IL", ""): loaded("IL"), ("CA", ""): loaded("CA")},
    rows=auditor.sums_of(text for name, text in IN_FORCE.items() if not name.startswith("Item")),
)


def audited(site, lake):
    return auditor.audit(site / "state.db", site / "warehouse.db", lake, MODEL)


NEVER = 1 << 40
KILL = 0
ERRORS = (errno.EIO, errno.ENOSPC)


def submit(site, files):
    for name, text in files.items():
        part = site / "incoming" / f".{name}.part"
        part.write_text(text)
        part.rename(site / "incoming" / name)


def run(options, site, fault=None):
    """Runs until idle. Returns the process, how many operations there were, and which was hit."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(site)}
    told = site.with_suffix(".told")
    if fault:
        at, error = fault
        told.write_bytes(bytes(4096))
        environment |= {
            "LD_PRELOAD": options.library,
            "DISK_FAULT_FILE": str(told),
            "DISK_FAULT_FOLDER": str(site),
            "DISK_FAULT_AT": str(at),
            "DISK_FAULT_ERROR": str(error),
        }
    command = [options.binary, "run", "--until-idle"]
    done = subprocess.run(
        command, cwd=site, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    if not fault:
        return done, 0, ""
    count, hit = struct.unpack("q4088s", told.read_bytes())
    return done, count, hit.split(b"\0")[0].decode()


def copied(prepared, site):
    """A site as it was. The source's files stay the same ones, as they would."""
    shutil.copytree(prepared, site, ignore=shutil.ignore_patterns("incoming"))
    (site / "incoming").mkdir()
    for path in (prepared / "incoming").iterdir():
        os.link(path, site / "incoming" / path.name)
    return site


def go_on(options, site, step):
    """Does all that a fault left undone, and what comes later."""
    for number in range(step, len(STEPS)):
        if number > step:
            submit(site, STEPS[number])
        done, _, _ = run(options, site)
        if done.returncode != 0:
            return [f"step {number} ends with status {done.returncode} without a fault:\n{done.stdout}{done.stderr}"]
    return audited(site, site / "lake")


def trial(options, folder, prepared, step, fault):
    """Hits one operation. Returns whether it was reached, and what is wrong."""
    at, error = fault
    site = copied(prepared, folder / f"{step}-{at}-{error}")
    submit(site, STEPS[step])
    try:
        done, _, hit = run(options, site, fault)
        killed = done.returncode == -signal.SIGKILL
        wrong = []
        if killed != (error == KILL and hit != ""):
            wrong.append(f"it ended with {done.returncode}")
        if done.returncode not in (0, 1, -signal.SIGKILL):
            wrong.append(f"an error of the disk ended it with {done.returncode}")
        if "panicked" in done.stderr or "this is a bug" in done.stdout + done.stderr:
            wrong.append("it panicked")
        wrong += go_on(options, site, step)
    except (subprocess.TimeoutExpired, OSError, ValueError, TypeError) as failure:
        done, hit, wrong = None, "", [f"{failure!r}"]
    how = "killed" if error == KILL else os.strerror(error)
    if wrong:
        output = done and f"{done.stdout}{done.stderr}"
        wrong = [f"step {step}, operation {at} ({hit}), {how}: " + "\n  ".join(wrong) + f"\n{output}"]
    if not (wrong and options.keep):
        shutil.rmtree(site)
        site.with_suffix(".told").unlink(missing_ok=True)
    return hit != "", wrong


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tell")
    audit = commands.add_parser("audit")
    audit.add_argument("site")
    audit.add_argument("lake")
    hit = commands.add_parser("hit")
    hit.add_argument("--binary", required=True)
    hit.add_argument("--library", required=True)
    hit.add_argument("--every", type=int, default=1)
    hit.add_argument("--at-once", type=int, default=4)
    hit.add_argument("--keep", action="store_true", help="leave the folders of failed trials")
    options = parser.parse_args()
    if options.command == "tell":
        print(json.dumps({"settings": SETTINGS, "steps": STEPS}))
        return 0
    if options.command == "audit":
        wrong = audited(pathlib.Path(options.site), options.lake)
        print("\n".join(wrong))
        return 1 if wrong else 0
    return hit_operations(options)


def hit_operations(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gristmill-faults-"))
    prepared = folder / "0"
    (prepared / "incoming").mkdir(parents=True)
    (prepared / "gristmill.toml").write_text(SETTINGS)
    faults, counts = [], []
    for step, files in enumerate(STEPS):
        counted = copied(prepared, folder / f"{step + 1}")
        submit(counted, files)
        done, count, _ = run(options, counted, (NEVER, 1))
        assert done.returncode == 0 and count > 50, (count, done)
        counts.append(count)
        for at in range(1, count + 1, options.every):
            error = ERRORS[at // options.every % len(ERRORS)]
            faults += [(prepared, step, (at, error)), (prepared, step, (at, KILL))]
        prepared = counted
    # The later steps first: they have less to do afterwards, and more to lose.
    faults.reverse()
    whole = audited(prepared, prepared / "lake")
    assert not whole, whole
    done, hits, failed = 0, 0, 0
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        for was_hit, wrong in pool.map(lambda fault: trial(options, folder, *fault), faults):
            done, hits, failed = done + 1, hits + was_hit, failed + bool(wrong)
            if done % 100 == 0:
                print(f"{done} of {len(faults)} faults, {failed} failed", file=sys.stderr, flush=True)
            for text in wrong:
                print(text, file=sys.stderr, flush=True)
    if not (failed and options.keep):
        shutil.rmtree(folder)
    print(json.dumps({"operations": counts, "faults": len(faults), "hit": hits, "failed": failed}))
    return 1 if failed else 0


sys.exit(main())
