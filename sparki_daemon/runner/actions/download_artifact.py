"""actions/download-artifact: brings artifacts of this run into the workspace.

Source: actions/download-artifact 8, src/download-artifact.ts.
"""

from __future__ import annotations

import os
import re

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.file_patterns import compiled
from sparki_daemon.store.artifacts import Artifact, ArtifactDamaged, Artifacts, copy_out


def main(call: Call) -> int:
    """Bring one artifact into `path`, or all that fit each into a folder of its name there; output `download-path`."""
    try:
        return _download(call)
    except ArtifactDamaged as error:
        return call.fail(f"the artifact is damaged: '{error}' is not what was kept")
    except ValueError as error:
        return call.fail(str(error))
    except OSError as error:
        return call.fail(f"the artifact can't be brought: {error.strerror}: '{error.filename}'")


def _download(call: Call) -> int:
    if problem := _elsewhere(call):
        return call.fail(problem)
    given = call.inputs.get("path", "").strip()
    given = call.home + given[1:] if given == "~" or given.startswith("~/") else given
    target = os.path.normpath(os.path.join(call.workspace, given))
    there = Artifacts(call.job["artifacts"]).listing(call.job["run"], up_to=call.job["attempt"]) if call.job.get("artifacts") else []
    name, ids = call.inputs.get("name", "").strip(), call.inputs.get("artifact-ids", "").strip()
    if name and ids:
        return call.fail("'name' and 'artifact-ids' can't both be given")
    chosen = _chosen(call, there, name, ids)
    if not chosen and (name or ids):
        names = ", ".join(f"'{artifact.name}'" for artifact in there) or "none"
        return call.fail(f"this run has no artifact {f'{name!r}' if name else f'with the id {ids}'}; it has {names}")
    direct = bool(name) or (bool(ids) and len(chosen) == 1) or call.flag("merge-multiple", default=False)
    os.makedirs(target, exist_ok=True)
    for artifact in chosen:
        copy_out(artifact, target if direct else os.path.join(target, artifact.name))
        files = f"{len(artifact.files)} file{'' if len(artifact.files) == 1 else 's'}"
        call.say(f"Brought artifact '{artifact.name}' ({files}, SHA-256 {artifact.digest})")
    if not chosen:
        call.say("There is no artifact to bring")
    call.output("download-path", target)
    return 0


def _elsewhere(call: Call) -> str:
    """Why another run's artifacts can't be had; empty where this run's are meant."""
    repository, run = call.inputs.get("repository", "").strip(), call.inputs.get("run-id", "").strip()
    github = call.run["github"]
    if repository and repository.lower() != str(github.get("repository", "")).lower():
        return f"artifacts of {repository} are not on this machine"
    if run and run not in {str(github.get("run_id", "")), call.job["run"]}:
        return f"artifacts of run {run} can't be had: only those of this run"
    return ""


def _chosen(call: Call, there: list[Artifact], name: str, ids: str) -> list[Artifact]:
    """Raises ValueError for ids that are none."""
    if name:
        return [artifact for artifact in there if artifact.name == name]
    if ids:
        wanted = {part.strip() for part in ids.split(",") if part.strip()}
        if not all(part.isdigit() for part in wanted):
            raise ValueError(f"'artifact-ids' must be numbers with commas between: '{ids}'")
        return [artifact for artifact in there if str(artifact.id) in wanted]
    pattern = call.inputs.get("pattern", "").strip()
    if not pattern:
        return there
    return [artifact for artifact in there if any(fits(artifact.name, one) for one in alternatives(pattern))]


def fits(name: str, pattern: str) -> bool:
    """Whether an artifact's name fits a pattern without braces; one that begins with a dot fits only if that is written out."""
    return (not name.startswith(".") or pattern.startswith(".")) and compiled(pattern).fullmatch(name) is not None


def alternatives(pattern: str) -> list[str]:
    """`a-{b,c}` is `a-b` and `a-c`; braces without a comma stand for themselves."""
    found = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    rests = (pattern[: found.start()] + part + pattern[found.end() :] for part in found[1].split(","))
    return [one for rest in rests for one in alternatives(rest)]
