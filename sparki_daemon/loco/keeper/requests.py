"""What can be asked of a keeper, over its socket: JSON lines, each answered by one.

A request is `{"id": …, "do": name, …}`; the answer `{"id", "ok": {…}}` or `{"id", "error": {"code", "message", "hint"}}`. All but those
that only look bear `deployment` and `epoch`: the fencing token of the environment, which grows with each time that it is taken (not of the
deployment's row). An older one than the keeper has seen is refused, and so is the same one from another deployment. Each may come twice:

- `start_service`: release, command (for /bin/sh), cwd, variables, secrets (name to value), limits → the service
- `stop_service`: release, grace_s → when its tree is gone
- `ensure_front`: listen → when it serves
- `set_upstream`: release or null → when no new request goes elsewhere
- `set_maintenance`: text or null, retry_after_s → when it holds
- `renew_front` → when a new front serves; the old one drains
- `down`: grace_s → when services and fronts have ended; then the keeper goes too
- `status` → everything
- `give_values`: release, secrets → the service; of any deployment: a service that waits for values takes them, any other keeps its own
- `environment`: release → what its processes have there, values of secrets too, and which names are secrets'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparki_daemon.loco.keeper.problem import KeeperError
from sparki_daemon.loco.keeper.services import not_running
from sparki_daemon.loco.keeper.state import State, Wanted

if TYPE_CHECKING:
    from sparki_daemon.loco.keeper.keeper import Keeper

Message = dict[str, Any]
Later = Callable[[], Message | None]  # asked again each turn, until it answers


def fence(state: State, deployment: str, epoch: int) -> bool:
    """May this deployment act? True: and its token is new, so it must be kept. Raises KeeperError `fenced`."""
    if epoch < state.epoch or (epoch == state.epoch and state.deployment not in ("", deployment)):
        raise KeeperError(
            "fenced", f"deployment {state.deployment} has taken this environment since", "this attempt has ended; look at the other"
        )
    return epoch > state.epoch or state.deployment != deployment


def handle(keeper: Keeper, message: Message) -> Later:
    """Do what is asked; what is returned tells the answer once there is one. Raises KeeperError, and OSError from the disk."""
    name = message.get("do")
    if name == "status":
        return keeper.status
    if name == "environment":
        return lambda: keeper.services.environment(str(message.get("release")))
    if name == "give_values":
        return _give_values(keeper, message)
    ask = ASKS.get(str(name))
    if ask is None:
        raise KeeperError("unknown_request", f"a keeper of this version knows no '{name}'", "restart the environment's keeper")
    try:
        deployment, epoch = str(message["deployment"]), int(message["epoch"])
        if fence(keeper.state, deployment, epoch):
            keeper.state.deployment, keeper.state.epoch = deployment, epoch
            keeper.save()
        return ask(keeper, message)
    except (KeyError, TypeError, ValueError) as error:
        raise KeeperError("bad_request", f"'{name}' lacks something, or has it in the wrong form: {error!r}") from None


def _start_service(keeper: Keeper, message: Message) -> Later:
    secrets = {str(name): str(value) for name, value in message.get("secrets", {}).items()}
    wanted = Wanted(
        release=str(message["release"]),
        deployment=str(message["deployment"]),
        command=str(message["command"]),
        cwd=str(message["cwd"]),
        variables={str(name): str(value) for name, value in message.get("variables", {}).items()},
        secrets=sorted(secrets),
        limits={str(name): int(value) for name, value in message.get("limits", {}).items()},
    )
    keeper.services.want(wanted, secrets)
    keeper.seal_values()
    return lambda: keeper.services.tell(wanted.release)


def _give_values(keeper: Keeper, message: Message) -> Later:
    release = str(message.get("release"))
    keeper.services.give(release, {str(name): str(value) for name, value in dict(message.get("secrets") or {}).items()})
    keeper.seal_values()
    return lambda: keeper.services.tell(release)


def _stop_service(keeper: Keeper, message: Message) -> Later:
    release = str(message["release"])
    keeper.services.stop(release, float(message["grace_s"]))
    return lambda: None if release in keeper.state.services else {"release": release, "stopped": True}


def _ensure_front(keeper: Keeper, message: Message) -> Later:
    keeper.fronts.ensure(str(message["listen"]))
    return _when_routed(keeper, keeper.fronts.told)


def _set_upstream(keeper: Keeper, message: Message) -> Later:
    release = message["release"]
    if release is not None and release not in keeper.state.services:
        raise not_running(release)
    keeper.state.live = release
    keeper.save()
    return _when_routed(keeper, keeper.fronts.send_route())


def _set_maintenance(keeper: Keeper, message: Message) -> Later:
    text, after_s = message["text"], message.get("retry_after_s")
    keeper.state.maintenance = None if text is None else {"text": str(text), "retry_after_s": None if after_s is None else int(after_s)}
    keeper.save()
    return _when_routed(keeper, keeper.fronts.send_route())


def _renew_front(keeper: Keeper, message: Message) -> Later:  # noqa: ARG001  # as all of them
    keeper.fronts.renew()
    return _when_routed(keeper, keeper.fronts.told)


def _down(keeper: Keeper, message: Message) -> Later:
    keeper.state.live = keeper.state.maintenance = None
    keeper.state.listen = ""
    keeper.save()
    keeper.leave(grace_s=float(message["grace_s"]), forget=True)
    return lambda: {"down": True} if keeper.has_left() else None


def _when_routed(keeper: Keeper, told: int) -> Later:
    def answer() -> Message | None:
        if keeper.fronts.problem is not None:
            raise keeper.fronts.problem
        told_to_nobody = not keeper.state.listen  # there is to be no front yet: the next one begins with it
        return {"live": keeper.state.live, "listen": keeper.state.listen} if told_to_nobody or keeper.fronts.holds(told) else None

    return answer


ASKS: dict[str, Callable[[Keeper, Message], Later]] = {
    "start_service": _start_service,
    "stop_service": _stop_service,
    "ensure_front": _ensure_front,
    "set_upstream": _set_upstream,
    "set_maintenance": _set_maintenance,
    "renew_front": _renew_front,
    "down": _down,
}
