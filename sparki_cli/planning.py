"""`sparki run --plan` and `--list`: what would be run, and what there is; no daemon, nothing is executed."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from sparki_cli.check import check
from sparki_cli.connect import own_paths
from sparki_cli.render import Output, printable
from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.dialect import replaced
from sparki_daemon.pipeline.differences import in_short
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.render import plan_json, plan_text
from sparki_daemon.pipeline.select import names_of
from sparki_daemon.prepare import Prepared, prepare
from sparki_daemon.prepare.listing import started_by_push
from sparki_daemon.source import files
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.vault.sources import Sources
from sparki_daemon.vault.store import Secrets


def show_plans(output: Output, here: str, pipelines: list[str], *, jobs: list[str], ref: str | None, given: dict[str, Any]) -> int:
    """Print the plan of each pipeline that a run would start: a document a line with `--json`. `given`: event, inputs and the like."""
    with tempfile.TemporaryDirectory(prefix="sparki-plan-") as scratch:  # the snapshot's objects are of no use afterwards
        prepared = prepare(
            here,
            pipelines=pipelines,
            jobs=jobs,
            ref=ref,
            objects=f"{scratch}/objects",
            event=given.get("event", ""),
            event_payload=given.get("event_payload"),
            inputs=given.get("inputs"),
            variables=given.get("variables"),
            env=given.get("lowest_env"),
            matrix=[(name, value) for name, _, value in (word.partition("=") for word in given.get("matrix", ()))],
            workspace=given.get("workspace", ""),
            client_env=os.environ,
            actions=given.get("actions"),
            secrets=lambda found: _secret_names(found, given),
        )
    for note in prepared.beginning:
        output.note("note: " + printable(note.message))
    for planned in prepared.planned:
        if output.as_json:
            output.document({**plan_json(planned.plan, prepared.source, planned.differences), **_proposal(prepared)})
        else:
            output.raw(text_of(output, planned.plan, prepared.source))
            for difference in in_short(planned.differences):
                output.note(printable(difference.message))
    return 0


def _secret_names(found: Repository, given: dict[str, Any]) -> frozenset[str]:
    """The names of the secrets that a run would have a value of."""
    sources = Sources(Secrets(own_paths().state), found.common_dir, found.root, given.get("secrets"))
    sources.values((), given.get("secret_names", ()))
    return sources.names()


def _proposal(prepared: Prepared) -> dict[str, Any]:
    """What else a plan says where the pipeline is only proposed."""
    if prepared.proposal is None:
        return {}
    from sparki_daemon.proposal.write import as_json  # noqa: PLC0415  few repositories have no pipeline, and it is much to load

    return {"proposal": as_json(prepared.proposal)}


def text_of(output: Output, plan: Plan, source: dict[str, Any]) -> str:
    """A plan's lines: the pipeline, its source, its jobs and steps."""
    head, *rest = map(printable, plan_text(plan))
    dirty = " with uncommitted changes" if source["dirty"] else ""
    about = f"{printable(source.get('branch') or 'detached')} at {str(source['commit'])[:7]}{dirty}"
    text = "\n".join([output.styled(head, "bold"), output.styled(about, "dim"), *rest]) + "\n"
    return _in_ascii(text) if output.ascii_only else text


def _in_ascii(text: str) -> str:
    for line, letters in (("├─", "|-"), ("└─", "`-"), ("│", "|"), ("←", "<-"), ("…", "...")):
        text = text.replace(line, letters)
    return text


def show_list(output: Output, here: str) -> int:
    """Print this repository's pipelines: what they answer to, and whether a push of this branch would start them."""
    repository = find(here)
    found = files.pipelines(repository)
    instead = replaced(found)
    checked = {file: _read(data, file) for file, data in found.items()}
    documents = [one for file, one in checked.items() if isinstance(one, Document) and file not in instead]
    with tempfile.TemporaryDirectory(prefix="sparki-list-") as scratch:
        starting = started_by_push(documents, repository, lambda: f"{scratch}/objects")
    entries = [{**_entry(file, one, starts=file in starting), "replaced_by": instead.get(file)} for file, one in checked.items()]
    if output.as_json:
        output.document({"pipelines": entries})
    elif entries:
        output.table([_row(output, entry) for entry in entries], ("PIPELINE", "NAME", "STARTS ON", "FILE"))
    else:
        output.note("this repository has no pipeline: `sparki run` proposes one, `sparki init` writes it")
    return 0


def _read(data: bytes, file: str) -> Document | int:
    """A pipeline file's document, or how many errors it has."""
    try:
        return read(data, file)
    except SparkiError:
        return len(check(data, file).errors)


def _entry(file: str, document: Document | int, *, starts: bool) -> dict[str, Any]:
    if isinstance(document, int):
        return {"pipeline": names_of(file, "")[2], "name": None, "file": file, "events": [], "starts": False, "errors": document}
    return {
        "pipeline": names_of(file, "")[2],
        "name": document.name,
        "file": file,
        "events": list(dict.fromkeys(trigger.event for trigger in document.triggers)),
        "starts": starts,
        "errors": 0,
    }


def _row(output: Output, entry: dict[str, Any]) -> tuple[str, ...]:
    if entry["errors"]:
        count = f"{entry['errors']} error{'' if entry['errors'] == 1 else 's'}: sparki validate"
        return printable(entry["pipeline"]), output.styled(count, "red"), "", printable(entry["file"])
    events = ", ".join(entry["events"]) + (" (this branch)" if entry["starts"] else "")
    if entry["replaced_by"]:
        events = f"replaced by {entry['replaced_by']}"
    names = output.styled(printable(entry["pipeline"]), "bold"), printable(entry["name"])
    return *names, printable(events), printable(entry["file"])
