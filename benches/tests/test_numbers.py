"""The numbers in the tables, and the words around them."""

import unittest

from harness import table
from harness.measure import Cost
from harness.goal import Goal
from harness.rounds import Result
from harness.scenarios import Outcome, fastest, leanest, ratio
from harness.scenarios.cores import processors
from harness.stats import line_through, median, percentile


def result(name, *walls, peak=100_000_000, error=None):
    return Result(name, [Cost(wall, wall, peak) for wall in walls], error)


class Statistics(unittest.TestCase):
    def test_percentiles_are_measured_values(self):
        values = list(range(1, 201))
        self.assertEqual([percentile(values, p) for p in (0, 50, 99, 100)], [1, 100, 198, 200])
        self.assertEqual(percentile([7], 99), 7)
        self.assertEqual(percentile([3, 1, 2], 50), 2)

    def test_median_of_an_even_number_lies_between(self):
        self.assertEqual(median([1, 9, 2, 4]), 3)

    def test_a_line_goes_through_its_points(self):
        line = line_through((1, 10), (3, 20))
        self.assertEqual([line(1), line(2), line(3)], [10, 15, 20])


class Ranking(unittest.TestCase):
    def test_only_whole_processes_that_did_the_job_are_ranked(self):
        results = [
            result("gristmill", 0.1),
            result("DuckDB", 3, 2, 4, peak=500),
            result("Polars", 2, 2, 2, peak=900),
            result("chDB", 1, error="its summary is wrong"),
            result("Sail (warm server)", 0.5, peak=1),
        ]
        self.assertEqual(fastest(results).name, "Polars")
        self.assertEqual(leanest(results).name, "DuckDB")
        self.assertIsNone(fastest([results[0], results[3]]))

    def test_no_ratio_to_what_failed(self):
        good, bad = result("DuckDB", 2), result("Polars", 1, error="ended with 1")
        self.assertEqual(ratio(good, result("gristmill", 0.5), "wall"), 4)
        self.assertIsNone(ratio(good, bad, "wall"))
        self.assertIsNone(ratio(None, good, "peak"))


    def test_a_failure_anywhere_breaks_the_outcome(self):
        good, bad = result("DuckDB", 2).as_json(), result("Polars", error="ended with 1").as_json()
        self.assertFalse(Outcome("cores", "", numbers={"feeds": {"one": {"results": [good]}}, "errors": []}).broken)
        self.assertTrue(Outcome("cores", "", numbers={"feeds": {"one": {"results": [good, bad]}}}).broken)
        self.assertTrue(Outcome("scale", "", numbers={"errors": ["8 GB failed"]}).broken)


class Goals(unittest.TestCase):
    def test_bounds_are_reached_at_the_bound(self):
        self.assertTrue(Goal("times", 5.0, 5).holds)
        self.assertFalse(Goal("times", 4.99, 5).holds)
        self.assertTrue(Goal("memory", 0.5, 0.5, at_most=True).holds)
        self.assertFalse(Goal("memory", 0.51, 0.5, at_most=True).holds)

    def test_what_was_not_measured_is_neither_reached_nor_missed(self):
        goal = Goal("times as fast", None, 5)
        self.assertIsNone(goal.holds)
        self.assertEqual(str(goal), "not measured: times as fast")


class Tables(unittest.TestCase):
    def test_a_failed_peer_stays_in_the_table_with_its_error(self):
        ours = result("gristmill", 0.5)
        text = table.costs([ours, result("chDB", error="chdb ended with 1: no such file")], ours)
        self.assertIn("chDB failed: chdb ended with 1: no such file", text)
        self.assertRegex(text, r"gristmill\s+0\.50 s")

    def test_columns_line_up(self):
        lines = table.table(["", "a"], [["x", "1"], ["long name", "100"]]).splitlines()
        self.assertEqual(lines[2:], ["x            1", "long name  100"])


class Processors(unittest.TestCase):
    def test_lists_of_the_kernel(self):
        self.assertEqual(processors("0,4\n"), {0, 4})
        self.assertEqual(processors("0-2,7"), {0, 1, 2, 7})


if __name__ == "__main__":
    unittest.main()
