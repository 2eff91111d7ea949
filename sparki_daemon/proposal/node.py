"""Node.js: the package manager by its lock file, the scripts of package.json."""

from __future__ import annotations

import json
import re
from typing import Any

from sparki_daemon.proposal.found import Found, Job, Step, Tree

FILES = ("package.json", ".nvmrc", ".node-version")
_PLACEHOLDER = "no test specified"  # what `npm init` writes
_LINTERS = re.compile(r"\b(eslint|xo|standard|biome|tslint|lint)\b")
_ORDER = ("lint", "build", "test")


def detect(tree: Tree) -> Found | None:
    """The proposal for a folder with a package.json; None: there is none."""
    if "package.json" not in tree:
        return None
    try:
        package = json.loads(tree.text("package.json"))
    except ValueError as error:
        return Found(stack="Node.js", file="package.json", notes=(f"package.json can't be read: {error}",))
    scripts = package.get("scripts") if isinstance(package, dict) else None
    known = {name: text for name, text in scripts.items() if isinstance(text, str)} if isinstance(scripts, dict) else {}
    wanted = _wanted(known)
    if not wanted:
        has = f"it has {', '.join(known)}" if known else "it has none"
        note = "package.json has no script 'test', 'build' or 'lint' that does something: " + has
        return Found(stack="Node.js", file="package.json", notes=(note,))
    manager, install = _manager(tree, package)
    steps = [*_version(tree), install, *(Step(_run(manager, name), f"package.json: scripts.{name}: {known[name]}") for name in wanted)]
    notes = () if "test" in wanted else ("package.json has no script 'test' that does something: nothing is tested",)
    return Found(stack="Node.js", file="package.json", jobs=(Job("test", tuple(steps)),), notes=notes)


def _wanted(scripts: dict[str, str]) -> list[str]:
    """The scripts to run, in order; linting is left out where the tests do it."""
    there = [name for name in _ORDER if scripts.get(name) and _PLACEHOLDER not in scripts[name]]
    lints_anyway = "test" in there and _LINTERS.search(scripts["test"]) is not None
    return [name for name in there if not (name == "lint" and lints_anyway)]


def _version(tree: Tree) -> list[Step]:
    file = tree.first(".nvmrc", ".node-version")
    return [Step("", f"{file} names the version", "actions/setup-node@v6", {"node-version-file": file})] if file else []


def _manager(tree: Tree, package: dict[str, Any]) -> tuple[str, Step]:
    """Who installs, and how: exactly what the lock file says."""
    if "pnpm-lock.yaml" in tree:
        return "pnpm", Step("pnpm install --frozen-lockfile", "pnpm-lock.yaml")
    if "yarn.lock" in tree:
        modern = ".yarnrc.yml" in tree or re.match(r"yarn@[2-9]", str(package.get("packageManager") or "")) is not None
        return "yarn", Step(f"yarn install {'--immutable' if modern else '--frozen-lockfile'}", "yarn.lock")
    if lock := tree.first("package-lock.json", "npm-shrinkwrap.json"):
        return "npm", Step("npm ci", lock)
    return "npm", Step("npm install", "package.json, and there is no lock file")


def _run(manager: str, script: str) -> str:
    return f"{manager} test" if script == "test" else f"{manager} run {script}"
