"""What setup-node's `cache` means: the package manager, its lock file, its folder.

Source: actions/setup-node 6, src/main.ts, src/cache-utils.ts and src/cache-restore.ts.
"""

from __future__ import annotations

import json
import os
import re

from sparki_daemon.runner.actions import package_cache
from sparki_daemon.runner.actions.call import Call

_LOCKS = {
    "npm": ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock"),
    "yarn": ("yarn.lock",),
    "pnpm": ("pnpm-lock.yaml",),
}


def bring(call: Call, programs: list[str]) -> None:
    """Restore the cache that the inputs ask for, or the package.json, if any. `programs`: folders of the node set up.

    Raises ValueError for a manager that is not known, no lock file, and a manager that does not answer; OSError.
    """
    manager = call.inputs.get("cache", "").strip()
    if not manager and call.flag("package-manager-cache", default=True) and _is_npm(call):
        call.say("package.json names npm as its packageManager: npm's cache is used; 'package-manager-cache: false' switches that off")
        manager = "npm"
    if not manager:
        return
    if manager not in _LOCKS:
        raise ValueError(f"caching for '{manager}' is not supported: {', '.join(_LOCKS)} are known")
    locks = call.inputs.get("cache-dependency-path", "").strip()
    folder = _folder(call, manager, locks, programs)
    digest = package_cache.digest(call, locks or _lock(call, manager))
    if not digest:
        raise ValueError(f"no file in the workspace is '{locks}' ('cache-dependency-path'): there is nothing to make a key of")
    prefix = f"node-cache-{call.env.get('RUNNER_OS', '')}-{call.env.get('RUNNER_ARCH', '').lower()}-{manager}"
    key = f"{prefix}-{digest}"
    call.output("cache-primary-key", key)
    found = package_cache.restore(call, key, [prefix], [folder])
    call.output("cache-hit", "true" if found else "false")  # a prefix counts, too
    call.output("cache-matched-key", found)


def _is_npm(call: Call) -> bool:
    try:
        with open(os.path.join(call.workspace, "package.json"), encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError):
        return False
    field = data.get("packageManager") if isinstance(data, dict) else None
    return isinstance(field, str) and bool(re.match(r"\^?npm(?:@|$)", field))


def _lock(call: Call, manager: str) -> str:
    """The lock file in the workspace. Raises ValueError where there is none."""
    for name in _LOCKS[manager]:
        if os.path.lexists(os.path.join(call.workspace, name)):
            return name
    raise ValueError(f"'cache: {manager}' needs a lock file in the workspace, and there is none of {', '.join(_LOCKS[manager])}")


def _folder(call: Call, manager: str, locks: str, programs: list[str]) -> str:
    """Where the manager keeps what it has fetched."""

    def ask(*command: str, folder: str = "") -> str:
        return package_cache.answer(call, command, folder=folder, paths=programs)

    if manager == "npm":
        return call.env.get("npm_config_cache") or ask("npm", "config", "get", "cache")
    if manager == "pnpm":
        return ask("pnpm", "store", "path", "--silent")
    folder = os.path.dirname(locks.splitlines()[0]) if locks and "*" not in locks else ""
    if ask("yarn", "--version", folder=folder).startswith("1."):
        return ask("yarn", "cache", "dir", folder=folder)
    return ask("yarn", "config", "get", "cacheFolder", folder=folder)
