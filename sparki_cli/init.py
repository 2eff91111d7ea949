"""`sparki init`: the first files of a project, written whole and never over what is there."""

from __future__ import annotations

import os
import tempfile

from sparki_cli.connect import own_directory
from sparki_cli.render import Output, printable
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.settings import FILE as SETTINGS
from sparki_daemon.prepare.proposed import proposal_for, proposed_file
from sparki_daemon.proposal import Proposal
from sparki_daemon.proposal.write import FILE, as_json, as_lines
from sparki_daemon.source import files
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.snapshot import take
from sparki_daemon.system.files import write_atomic

_SETTINGS = """# What Sparki should know of this project that its pipelines don't say. All of it may be left out.
# home: user          # the jobs' HOME is yours, not one of their own
# silence: [SPK014]   # differences from GitHub's runner that this project accepts: sparki explain
"""


def init(output: Output, *, force: bool, directory: str | None) -> int:
    """Write a pipeline where the repository has none, and `sparki.yml`. Raises SparkiError `no_pipeline` when nothing can be proposed."""
    repository = find(own_directory(directory))
    pipelines = files.pipelines(repository)
    wanted: dict[str, bytes] = {}
    proposal = None
    if not pipelines or (force and FILE in pipelines):
        proposal = _proposal(repository)
        wanted = proposed_file(proposal)
    wanted[SETTINGS] = _SETTINGS.encode()
    written = [path for path, data in wanted.items() if _write(repository, path, data, force=force)]
    kept = [path for path in wanted if path not in written]
    _tell(output, proposal, written, kept, sorted(pipelines) if proposal is None else [])
    return 0


def _proposal(repository: Repository) -> Proposal:
    with tempfile.TemporaryDirectory(prefix="sparki-init-") as scratch:
        return proposal_for(take(repository, f"{scratch}/objects"), os.environ)


def _write(repository: Repository, path: str, data: bytes, *, force: bool) -> bool:
    """Whether the file was written; what is there stays, but by force. Raises SparkiError `cannot_write`."""
    place = os.path.join(repository.root, path)
    if os.path.lexists(place) and not force:
        return False
    folder = os.path.dirname(place)
    if not f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(repository.root)}/"):
        raise SparkiError(
            Problem(code="cannot_write", message=f"can't write {path}: its folder is a link that leads out of the repository")
        )
    try:
        os.makedirs(folder, exist_ok=True)
        write_atomic(place, data, mode=0o644)
    except OSError as error:
        raise SparkiError(Problem(code="cannot_write", message=f"can't write {path}: {error.strerror}")) from error
    return True


def _tell(output: Output, proposal: Proposal | None, written: list[str], kept: list[str], pipelines: list[str]) -> None:
    if output.as_json:
        output.document({"written": written, "kept": kept, "pipelines": pipelines, "proposal": as_json(proposal) if proposal else None})
        return
    for line in as_lines(proposal) if proposal else ():
        output.note(printable(line))
    if pipelines:
        output.note(f"no pipeline is proposed: there are {', '.join(map(printable, pipelines))}")
    for path in written:
        output.line(f"wrote {path}")
    for path in kept:
        output.line(f"kept {path}: it is there already, and --force writes it anew")
