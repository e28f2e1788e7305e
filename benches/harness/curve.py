"""The chart of cost against size: the measured points, and the straight line from the first to the last of each series."""

import math

from . import svg
from .stats import line_through

LEFT, RIGHT, TOP, BOTTOM = 84, 700, 84, 400
HEIGHT = 452


class Axis:
    """Maps values to a range of pixels, linearly or logarithmically."""

    def __init__(self, low, high, start, end, log):
        self.log, self.start, self.end = log, start, end
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (0, high)

    def __call__(self, value):
        at = math.log10(value) if self.log else value
        return self.start + (at - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)

    def ticks(self):
        if self.log:
            return [10.0**power for power in range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)]
        step = 10 ** math.floor(math.log10(self.high))
        step = next(s for s in (step / 5, step / 2, step, step * 2) if self.high / s <= 6)
        return [step * number for number in range(int(self.high / step) + 1)]


def chart(title, subtitle, series, x_label, y_label, log=False):
    """The SVG of up to two series; each is a pair of a name and a list of points (x, y) with increasing x."""
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    across = Axis(min(xs), max(xs), LEFT, RIGHT, log)
    up = Axis(10 ** math.floor(math.log10(min(ys))), decade_above(max(ys)) if log else max(ys) * 1.05, BOTTOM, TOP, log)
    parts = []
    for tick in up.ticks():
        parts.append(svg.line(LEFT, up(tick), RIGHT, up(tick), "grid"))
        parts.append(svg.text(LEFT - 8, up(tick) + 4, f"{tick:,g}", "soft end"))
    for tick in across.ticks():
        parts.append(svg.line(across(tick), TOP, across(tick), BOTTOM, "grid"))
        parts.append(svg.text(across(tick), BOTTOM + 18, f"{tick:,g}", "soft middle"))
    parts.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 38, x_label, "soft middle"))
    parts.append(svg.text(LEFT, TOP - 10, y_label, "soft"))
    for number, (name, points) in enumerate(series):
        second = " second" if number else ""
        parts.append(svg.path([(across(x), up(y)) for x, y in straight(points)], "straight"))
        parts.append(svg.path([(across(x), up(y)) for x, y in points], f"line{second}"))
        parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="4" class="point{second}"/>' for x, y in points]
        y = up(points[-1][1])
        parts.append(svg.text(RIGHT + 12, y + 4, name, "bold"))
    legend = BOTTOM + 34
    parts.append(svg.line(RIGHT + 12, legend, RIGHT + 40, legend, "straight"))
    parts.append(svg.text(RIGHT + 46, legend + 4, "a straight line", "soft"))
    return svg.frame(HEIGHT, title, subtitle, parts)


def decade_above(value):
    return 10 ** math.ceil(math.log10(value))


def straight(points, steps=64):
    """The line from the first point to the last, in steps that are small enough for a logarithmic scale to bend it."""
    first, last = points[0], points[-1]
    if len(points) < 2:
        return [first]
    line = line_through(first, last)
    ratio = (last[0] / first[0]) ** (1 / steps)
    xs = [first[0] * ratio**step for step in range(steps)] + [last[0]]
    return [(x, line(x)) for x in xs]
