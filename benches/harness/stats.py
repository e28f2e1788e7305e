"""Statistics that summarise many numbers."""

import statistics


def median(values):
    return statistics.median(values)


def percentile(values, percent):
    """The smallest value that at least `percent` per cent of the values do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def rounds(count):
    """What to call the numbers of `count` rounds."""
    return "one round" if count == 1 else f"medians of {count} rounds"


def line_through(first, last):
    """The straight line through two points, as a function."""
    (x1, y1), (x2, y2) = first, last
    slope = (y2 - y1) / (x2 - x1)
    return lambda x: y1 + (x - x1) * slope
