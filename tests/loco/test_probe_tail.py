"""What of a service's log is told when its deployment fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparki_daemon.loco.adapters.process.probe import TAIL_BYTES, TAIL_LINES, tail

SECRET = "correct-horse-battery"


@pytest.mark.parametrize("inside", range(-2, len(SECRET) + 3))
def test_a_secret_at_the_cut_is_shown_by_no_half(tmp_path: Path, inside: int) -> None:
    """`inside` of its characters lie in the piece that is told."""
    log = tmp_path / "log"
    log.write_text("a" * 3000 + SECRET + "b" * (TAIL_BYTES - inside))

    told = tail(str(log), ["other", SECRET])
    assert not any(SECRET[at : at + 4] in told for at in range(len(SECRET) - 3))
    assert ("***" in told) == (inside > 0)
    assert told.endswith("b" * 1000)


def test_a_secret_of_several_lines_is_hidden_before_the_last_lines_are_taken(tmp_path: Path) -> None:
    log = tmp_path / "log"
    value = "\n".join(f"key {number}" for number in range(8))
    log.write_text(f"begin\n{value}\nend\n")

    assert tail(str(log), [value]) == "begin\n***\nend"


def test_the_last_lines_are_told_and_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(20)))

    assert tail(str(log), []).splitlines() == [f"line {number}" for number in range(20 - TAIL_LINES, 20)]
    assert tail(str(tmp_path / "absent"), [SECRET]) == ""
