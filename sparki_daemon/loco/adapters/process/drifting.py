"""How a service of this machine differs from its release: what it was started with, whether it lives and is well, and its files."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparki_daemon.loco.adapters.process.comparing import changed
from sparki_daemon.loco.adapters.process.door import address_of, revived_status
from sparki_daemon.loco.adapters.process.probe import probe
from sparki_daemon.loco.adapters.process.shipping import release_folder
from sparki_daemon.loco.adapters.process.wishes import Health, Wishes, wishes_of
from sparki_daemon.loco.keeper.client import Service, Status
from sparki_daemon.loco.protocol import Drift, Release
from sparki_daemon.system import process

FILES_SHOWN = 20
CONDITIONS = {
    "backing_off": "it ended, and is about to be started again",
    "crash_looping": "it ends again and again",
    "needs_values": "it waits for the values of its secrets",
    "stopping": "it is being stopped",
}


def drift_of(folder: str, release: Release) -> list[Drift]:
    """All of it, blocking. Raises StepFailed where the keeper can't be asked."""
    wishes = wishes_of(release.settings)
    status = revived_status(folder, acting=False)
    found = status.services.get(release.id) if status else None
    differences = [*_process(status, found), *changed_files(release_folder(folder, release.id), release.artifact)]
    if status is not None and address_of(status.listen) != address_of(wishes.listen):
        differences.append(Drift(what="listen", released=wishes.listen, live=status.listen or None))
    if found is not None:
        differences += [*_settings(found, wishes, release.secrets), *_health(found, wishes.health)]
    return differences


def _process(status: Status | None, found: Service | None) -> Iterator[Drift]:
    if found is None:
        live = "none" if status else "none: nothing runs there any more; sparki deploy starts it anew"
        yield Drift(what="process", released="running", live=live)
    elif found.condition != "running":
        ended = "" if found.exit_status is None else f", last with {found.exit_status}"
        yield Drift(what="process", released="running", live=(found.problem or CONDITIONS.get(found.condition, found.condition)) + ended)
    elif not found.listening:
        yield Drift(what="process", released="listens on $PORT", live="does not listen on $PORT")
    if status is not None and not status.front_ready:
        yield Drift(what="front", released="running", live=status.front_problem or "none")


def _settings(found: Service, wishes: Wishes, secrets: Sequence[str]) -> Iterator[Drift]:
    """What the keeper starts it with, and what its process has: the keeper's file may have been changed since. No secret is told."""
    if found.command and found.command != wishes.command:
        yield Drift(what="command", released=wishes.command, live=found.command)
    if found.variables is None:
        return
    live: Mapping[str, str] = found.variables
    if found.pid is not None and (had := process.environment(found.pid)):
        live = {name: had[name] for name in {*live, *wishes.variables} if name in had}
    for name in sorted({*live, *wishes.variables} - {"PORT", "SPARKI_RELEASE", *secrets}):
        if live.get(name) != wishes.variables.get(name):
            yield Drift(what=f"variables.{name}", released=wishes.variables.get(name), live=live.get(name))


def _health(found: Service, health: Health) -> Iterator[Drift]:
    if found.listening and health.path and (wrong := probe("127.0.0.1", found.port, health)):
        yield Drift(what="health", released=f"GET {health.path} answers {health.status}", live=wrong)


def changed_files(folder: str, artifact: Mapping[str, Any]) -> Iterator[Drift]:
    """Files of the release that are not as they were shipped. What the service has added is its own business."""
    found = []
    try:
        with tarfile.open(artifact["path"], mode="r:*") as packed:
            found = [(member.name, how) for member, how in changed(packed, folder)]
    except (OSError, tarfile.TarError, KeyError) as error:
        yield Drift(what="files", released="as shipped", live=f"can't be told: the release's archive can't be read ({error})")
        return
    for name, how in found[:FILES_SHOWN]:
        yield Drift(what=f"files.{name}", released="as shipped", live=how)
    if len(found) > FILES_SHOWN:
        yield Drift(what="files", released="as shipped", live=f"{len(found) - FILES_SHOWN:,} more changed")
