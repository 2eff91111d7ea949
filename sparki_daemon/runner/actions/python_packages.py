"""What setup-python's `cache` means: the package manager, its lock files, its folder.

Source: actions/setup-python 6, src/cache-distributions.
"""

from __future__ import annotations

import platform

from sparki_daemon.runner.actions import package_cache
from sparki_daemon.runner.actions.call import Call

_LOCKS = {
    "pip": ("**/requirements.txt", "**/pyproject.toml"),  # the second where nothing is the first
    "pipenv": ("**/Pipfile.lock",),
    "poetry": ("**/poetry.lock",),
}
# On GitHub the virtual environments of these are kept. One of another job's refers to that job's Python, which is gone: here it is what
# they have fetched, and `cache-hit` stays false, so that a step which it lets skip the installation does not.
_FETCHED = {"pipenv": ("~/.cache/pipenv",), "poetry": ("~/.cache/pypoetry/cache", "~/.cache/pypoetry/artifacts")}


def bring(call: Call, version: str, programs: list[str]) -> None:
    """Restore the cache that the inputs ask for. `version` of the Python set up, `programs`: the folder with its own.

    Raises ValueError for a manager that is not known, no lock file, and a manager that does not answer; OSError.
    """
    manager = call.inputs.get("cache", "").strip()
    if not manager:
        return
    if manager not in _LOCKS:
        raise ValueError(f"caching for '{manager}' is not supported: {', '.join(_LOCKS)} are known")
    given = call.inputs.get("cache-dependency-path", "").strip()
    patterns = [given] if given else [_LOCKS[manager][0]]
    patterns += _LOCKS[manager][1:]
    digest = next((found for pattern in patterns if (found := package_cache.digest(call, pattern))), "")
    if not digest:
        raise ValueError(f"'cache: {manager}' needs files for its key, and none in the workspace is {' or '.join(patterns)}")
    prefix = f"setup-python-{call.env.get('RUNNER_OS', '')}-{call.env.get('RUNNER_ARCH', '').lower()}{_release(manager)}-python-{version}"
    key = f"{prefix}-{manager}-{'v2-' if manager == 'poetry' else ''}{digest}"
    folders = [call.home + folder[1:] for folder in _FETCHED.get(manager, ())] or [_pip(call, programs)]
    found = package_cache.restore(call, key, [f"{prefix}-{manager}"] if manager == "pip" else [], folders)
    call.output("cache-primary-key", key)
    call.output("cache-hit", "true" if found == key and manager == "pip" else "false")
    call.output("cache-matched-key", found)


def _release(manager: str) -> str:
    """`-24.04-Ubuntu`, which stands in pip's keys on Linux."""
    if manager != "pip":
        return ""
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        return ""
    return f"-{about.get('VERSION_ID', '')}-{about.get('NAME', '')}"


def _pip(call: Call, programs: list[str]) -> str:
    return call.env.get("PIP_CACHE_DIR") or package_cache.answer(call, ("python", "-m", "pip", "cache", "dir"), paths=programs)
