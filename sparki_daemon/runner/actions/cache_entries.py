"""The cache entries that one step may find and make: of its project, its refs, with files of its job's folders.

Source: actions/toolkit, packages/cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.file_patterns import beginnings, find
from sparki_daemon.store.cache import Caches, Entry, EntryDamaged


class CacheEntries:
    """Raises ValueError where there is no folder for caches."""

    def __init__(self, call: Call) -> None:
        if not call.job.get("cache"):
            raise ValueError("there is no folder for caches here")
        self._call = call
        self._caches = Caches(call.job["cache"], call.run.get("project") or call.run["source"]["worktree"])
        self._scopes = _scopes(call)

    def bring(self, keys: Sequence[str], paths: Sequence[str], *, lookup: bool = False) -> Entry | None:
        """The entry that fits, its files brought back unless it is only a `lookup`; a damaged one is none, and the next is taken."""
        call = self._call
        while entry := self._caches.find(keys, _version(paths), self._scopes):
            if lookup:
                return entry
            try:
                self._caches.restore(entry, {"workspace": call.workspace, "work": call.work})
            except EntryDamaged:
                call.warn(f"the cache '{entry.key}' was damaged, and is removed")
                continue
            return entry
        return None

    def save(self, key: str, paths: Sequence[str], *, shared: bool = False) -> None:
        """Keep what the paths name, and say so. `shared`: an entry without files is one too, since they lie in a folder of the user's."""
        call, version, scope = self._call, _version(paths), self._scopes[0]
        if self._caches.has(key, version, scope):
            call.say(f"Nothing is saved: there is a cache '{key}', and entries are never changed")
            return
        files = list(_files(call, "\n".join(paths), quiet=shared))
        if not files and not shared:
            call.warn("nothing is saved: none of the paths is there")
            return
        entry = self._caches.save(key, version, scope, files)
        if entry is None:
            call.say(f"Nothing is saved: another job has saved the cache '{key}' meanwhile")
        elif shared:
            call.say(f"Noted for later jobs that the packages of '{key}' are there")
        else:
            call.say(f"Saved the cache '{key}': {entry.size_bytes} bytes")


def is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder, or below it."""
    return path == folder or path.startswith(f"{folder}/")


def _files(call: Call, text: str, *, quiet: bool) -> Iterator[tuple[str, str]]:
    """All that the paths name, with the folders' content: names in the archive, and where each lies."""
    outside: set[str] = set()
    seen: set[str] = set()
    for found in find(text, call.workspace, implied=False, follow=False, home=call.home):
        if not is_in(found, call.work):
            outside.add(found)
            continue
        for path in _with_content(found):
            if path not in seen:
                seen.add(path)
                yield _name(call, path), path
    for path in beginnings(text, call.workspace, home=call.home):
        if not is_in(path, call.work) and os.path.lexists(path):
            outside.add(path)
    for path in sorted(outside) if not quiet else ():
        # `pip cache dir` and the like: the user's own cache, which this job used as it is, and the next will.
        call.say(f"'{path}' is none of this job's folders: it stays on this machine as it is, and is neither saved nor restored")


def _with_content(path: str) -> Iterator[str]:
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for name in sorted(os.listdir(path)):
            yield from _with_content(os.path.join(path, name))


def _name(call: Call, path: str) -> str:
    """A name that means the same in the next job, whose folders lie elsewhere."""
    base, place = (call.workspace, "workspace") if is_in(path, call.workspace) else (call.work, "work")
    inside = os.path.relpath(path, base)
    return place if inside == "." else f"{place}/{inside}"


def _version(paths: Sequence[str]) -> str:
    return hashlib.sha256("|".join(paths).encode()).hexdigest()


def _scopes(call: Call) -> list[str]:
    """The run's own ref, then those whose caches it may use: the branch that a pull request is for, and the default branch."""
    github, event = call.run["github"], call.run["event"]
    scopes = [str(github.get("ref") or "")]
    if base := github.get("base_ref"):
        scopes.append(f"refs/heads/{base}")
    repository = event.get("repository")
    if isinstance(repository, dict) and (default := repository.get("default_branch")):
        scopes.append(f"refs/heads/{default}")
    return scopes
