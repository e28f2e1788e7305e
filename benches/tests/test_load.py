"""What each contender is given in the steps of the scenario `load`, and how the times are evaluated."""

import json
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from harness.measure import Cost
from harness.rounds import Result
from harness.scenarios import load

ROWS = {"first": 10, "million": 10, "again": 10, "changed": 2, "changed again": 1}


class Steps(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        workspace = SimpleNamespace(load=Path("load"), python=Path("python"))
        with mock.patch.object(load, "find_programs", return_value=Path("/bin")):
            self.turn = load.Round(SimpleNamespace(workspace=workspace), "postgres://u@h:1/postgres", self.folder, ROWS)

    def test_gristmill_has_the_step_before_as_its_base(self):
        jobs = [json.loads(self.turn.job(step).read_text()) for step in load.STEPS]
        self.assertEqual([job["sequence"] for job in jobs], [1, 2, 3])
        self.assertEqual([job.get("base", {}).get("run_id") for job in jobs], [None, "first", "million"])
        self.assertEqual({job["url"] for job in jobs}, {"postgres://u@h:1/gristmill"})
        self.assertTrue(jobs[2]["base"]["summary"].endswith("/million.parquet"))

    def test_peers_make_the_table_at_first_and_merge_in_one_transaction(self):
        first = self.turn.command(load.PSQL, "first")
        self.assertIn(load.CREATE, first)
        statements = first[first.index("BEGIN") :]
        self.assertEqual(statements[-3:], [load.MERGE, "-c", "COMMIT"])
        self.assertNotIn(load.CREATE, self.turn.command(load.PSQL, "million"))
        self.assertIn(self.folder / "changed.parquet", self.turn.command(load.ADBC, "million"))

    def test_a_failure_is_shown_and_has_no_ratio(self):
        def result(name, wall, error=None):
            return Result(name, [Cost(wall, wall, 1)], error)

        results = {
            "first": {load.OURS: result(load.OURS, 1.0), load.PSQL: result(load.PSQL, 4.0), load.ADBC: result(load.ADBC, 3.5)},
            "million": {load.OURS: result(load.OURS, 2.0), load.PSQL: result(load.PSQL, 3.0), load.ADBC: result(load.ADBC, 4.0)},
            "again": {load.OURS: result(load.OURS, 0.1), load.PSQL: result(load.PSQL, 4.0, "psql ended with 1")},
        }
        outcome = load.outcome(ROWS, results)
        self.assertEqual([goal.reached for goal in outcome.goals], [3.5, 1.5, None])
        self.assertTrue(outcome.broken)
        self.assertIn("psql ended with 1", str(outcome))


if __name__ == "__main__":
    unittest.main()
