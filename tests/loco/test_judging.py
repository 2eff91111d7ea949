"""When a watched release is bad, and when its window may end."""

from __future__ import annotations

import pytest

from sparki_daemon.loco.adapters.process.judging import Verdict, bad_share, judged
from sparki_daemon.loco.keeper.client import Counts


def probes(text: str) -> list[bool]:
    """`+` is a good one, `-` a bad one."""
    return [letter == "+" for letter in text]


def first_bad(text: str) -> int:
    """After how many probes it is told to be bad; 0: never."""
    found = probes(text)
    return next((count for count in range(1, len(found) + 1) if judged(found[:count]) is Verdict.BAD), 0)


@pytest.mark.parametrize("text", ["", "+", "+" * 200, "+" * 40 + "-" + "++", "-+" + "+" * 20 + "-++", ("+" * 59 + "-") * 5 + "++"])
def test_no_probe_or_a_stray_bad_one_now_and_then_is_well(text: str) -> None:
    assert (first_bad(text), judged(probes(text))) == (0, Verdict.WELL)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("---", 3),
        ("+" * 1000 + "---", 1003),
        ("+-" * 50, 6),
        ("++--" * 50, 7),
        ("+++++-" * 50, 18),
        (("+" * 9 + "-") * 20, 30),
        ("+" * 1000 + "-++" * 5, 1007),
    ],
    ids=["in a row", "late", "in turn", "in turns of two", "one in six", "one in ten", "in turn, late"],
)
def test_three_bad_ones_of_sixty_are_bad_in_a_row_or_not(text: str, after: int) -> None:
    assert first_bad(text) == after


@pytest.mark.parametrize(
    ("text", "verdict"), [("-", "unsure"), ("+++-", "unsure"), ("+++-+", "unsure"), ("+++-++", "well"), ("-+-", "unsure")]
)
def test_a_window_does_not_end_on_a_bad_probe_before_two_good_ones(text: str, verdict: str) -> None:
    assert judged(probes(text)) == verdict


@pytest.mark.parametrize("told", ["+", "-"])
def test_whatever_the_probes_are_a_window_that_is_over_ends(told: str) -> None:
    """From a bad probe on, `+` and `-` in any order: bad or well after at most five."""
    for number in range(2**5):
        after = [told == "+", False, *(bool(number >> bit & 1) for bit in range(5))]
        assert any(judged(after[:count]) is not Verdict.UNSURE for count in range(3, len(after) + 1))


def counted(requests: int, errors: int) -> Counts:
    return Counts(requests=requests, errors_5xx=errors)


@pytest.mark.parametrize(
    ("requests", "errors", "bad"), [(19, 19, False), (20, 1, False), (20, 2, True), (1000, 50, False), (1000, 51, True)]
)
def test_more_than_a_twentieth_of_enough_requests_is_bad(requests: int, errors: int, *, bad: bool) -> None:
    assert bool(bad_share(counted(5, 5), counted(5 + requests, 5 + errors))) is bad
