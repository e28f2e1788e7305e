"""The chart of a comparison: a bar of wall time for each contender, and beside it one of peak memory."""

from . import svg
from .contender import LIMIT, OURS
from .table import megabytes, seconds

TOP, ROW, BAR = 92, 30, 18
NAMES_END, TIME_START, MEMORY_START, PANEL = 240, 252, 588, 200


def chart(title, subtitle, results):
    """The SVG of a list of Results, in their order."""
    done = [result for result in results if result.ok]
    wall = reach([result.wall for result in done])
    peak = reach([result.peak for result in done])
    parts = [
        svg.text(TIME_START, TOP - 16, "wall time, median", "soft"),
        svg.text(MEMORY_START, TOP - 16, "peak memory, median", "soft"),
    ]
    for number, result in enumerate(results):
        y = TOP + number * ROW
        parts.append(svg.text(NAMES_END, y + 14, result.name, "end bold" if is_ours(result) else "end"))
        if not result.ok:
            parts.append(svg.text(TIME_START, y + 14, "failed", "soft"))
            continue
        parts += bar(TIME_START, y, result.wall, wall, seconds(result.wall), colour(result))
        parts += bar(MEMORY_START, y, result.peak, peak, megabytes(result.peak), colour(result))
    return svg.frame(TOP + len(results) * ROW + 14, title, subtitle, parts)


def is_ours(result):
    return result.name.startswith(OURS)


def colour(result):
    return "ours" if is_ours(result) else "limit" if result.name == LIMIT else "peer"


def reach(values):
    """The value of a full bar: the largest that does not dwarf the others. Bars of larger values are cut."""
    ordered = sorted(values) or [1]
    while len(ordered) > 2 and ordered[-1] > 4 * ordered[-2]:
        ordered.pop()
    return ordered[-1] or 1


def bar(x, y, value, full, label, classes):
    if value <= full:
        width = PANEL * value / full
        return [svg.rect(x, y, width, BAR, classes), svg.text(x + width + 8, y + 14, label)]
    # Two pieces with a gap between them show that the bar is longer than can be drawn.
    pieces = [svg.rect(x, y, PANEL - 16, BAR, classes), svg.rect(x + PANEL - 10, y, 10, BAR, classes)]
    return [*pieces, svg.text(x + PANEL + 8, y + 14, label)]
