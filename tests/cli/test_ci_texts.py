"""What a CI service's log, JUnit and summary look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sparki_cli.ci_hosts import HOSTS, detect
from sparki_cli.ci_junit import junit_xml
from sparki_cli.ci_log import CiLog
from sparki_cli.ci_summary import summary_markdown


@pytest.mark.parametrize(
    ("environ", "form"),
    [
        ({"GITHUB_ACTIONS": "true"}, "github"),
        ({"GITLAB_CI": "true"}, "gitlab"),
        ({"BUILDKITE": "true"}, "buildkite"),
        ({"TF_BUILD": "True"}, "azure"),
        ({"CI": "true"}, "plain"),
        ({"GITHUB_ACTIONS": "false"}, "plain"),
    ],
)
def test_the_service_is_told_by_its_environment(environ: dict[str, str], form: str) -> None:
    assert detect(environ) == form


def test_an_annotation_breaks_out_of_no_syntax() -> None:
    at = {"file": "a,b:c.py", "line": 3, "column": None, "title": "t"}
    assert HOSTS["github"].annotation("error", "50%\nx", at) == "::error file=a%2Cb%3Ac.py,line=3,title=t::50%25%0Ax\n"
    told = HOSTS["azure"].annotation("notice", "x", {"file": "a;b]c", "line": 3})
    assert told == "##vso[task.logissue type=warning;sourcepath=a%3Bb%5Dc;linenumber=3;]x\n"
    assert HOSTS["plain"].annotation("error", "x", at) == "a,b:c.py:3: error: t x\n"


def log_of(form: str, path: Path, text: bytes) -> str:
    path.write_bytes("▸ say\n".encode() + text)
    said: list[bytes] = []
    log = CiLog(HOSTS[form], said.append, "TOKEN")
    log.started("j-1", str(path), "job")
    log.step_started("j-1", {"name": "say", "from": 0})
    ended = {"conclusion": "failure", "outcome": "failure", "exit_code": 2, "to": path.stat().st_size, "annotations": []}
    log.step_finished("j-1", ended)
    log.finished("j-1", {"status": "failure", "label": "job"})
    return b"".join(said).decode()


def test_what_a_step_says_commands_no_service(tmp_path: Path) -> None:
    github = log_of("github", tmp_path / "l", b"::error::mine\n")
    assert github == (
        "::group::job / say\n::stop-commands::TOKEN\n::error::mine\n::TOKEN::\n::endgroup::\n"
        "::error::job / say: exit code 2\njob: failure\n"
    )
    assert "##vso[task.setvariable" not in log_of("azure", tmp_path / "l", b"##vso[task.setvariable x]1\n")


def test_a_failed_group_is_opened_and_a_missing_line_end_added(tmp_path: Path) -> None:
    text = log_of("buildkite", tmp_path / "l", b"no end")
    assert text == "--- job / say\nno end\n^^^ +++\nerror: job / say: exit code 2\njob: failure\n"


def test_a_second_job_waits_for_the_first(tmp_path: Path) -> None:
    said: list[bytes] = []
    log = CiLog(HOSTS["plain"], said.append, "T")
    for uid in ("j-1", "j-2"):
        (tmp_path / uid).write_text(f"▸ s\nof {uid}\n")
        log.started(uid, str(tmp_path / uid), uid)
        log.step_started(uid, {"name": "s", "from": 0})
    log.finished("j-2", {"status": "success", "label": "j-2"})
    assert b"".join(said).decode() == "▸ j-1 / s\nof j-1\n"
    log.finished("j-1", {"status": "success", "label": "j-1"})
    assert b"".join(said).decode().splitlines() == ["▸ j-1 / s", "of j-1", "j-1: success", "▸ j-2 / s", "of j-2", "j-2: success"]


def run(**job: Any) -> dict[str, Any]:
    step = {"name": "a<b>\x00", "conclusion": "failure", "reason": "", "exit_code": 3, "duration_ms": 1500, "annotations": []}
    whole = {"name": "job|x", "status": "failure", "reason": "", "tolerated": False, "started": None, "finished": None, "summary": ""}
    return {"pipeline": "ci", "status": "failure", "jobs": [{**whole, "steps": [step], **job}]}


def test_junit_has_a_case_for_each_step_whatever_its_name() -> None:
    root = ET.fromstring(junit_xml([run()]))
    case = root.find("testsuite/testcase")
    assert (root.get("tests"), root.get("failures")) == ("1", "1")
    assert case is not None
    assert (case.get("name"), case.get("time"), case[0].get("message")) == ("a<b>\ufffd", "1.500", "exit code 3")


def test_junit_counts_a_tolerated_failure_as_none_and_a_lost_job_as_an_error() -> None:
    assert ET.fromstring(junit_xml([run(tolerated=True)])).get("failures") == "0"
    assert ET.fromstring(junit_xml([run(status="lost", reason="died", steps=[])])).get("errors") == "1"


def test_the_summary_is_a_table_that_no_name_breaks() -> None:
    assert "| job\\|x | ❌ failure |  |" in summary_markdown([run()])
