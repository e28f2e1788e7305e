"""Charts must be well-formed XML, because a README does not show a broken one at all."""

import unittest
import xml.etree.ElementTree as xml

from harness import bars, curve
from harness.measure import Cost
from harness.rounds import Result

SVG = "{http://www.w3.org/2000/svg}"


def texts(chart):
    return [element.text for element in xml.fromstring(chart).iter(f"{SVG}text")]


class Bars(unittest.TestCase):
    def test_everybody_has_a_row_even_who_failed(self):
        results = [
            Result("gristmill", [Cost(0.3, 0.6, 50_000_000)]),
            Result("A & <B>", [Cost(2.5, 4.0, 700_000_000)]),
            Result("chDB", [], "ended with 1"),
        ]
        found = texts(bars.chart("Title", "below", results))
        for expected in ("gristmill", "A & <B>", "chDB", "0.30 s", "2.50 s", "700 MB", "failed"):
            self.assertIn(expected, found)

    def test_a_giant_is_cut_so_that_others_can_be_seen(self):
        self.assertEqual(bars.reach([0.3, 2.0, 2.5, 27.0]), 2.5)
        self.assertEqual(bars.reach([0.3, 2.0, 2.5]), 2.5)
        self.assertEqual(bars.reach([]), 1)

    def test_a_chart_of_failures_is_still_a_chart(self):
        self.assertIn("failed", texts(bars.chart("Title", "below", [Result("gristmill", [], "no")])))


class Curves(unittest.TestCase):
    def test_ticks_lie_within_the_axis(self):
        self.assertEqual(curve.Axis(0.1, 8, 0, 100, log=False).ticks(), [0, 2, 4, 6, 8])
        self.assertEqual(curve.Axis(10, 100_000, 0, 100, log=True).ticks(), [10, 100, 1_000, 10_000, 100_000])

    def test_both_kinds_of_axes_make_a_chart(self):
        points = [(10, 0.02), (1_000, 0.3), (100_000, 29.0)]
        for log in (False, True):
            chart = curve.chart("Title", "below", [("aggregate", points), ("run", points)], "files", "seconds", log)
            self.assertEqual(len(list(xml.fromstring(chart).iter(f"{SVG}circle"))), 6)

    def test_the_line_meets_its_ends(self):
        line = curve.straight([(10, 1.0), (1_000, 2.0), (100_000, 30.0)])
        for found, expected in ((line[0], (10, 1.0)), (line[-1], (100_000, 30.0))):
            self.assertEqual(found[0], expected[0])
            self.assertAlmostEqual(found[1], expected[1])


if __name__ == "__main__":
    unittest.main()
