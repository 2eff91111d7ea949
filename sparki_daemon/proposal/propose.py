"""Put the detectors together: the root's stacks, or those of the folders below where the root has none, as one pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.proposal import compiled, make, node, python
from sparki_daemon.proposal.found import Found, Job, Tree
from sparki_daemon.proposal.python_project import tests_to_read

TOOLS = ("golangci-lint", "poetry", "uv")
"""The programs whose presence a proposal may depend on."""
_DETECTORS = (python.detect, node.detect, compiled.detect_go, compiled.detect_rust, compiled.detect_maven, compiled.detect_gradle)
_READ = frozenset({*python.READ, *node.FILES, *compiled.FILES, *make.FILES})
_REQUIREMENTS = re.compile(r"(?:^|/)[\w.-]*requirements[\w.-]*(?:/[\w.-]+)?\.(?:txt|in)\Z")
_NOT_OURS = frozenset(
    {
        "node_modules",
        "vendor",
        "third_party",
        "testdata",
        "fixtures",
        "examples",
        "example",
        "docs",
        "doc",
        "test",
        "tests",
        "benchmarks",
        "samples",
        "templates",
        "site-packages",
    }
)
_PLAIN = re.compile(r"[\w@+][\w .@+-]*")  # what else a folder's name may hold is not worth a place in a file
_DEEPEST = 2
_MOST_FOLDERS = 8
_OTHERS = {"CMakeLists.txt": "CMake", "meson.build": "Meson", "Gemfile": "Ruby", "composer.json": "PHP", "mix.exs": "Elixir"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """`found` with jobs: those that are proposed. `notes`: what was seen and is not run, and why."""

    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()

    def jobs(self) -> Iterator[tuple[str, Found, Job]]:
        """Every job with its id in the pipeline."""
        used: set[str] = set()
        for found in self.found:
            for job in found.jobs:
                alone = len(self.found) == 1
                words = [job.kind] if alone else [found.folder, found.stack, *([job.kind] if job.kind != "test" else [])]
                wanted = re.sub(r"[^a-z0-9]+", "-", "-".join(filter(None, words)).lower().replace(".", "")).strip("-")
                ident = next(name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, 99))) if name not in used)
                used.add(ident)
                yield ident if ident[0].isalpha() else f"in-{ident}", found, job


def wanted(paths: Iterable[str]) -> list[str]:
    """The files whose contents `propose` asks for, of all the paths of a tree."""
    listed = [path for path in paths if path.count("/") <= _DEEPEST + 1]
    named = [path for path in listed if path.rpartition("/")[2] in _READ or _REQUIREMENTS.search(path)]
    return [*named, *tests_to_read(listed)]


def propose(paths: Iterable[str], texts: Mapping[str, str], tools: Iterable[str] = ()) -> Proposal:
    """The pipeline for a repository that has none. `texts`: of the `wanted` files. `tools`: of TOOLS those that are installed.

    A proposal without jobs says in its notes why there is none.
    """
    tree = Tree(frozenset(paths), texts, frozenset(tools))
    at_root = _in(tree)
    if at_root:
        return _proposal(at_root, ())
    folders = list(_folders(tree))
    below = [replace(found, folder=folder) for folder in folders[:_MOST_FOLDERS] for found in _in(tree.below(folder))]
    more = (f"{len(folders) - _MOST_FOLDERS} more folders are left out",) if len(folders) > _MOST_FOLDERS else ()
    other = next((name for name in _OTHERS if name in tree), "")
    alone = (f"{other} is {_OTHERS[other]}'s, which Sparki proposes nothing for",) if other and not below else ()
    return _proposal(below, (*more, *alone))


def _proposal(found: list[Found], notes: tuple[str, ...]) -> Proposal:
    said = [f"{one.folder}: {note}" if one.folder else note for one in found for note in one.notes]
    return Proposal(tuple(one for one in found if one.jobs), (*said, *notes))


def _in(tree: Tree) -> list[Found]:
    """The stacks of one folder. A makefile beside others is their author's shorthand, and counts only where they come to nothing."""
    found = [one for detect in _DETECTORS if (one := detect(tree)) is not None]
    by_make = make.detect(tree)
    if by_make is None:
        return found
    if any(one.jobs for one in found):
        names = " and ".join(one.stack for one in found if one.jobs)
        return [*found, replace(by_make, jobs=(), notes=(f"{by_make.file} is not used: {names} says more about the project",))]
    return [*found, by_make]


def _folders(tree: Tree) -> Iterator[str]:
    """The folders below the root that may hold a project: near ones first, none inside another, none that is somebody else's."""
    markers = {*python.FILES, "package.json", "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "build.gradle.kts", *make.FILES}
    having = {path.rpartition("/")[0] for path in tree.paths if path.rpartition("/")[2] in markers}
    taken: list[str] = []
    for folder in sorted(having, key=lambda folder: (folder.count("/"), folder)):
        parts = folder.split("/")
        if len(parts) > _DEEPEST or not _NOT_OURS.isdisjoint(parts) or not all(_PLAIN.fullmatch(part) for part in parts):
            continue
        if not any(folder.startswith(f"{other}/") for other in taken):
            taken.append(folder)
            yield folder
