"""What a push's own output says of each ref, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from sparki_cli.push_view import told_run, told_update
from sparki_cli.render import Output
from sparki_cli.view import RunView

PLAIN: dict[str, Any] = {"ref": "refs/heads/main", "note": "", "notes": [], "runs": [], "deployment": None, "problems": []}
RUN = {"run": "r-1", "pipeline": "ci", "file": "ci.yml"}
PROBLEM = {"code": "x", "message": "it is wrong", "file": "ci.yml", "line": 3, "column": 5, "hint": "mend it"}


@pytest.mark.parametrize(
    ("update", "lines"),
    [
        ({"note": "nothing is run: it was deleted"}, ["main: nothing is run: it was deleted"]),
        ({"runs": [RUN]}, ["main: ci is r-1"]),
        ({"ref": "refs/tags/v1", "runs": [RUN]}, ["v1: ci is r-1"]),
        (
            {"runs": [RUN], "deployment": {"environment": "staging", "deployment": "d-1"}},
            ["main: ci is r-1", "main: goes to staging when green, as d-1"],
        ),
        ({"notes": [{"message": "a note"}], "runs": [RUN]}, ["note: a note", "main: ci is r-1"]),
        (
            {"problems": [PROBLEM]},
            ["error: it is wrong", "  --> ci.yml:3:5", "hint: mend it", "main is pushed; nothing is run, and nothing deployed"],
        ),
        (
            {"runs": [RUN], "problems": [{**PROBLEM, "file": None, "hint": ""}]},
            ["main: ci is r-1", "error: it is wrong", "main is pushed; it runs, and is not deployed"],
        ),
        ({"runs": [{**RUN, "pipeline": "c\x1b[2Ji"}]}, ["main: c\\x1b[2Ji is r-1"]),
    ],
)
def test_a_ref_tells_what_it_began_or_why_nothing(update: dict[str, Any], lines: list[str]) -> None:
    assert told_update(Output(), {**PLAIN, **update}).splitlines() == lines


def test_a_green_run_is_one_line() -> None:
    view = RunView("r-1", "ci", "ci.yml")
    view.status = "success"

    assert told_run(Output(), view, []) == "✓ ci  success  r-1\n"


def test_a_red_run_says_why() -> None:
    view = RunView("r-1", "ci", "ci.yml")
    view.status = "lost"

    assert "lost" in told_run(Output(), view, [])
