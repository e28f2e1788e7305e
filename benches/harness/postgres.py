"""A private PostgreSQL server from the installed programs, on a free port of 127.0.0.1; removed with its folder at the end.

Its fsync is on, so a commit that the benchmark waits for is on disk.
"""

import grp
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from .contender import free_port
from .measure import tail
from .workspace import Stop

ABSENT = "no PostgreSQL server found: apt-get install postgresql (or scripts/test --setup)"


@contextmanager
def server():
    """Yields the URL of a new server's database; the server runs while the block lasts."""
    programs = find_programs()
    # Below /tmp, because the server's user must be able to reach it, and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="gristmill-bench-pg-", dir="/tmp"))
    process = None
    try:
        user = server_user()
        if user:
            os.chown(folder, *user)
        init = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
        done = subprocess.run([*as_user(user), *init], capture_output=True, text=True, cwd="/")
        if done.returncode != 0:
            raise Stop(f"initdb failed: {done.stderr.strip()}")
        port, log = free_port(), folder / "log"
        command = [programs / "postgres", "-D", folder / "data", "-k", folder]
        for setting in ("listen_addresses=127.0.0.1", f"port={port}"):
            command += ["-c", setting]
        with open(log, "wb") as out:
            process = subprocess.Popen([*as_user(user), *command], stdout=out, stderr=out, cwd="/", start_new_session=True)
        wait_until_ready(process, folder, log)
        yield f"postgres://postgres@127.0.0.1:{port}/postgres"
    finally:
        if process:
            # A fast shutdown, which does not wait for clients that are still connected.
            process.send_signal(signal.SIGINT)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(process, folder, log):
    """Waits until the eighth line of the server's postmaster.pid says `ready`."""
    deadline = time.monotonic() + 60
    status = folder / "data" / "postmaster.pid"
    while True:
        lines = status.read_text().splitlines() if status.exists() else []
        if len(lines) > 7 and lines[7].strip() == "ready":
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Stop(f"PostgreSQL does not start: {tail(log)}")
        time.sleep(0.02)


def find_programs():
    """The folder with `initdb` and `postgres`: Debian's newest version, or else the one in PATH."""
    debian = Path("/usr/lib/postgresql")
    versions = sorted(debian.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3])) if debian.exists() else []
    found = versions[-1] if versions else shutil.which("postgres")
    if not found or not (Path(found).parent / "initdb").exists():
        raise Stop(ABSENT)
    return Path(found).parent


def server_user():
    """The user for the server: `nobody` if this process is root, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def as_user(user):
    """The beginning of a command that runs as the server's user, without this process's environment."""
    clean = ["env", "-i", "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"]
    if user is None:
        return clean
    group = grp.getgrgid(user[1]).gr_name
    return ["setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups", "--inh-caps=-all", *clean]
