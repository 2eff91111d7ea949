"""How long to wait before a child that died is started again."""

from __future__ import annotations

FIRST_S = 0.05
CAP_S = 5.0
HEALTHY_S = 10.0  # a child that lived this long starts the count anew


def delay_s(deaths: int) -> float:
    """Seconds before the start after `deaths` quick deaths in a row: none for the first, then doubling from FIRST_S up to CAP_S."""
    if deaths <= 1:
        return 0.0
    exponent = min(deaths - 2, 16)
    return min(CAP_S, FIRST_S * float(1 << exponent))
