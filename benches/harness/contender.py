"""Programs that can do the job: read all files of a folder, and write one sorted Parquet.

The job is the same for all: keep the codes 4, 5 and 6; sum exact amounts by store, item and date into sale_amount, tax_amount and
discount_amount, NULL where no line has that code. benches/peers/ has each peer's program, in the best form we know.
"""

import os
import socket
import subprocess
import time
from pathlib import Path

from .measure import Failed, Meter, run, tail
from .workspace import BENCHES

PEERS = BENCHES / "peers"
OURS = "gristmill"
# Whole processes, like ours. Sail is a server that stays up, and Spark runs only on request.
PROCESSES = {"DuckDB": "duckdb", "Polars": "polars", "chDB": "chdb", "DataFusion": "datafusion"}
SAIL = "Sail (warm server)"
SPARK = "Spark"
LIMIT = "reading and counting newlines"


class Program:
    """A contender that is one process for each job."""

    def __init__(self, name, command, *, env=None, cpus=None, writes_summary=True):
        self.name, self.command = name, command
        self.env, self.cpus, self.writes_summary = env, cpus, writes_summary

    def start(self, work):
        pass

    def stop(self):
        pass

    def run(self, folder, out, log):
        """Does the job; returns its Cost."""
        return run(self.command(folder, out), log, env=self.env, cpus=self.cpus, cwd=log.parent)


class ConnectServer:
    """A server of Spark Connect that stays up; `command` makes its command line of a port."""

    def __init__(self, name, command, env=None):
        self.name, self.command, self.env, self.server = name, command, env, None

    def start(self, work):
        self.port = free_port()
        self.log = work / "server.log"
        command = [str(part) for part in self.command(self.port)]
        try:
            with open(self.log, "wb") as out:
                self.server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=work, env=self.env)
        except OSError as error:
            raise Failed(f"cannot start {self.name}: {error}") from error
        deadline = time.monotonic() + 120
        while True:
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.name} does not start: {tail(self.log)}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait()
            self.server = None


class SailServer(ConnectServer):
    """A Sail server that is up and has done the job once: only a query is measured, without any start."""

    writes_summary = True

    def __init__(self, workspace):
        super().__init__(SAIL, sail_server(workspace))
        self.python, self.is_warm = workspace.python, False

    def run(self, folder, out, log):
        if not self.is_warm:
            self.query(folder, out, log)
            self.is_warm = True
        meter = Meter(self.server.pid)
        return meter.cost(self.query(folder, out, log))

    def query(self, folder, out, log):
        run([self.python, PEERS / "with_sail.py", str(self.port), folder, out], log)
        return float(log.read_text().split()[-1])


def ours(workspace, *, name=OURS, cpus=None):
    return Program(name, lambda folder, out: [workspace.gristmill, "aggregate", folder, "-o", out], cpus=cpus)


def limit(workspace):
    return Program(LIMIT, lambda folder, out: [workspace.count_lines, folder], writes_summary=False)


def peers(workspace, *, only=None):
    """The peers that `only` names, or all of them."""

    def process(name, script):
        return Program(name, lambda folder, out: [workspace.python, PEERS / f"with_{script}.py", folder, out])

    everyone = {script: process(name, script) for name, script in PROCESSES.items()}
    everyone["sail"] = SailServer(workspace)
    if workspace.spark_python:
        everyone["spark"] = spark(workspace)
    return [peer for key, peer in everyone.items() if only is None or key in only]


def sail_server(workspace):
    """Makes the command line of a Sail server of its port."""
    sail = workspace.python.parent / "sail"
    return lambda port: [sail, "spark", "server", "--ip", "127.0.0.1", "--port", port]


def spark(workspace):
    """Spark as `spark-submit` runs it: the measured process is the JVM, and the Python script is its child."""
    submit, env = spark_submit(workspace)
    cores = str(len(os.sched_getaffinity(0)))
    return Program(
        SPARK, lambda folder, out: [*submit, PEERS / "with_spark.py", cores, folder, out], env=env
    )


def spark_server(workspace):
    """Makes the command line of Spark's Connect server of its port; also returns its environment."""
    submit, env = spark_submit(workspace)
    options = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": len(os.sched_getaffinity(0)),
        "spark.connect.grpc.binding.address": "127.0.0.1",
    }
    settings = [part for key, value in options.items() for part in ("--conf", f"{key}={value}")]
    server = [*submit, "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", *settings]
    # As Spark's own script sets it: the server is no client of another.
    env = {**env, "SPARK_CONNECT_MODE": "0", "SPARK_LOCAL_IP": "127.0.0.1"}
    return lambda port: [*server, "--conf", f"spark.connect.grpc.binding.port={port}"], env


def spark_submit(workspace):
    """The beginning of a command line that starts Spark on all cores, and its environment."""
    found = subprocess.run(
        [workspace.spark_python, "-c", "import pyspark; print(pyspark.__path__[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    home = Path(found.stdout.strip())
    cores = str(len(os.sched_getaffinity(0)))
    env = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": str(workspace.spark_python)}
    return [home / "bin" / "spark-submit", "--master", f"local[{cores}]", "--driver-memory", "4g"], env


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
