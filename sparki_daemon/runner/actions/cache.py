"""actions/cache, with its halves restore and save: folders of a job that later jobs begin with, kept on this machine.

Source: actions/cache 5, src/restoreImpl.ts and src/saveImpl.ts; actions/toolkit, packages/cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.file_patterns import BadPattern, beginnings, find
from sparki_daemon.store.cache import Caches, Entry, EntryDamaged

_MOST_KEY_CHARACTERS = 512
_MOST_KEYS = 10


def main(call: Call) -> int:
    """Restore; what is left for the job's end says whether there is something to save then."""
    return _guarded(call, _restore)


def restore(call: Call) -> int:
    """Restore only."""
    return _guarded(call, _restore)


def save(call: Call) -> int:
    """Save now."""
    return _guarded(call, lambda call: _save(call, call.inputs.get("key", "").strip()))


def save_at_end(call: Call) -> int:
    """Save at the job's end, under the key that was looked for, if that was not found."""
    key, matched = call.state.get("CACHE_KEY", ""), call.state.get("CACHE_RESULT", "")
    if not key:
        call.say("Nothing is saved: no key was looked for")
        return 0
    if matched.lower() == key.lower():
        call.say(f"Nothing is saved: the cache '{key}' was restored, and entries are never changed")
        return 0
    return _guarded(call, lambda call: _save(call, key), warn_only=True)


def _guarded(call: Call, work: object, *, warn_only: bool = False) -> int:
    assert callable(work)
    try:
        return int(work(call))
    except (BadPattern, ValueError) as error:
        why = str(error)
    except OSError as error:
        why = f"{error.strerror}: '{error.filename}'"
    if warn_only:  # a job does not fail because nothing could be kept of it
        call.warn(f"the cache could not be saved: {why}")
        return 0
    return call.fail(why)


# -- restore -------------------------------------------------------------------------------------------------------------


def _restore(call: Call) -> int:
    key = call.inputs.get("key", "").strip()
    keys = [key, *call.lines("restore-keys")]
    paths = _paths(call)
    _check(keys)
    call.output("cache-primary-key", key)
    call.leave("CACHE_KEY", key)
    caches = _caches(call)
    lookup = call.flag("lookup-only", default=False)
    entry = _bring(call, caches, keys, paths, lookup=lookup)
    if entry is None:
        if call.flag("fail-on-cache-miss", default=False):
            return call.fail(f"there is no cache for the key '{key}', and 'fail-on-cache-miss' is set")
        call.say(f"There is no cache for {', '.join(keys)}")
        return 0
    call.leave("CACHE_RESULT", entry.key)
    call.output("cache-matched-key", entry.key)
    call.output("cache-hit", "true" if entry.key.lower() == key.lower() else "false")
    call.say(f"Cache '{entry.key}' {'was found' if lookup else f'was restored, {entry.size_bytes} bytes'}")
    return 0


def _bring(call: Call, caches: Caches, keys: list[str], paths: list[str], *, lookup: bool) -> Entry | None:
    """The entry that fits, its files brought back; a damaged one is none, and the next is taken."""
    while entry := caches.find(keys, _version(paths), _scopes(call)):
        if lookup:
            return entry
        try:
            caches.restore(entry, {"workspace": call.workspace, "work": call.work})
        except EntryDamaged:
            call.warn(f"the cache '{entry.key}' was damaged, and is removed")
            continue
        return entry
    return None


# -- save ----------------------------------------------------------------------------------------------------------------


def _save(call: Call, key: str) -> int:
    paths = _paths(call)
    _check([key])
    caches, version, scope = _caches(call), _version(paths), _scopes(call)[0]
    if caches.has(key, version, scope):
        call.say(f"Nothing is saved: there is a cache '{key}', and entries are never changed")
        return 0
    files = list(_files(call, "\n".join(paths)))
    if not files:
        call.warn("nothing is saved: none of the paths is there")
        return 0
    entry = caches.save(key, version, scope, files)
    if entry is None:
        call.say(f"Nothing is saved: another job has saved the cache '{key}' meanwhile")
    else:
        call.say(f"Saved the cache '{key}': {entry.size_bytes} bytes")
    return 0


def _files(call: Call, text: str) -> Iterator[tuple[str, str]]:
    """All that the paths name, with the folders' content: names in the archive, and where each lies."""
    outside: set[str] = set()
    seen: set[str] = set()
    for found in find(text, call.workspace, implied=False, follow=False, home=call.home):
        if not _is_in(found, call.work):
            outside.add(found)
            continue
        for path in _with_content(found):
            if path not in seen:
                seen.add(path)
                yield _name(call, path), path
    for path in beginnings(text, call.workspace, home=call.home):
        if not _is_in(path, call.work) and os.path.lexists(path):
            outside.add(path)
    for path in sorted(outside):
        # `pip cache dir` and the like: the user's own cache, which this job used as it is, and the next will.
        call.say(f"'{path}' is none of this job's folders: it stays on this machine as it is, and is neither saved nor restored")


def _with_content(path: str) -> Iterator[str]:
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for name in sorted(os.listdir(path)):
            yield from _with_content(os.path.join(path, name))


def _name(call: Call, path: str) -> str:
    """A name that means the same in the next job, whose folders lie elsewhere."""
    base, place = (call.workspace, "workspace") if _is_in(path, call.workspace) else (call.work, "work")
    inside = os.path.relpath(path, base)
    return place if inside == "." else f"{place}/{inside}"


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


# -- what both need ------------------------------------------------------------------------------------------------------


def _paths(call: Call) -> list[str]:
    paths = call.lines("path")
    if not paths:
        raise ValueError("'path' must be given: what to cache")
    return paths


def _check(keys: list[str]) -> None:
    """Raises ValueError for what GitHub refuses."""
    if not keys[0]:
        raise ValueError("'key' must be given, and not be empty")
    if len(keys) > _MOST_KEYS:
        raise ValueError(f"there are {len(keys)} keys, and {_MOST_KEYS} are allowed")
    for key in keys:
        if len(key) > _MOST_KEY_CHARACTERS or "," in key:
            raise ValueError(f"the key '{key[:80]}' can't be one: it may have {_MOST_KEY_CHARACTERS} characters, and no comma")


def _version(paths: list[str]) -> str:
    return hashlib.sha256("|".join(paths).encode()).hexdigest()


def _caches(call: Call) -> Caches:
    """Raises ValueError where there is no folder for them."""
    if not call.job.get("cache"):
        raise ValueError("there is no folder for caches here")
    return Caches(call.job["cache"], call.run.get("project") or call.run["source"]["worktree"])


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
