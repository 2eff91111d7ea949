"""`sparki deploy --plan`: what would change against what is live, in words."""

from __future__ import annotations

from sparki_cli.deploy_view import waits_line
from sparki_cli.render import Output, duration, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SHOWN = 10  # commits


def show_plan(output: Output, plan: dict[str, Any]) -> int:
    """Print it. Nothing was touched."""
    if output.as_json:
        output.document(plan)
        return 0
    for note in plan.get("notes", ()):
        output.note("note: " + printable(note["message"]))
    output.raw("".join(line + "\n" for line in _lines(output, plan)))
    return 0


def artifact_words(artifact: dict[str, Any]) -> str:
    """What is shipped, and where it comes from."""
    if artifact["kind"] == "source":
        return "the commit's files"
    return f"of run {artifact['run']}" if artifact["run"] else "of a run of this commit, which is started first: no green one has it yet"


def _lines(output: Output, plan: dict[str, Any]) -> Iterator[str]:
    live = plan["live"]
    head = f"{plan['commit'][:10]} {printable(plan['subject'])}"
    yield output.styled(f"to {printable(plan['environment'])} ({plan['adapter']}): {head}", "bold")
    yield f"  live: release {live['number']} ({live['commit'][:10]})" if live else "  live: nothing"
    yield from _commits("comes", plan["commits"])
    yield from _commits("goes", plan["undone"])
    for what in ("variables", "secrets", "settings"):
        yield from _names(what, plan.get(what) or {})
    yield f"  artifact: {artifact_words(plan['artifact'])}"
    yield "  steps: " + ", ".join(step["does"] for step in plan["steps"])
    if plan["waits"]:
        yield f"  {output.glyph('waiting')} {printable(waits_line(plan['waits']))}"
    if plan.get("usual_ms") is not None:
        yield f"  took {duration(plan['usual_ms'])} the last times"


def _commits(word: str, commits: list[dict[str, str]] | None) -> Iterator[str]:
    for commit in (commits or ())[:SHOWN]:
        yield f"  {word}: {commit['commit'][:10]} {printable(commit['subject'])}"
    if commits and len(commits) > SHOWN:
        yield f"  {word}: and {len(commits) - SHOWN} more"


def _names(what: str, changed: dict[str, list[str]]) -> Iterator[str]:
    for how in ("added", "changed", "removed"):
        if changed.get(how):
            yield f"  {what} {how}: {', '.join(map(printable, changed[how]))}"
