"""actions/upload-artifact: keeps files of a job for the run's other jobs and for people.

Source: actions/upload-artifact 7, src/shared/search.ts and src/upload/upload-artifact.ts.
"""

from __future__ import annotations

import os
import re

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.file_patterns import BadPattern, beginnings, find
from sparki_daemon.store.artifacts import ArtifactExists, Artifacts

_NEVER_IN_PATH = re.compile(r'["<>|*?:\r\n]')
_NEVER_IN_NAME = re.compile(r'["<>|*?:\r\n\\/]')


def main(call: Call) -> int:
    """Keep what `path` names under `name`; outputs `artifact-id`, `artifact-url`, `artifact-digest`."""
    try:
        return _upload(call)
    except (BadPattern, ValueError) as error:
        return call.fail(str(error))
    except OSError as error:
        return call.fail(f"the artifact can't be kept: {error.strerror}: '{error.filename}'")


def _upload(call: Call) -> int:
    name = call.inputs.get("name", "").strip() or "artifact"
    text = call.inputs.get("path", "").strip()
    if not text:
        return call.fail("'path' must be given: which files to keep")
    if bad := _NEVER_IN_NAME.search(name):
        return call.fail(f"an artifact's name can't have the character {bad[0]!r} in it: '{name}'")
    if not call.job.get("artifacts"):
        return call.fail("there is no folder for artifacts here")
    hidden, overwrite = call.flag("include-hidden-files", default=False), call.flag("overwrite", default=False)
    files = _files(call, text, hidden=hidden)
    if not files:
        return _nothing(call, text)
    try:
        kept = Artifacts(call.job["artifacts"]).save(
            call.job["run"], call.job["attempt"], name, files, job=call.job["key"], overwrite=overwrite
        )
    except ArtifactExists:
        return call.fail(f"this run has an artifact '{name}' already: give it another name, or set 'overwrite: true'")
    call.output("artifact-id", str(kept.id))
    call.output("artifact-digest", kept.digest)
    call.output("artifact-url", f"file://{kept.folder}")
    plural = "" if len(kept.files) == 1 else "s"
    call.say(f"Kept {len(kept.files)} file{plural} ({kept.size_bytes} bytes) as artifact '{name}', SHA-256 {kept.digest}")
    return 0


def _files(call: Call, text: str, *, hidden: bool) -> list[tuple[str, str]]:
    """Each file with its path in the artifact: relative to what all patterns have in common. Raises BadPattern, ValueError."""
    found = find(text, call.workspace, folders=False, follow=True, hidden=hidden, home=call.home)
    paths = [path for path in found if os.path.isfile(path)]  # no pipes and sockets: reading one may never end
    begins = beginnings(text, call.workspace, home=call.home)
    if len(begins) > 1:
        root = os.path.commonpath(begins)
        call.say(f"The paths have '{os.path.relpath(root, call.workspace)}' in common: the artifact begins there")
    elif begins and begins == paths:
        root = os.path.dirname(begins[0])
    else:
        root = begins[0] if begins else call.workspace
    files = [(os.path.relpath(path, root), path) for path in dict.fromkeys(paths)]
    for inside, _ in files:
        if bad := _NEVER_IN_PATH.search(inside):
            raise ValueError(f"a file of an artifact can't have the character {bad[0]!r} in its path: '{inside}'")
    return files


def _nothing(call: Call, text: str) -> int:
    """No file was found: what `if-no-files-found` says."""
    wanted = call.inputs.get("if-no-files-found", "").strip() or "warn"
    message = f"no file was found with the path {', '.join(text.split())}: no artifact is kept"
    if wanted == "error":
        return call.fail(message)
    if wanted == "warn":
        call.warn(message)
    elif wanted == "ignore":
        call.say(message)
    else:
        return call.fail(f"'if-no-files-found' is '{wanted}', and must be warn, error or ignore")
    return 0
