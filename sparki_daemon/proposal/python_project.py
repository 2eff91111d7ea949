"""What the files of a Python project say about it: groups of dependencies, tools that are configured, the files that test."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.proposal.found import Tree

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # such a name can stand in a command as it is
_TEST_FILE = re.compile(r"(?:[\w.+-]+/)*(?:test_[\w.+-]*|tests?)\.py")
# unittest finds neither functions of a module nor what is decorated for pytest, and ends red where it finds nothing
_FOR_PYTEST = re.compile(r"^(?:(?:async )?def test_|import pytest\b|from pytest\b)", re.MULTILINE)
_MOST_TESTS_READ = 20
_PYTEST_FILE = re.compile(r"(?:[\w.+-]+/)*(?:test_[\w.+-]*|[\w.+-]+_test|tests?)\.py")
_BEST_GROUPS = ("test", "tests", "testing", "dev", "develop", "development")
_REQUIREMENTS = re.compile(
    r"(?:requirements/)?(?:requirements[-_.]?(?:dev|develop|test|tests|testing|ci)|(?:dev|test|tests|testing)[-_.]?requirements)\.(?:txt|in)\Z"
    r"|requirements/(?:dev|test|tests|testing|ci)\.txt\Z"
)


@dataclass(frozen=True)
class Group:
    """A set of dependencies: an extra, a dependency group (PEP 735), or one of poetry's."""

    name: str
    kind: str  # "extra", "group", "poetry"


class PythonProject:
    """One folder's. Raises ValueError for a pyproject.toml that is no TOML."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        try:
            self.pyproject: dict[str, Any] = tomllib.loads(tree.text("pyproject.toml"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"pyproject.toml can't be read: {error}") from error

    def table(self, *names: str) -> dict[str, Any]:
        """A table of pyproject.toml; empty where there is none."""
        found: Any = self.pyproject
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def is_package(self) -> bool:
        """Whether the folder itself can be installed."""
        tree = self.tree
        described = {"project", "build-system"} & self.pyproject.keys() or self.table("tool", "poetry")
        return bool(described) or "setup.py" in tree or "[metadata]" in tree.text("setup.cfg")

    @cached_property
    def groups(self) -> Mapping[Group, frozenset[str]]:
        """The names of the packages in each group, those of included groups too."""
        found: dict[Group, frozenset[str]] = {}
        named = self.table("dependency-groups")
        for name in named:
            found[Group(name, "group")] = frozenset(_in_group(named, name))
        for name, items in self.table("project", "optional-dependencies").items():
            found[Group(name, "extra")] = _names(items)
        poetry = self.table("tool", "poetry")
        for name, about in self.table("tool", "poetry", "group").items():
            packages = about.get("dependencies") if isinstance(about, dict) else None
            found[Group(name, "poetry")] = frozenset(map(str.lower, packages)) if isinstance(packages, dict) else frozenset()
        if isinstance(poetry.get("dev-dependencies"), dict):
            found[Group("dev", "poetry")] = frozenset(map(str.lower, poetry["dev-dependencies"]))
        return {group: names for group, names in found.items() if _PLAIN.fullmatch(group.name)}

    def group_with(self, package: str) -> Group | None:
        """The group that has a package: one that is named for tests before others."""
        having = [group for group, names in self.groups.items() if package in names]
        return min(having, key=lambda group: (_rank(group.name), list(self.groups).index(group)), default=None)

    @cached_property
    def requirements(self) -> tuple[str, ...]:
        """The files of requirements that tests may need, the project's own first."""
        plain = [name for name in ("requirements.txt",) if name in self.tree]
        return (*plain, *sorted(path for path in self.tree.paths if _REQUIREMENTS.match(path)))

    def requirements_with(self, package: str) -> str:
        """The first of them that names a package."""
        return next((path for path in self.requirements if package in _names(self.tree.text(path).splitlines())), "")

    @cached_property
    def test_files(self) -> tuple[str, ...]:
        """Files that unittest finds by their names; those alone whose paths can stand in a command and in a file as they are."""
        return tuple(sorted(path for path in self.tree.paths if _TEST_FILE.fullmatch(path)))

    @property
    def pytest_config(self) -> str:
        """The file that configures pytest, or shows that it is used."""
        tree = self.tree
        if "pytest" in self.table("tool"):
            return "pyproject.toml"
        for file, section in (("pytest.ini", "["), (".pytest.ini", "["), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]")):
            if section in tree.text(file):
                return file
        return next((path for path in sorted(tree.paths) if path.rpartition("/")[2] == "conftest.py"), "")

    @property
    def pytest_test(self) -> str:
        """The first of the test files that were read which only pytest can run; empty: none."""
        return next((path for path in tests_to_read(self.tree.paths) if _FOR_PYTEST.search(self.tree.text(path))), "")

    @property
    def tox_config(self) -> str:
        """The file that configures tox."""
        if "tox" in self.table("tool"):
            return "pyproject.toml"
        return self.tree.first("tox.ini", "tox.toml") or ("setup.cfg" if "[tox" in self.tree.text("setup.cfg") else "")

    @property
    def ruff_config(self) -> str:
        """The file that configures ruff."""
        return self.tree.first("ruff.toml", ".ruff.toml") or ("pyproject.toml" if "ruff" in self.table("tool") else "")


def tests_to_read(paths: Iterable[str]) -> list[str]:
    """The test files whose contents tell which program they are written for: some of them do."""
    found = (path for path in paths if _PYTEST_FILE.fullmatch(path))
    return sorted(found, key=lambda path: (path.count("/"), path))[:_MOST_TESTS_READ]


def _rank(name: str) -> int:
    return _BEST_GROUPS.index(name.lower()) if name.lower() in _BEST_GROUPS else len(_BEST_GROUPS)


def _names(items: Any) -> frozenset[str]:
    """The packages that requirements name, in lower case."""
    texts = [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
    return frozenset(found[1].lower() for text in texts if (found := _NAME.match(text)))


def _in_group(groups: Mapping[str, Any], name: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Source: PEP 735: names of groups are normalised, and a group may include others."""
    items = next((items for key, items in groups.items() if _same(key) == _same(name)), None)
    if not isinstance(items, list) or _same(name) in seen:
        return
    yield from _names(items)
    for item in items:
        included = item.get("include-group") if isinstance(item, dict) else None
        if isinstance(included, str):
            yield from _in_group(groups, included, seen | {_same(name)})


def _same(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
