"""Runs as JUnit XML: a suite a job, a case a step. Pure.

Source of the shape: the Jenkins xunit plugin's `junit-10.xsd`, which GitLab, Buildkite, Azure and GitHub's viewers read.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from sparki_cli.view import milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # Source: XML 1.0, production 2


def junit_xml(runs: list[dict[str, Any]]) -> bytes:
    """The document. `runs`: as `sparki show --json`. A failure that was tolerated is no failure here either."""
    root = ET.Element("testsuites", name="sparki")
    for run in runs:
        for job in run["jobs"]:
            _suite(root, run, job)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(root: ET.Element, run: dict[str, Any], job: dict[str, Any]) -> None:
    name = _clean(f"{run['pipeline']} / {job['name']}")
    suite = ET.SubElement(root, "testsuite", name=name, time=_seconds(_took_ms(job)))
    if job["started"]:
        suite.set("timestamp", job["started"].removesuffix("Z"))
    for test in (job.get("tests") or {}).get("failing", ()):
        _test_case(suite, name, test, tolerated=job["tolerated"])
    for step in job["steps"]:
        _case(suite, name, step, tolerated=job["tolerated"])
    if not job["steps"] or (job["status"] in ("failure", "lost", "cancelled") and suite.find("testcase/failure") is None):
        _job_case(suite, name, job)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))


def _test_case(suite: ET.Element, job: str, test: dict[str, Any], *, tolerated: bool) -> None:
    """A failing test of a step's own report: what passed there stands in that report."""
    case = ET.SubElement(suite, "testcase", name=_clean(test["name"]), classname=_clean(f"{job} / {test['suite']}"), time="0.000")
    for key in ("file", "line"):
        if test[key]:
            case.set(key, _clean(str(test[key])))
    if not tolerated:
        message = _clean(test["message"])
        ET.SubElement(case, test["kind"], message=message.partition("\n")[0], type=test["kind"]).text = message


def _case(suite: ET.Element, classname: str, step: dict[str, Any], *, tolerated: bool) -> None:
    case = ET.SubElement(suite, "testcase", name=_clean(step["name"]), classname=classname, time=_seconds(step["duration_ms"] or 0))
    conclusion = step["conclusion"]
    if conclusion in ("skipped", "cancelled"):
        ET.SubElement(case, "skipped", message=conclusion)
    elif conclusion == "failure" and not tolerated:
        why = step["reason"] or f"exit code {step['exit_code']}"
        told = [f"{remark['file']}:{remark['line'] or ''} {remark['message']}" for remark in step["annotations"]]
        ET.SubElement(case, "failure", message=_clean(why), type="failure").text = _clean("\n".join([why, *told]))


def _job_case(suite: ET.Element, classname: str, job: dict[str, Any]) -> None:
    """A job's own case, where no step of it tells how it ended."""
    case = ET.SubElement(suite, "testcase", name="job", classname=classname, time="0.000")
    if job["status"] == "lost":
        ET.SubElement(case, "error", message=_clean(job["reason"] or "lost"), type="lost")
    elif job["status"] == "failure" and not job["tolerated"]:
        ET.SubElement(case, "failure", message=_clean(job["reason"] or "failure"), type="failure")
    elif job["status"] in ("skipped", "cancelled"):
        ET.SubElement(case, "skipped", message=_clean(job["reason"] or job["status"]))


def _took_ms(job: dict[str, Any]) -> int:
    return milliseconds(job["finished"]) - milliseconds(job["started"]) if job["started"] and job["finished"] else 0


def _seconds(ms: int) -> str:
    return f"{max(0, ms) / 1000:.3f}"


def _clean(text: str) -> str:
    """What XML can hold of a text."""
    return _NO_XML.sub("\ufffd", text)
