"""The keeper, asked from an event loop; what it refuses, as a failed step."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TypeVar

from sparki_daemon.loco.keeper import address
from sparki_daemon.loco.keeper.client import Keeper, Status
from sparki_daemon.loco.keeper.problem import KeeperError
from sparki_daemon.loco.keeper.state import STATE_NAME, State, load
from sparki_daemon.loco.protocol import StepFailed, Work
from sparki_daemon.model.problem import SparkiError

T = TypeVar("T")
FRONT_LIMIT_S = 5.0  # for the front of a keeper that was just started
POLL_S = 0.02


async def ask(work: Work, question: Callable[[Keeper], T]) -> T:
    """Ask the environment's keeper as this deployment. Raises StepFailed.

    Who is cancelled meanwhile still waits for the answer: a question that is under way must not arrive after its undoing.
    """
    keeper = Keeper(work.place.folder, deployment=work.deployment, epoch=work.epoch)
    return await to_its_end(lambda: _asked(keeper, question))


async def to_its_end(call: Callable[[], T], leave: Callable[[], None] = lambda: None) -> T:
    """Run a blocking call in a thread. Who is cancelled meanwhile calls `leave`, and still waits: it must not act after its undoing."""
    calling = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        leave()
        await asyncio.wait((calling,))
        if not calling.cancelled():
            calling.exception()  # heard: nobody else will
        raise


async def ask_as_now(folder: str, question: Callable[[Keeper], None]) -> None:
    """Ask as whoever has the environment now; nothing where nothing runs. Raises StepFailed."""
    status = await asyncio.to_thread(revived_status, folder)
    if status is not None:
        await asyncio.to_thread(_asked, Keeper(folder, deployment=status.deployment, epoch=status.epoch), question)


def ask_anyhow(folder: str, question: Callable[[Keeper], T]) -> T:
    """Ask what needs no fence, blocking; a keeper is started where none runs. Raises StepFailed."""
    return _asked(Keeper(folder), question)


def running_status(folder: str, *, acting: bool = False) -> Status | None:
    """What the keeper says, blocking; None where none runs. Starts none. Raises StepFailed."""
    with Keeper(folder, acting=acting) as keeper:
        return _asked(keeper, lambda asked: asked.status()) if keeper.runs() else None


def revived_status(folder: str, *, acting: bool = True) -> Status | None:
    """What the keeper says, blocking: one that died, and left services or fronts behind, is started again. None: nothing runs there.

    A keeper that is gone for a moment must not be taken for an environment in which nothing runs. One that hangs is ended only for
    who is `acting`. Raises StepFailed.
    """
    if status := running_status(folder, acting=acting):
        return status
    left = state_of(folder)
    return ask_anyhow(folder, _with_front) if left.services or left.fronts else None


def _with_front(keeper: Keeper) -> Status:
    """What a keeper says that was just started, once its front serves, too: what is told then is no moment of its start."""
    deadline = time.monotonic() + FRONT_LIMIT_S
    while (status := keeper.status()).listen and not (status.front_ready or status.front_problem) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return status


def state_of(folder: str) -> State:
    """What the environment's keeper wrote down, blocking; an empty one where there was none. Raises StepFailed."""
    try:
        return load(os.path.join(folder, STATE_NAME))
    except (OSError, ValueError) as error:
        raise StepFailed(f"what ran in {folder} can't be told: {error}") from error


def live_environment(folder: str) -> tuple[str, dict[str, str], list[str]]:
    """The live release, what its service has in its environment, and which names in it are secrets; blocking. Raises StepFailed."""
    status = revived_status(folder)
    if status is None or not status.live:
        raise StepFailed("nothing is live there")
    live = status.live
    with Keeper(folder) as keeper:
        return live, *_asked(keeper, lambda asked: asked.environment(live))


def _asked(keeper: Keeper, question: Callable[[Keeper], T]) -> T:
    with keeper:
        try:
            return question(keeper)
        except SparkiError as error:
            raise StepFailed(error.in_a_line) from error


def try_address(listen: str) -> None:
    """See whether an address can be had, blocking. Raises StepFailed, with who has it."""
    try:
        address.bind(listen).close()
    except KeeperError as error:
        raise StepFailed(f"{error.message}{f' ({error.hint})' if error.hint else ''}") from error


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port or 0)
