"""Failing tests are named first: by the reports of their job, else by what its failed steps remarked."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from stand_in import event

from sparki_cli.ci_hosts import HOSTS
from sparki_cli.ci_junit import junit_xml
from sparki_cli.ci_log import CiLog
from sparki_cli.ci_summary import summary_markdown
from sparki_cli.failing import failing, in_short
from sparki_cli.render import Output
from sparki_cli.runs import picture_of
from sparki_cli.summary import EXCERPT_LINES, summary
from sparki_cli.view import RunView

PLAIN = Output()
TEST = {"name": "test_a", "suite": "tests.test_x", "file": "tests/test_x.py", "line": 7, "message": "1 is\nnot 2", "kind": "failure"}
LINE = "✗ tests/test_x.py:7 tests.test_x test_a: 1 is not 2"
REMARK = {"level": "error", "message": "no such name", "title": "", "file": "a.py", "line": 3, "column": 5}


def results(*tests: dict[str, Any], failed: int | None = None, **keys: Any) -> dict[str, Any]:
    count = len(tests) if failed is None else failed
    counts = {"total": 20, "passed": 20 - count, "failed": count, "skipped": 0, "duration_ms": 5, "reports": 1}
    return {**counts, "failing": list(tests), "warnings": [], **keys}


def shown(**job: Any) -> dict[str, Any]:
    step = {"name": "Run pytest", "conclusion": "failure", "status": "failure", "reason": "", "exit_code": 1, "duration_ms": 5}
    whole = {"name": "test", "status": "failure", "reason": "", "tolerated": False, "started": None, "finished": None, "summary": ""}
    jobs = [{**whole, "steps": [{**step, "annotations": []}], **job}]
    return {"id": "r-1", "pipeline": "ci", "status": "failure", "created": "2026-11-23T12:00:00.000Z", "jobs": jobs}


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        (None, ""),
        (results(total=0, passed=0), ""),
        (results(total=1, passed=1), "1 test"),
        (results(passed=18, skipped=2), "18 tests, 2 skipped"),
        (results(TEST), "1 of 20 tests failed"),
    ],
)
def test_a_job_says_how_its_tests_went(tests: dict[str, Any] | None, text: str) -> None:
    assert in_short(tests) == text


def test_a_failing_test_is_its_place_its_name_and_what_it_says() -> None:
    assert failing(PLAIN, results(TEST), []) == [LINE]
    assert failing(PLAIN, results({**TEST, "file": "", "line": None, "message": ""}), []) == ["✗ tests.test_x test_a"]


def test_names_are_written_so_that_no_terminal_obeys_them() -> None:
    assert "\x1b" not in "".join(failing(PLAIN, results({**TEST, "name": "a\x1b[2J", "file": "\x1b]0;x\x07"}), []))


def test_many_failing_tests_are_counted() -> None:
    lines = failing(PLAIN, results(*[TEST] * 12, failed=150, total=200), [])

    assert (len(lines), lines[-1]) == (11, "and 140 more")


def test_where_no_report_tells_the_remarks_of_failed_steps_do_once_each() -> None:
    warning = {**REMARK, "level": "warning"}
    nowhere = {**REMARK, "file": ""}

    assert failing(PLAIN, None, [REMARK, REMARK, warning, nowhere]) == ["✗ a.py:3 no such name"]
    assert failing(PLAIN, results(TEST), [REMARK]) == [LINE]


def ended(**data: Any) -> RunView:
    """A run whose one job has ended red."""
    view = RunView("r-1", "ci")
    view.apply(event(1, "step.finished", job="test", step=0, name="Run pytest", conclusion="failure", annotations=[REMARK]))
    view.apply(event(2, "job.finished", job="test", uid="j-1", name="test", status="failure", **data))
    view.apply(event(3, "run.finished", status="failure"))
    return view


def test_the_summary_of_a_run_names_them_before_the_excerpt_and_is_no_longer_for_it() -> None:
    excerpt = {"job": "test", "step": 0, "name": "Run pytest", "exit_code": 1, "reason": "", "lines": [f"line {n}" for n in range(30)]}

    by_reports = summary(PLAIN, ended(tests=results(TEST)), [excerpt]).splitlines()
    by_remarks = summary(PLAIN, ended(), [excerpt]).splitlines()

    assert "  ✗ test  failure, 1 of 20 tests failed" in by_reports
    assert by_reports.index(f"      {LINE}") < by_reports.index("      Run pytest: exit code 1")
    assert sum(LINE in line or "line " in line for line in by_reports) == EXCERPT_LINES
    assert "      ✗ a.py:3 no such name" in by_remarks


def test_a_job_that_is_tried_again_has_no_failing_tests_yet() -> None:
    view = ended(tests=results(TEST))

    view.apply(event(4, "job.queued", job="test", uid="j-1", name="test", status="queued"))

    assert (view.jobs["test"].tests, view.jobs["test"].remarks) == (None, [])


def test_show_names_them_before_its_jobs() -> None:
    text = picture_of(PLAIN, shown(tests=results(TEST, warnings=["b.xml: it is no XML"])), 0)
    by_remarks = picture_of(PLAIN, shown(steps=[{**shown()["jobs"][0]["steps"][0], "annotations": [REMARK]}]), 0)

    assert f"  failing in test\n    {LINE}\n    warning b.xml: it is no XML\n  ✗ test  failure, 1 of 20 tests failed\n" in text
    assert "  failing in test\n    ✗ a.py:3 no such name\n  ✗ test  failure\n" in by_remarks


def test_a_ci_log_has_an_annotation_for_each_and_a_warning_where_the_job_did_not_fail() -> None:
    def told(**end: Any) -> str:
        said: list[bytes] = []
        CiLog(HOSTS["github"], said.append, "T").finished("j-1", {"label": "test", **end})
        return b"".join(said).decode()

    at = "file=tests/test_x.py,line=7::tests.test_x test_a: 1 is not 2"
    assert told(status="failure", tests=results(TEST)) == f"::error {at}\ntest: failure, 1 of 20 tests failed\n"
    assert told(status="success", tests=results(TEST)).startswith(f"::warning {at}\n")
    assert told(status="failure", tolerated=True, tests=results(TEST)).startswith(f"::warning {at}\n")
    assert "test: 140 more tests failed\n" in told(status="failure", tests=results(*[TEST] * 12, failed=150))


def test_junit_of_a_ci_run_has_them_as_cases_before_the_steps() -> None:
    bad = {**TEST, "name": "t\x00", "kind": "error", "file": "", "line": None}

    root = ET.fromstring(junit_xml([shown(tests=results(TEST, bad))]))

    first, second, step = root.findall("testsuite/testcase")
    assert (first.get("name"), first.get("file"), first.get("line")) == ("test_a", "tests/test_x.py", "7")
    assert (first[0].tag, first[0].get("message"), first[0].text) == ("failure", "1 is", "1 is\nnot 2")
    assert (second.get("name"), second[0].tag, step.get("name")) == ("t\ufffd", "error", "Run pytest")
    assert (root.get("failures"), root.get("errors")) == ("2", "1")
    assert ET.fromstring(junit_xml([shown(tests=results(TEST), tolerated=True)])).get("failures") == "0"


def test_the_step_summary_has_them_before_the_table() -> None:
    text = summary_markdown([shown(tests=results({**TEST, "file": "a`b"}, failed=3))])

    assert text.startswith(
        "## ci: failure\n\n**test: 3 of 20 tests failed**\n\n- `ab:7` tests.test\\_x test\\_a: 1 is not 2\n- and 2 more\n\n| job |"
    )


def test_nothing_is_said_where_there_is_no_report() -> None:
    assert "test" not in summary_markdown([shown(name="job", tests=None)]).replace("failure", "")
