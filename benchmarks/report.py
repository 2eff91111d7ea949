"""Prints figures as the rows of the table in README.md: ratios, for only those compare between machines."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.clock import Figure


@dataclass(frozen=True)
class Row:
    """One line: how a figure stands to another, and what was wanted. `at_least` turns the goal round: times faster."""

    what: str
    figure: str
    beside: str
    ratio: float
    goal: float | None = None
    at_least: bool = False

    def line(self) -> str:
        met = "" if self.goal is None else "yes" if (self.ratio >= self.goal) == self.at_least or self.ratio == self.goal else "**no**"
        goal = "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal:g}"
        return f"| {self.what} | {self.figure} | {self.beside} | {self.ratio:.2f} | {goal} | {met} |"


HEAD = "| what | figure | beside | ratio | goal | met |\n| --- | --- | --- | --- | --- | --- |"


def slower(what: str, ours: Figure, name: str, other: Figure, goal: float | None = None) -> Row:
    """How many times as long as `other` we take."""
    return Row(what, _ms(ours), f"{name}: {_ms(other)}", ours.middle / other.middle, goal)


def faster(what: str, ours: Figure, name: str, other: Figure, goal: float | None = None) -> Row:
    """How many times faster than `other` we are."""
    return Row(what, _ms(ours), f"{name}: {_ms(other)}", other.middle / ours.middle, goal, at_least=True)


def megabytes(what: str, ours: float, limit: float) -> Row:
    return Row(what, f"{ours:.1f} MiB", f"limit: {limit:.0f} MiB", ours / limit, 1.0)


def _ms(figure: Figure) -> str:
    return f"{figure.middle:.0f} ms (best {figure.best:.0f})" if figure.middle >= 10 else f"{figure.middle:.1f} ms (best {figure.best:.1f})"
