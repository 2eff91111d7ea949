"""Which Python a workflow asks for, among those that are there. Pure, but for `installed`, which looks, and `ask`, which starts one."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Version = tuple[int, ...]

_NAME = re.compile(r"python3\.(\d+)\Z")
_CLAUSE = re.compile(r"(>=|<=|==|!=|~=|>|<|=|~|\^)?\s*v?([0-9][0-9.xX*]*)")
_ASK = """
import importlib.util as u, json, sys
pip, ensure = u.find_spec("pip"), u.find_spec("ensurepip")
print(json.dumps({
    "version": sys.version_info[:3], "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "prefix": sys.base_prefix, "platlibdir": getattr(sys, "platlibdir", "lib"),
    "pip": pip and pip.origin, "ensurepip": ensure and ensure.origin,
}))
"""


class Interpreter(NamedTuple):
    """A Python on this machine; `version` may be cut to two numbers where only its file's name is known."""

    version: Version
    path: str


class Wanted(NamedTuple):
    """One line of `python-version`, read: every clause must hold."""

    text: str
    clauses: tuple[tuple[str, Version], ...]

    def fits(self, version: Version) -> bool:
        return all(_holds(sign, bound, version) for sign, bound in self.clauses)


def read_wanted(text: str) -> Wanted:
    """`3.12`, `3.12.1`, `3.x`, `>=3.10 <3.13`, `~3.11`, `3.13-dev`: what such a text asks for. Raises ValueError."""
    plain = text.strip().removesuffix("-dev")
    if not plain or plain.lower().startswith(("pypy", "graalpy")):
        raise ValueError(f"Python '{text}': only CPython is looked for here")
    if plain in {"x", "*", "3"}:
        return Wanted(text, ((">=", (3,)),))
    clauses = []
    rest = plain.replace(",", " ")
    for match in _CLAUSE.finditer(rest):
        sign, numbers = match[1] or "", tuple(int(part) for part in match[2].split(".") if part.isdigit())
        clauses.append((sign, numbers))
    if not clauses or _CLAUSE.sub("", rest).replace("||", "").strip(" -x*."):
        raise ValueError(f"Python '{text}' is no version: 3.12, 3.12.1, 3.x and >=3.10 <3.13 are")
    return Wanted(text, tuple(clauses))


def _holds(sign: str, bound: Version, version: Version) -> bool:
    cut = version[: len(bound)]
    match sign:
        case "" | "=" | "==":
            return cut == bound
        case "!=":
            return cut != bound
        case ">=":
            return cut >= bound
        case ">":
            return cut > bound
        case "<=":
            return cut <= bound
        case "<":
            return cut < bound
        case "^":
            return version[:1] == bound[:1] and cut >= bound
        case _:  # ~ and ~=: the last number given may grow, with at least the minor one fixed
            fixed = max(1, len(bound) - 1) if sign == "~=" else min(2, len(bound))
            return version[:fixed] == bound[:fixed] and cut >= bound


def best(wanted: Wanted, interpreters: Iterable[Interpreter]) -> Interpreter | None:
    """The newest that fits; of several with one version the first. None: none fits."""
    fitting = [interpreter for interpreter in interpreters if wanted.fits(interpreter.version)]
    return max(fitting, key=lambda interpreter: interpreter.version, default=None)


def choose(text: str, pythons: list[Interpreter]) -> Interpreter:
    """The best Python for one version asked for; starts those whose whole version counts. Raises ValueError that names those there."""
    wanted = read_wanted(text)
    if found := best(wanted, pythons):
        return found
    asked = [python if len(python.version) == 3 else Interpreter(_version(python.path), python.path) for python in pythons]
    if found := best(wanted, asked):
        return found
    there = ", ".join(".".join(map(str, version)) for version in sorted({python.version for python in asked})) or "none"
    raise ValueError(f"there is no Python {text} on this machine, and none is fetched; there: {there}")


def ask(path: str) -> dict[str, Any]:
    """What a Python says about itself. Raises ValueError for a program that does not answer like one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run([path, "-c", _ASK], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=60)
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        raise ValueError(f"{path} does not start as a Python should") from None
    return answer


def _version(path: str) -> Version:
    about = os.stat(path)
    return _version_of(path, about.st_ino, about.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _version_of(path: str, _inode: int, _changed_ns: int) -> Version:
    """Asked once for as long as the program is the same: a daemon plans many runs."""
    return tuple(ask(path)["version"])


def versions_of_file(name: str, text: str) -> list[str]:
    """What a version file asks for: `.python-version` and the like a version a line, `.tool-versions`, `pyproject.toml`.

    Raises ValueError where nothing is in it.
    """
    found: list[str] = []
    if name.endswith("pyproject.toml"):
        import tomllib  # noqa: PLC0415  # only those who ask for it pay for it

        data = tomllib.loads(text)
        poetry = data.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python", "")
        found = [data.get("project", {}).get("requires-python", "") or poetry]
    elif name.endswith(".tool-versions"):
        found = [line.split()[1] for line in text.splitlines() if line.startswith("python ") and len(line.split()) > 1]
    else:
        found = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not any(found):
        raise ValueError(f"{name} asks for no version of Python")
    return [line for line in found if line]


def installed(env: Mapping[str, str], user_home: str) -> list[Interpreter]:
    """The Pythons of this machine: those of pyenv and uv, then `python3.N` in PATH and the usual folders. Starts none of them."""
    found = []
    pyenv = env.get("PYENV_ROOT") or f"{user_home}/.pyenv"
    uv = env.get("UV_PYTHON_INSTALL_DIR") or f"{user_home}/.local/share/uv/python"
    tools = env.get("AGENT_TOOLSDIRECTORY") or "/opt/hostedtoolcache"
    for folder, pattern, inner in (
        (f"{pyenv}/versions", re.compile(r"(\d+\.\d+\.\d+)\Z"), "bin/python"),
        (uv, re.compile(r"cpython-(\d+\.\d+\.\d+)-"), "bin/python3"),
        (f"{tools}/Python", re.compile(r"(\d+\.\d+\.\d+)\Z"), "x64/bin/python"),
    ):
        for name in _names(folder):
            match = pattern.match(name)
            path = f"{folder}/{name}/{inner}"
            if match and not match[1].startswith("2.") and os.access(path, os.X_OK):
                found.append(Interpreter(tuple(map(int, match[1].split("."))), path))
    shims = f"{pyenv}/shims"
    for folder in [*env.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"]:
        if folder and os.path.normpath(folder) != os.path.normpath(shims):  # a shim is no Python: it asks for a version itself
            found += [
                Interpreter((3, int(match[1])), f"{folder}/{name}")
                for name in _names(folder)
                if (match := _NAME.match(name)) and os.access(f"{folder}/{name}", os.X_OK)
            ]
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
