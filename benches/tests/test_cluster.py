"""The copies of an installation in the scenario `cluster`, and what is read of their runs."""

import sqlite3
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from harness.contender import ConnectServer, sail_server
from harness.measure import Failed
from harness.scenarios import cluster
from harness.service import Installation


class Copies(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

        def new(name):
            (self.folder / name).mkdir()
            return self.folder / name

        self.workspace = SimpleNamespace(gristmill="gristmill", folder=new)

    def test_a_twin_shares_the_lake_and_nothing_else(self):
        base = Installation(self.workspace, "source", 0, jobs=[""])
        (base.folder / "lake" / "partials").mkdir(parents=True)
        (base.folder / "lake" / "partials" / "a.parquet").write_text("rows")
        base.state.write_text("state")
        twin = base.twin(self.workspace, "[more]\n")
        self.assertNotEqual(twin.folder, base.folder)
        shared = "lake/partials/a.parquet"
        self.assertTrue((twin.folder / shared).samefile(base.folder / shared))
        self.assertEqual(twin.state.read_text(), "state")
        self.assertFalse(twin.state.samefile(base.state))
        self.assertEqual(twin.settings.read_text(), base.settings.read_text() + "[more]\n")
        self.assertNotIn("[[job]]", base.settings.read_text())

    def test_the_seconds_are_those_of_the_one_run_where_it_should_be(self):
        path = self.folder / "state.db"
        database = sqlite3.connect(path)
        columns = "state, started_timestamp, summarized_timestamp, cluster_operation"
        database.execute(f"CREATE TABLE job_run ({columns})")
        times = ("2026-01-01T00:00:59.750000Z", "2026-01-01T00:01:01.000000Z")
        database.execute("INSERT INTO job_run VALUES ('COMPLETED', ?, ?, NULL)", times)
        database.commit()
        database.close()
        self.assertEqual(cluster.merge_seconds(path, False), 1.25)
        with self.assertRaisesRegex(Failed, "not merged where"):
            cluster.merge_seconds(path, True)


class Servers(unittest.TestCase):
    def test_a_server_that_cannot_be_started_fails_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            python = Path(folder) / "bin" / "python"
            server = ConnectServer("Sail", sail_server(SimpleNamespace(python=python)))
            with self.assertRaisesRegex(Failed, "cannot start Sail"):
                server.start(Path(folder))
            server.stop()


if __name__ == "__main__":
    unittest.main()
