"""Make: what a Makefile builds by itself, and the target that tests it."""

from __future__ import annotations

import re

from sparki_daemon.proposal.found import Found, Job, Step, Tree

FILES = ("GNUmakefile", "makefile", "Makefile")
_RULE = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9_./ -]*?)\s*::?(?![=:])", re.MULTILINE)
_TESTS = ("test", "tests", "check")
_NO_BUILD = frozenset({*_TESTS, "help", "clean", "install", "distclean", "format", "fmt", "run", "docs", "publish", "release", "init"})


def detect(tree: Tree) -> Found | None:
    """The proposal for a folder with a makefile; make itself looks for the three names in this order."""
    file = tree.first(*FILES)
    if not file:
        return None
    targets = targets_of(tree.text(file))
    steps = []
    if "configure" in tree:
        steps.append(Step("./configure", "configure"))
    if targets and targets[0] not in _NO_BUILD:
        steps.append(Step("make", f"{file}: its first target is '{targets[0]}'"))
    test = next((name for name in _TESTS if name in targets), "")
    if test:
        steps.append(Step(f"make {test}", f"{file}: the target '{test}'"))
    has = f"it has {', '.join(targets[:8])}" if targets else "it has none that could be read"
    notes = () if test else (f"{file} has no target 'test', 'tests' or 'check', so nothing is tested: {has}",)
    return Found(stack="Make", file=file, jobs=(Job("test", tuple(steps)),) if steps else (), notes=notes)


def targets_of(text: str) -> list[str]:
    """The targets that a makefile names outright, in order: no patterns, no variables, none that begin with a dot."""
    names = [name for found in _RULE.finditer(text) for name in found[1].split()]
    return list(dict.fromkeys(names))
