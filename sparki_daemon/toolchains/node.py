"""Which Node.js a workflow asks for, among those that are there. Pure, but for `installed` and `in_path`, which look."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Version = tuple[int, ...]

# Source: nodejs/Release, codenames of the lines with long-term support.
_CODE_NAMES = {
    "argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14, "gallium": 16, "hydrogen": 18, "iron": 20,
    "jod": 22, "krypton": 24,
}  # fmt: skip
_ANY = frozenset({"", "*", "x", "latest", "current", "node"})
_CLAUSE = re.compile(r"(>=|<=|>|<|=|\^|~>?)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][0-9A-Za-z.-]+)?(?=\s|$)")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


class Node(NamedTuple):
    """A Node.js on this machine: its version, and its program."""

    version: Version  # three numbers
    path: str


class Range(NamedTuple):
    """A version that is wanted: one of `options` fits, all bounds of it. `long_term`: even major versions only."""

    options: tuple[tuple[tuple[Version, Version | None], ...], ...]  # from (inclusive) to (exclusive)
    long_term: bool = False
    back: int = 0  # so many lines with long-term support before the newest

    def fits(self, version: Version) -> bool:
        if self.long_term and version[0] % 2:
            return False
        return any(all(low <= version and (high is None or version < high) for low, high in bounds) for bounds in self.options)


def read_range(text: str) -> Range:
    """`20`, `20.x`, `>=18 <21`, `^18 || 20`, `lts/*`, `lts/iron`, `lts/-1`, `latest`: what such a text asks for. Raises ValueError."""
    plain = text.strip().lower()
    if plain in _ANY:
        return Range((((((0,), None)),),))
    if plain.startswith("lts/"):
        return _long_term(plain.removeprefix("lts/"), text)
    return Range(tuple(_bounds(option.strip(), text) for option in plain.split("||")))


def _long_term(name: str, text: str) -> Range:
    everything: tuple[tuple[Version, Version | None], ...] = (((0,), None),)
    if name == "*" or re.fullmatch(r"-\d+", name):
        return Range((everything,), long_term=True, back=0 if name == "*" else int(name[1:]))
    major = _CODE_NAMES.get(name)
    if major is None:
        raise ValueError(f"Node.js '{text}': no line with long-term support has that name")
    return Range(((((major,), (major + 1,)),),), long_term=True)


def _bounds(option: str, text: str) -> tuple[tuple[Version, Version | None], ...]:
    option = _HYPHEN.sub(r">=\1 <=\2", option)
    found = list(_CLAUSE.finditer(option))
    if (option not in _ANY and not found) or _CLAUSE.sub("", option).strip(" *x,"):
        raise ValueError(f"Node.js '{text}' is no version: 20, 20.x, >=18 <21 and lts/* are")
    return tuple(_bound(match[1] or "", _numbers(match.groups()[1:])) for match in found) or (((0,), None),)


def _numbers(parts: Iterable[str | None]) -> Version:
    numbers: list[int] = []
    for part in parts:
        if part is None or not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _bound(sign: str, given: Version) -> tuple[Version, Version | None]:
    """A clause as from and to. Source: the npm semver ranges' grammar."""
    after = (*given[:-1], given[-1] + 1) if given else None
    match sign:
        case ">=":
            return given, None
        case ">":
            return (after or (1 << 30,)), None
        case "<":
            return (0,), given
        case "<=":
            return (0,), after
        case "^":
            kept = next((index for index, number in enumerate(given) if number), len(given) - 1)
            return given, (*given[:kept], given[kept] + 1) if given else None
        case "~" | "~>":
            kept = min(1, len(given) - 1)
            return given, (*given[:kept], given[kept] + 1) if given else None
        case _:
            return given, after


def best(wanted: Range, nodes: Iterable[Node]) -> Node | None:
    """The newest that fits; of several with one version the first. None: none fits."""
    fitting = [node for node in nodes if wanted.fits(node.version)]
    if wanted.back:
        majors = sorted({node.version[0] for node in fitting}, reverse=True)
        fitting = [node for node in fitting if majors.index(node.version[0]) == wanted.back]
    return max(fitting, key=lambda node: node.version, default=None)


def version_of_file(name: str, text: str) -> str:
    """What `.nvmrc`, `.node-version`, `.tool-versions` or `package.json` asks for. Raises ValueError where that is nothing."""
    found = ""
    if os.path.basename(name) == "package.json":
        found = _of_package(json.loads(text))
    elif os.path.basename(name) == ".tool-versions":
        match = re.search(r"^(?:nodejs|node)\s+v?(\S+)", text, re.MULTILINE)
        found = match[1] if match else ""
    else:
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        found = next((line for line in lines if line), "")
    if not found:
        raise ValueError(f"{name} asks for no version of Node.js")
    return found.removeprefix("v") if found[1:2].isdigit() else found


def _of_package(data: Any) -> str:
    """Source: actions/setup-node, src/util.ts: volta, then devEngines, then engines."""
    data = data if isinstance(data, dict) else {}
    runtimes = (data.get("devEngines") or {}).get("runtime") or []
    runtimes = runtimes if isinstance(runtimes, list) else [runtimes]
    wanted = next((runtime.get("version") for runtime in runtimes if runtime.get("name") == "node"), None)
    return str((data.get("volta") or {}).get("node") or wanted or (data.get("engines") or {}).get("node") or "")


def folders(env: Mapping[str, str], home: str) -> list[tuple[str, str]]:
    """Where version managers keep theirs: the folder with one of each version's name, and where in that the program is."""
    data = env.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return [
        (f"{env.get('NVM_DIR') or f'{home}/.nvm'}/versions/node", "bin/node"),
        (f"{env.get('FNM_DIR') or f'{data}/fnm'}/node-versions", "installation/bin/node"),
        (f"{home}/.fnm/node-versions", "installation/bin/node"),
        (f"{env.get('VOLTA_HOME') or f'{home}/.volta'}/tools/image/node", "bin/node"),
        (f"{env.get('ASDF_DATA_DIR') or f'{home}/.asdf'}/installs/nodejs", "bin/node"),
        (f"{env.get('MISE_DATA_DIR') or f'{data}/mise'}/installs/node", "bin/node"),
        (f"{env.get('NODENV_ROOT') or f'{home}/.nodenv'}/versions", "bin/node"),
        (f"{env.get('N_PREFIX') or '/usr/local'}/n/versions/node", "bin/node"),
        (f"{env.get('AGENT_TOOLSDIRECTORY') or '/opt/hostedtoolcache'}/node", "x64/bin/node"),
        (f"{env.get('AGENT_TOOLSDIRECTORY') or '/opt/hostedtoolcache'}/node", "arm64/bin/node"),
    ]


def installed(env: Mapping[str, str], home: str) -> list[Node]:
    """The versions that version managers keep on this machine. Starts none of them."""
    found = []
    for folder, inner in folders(env, home):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", name)
            path = f"{folder}/{name}/{inner}"
            if match and os.access(path, os.X_OK):
                found.append(Node(tuple(map(int, match.groups())), path))
    return found


def in_path(path: str) -> list[Node]:
    """Those in PATH, asked for their version; what does not answer like one is none."""
    found = []
    for folder in dict.fromkeys(path.split(os.pathsep)):
        program = os.path.join(folder, "node")
        if os.path.isabs(program) and os.access(program, os.X_OK) and not os.path.isdir(program):
            about = os.stat(program)
            if version := _version_of(program, about.st_ino, about.st_mtime_ns):
                found.append(Node(version, program))
    return found


@functools.lru_cache(maxsize=64)
def _version_of(program: str, _inode: int, _changed_ns: int) -> Version | None:
    """Asked once for as long as the program is the same: a daemon plans many runs."""
    try:
        done = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)\S*\s*", done.stdout.decode("utf-8", "replace"))
    return tuple(map(int, match.groups())) if match else None


def choose(text: str, nodes: list[Node]) -> Node:
    """The Node.js for the version asked for, whichever comes first where none is. Raises ValueError that names those that are there."""
    if not text and nodes:
        return nodes[0]
    if found := best(read_range(text), nodes):
        return found
    names = ", ".join(".".join(map(str, version)) for version in sorted({node.version for node in nodes})) or "none"
    raise ValueError(f"there is no Node.js {text or 'at all'} on this machine, and none is fetched; there: {names}")
