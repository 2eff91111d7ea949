"""The summary of runs as Markdown, for a CI service's page. Pure."""

from __future__ import annotations

from sparki_cli.failing import MOST, in_short, said
from sparki_cli.render import duration
from sparki_cli.view import milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GLYPHS = {"success": "✅", "failure": "❌", "lost": "❌", "cancelled": "⛔", "skipped": "⏭️"}


def summary_markdown(runs: list[dict[str, Any]]) -> str:
    """A table of jobs a run, what its steps remarked, and the Markdown that they wrote. `runs`: as `sparki show --json`."""
    return "".join(_run(run) for run in runs)


def _run(run: dict[str, Any]) -> str:
    lines = [f"## {_cell(run['pipeline'])}: {run['status']}", ""]
    for job in run["jobs"]:
        lines += _failing(job)
    lines += ["| job | result | time |", "| --- | --- | --- |"]
    lines += [f"| {_cell(job['name'])} | {_result(job)} | {_took(job)} |" for job in run["jobs"]]
    if remarks := [_remark(remark) for job in run["jobs"] for step in job["steps"] for remark in step["annotations"]]:
        lines += ["", *remarks]
    for job in run["jobs"]:
        if text := job["summary"].strip():
            lines += ["", f"### {_cell(job['name'])}", "", text]
    return "\n".join(lines) + "\n\n"


def _result(job: dict[str, Any]) -> str:
    tolerated = ", tolerated" if job["tolerated"] and job["status"] == "failure" else ""
    reason = f" ({_cell(job['reason'])})" if job["reason"] and job["reason"] != job["status"] else ""
    tests = f", {told}" if (told := in_short(job.get("tests"))) else ""
    return f"{GLYPHS.get(job['status'], '')} {job['status']}{tolerated}{tests}{reason}".strip()


def _failing(job: dict[str, Any]) -> list[str]:
    """The tests that failed in a job, before anything else is told of it."""
    tests = job.get("tests")
    if not tests or not tests["failing"]:
        return []
    more = tests["failed"] - len(tests["failing"][:MOST])
    named = [f"- {_place(test)}{_cell(said(test))}" for test in tests["failing"][:MOST]]
    return [f"**{_cell(job['name'])}: {in_short(tests)}**", "", *named, *([f"- and {more} more"] if more > 0 else []), ""]


def _place(at: dict[str, Any]) -> str:
    place = ":".join(str(at[name]) for name in ("file", "line") if at.get(name)).replace("`", "")
    return f"`{place}` " if place else ""


def _took(job: dict[str, Any]) -> str:
    if not (job["started"] and job["finished"]):
        return ""
    return duration(milliseconds(job["finished"]) - milliseconds(job["started"]))


def _remark(remark: dict[str, Any]) -> str:
    said = " ".join(part for part in (remark.get("title") or "", remark["message"]) if part)
    return f"- **{remark['level']}** {_place(remark)}{_cell(said)}"


def _cell(text: str) -> str:
    """Text that opens no markup and stays on its line."""
    text = " ".join(text.split())
    for sign in "\\|<`*_[":
        text = text.replace(sign, f"\\{sign}")
    return text
