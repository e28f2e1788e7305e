"""A private S3 server, SeaweedFS, on free ports of 127.0.0.1; removed with its folder at the end."""

import json
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

from .measure import tail
from .workspace import Stop

BUCKET = "feed"
KEY, SECRET, REGION = "bench-access-key", "bench-secret-key", "us-east-1"
# For each port, the server opens a second one, which is higher by this number.
GRPC = 10_000


class Server:
    """A running server with one bucket."""

    def __init__(self, s3, filer):
        self.endpoint = f"http://127.0.0.1:{s3}"
        self.filer = f"http://127.0.0.1:{filer}/buckets/{BUCKET}"

    def environment(self):
        """The environment from which AWS's standard chain takes server and credentials."""
        return {
            **os.environ,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def upload(self, folder):
        """Uploads the files of a folder to the bucket, through the server's own file interface; returns their URL."""
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            with open(entry.path, "rb") as body:
                request = urllib.request.Request(f"{self.filer}/{entry.name}", data=body, method="PUT")
                request.add_header("Content-Length", str(entry.stat().st_size))
                # The server compresses what looks like text, and would then spend its time on decompressing it.
                request.add_header("Content-Type", "application/x-point-of-sale")
                urllib.request.urlopen(request).close()
        return f"s3://{BUCKET}"


@contextmanager
def server(workspace, python):
    """Yields a new server, which runs while the block lasts."""
    folder = workspace.folder("seaweedfs")
    identity = {
        "name": "bench",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Write"],
    }
    (folder / "users.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3, admin = free_ports(5)
    command = [
        python.parent / "weed", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=.", "-webdav=false",
        "-admin.ui=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-s3.config=users.json", f"-bucket={BUCKET}", f"-master.port={master}", f"-volume.port={volume}",
        f"-filer.port={filer}", f"-s3.port={s3}", f"-admin.port={admin}",
    ]  # fmt: skip
    log, process = folder / "log", None
    try:
        with open(log, "wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, start_new_session=True)
        ready = Server(s3, filer)
        wait_until_ready(process, ready, log)
        yield ready
    except OSError as error:
        raise Stop(f"SeaweedFS fails: {error}") from error
    finally:
        if process:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(process, ready, log):
    """Waits for the bucket, a folder in the server's file interface, which the server creates last."""
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{ready.filer}/", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Stop(f"SeaweedFS does not start: {tail(log)}") from None
            time.sleep(0.05)


def free_ports(count):
    """Ports that are free, as are the ones that are higher by GRPC."""
    found = set()
    while len(found) < count:
        port = random.randrange(15_000, 30_000)
        if all(is_free(each) for each in (port, port + GRPC)):
            found.add(port)
    return sorted(found)


def is_free(port):
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
