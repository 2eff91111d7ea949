"""The `cache` of the setup actions: what a package manager has fetched, for later jobs with the same lock files.

Two kinds of folder are told apart. The user's own (pip's and npm's, which all jobs are given by their variables) is used as it is: it
needs no copy, and an entry without files remembers that a job with these lock files has filled it. A folder of the job's own is kept.
Source: actions/setup-node 6, src/cache-restore.ts and cache-save.ts; actions/setup-python 6, src/cache-distributions.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.runner.actions.cache_entries import CacheEntries, is_in
from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.file_patterns import BadPattern
from sparki_daemon.runner.hash_files import hash_files

_MOST_S = 60


def digest(call: Call, patterns: str) -> str:
    """The digest of the lock files; empty where there is none. Raises ValueError."""
    try:
        return hash_files(call.workspace, call.home, patterns)
    except ExpressionError as error:
        raise ValueError(error.message) from None


def restore(call: Call, key: str, prefixes: Sequence[str], folders: Sequence[str]) -> str:
    """Bring back what fits, and leave word for the job's end; gives the key that was found, or nothing. Raises ValueError and OSError."""
    paths = [_portable(call, folder) for folder in folders]
    call.leave("CACHE_KEY", key)
    call.leave("CACHE_PATHS", json.dumps(paths))
    entry = CacheEntries(call).bring([key, *prefixes], paths)
    shared = [folder for folder in folders if not is_in(folder, call.work)]
    if shared:
        call.say(f"The cache of this machine is used as it is: {', '.join(shared)}")
    if entry is None:
        call.say(f"There is no cache for {key}")
        return ""
    call.leave("CACHE_RESULT", entry.key)
    call.say(f"Cache restored from key: {entry.key}")
    return entry.key


def save_at_end(call: Call) -> int:
    """Keep what was fetched, if nothing was found under the key. A job does not fail because nothing could be kept of it."""
    key, found = call.state.get("CACHE_KEY", ""), call.state.get("CACHE_RESULT", "")
    if not key:
        return 0
    if key == found:
        call.say(f"Nothing is saved: the cache '{key}' was restored, and entries are never changed")
        return 0
    try:
        paths = [str(path) for path in json.loads(call.state.get("CACHE_PATHS", "[]"))]
        CacheEntries(call).save(key, paths, shared=all(os.path.isabs(path) for path in paths))
    except (BadPattern, ValueError) as error:
        call.warn(f"the cache could not be saved: {error}")
    except OSError as error:
        call.warn(f"the cache could not be saved: {error.strerror}: '{error.filename}'")
    return 0


def answer(call: Call, command: Sequence[str], *, folder: str = "", paths: Sequence[str] = ()) -> str:
    """What a program prints, without blanks about it; `paths` come before PATH. Raises ValueError where it fails or prints nothing."""
    search = os.pathsep.join([*paths, call.env.get("PATH", "")])
    words = " ".join(command)
    try:
        done = subprocess.run(
            ["/usr/bin/env", *command],  # by the PATH that it is given
            env={**call.env, "PATH": search},
            cwd=os.path.join(call.workspace, folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_MOST_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"'{words}' can't be asked: {error}") from None
    said = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode or not said:
        why = done.stderr.decode("utf-8", "replace").strip() or "it says nothing"
        raise ValueError(f"'{words}' failed: {why}")
    return said


def _portable(call: Call, folder: str) -> str:
    """A folder by a name that means the same in the next job: of the home, of the workspace, or as it is."""
    path = os.path.normpath(os.path.join(call.workspace, folder))
    if is_in(path, call.home) and is_in(path, call.work):
        return f"~/{os.path.relpath(path, call.home)}"
    return os.path.relpath(path, call.workspace) if is_in(path, call.work) else path
