"""Says of a watched release whether it is well: from what its probes found, and from what the front has counted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from sparki_daemon.loco.keeper.client import Counts

LOOKED_BACK = 60  # probes: 15 s of the usual interval, so that an old trouble is forgotten and a late one is seen
TOO_MANY = 3  # bad ones among them: of the last 60, 5 %, as of requests; as many as Kubernetes' failureThreshold wants in a row
WELL_AGAIN = 2  # good ones in a row, after a bad one
ENOUGH = 20  # requests, before a share of bad ones says anything
WORST_SHARE = 0.05  # of requests that may go wrong


class Verdict(StrEnum):
    WELL = "well"
    UNSURE = "unsure"  # a bad probe that too few good ones have followed: the watch does not end on it
    BAD = "bad"


def judged(probes: Sequence[bool]) -> Verdict:
    """What the probes so far, good (True) or bad, the oldest first, say of a release.

    A stray bad probe, or two, is no fault. A service that is well and unwell in turn never answers badly three times in a row, so bad
    ones are counted among the last sixty, whatever stands between them.
    """
    if probes[-LOOKED_BACK:].count(False) >= TOO_MANY:
        return Verdict.BAD
    return Verdict.UNSURE if False in probes[-WELL_AGAIN:] else Verdict.WELL


def bad_share(before: Counts, now: Counts) -> str:
    """What is wrong with the answers since `before`; empty: nothing that would be more than chance."""
    requests = now.requests - before.requests
    errors, dropped = now.errors_5xx - before.errors_5xx, now.dropped - before.dropped
    if requests < ENOUGH or errors + dropped <= WORST_SHARE * requests:
        return ""
    return f"of {requests:,} requests {errors:,} were answered with 5xx and {dropped:,} dropped"
