"""GitHub's own cases of the workflow reader, and its starter workflows: the same verdict, and errors in the same lines."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.calls import MOST_LEVELS, call_problems
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read

DATA = Path(__file__).parents[2] / ".." / "shared" / "conformance" / "github-actions" / "workflows"
READER = sorted((DATA / "reader").glob("*.yml"))
STARTER = sorted((DATA / "starter").glob("*.yml"))
NOT_MATCHED = json.loads(
    (Path(__file__).parents[1] / "golden" / "pipeline" / "conformance" / "not_matched.json").read_text(encoding="utf-8")
)

pytestmark = pytest.mark.skipif(not READER, reason="the conformance data is not at ../shared/conformance")


def parts(case: Path) -> tuple[bytes, dict[str, Any]]:
    """The workflow of a case, and what GitHub makes of it."""
    documents = _documents(case)
    return documents[1].encode(), json.loads(documents[-1])


def _documents(case: Path) -> list[str]:
    return re.split(r"^---$\n?", case.read_text(encoding="utf-8"), flags=re.MULTILINE)


def called(case: Path) -> dict[str, Document]:
    """The workflows that a case calls, by the names that it gives them."""
    names, texts = _documents(case)[2:-1:2], _documents(case)[3:-1:2]
    return {name.strip(): read(text.encode(), name.strip()) for name, text in zip(names, texts, strict=True)}


def setting(case: Path, name: str, default: int) -> int:
    """A limit that a case sets for itself."""
    found = re.search(rf"^{name}: (\d+)$", _documents(case)[0], re.MULTILINE)
    return int(found[1]) if found else default


def expected_lines(expected: dict[str, Any]) -> set[int]:
    """The lines of GitHub's errors; 0 for one without a line."""
    messages = [error["Message"] for error in expected.get("errors", [])]
    return {int(found[1]) if (found := re.search(r"\(Line: (\d+), Col: \d+\)", message)) else 0 for message in messages}


def problems_of(case: Path) -> list[Problem]:
    workflow, _ = parts(case)
    try:
        document = read(workflow, case.name)
        found = list(
            call_problems(document, called(case).get, most_levels=setting(case, "max-nested-reusable-workflows-depth", MOST_LEVELS))
        )
    except SparkiError as error:
        return list(error.problems)
    return found


def matches(case: Path) -> bool:
    _, expected = parts(case)
    wanted = expected_lines(expected)
    got = {problem.at.line for problem in problems_of(case) if problem.at is not None}
    return bool(got) if wanted == {0} else got == wanted


@pytest.mark.parametrize("case", READER, ids=lambda case: case.stem)
def test_a_workflow_is_accepted_or_refused_in_the_lines_where_github_does(case: Path) -> None:
    assert matches(case) is (case.name not in NOT_MATCHED), NOT_MATCHED.get(case.name, "")


def test_the_cases_are_all_there_and_few_are_not_matched() -> None:
    assert len(READER) == 93
    assert NOT_MATCHED.keys() <= {case.name for case in READER}
    assert len(NOT_MATCHED) <= 4


@pytest.mark.parametrize("name", ["yaml-schema-int", "yaml-schema-float", "yaml-schema-null"])
def test_yaml_values_are_the_numbers_that_github_reads(name: str) -> None:
    case = DATA / "reader" / f"{name}.yml"
    workflow, expected = parts(case)
    wanted = expected["jobs"][0]["strategy"]["map"][0]["Value"]["map"][0]["Value"]["seq"]

    legs = [job.matrix["vector-1"] for job in plan(read(workflow, case.name), github={}).jobs]

    def shown(value: Any) -> Any:
        special = isinstance(value, float) and not math.isfinite(value)
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)] if special else value

    assert [shown(value) for value in legs] == [item or None if isinstance(item, str) and not item else item for item in wanted]


@pytest.mark.parametrize("case", STARTER, ids=lambda case: case.stem)
def test_every_starter_workflow_is_read_and_a_gap_that_its_author_left_is_told(case: Path) -> None:
    document = read(case.read_bytes(), case.name)
    assert document.jobs
    gap = ["'{{ groupId }}' is a gap to fill in: GitHub refuses it as it stands"] if "nowsecure" in case.stem else []
    told = ["'steps.deploy.outputs.url' is always empty: no step before it has the id 'deploy'"] if "cloudrun" in case.stem else []
    assert [problem.message for problem in document.warnings] == [*told, *gap]
