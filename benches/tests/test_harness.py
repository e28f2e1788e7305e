"""What the harness relies on in the generator, the kernel and the file system."""

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

from harness import cli, measure, record, seaweedfs
from harness.data import MANY_KEYS, Spec
from harness.scenarios import Outcome
from harness.service import resend
from harness.workspace import ROOT


class Specs(unittest.TestCase):
    def test_options_are_those_of_the_generator(self):
        usage = (ROOT / "fixtures" / "src" / "bin" / "generate.rs").read_text()
        for option in Spec(bad=1, shared_stores=True, quoted=True, crlf=True).options():
            if option.startswith("--"):
                self.assertIn(f'"{option}"', usage)

    def test_names_tell_feeds_apart(self):
        specs = [Spec(), Spec(seed=2), Spec(quoted=True), MANY_KEYS, MANY_KEYS.scaled(0.5)]
        self.assertEqual(len({spec.name() for spec in specs}), len(specs))

    def test_a_scale_changes_lines_alone(self):
        self.assertEqual(Spec(lines=1_000).scaled(0.05), Spec(lines=50))
        self.assertEqual(Spec(lines=10).scaled(0.001).lines, 1)


class Processes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_time_and_memory_are_those_of_the_process(self):
        code = "import time; block = b'x' * 200_000_000; time.sleep(0.1)"
        cost = measure.run([sys.executable, "-c", code], self.folder / "log")
        self.assertGreaterEqual(cost.wall, 0.1)
        self.assertTrue(200_000_000 < cost.peak < 300_000_000, cost.peak)
        self.assertLess(cost.cpu, cost.wall + 1)

    def test_a_failure_tells_what_the_process_said_last(self):
        code = "import sys; print('no such table', file=sys.stderr); sys.exit(3)"
        with self.assertRaisesRegex(measure.Failed, "ended with 3: no such table"):
            measure.run([sys.executable, "-c", code], self.folder / "log")

    def test_a_correction_replaces_the_file_and_leaves_its_links_alone(self):
        original, linked, staging = self.folder / "a.tdf", self.folder / "source.tdf", self.folder / "staging"
        staging.mkdir()
        original.write_text("S1\t5.00\t4\tI1\t2026-03-01\nS1\t6.00\t13\tI1\t2026-03-01\n")
        linked.hardlink_to(original)
        resend(linked, staging)
        self.assertIn("\t5.00\t4", original.read_text())
        lines = linked.read_text().splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[0], "S1\t1.23\t4\tI1\t2026-03-01")
        self.assertEqual(lines[1], "S1\t6.00\t13\tI1\t2026-03-01")


class Records(unittest.TestCase):
    def test_scenarios_keep_each_their_latest_outcome(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            record.write(folder, {"when": 1}, Outcome("aggregate", "first"))
            record.write(folder, {"when": 2}, Outcome("tiny", "other", charts={"tiny": "<svg/>"}))
            record.write(folder, {"when": 3}, Outcome("aggregate", "second"))
            scenarios = json.loads((folder / record.FILE).read_text())["scenarios"]
            self.assertEqual({name: s["run"]["when"] for name, s in scenarios.items()}, {"aggregate": 3, "tiny": 2})
            self.assertEqual(scenarios["aggregate"]["title"], "second")
            self.assertEqual((folder / "tiny.svg").read_text(), "<svg/>")
            self.assertEqual((folder / "aggregate.txt").read_text(), "## second\n")

    def test_numbers_are_kept_to_the_microsecond(self):
        self.assertEqual(record.rounded({"a": [0.12345678, 7], "b": None}), {"a": [0.123457, 7], "b": None})


class Objects(unittest.TestCase):
    def test_ports_and_those_above_them_are_free(self):
        ports = seaweedfs.free_ports(5)
        self.assertEqual(len(set(ports)), 5)
        for port in ports:
            self.assertTrue(seaweedfs.is_free(port) and seaweedfs.is_free(port + seaweedfs.GRPC))

    def test_clients_get_the_servers_address_and_nothing_else_changes(self):
        environment = seaweedfs.Server(1234, 5678).environment()
        self.assertEqual(environment["AWS_ENDPOINT_URL"], "http://127.0.0.1:1234")
        aws = {(k, v) for k, v in os.environ.items() if k.startswith("AWS_")}
        self.assertLessEqual(os.environ.items() - environment.items(), aws)


class Documents(unittest.TestCase):
    def test_every_scenario_is_explained(self):
        text = (ROOT / "docs" / "performance.md").read_text()
        for name in cli.SCENARIOS:
            self.assertIn(f"| `{name}` |", text)


if __name__ == "__main__":
    unittest.main()
