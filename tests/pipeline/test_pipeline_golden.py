"""Whole workflow files: what is planned, what is said of broken ones, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sparki_daemon.model.plan import plan_from_json
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.render import plan_json, plan_text

Check = Callable[[Path, str], None]
GOLDEN = Path(__file__).parent.parent / "golden" / "pipeline"
GITHUB = {"ref": "refs/heads/main", "ref_name": "main", "sha": "0" * 40, "event_name": "push", "actor": "ada"}
SOURCE = {"tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "commit": None, "dirty": False}


def cases(folder: str) -> list[Path]:
    return sorted((GOLDEN / folder).glob("*.yml"))


def told(problems: tuple[Problem, ...]) -> str:
    lines = []
    for problem in problems:
        lines.append(f"{problem.at}: {problem.code}: {problem.message}")
        lines.extend(f"    hint: {problem.hint}" for _ in (1,) if problem.hint)
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.stem)
def test_a_plan_is_what_its_golden_file_says(case: Path, golden: Check) -> None:
    document = read(case.read_bytes(), case.name)
    made = plan(document, github=GITHUB)

    golden(case.with_suffix(".plan.json"), json.dumps(plan_json(made, SOURCE), indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    golden(case.with_suffix(".plan.txt"), "\n".join([*plan_text(made), *told(document.warnings).splitlines()]) + "\n")


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.stem)
def test_a_plan_crosses_to_the_runner_as_json_and_back(case: Path) -> None:
    made = plan(read(case.read_bytes(), case.name), github=GITHUB)

    again = plan_from_json(json.loads(json.dumps(made.to_json())))

    assert again == made
    assert len({job.id.lower() for job in made.jobs}) == len(made.jobs)


@pytest.mark.parametrize("case", cases("bad"), ids=lambda case: case.stem)
def test_every_mistake_is_told_with_its_place(case: Path, golden: Check) -> None:
    with pytest.raises(SparkiError) as caught:
        read(case.read_bytes(), case.name)

    assert caught.value.exit_code == 2
    assert all(problem.at is not None and not problem.code.startswith("unsupported_") for problem in caught.value.problems)
    golden(case.with_suffix(".txt"), told(caught.value.problems))


@pytest.mark.parametrize("case", cases("refused"), ids=lambda case: case.stem)
def test_what_github_takes_and_sparki_cannot_run_is_refused_by_the_plan_alone(case: Path, golden: Check) -> None:
    document = read(case.read_bytes(), case.name)

    with pytest.raises(SparkiError) as caught:
        plan(document, github=GITHUB)

    assert caught.value.problems == document.unsupported
    assert all(problem.code.startswith("unsupported_") and problem.at is not None for problem in caught.value.problems)
    golden(case.with_suffix(".txt"), told(caught.value.problems))


def test_there_are_enough_cases_and_each_golden_file_has_its_input() -> None:
    assert len(cases("good")) >= 20
    assert len(cases("bad")) >= 20
    assert sum(len(cases(folder)) for folder in ("good", "bad", "refused", "differences")) >= 80
    for folder in ("good", "bad", "refused", "differences"):
        inputs = {path.stem for path in cases(folder)}
        assert {path.name.split(".")[0] for path in (GOLDEN / folder).iterdir()} == inputs
