"""A proposal as a pipeline file, as lines for people, and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sparki_daemon.proposal.found import Found, Step
from sparki_daemon.proposal.propose import Proposal

FILE = ".sparki/pipelines/ci.yml"
_PLAIN = re.compile(r"[A-Za-z./][A-Za-z0-9 _./=@+,>~-]*[A-Za-z0-9_./=@+,>~-]|[A-Za-z]")
_MOST = 100
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def as_file(proposal: Proposal) -> str:
    """The text of the pipeline file; each step has its reason beside it."""
    known = ", ".join(f"{found.stack} ({found.by})" for found in proposal.found)
    lines = [f"# Proposed by Sparki for {_line(known)}. Change it as you like: docs/language.md has every key.", "name: CI", "jobs:"]
    for ident, found, job in proposal.jobs():
        lines.append(f"  {ident}:")
        if found.folder:
            lines += ["    defaults:", "      run:", f"        working-directory: {_scalar(found.folder)}"]
        if job.junit:
            lines.append("    junit:")
            lines += [f"      - {_scalar(f'{found.folder}/{pattern}' if found.folder else pattern)}" for pattern in job.junit]
        lines.append("    steps:")
        lines += [f"      {line}" for step in job.steps for line in _step(step, found)]
    return "\n".join(lines) + "\n"


def _step(step: Step, found: Found) -> Iterator[str]:
    if not step.uses:
        yield f"- {_scalar(step.command)}  # {_line(step.why)}"
        return
    yield f"- uses: {step.uses}  # {_line(step.why)}"
    if step.inputs:
        yield "  with:"
    for name, value in step.inputs.items():
        path = f"{found.folder}/{value}" if found.folder and name.endswith("-file") else value
        yield f"    {name}: {_scalar(path)}"


def _line(text: str) -> str:
    """A text of others on one line, and not too much of it."""
    line = "".join(character if character.isprintable() else " " for character in text)
    short = " ".join(line.split())
    return short if len(short) <= _MOST else f"{short[: _MOST - 1]}…"


def _scalar(text: str) -> str:
    """A string in YAML, quoted where it would else be read as something else."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else "'" + text.replace("'", "''") + "'"


def as_lines(proposal: Proposal) -> list[str]:
    """What was detected, by which file, and the commands that follow from it."""
    lines = []
    for found in proposal.found:
        lines.append(f"{found.stack}, by {found.by}")
        for ident, of, job in proposal.jobs():
            if of is found:
                lines += [f"  {ident}: {step.command or step.uses}  ({_line(step.why)})" for step in job.steps]
    return [*lines, *proposal.notes]


def as_json(proposal: Proposal) -> dict[str, Any]:
    """The `proposal` of the public shapes."""
    return {
        "file": FILE,
        "found": [{"stack": found.stack, "file": found.by, "folder": found.folder} for found in proposal.found],
        "jobs": [
            {
                "id": ident,
                "stack": found.stack,
                "steps": [
                    {"run": step.command, "why": step.why} if step.command else {"uses": step.uses, "why": step.why} for step in job.steps
                ],
            }
            for ident, found, job in proposal.jobs()
        ],
        "notes": list(proposal.notes),
    }
