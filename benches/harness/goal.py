"""The goals that this project set itself, and whether they were reached."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Goal:
    """`reached` must be at least `bound`, or at most, with `at_most`. It is None if it could not be measured."""

    what: str
    reached: float | None
    bound: float
    at_most: bool = False
    unit: str = ""

    @property
    def holds(self):
        if self.reached is None:
            return None
        return self.reached <= self.bound if self.at_most else self.reached >= self.bound

    def as_json(self):
        return {**asdict(self), "holds": self.holds}

    def __str__(self):
        if self.reached is None:
            return f"not measured: {self.what}"
        mark = "reached" if self.holds else "MISSED"
        side = "at most" if self.at_most else "at least"
        return f"{mark}: {self.what}: {number(self.reached)}{self.unit} ({side} {number(self.bound)}{self.unit})"


def number(value):
    """Formats with three significant digits, and at most two decimal places."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
