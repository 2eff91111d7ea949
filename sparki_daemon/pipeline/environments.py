"""Read the environments of `sparki.yml`, its push-to-deploy rules and its notices: checked with places, made JSON.

Source: the public interface, "sparki.yml".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.gates import DAYS
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.amounts import seconds, size_bytes
from sparki_daemon.pipeline.environment_keys import ENVIRONMENT, OCCASIONS, OWN_KEYS
from sparki_daemon.pipeline.spelling import did_you_mean, listed
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LISTEN = re.compile(r"(?:(?P<host>[^:\s]+|\[[0-9a-fA-F:]+\]):)?(?P<port>\d{1,5})", re.ASCII)
_ARTIFACT = re.compile(r"source|[A-Za-z_][\w-]*/[^/\s].*", re.ASCII)
_MOMENT = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_PORT_MOST = 65535


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment. `settings` is JSON: times in seconds (`_s`), sizes in bytes, moments as [day, hour, minute].

    `places` has where each value stands, by its keys with dots between ("health.http", "secrets.0"); `own` the keys that are the
    adapter's, and where each stands.
    """

    name: str
    at: Position
    settings: Mapping[str, Any]
    places: Mapping[str, Position] = field(default_factory=dict)
    own: Mapping[str, Position] = field(default_factory=dict)

    @property
    def lines(self) -> range:
        """The lines of the file that it stands on."""
        return range(self.at.line, 1 + max(at.line for at in (self.at, *self.places.values(), *self.own.values())))

    def where(self, key: str) -> Position:
        """Where `key` has its value; where it is not said, what is nearest around it, the environment's name in the end."""
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        return self.places.get(key, self.at)


@dataclass(frozen=True, slots=True)
class BranchRule:
    """What a push of a branch or tag that fits `pattern` does."""

    pattern: str
    at: Position
    run: tuple[str, ...]
    deploy: str
    run_at: Position  # of `run`, or of the rule where it has none


@dataclass(frozen=True, slots=True)
class Notice:
    """Who is told of which ends."""

    on: tuple[str, ...]
    command: str = ""
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Deploying:
    """What `sparki.yml` says of deployments."""

    environments: Mapping[str, Environment] = field(default_factory=dict)
    branches: tuple[BranchRule, ...] = ()
    notify: tuple[Notice, ...] = ()


def read_deploying(root: MappingNode, file: str, problems: list[Problem]) -> Deploying:
    """The environments, branch rules and notices of a file; what is wrong with values of the right shape goes to `problems`."""
    reader = _Reader(file, problems)
    environments = {one.name: one for one in reader.environments(root.get("environments"))}
    for one in environments.values():
        reader.known_environment(one.settings.get("after"), environments, one.where("after"), f"environment '{one.name}'")
    reader.circle(environments)
    reader.shared_addresses(environments)
    branches = tuple(reader.branches(root.get("branches"), environments))
    return Deploying(environments, branches, tuple(reader.notices(root.get("notify"))))


class _Reader:
    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems

    def _at(self, node: Node) -> Position:
        return Position(self._file, node.line, node.column)

    def _say(self, code: str, message: str, at: Position, hint: str = "") -> None:
        self._problems.append(Problem(code=code, message=message, at=at, hint=hint))

    # -- environments --------------------------------------------------------------------------------------------------

    def environments(self, node: Node | None) -> Iterator[Environment]:
        for key, value in node.pairs if isinstance(node, MappingNode) else ():
            if not _NAME.fullmatch(key.text):
                hint = "letters, digits, '.', '_' and '-', at most 63, the first a letter or digit"
                self._say("bad_name", f"'{key.text}' is no name for an environment", self._at(key), hint)
            if isinstance(value, MappingNode):
                own = {one.text: self._at(one) for one, _ in value.pairs if one.text not in ENVIRONMENT.keys}
                self._unknown_keys(_text(value.get("adapter")), own)
                yield Environment(key.text, self._at(key), dict(self._settings(value)), dict(self._places(value)), own)

    def _unknown_keys(self, adapter: str, own: Mapping[str, Position]) -> None:
        """Keys that an adapter of ours has not; those of others' adapters are asked for where these are loaded."""
        known = OWN_KEYS.get(adapter)
        for name, at in own.items() if known is not None else ():
            if name not in (known or ()):
                hint = did_you_mean(name, {*ENVIRONMENT.keys, *(known or ())})
                self._say("unknown_key", f"an environment of the adapter '{adapter}' has no key '{name}'", at, hint)

    def _places(self, node: Node, before: str = "") -> Iterator[tuple[str, Position]]:
        inner = [(key.text, value) for key, value in node.pairs] if isinstance(node, MappingNode) else []
        inner += [(str(index), item) for index, item in enumerate(node.items)] if isinstance(node, SequenceNode) else []
        for name, value in inner:
            yield f"{before}{name}", self._at(value)
            yield from self._places(value, f"{before}{name}.")

    def _settings(self, node: MappingNode) -> Iterator[tuple[str, Any]]:
        for key, value in node.pairs:
            name = key.text
            if name in ("watch", "grace"):
                yield f"{name}_s", self._seconds(value, name)
            elif name in _READ:
                yield name, _READ[name](self, value)
            else:
                yield name, plain(value)

    def _health(self, node: Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.pairs if isinstance(node, MappingNode) else ():
            if key.text in ("interval", "timeout", "within"):
                found[f"{key.text}_s"] = self._seconds(value, key.text)
                if seconds(_text(value)) == 0:
                    self._say("bad_value", f"'{key.text}' must be longer than nothing", self._at(value))
            elif key.text == "http" and not _text(value).startswith("/"):
                self._say("bad_value", f"'http' is a path, which begins with '/', not '{_text(value)}'", self._at(value))
            elif key.text in ("status", "successes"):
                found[key.text] = self._whole(value, key.text, *((100, 599) if key.text == "status" else (1, 1000)))
            else:
                found[key.text] = plain(value)
        return found

    def _freeze(self, node: Node) -> list[dict[str, Any]]:
        from zoneinfo import available_timezones  # noqa: PLC0415  # few settings have a freeze

        found = []
        for item in node.items if isinstance(node, SequenceNode) else ():
            if not isinstance(item, MappingNode):
                continue  # told by the check of shapes, here and below
            zone = item.get("zone")
            if zone is not None and _text(zone) not in available_timezones():
                hint = did_you_mean(_text(zone), available_timezones())
                self._say("unknown_time_zone", f"there is no time zone '{_text(zone)}'", self._at(zone), hint)
            moments = {name: self._moment(item.get(name), name) for name in ("from", "to")}
            if moments["from"] is not None and moments["from"] == moments["to"]:
                self._say("bad_value", "a freeze that begins when it ends has no length", self._at(item))
            found.append({**moments, "zone": _text(zone) if zone is not None else "UTC"})
        return found

    def _moment(self, node: Node | None, name: str) -> list[int] | None:
        if node is None:
            return None
        moment = _MOMENT.fullmatch(_text(node))
        if moment is None:
            self._say("bad_value", f"'{name}' is a day and a time, such as Fri 16:00, not '{_text(node)}'", self._at(node))
            return None
        return [DAYS.index(moment[1]), int(moment[2]), int(moment[3])]

    def _listen(self, node: Node) -> str:
        found = _LISTEN.fullmatch(_text(node))
        if found is None or not 0 < int(found["port"]) <= _PORT_MOST:
            self._say("bad_value", f"'listen' is HOST:PORT, such as 127.0.0.1:8080, not '{_text(node)}'", self._at(node))
            return ""
        return f"{found['host'] or '127.0.0.1'}:{found['port']}"

    def _artifact(self, node: Node) -> str:
        if not _ARTIFACT.fullmatch(_text(node)):
            self._say("bad_value", f"'artifact' is source, or JOB/NAME, not '{_text(node)}'", self._at(node))
        return _text(node)

    def _secrets(self, node: Node) -> list[str]:
        for item in node.items if isinstance(node, SequenceNode) else ():
            if not _SECRET.fullmatch(_text(item)):
                self._say("bad_name", f"'{_text(item)}' is no name of a secret", self._at(item), "letters, digits and '_'")
            elif _text(item) == "PORT":
                self._say("bad_value", "PORT is given by Sparki: it is where the service is to listen", self._at(item))
        return [_text(item) for item in node.items] if isinstance(node, SequenceNode) else []

    def _variables(self, node: Node) -> dict[str, str]:
        for key, _ in node.pairs if isinstance(node, MappingNode) else ():
            if "=" in key.text or "\0" in key.text:
                self._say("bad_name", f"'{key.text}' is no name of a variable", self._at(key))
            elif key.text == "PORT":
                self._say("bad_value", "PORT is given by Sparki: it is where the service is to listen", self._at(key))
        return {key.text: _text(value) for key, value in node.pairs} if isinstance(node, MappingNode) else {}

    def _limits(self, node: Node) -> dict[str, int]:
        found = {}
        for key, value in node.pairs if isinstance(node, MappingNode) else ():
            if key.text == "memory":
                amount = size_bytes(_text(value))
                if amount is None:
                    message = f"'memory' must be a size, such as 512 MiB, not '{_text(value)}'"
                    self._say("bad_amount", message, self._at(value))
                found["memory_bytes"] = amount or 0
            else:
                found[key.text] = self._whole(value, key.text, 1, 2**31)
        return found

    def _approvals(self, node: Node) -> dict[str, Any]:
        if not isinstance(node, MappingNode):
            return {}
        count, not_author = node.get("count"), node.get("not_author")
        least = self._whole(count, "count", 0, 100) if count else 0
        return {"count": least, "not_author": bool(not_author is not None and plain(not_author))}

    def _keep(self, node: Node) -> int:
        return self._whole(node, "keep_releases", 1, 1000)

    def _seconds(self, node: Node, name: str) -> float:
        amount = seconds(_text(node))
        if amount is None:
            self._say("bad_amount", f"'{name}' must be a time, such as 500ms, 30s or 10m, not '{_text(node)}'", self._at(node))
        return amount or 0.0

    def _whole(self, node: Node, name: str, least: int, most: int) -> int:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not least <= value <= most:
            self._say("bad_value", f"'{name}' is a whole number from {least} to {most}, not '{_text(node)}'", self._at(node))
            return least
        return int(value)

    # -- what names environments ---------------------------------------------------------------------------------------

    def known_environment(self, name: str | None, known: Mapping[str, Environment], at: Position, who: str) -> None:
        if name and name not in known:
            hint = did_you_mean(name, known) or (f"there are: {', '.join(known)}" if known else "")
            self._say("unknown_environment", f"{who} names the environment '{name}', and there is none of that name", at, hint)

    def circle(self, known: Mapping[str, Environment]) -> None:
        """An environment that waits for itself, by way of others, would wait for ever."""
        for one in known.values():
            seen = [one.name]
            after = str(one.settings.get("after") or "")
            while after in known and after not in seen:
                seen.append(after)
                after = str(known[after].settings.get("after") or "")
            if after == one.name:
                way = " → ".join([*seen, after])
                self._say("environment_cycle", f"environment '{one.name}' comes after itself: {way}", one.where("after"))

    def shared_addresses(self, known: Mapping[str, Environment]) -> None:
        """Two services of this machine can't listen at one address: the second deployment would find it taken."""
        owners: dict[str, Environment] = {}
        for one in known.values():
            listen = one.settings.get("listen") if one.settings.get("adapter") == "process" else None
            if listen and (first := owners.setdefault(listen, one)) is not one:
                message = f"environment '{one.name}' listens at {listen}, and so does '{first.name}' ({first.where('listen')})"
                self._say("address_shared", message, one.where("listen"), "give each a port of its own")

    def branches(self, node: Node | None, known: Mapping[str, Environment]) -> Iterator[BranchRule]:
        for key, value in node.pairs if isinstance(node, MappingNode) else ():
            if not isinstance(value, MappingNode):
                continue
            deploy = value.get("deploy")
            self.known_environment(_text(deploy), known, self._at(deploy or key), f"the rule for '{key.text}'")
            run = value.get("run")
            yield BranchRule(key.text, self._at(key), _words(run), _text(deploy), self._at(run or key))

    def notices(self, node: Node | None) -> Iterator[Notice]:
        for item in node.items if isinstance(node, SequenceNode) else ():
            if not isinstance(item, MappingNode) or (on := item.get("on")) is None:
                continue
            for word in on.items if isinstance(on, SequenceNode) else [on]:
                if _text(word) not in OCCASIONS:
                    hint = did_you_mean(_text(word), OCCASIONS) or f"it is one of {listed(OCCASIONS)}"
                    self._say("unknown_value", f"'on' can't be '{_text(word)}'", self._at(word), hint)
            if isinstance(on, SequenceNode) and not on.items:
                self._say("bad_value", f"'on' names nothing to tell of: it is one or more of {listed(OCCASIONS)}", self._at(on))
            webhook = item.get("webhook")
            if webhook is not None and _text(webhook) and not _is_web_address(_text(webhook)):
                message = f"'webhook' is an http or https address, such as https://chat.example/hook, not '{_text(webhook)}'"
                self._say("bad_value", message, self._at(webhook))
            if item.get("command") is None and webhook is None:
                self._say("missing_key", "a notice needs a 'command' or a 'webhook'", self._at(item))
            yield Notice(_words(on), _text(item.get("command")), _text(item.get("webhook")))


_READ: Mapping[str, Callable[[_Reader, Node], Any]] = {
    "health": _Reader._health,  # noqa: SLF001  # a table of its own methods
    "freeze": _Reader._freeze,  # noqa: SLF001
    "listen": _Reader._listen,  # noqa: SLF001
    "artifact": _Reader._artifact,  # noqa: SLF001
    "secrets": _Reader._secrets,  # noqa: SLF001
    "variables": _Reader._variables,  # noqa: SLF001
    "limits": _Reader._limits,  # noqa: SLF001
    "approvals": _Reader._approvals,  # noqa: SLF001
    "keep_releases": _Reader._keep,  # noqa: SLF001
}


def plain(node: Node) -> Any:
    """A tree as JSON, without its places."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.pairs}


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, ScalarNode) else ""


def _is_web_address(text: str) -> bool:
    try:
        found = urlsplit(text)
        return found.scheme in ("http", "https") and bool(found.hostname) and (found.port is None or found.port > 0)
    except ValueError:  # a port that is none, a bracket that is not closed
        return False


def _words(node: Node | None) -> tuple[str, ...]:
    if isinstance(node, SequenceNode):
        return tuple(_text(item) for item in node.items)
    return (_text(node),) if node is not None else ()
