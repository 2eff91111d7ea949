"""Which tests failed, as lines: by the test reports of a job; where it has none, by what its failed steps remarked as errors. Pure."""

from __future__ import annotations

from sparki_cli.render import Output, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MOST = 10  # of one job
WIDEST = 160  # characters of what a test says


def in_short(tests: dict[str, Any] | None) -> str:
    """How the tests of a job went; empty: nothing is known of them."""
    if not tests or not tests["total"]:
        return ""
    if tests["failed"]:
        return f"{tests['failed']} of {tests['total']} tests failed"
    return f"{tests['passed']} test{'' if tests['passed'] == 1 else 's'}" + (f", {tests['skipped']} skipped" if tests["skipped"] else "")


def failing(output: Output, tests: dict[str, Any] | None, remarks: Iterable[dict[str, Any]], *, most: int = MOST) -> list[str]:
    """A line for each failing test of a job: where, which, what it says. `remarks`: the annotations of its failed steps."""
    if tests and tests["failing"]:
        named = [_line(output, one, f"{_name(one)}: ") for one in tests["failing"][:most]]
        more = tests["failed"] - len(named)
    else:
        errors = list({_key(one): one for one in remarks if one["level"] == "error" and one.get("file")}.values())
        named = [_line(output, one, "") for one in errors[:most]]
        more = len(errors) - len(named)
    return [*named, *([output.styled(f"and {more} more", "dim")] if more > 0 else [])]


def failed_remarks(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The annotations of the steps that failed, of a job as `sparki show --json` tells it."""
    return [remark for step in steps if step.get("conclusion") == "failure" for remark in step.get("annotations") or ()]


def said(test: dict[str, Any]) -> str:
    """A failing test in one text, without its place."""
    what = " ".join(test["message"].split())
    return f"{_name(test)}: {what}" if what else _name(test)


def _name(test: dict[str, Any]) -> str:
    return f"{test['suite']} {test['name']}".strip() or "a test without a name"


def _key(remark: dict[str, Any]) -> tuple[Any, ...]:
    return remark["file"], remark.get("line"), remark.get("column"), remark["message"]


def _line(output: Output, one: dict[str, Any], name: str) -> str:
    place = ":".join(str(part) for part in (one["file"], one.get("line")) if part)
    what = " ".join(one["message"].split())
    text = f"{name}{what}" if what else name.removesuffix(": ")
    text = text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
    return " ".join(
        part for part in (output.glyph("failure"), output.styled(printable(place), "bold") if place else "", printable(text)) if part
    )
