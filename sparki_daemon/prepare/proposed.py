"""The pipeline of a repository that has none: its tree is listed, a few of its files are read, and `proposal` says what to run."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.proposal import Proposal, propose, wanted
from sparki_daemon.proposal.propose import TOOLS
from sparki_daemon.proposal.write import FILE, as_file, as_lines
from sparki_daemon.source import files
from sparki_daemon.source.snapshot import Snapshot

HEAD = f"this repository has no pipeline: this one is proposed, and `sparki init` writes it to {FILE}"
_EXAMPLE = "put the commands into .sparki/pipelines/ci.yml, such as  jobs: {test: {steps: [./test.sh]}}"


def proposal_for(snapshot: Snapshot, client_env: Mapping[str, str] | None) -> Proposal:
    """The proposal for a snapshot's tree. `client_env`: its PATH is where programs are looked for."""
    paths = files.list_all(snapshot)
    contents = files.read_many(snapshot, wanted(paths))
    texts = {path: data.decode("utf-8", "replace") for path, data in contents.items() if data is not None}
    folders = [folder for folder in (client_env or {}).get("PATH", "").split(os.pathsep) if folder]
    tools = [name for name in TOOLS if any(os.access(os.path.join(folder, name), os.X_OK) for folder in folders)]
    return propose(paths, texts, tools)


def proposed_file(proposal: Proposal) -> dict[str, bytes]:
    """The proposal as the one pipeline file that there is. Raises SparkiError `no_pipeline`: why there is none."""
    if not proposal.found:
        why = (
            "; ".join(proposal.notes) or "none of the files is there by which Sparki knows Python, Node.js, Go, Rust, Make, Maven or Gradle"
        )
        message = f"this repository has no pipeline, and Sparki can propose none: {why}"
        raise SparkiError(Problem(code="no_pipeline", message=message, hint=_EXAMPLE))
    return {FILE: as_file(proposal).encode()}


def told(proposal: Proposal | None) -> tuple[Problem, ...]:
    """What to say at the head of a run of it."""
    lines = (HEAD, *as_lines(proposal)) if proposal else ()
    return tuple(Problem(code="proposed", message=line) for line in lines)
