"""actions/cache, with its halves restore and save: folders of a job that later jobs begin with, kept on this machine.

Source: actions/cache 5, src/restoreImpl.ts and src/saveImpl.ts; actions/toolkit, packages/cache.
"""

from __future__ import annotations

from sparki_daemon.runner.actions.cache_entries import CacheEntries
from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.file_patterns import BadPattern

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
    entries = CacheEntries(call)
    lookup = call.flag("lookup-only", default=False)
    entry = entries.bring(keys, paths, lookup=lookup)
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


# -- save ----------------------------------------------------------------------------------------------------------------


def _save(call: Call, key: str) -> int:
    paths = _paths(call)
    _check([key])
    CacheEntries(call).save(key, paths)
    return 0


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
