"""What a detector finds: jobs of plain steps, each with the reason for it."""

from __future__ import annotations

from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    """A command, or an action without one. `why` names the file that asks for it."""

    command: str
    why: str
    uses: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """`kind` is what it does: "test" or "lint". `junit`: where its steps leave test reports, as patterns from the folder."""

    kind: str
    steps: tuple[Step, ...]
    junit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One stack in one folder. Without jobs: `notes` says why nothing can be proposed for it."""

    stack: str  # "Python"
    file: str  # by which it was known, from the folder
    jobs: tuple[Job, ...] = ()
    notes: tuple[str, ...] = ()
    folder: str = ""  # from the repository's root; "": the root itself

    @property
    def by(self) -> str:
        """The file's path from the root."""
        return f"{self.folder}/{self.file}" if self.folder else self.file


@dataclass(frozen=True, slots=True)
class Tree:
    """The files below one folder, by their paths from it, and the texts of those that were read."""

    paths: frozenset[str]
    texts: Mapping[str, str]
    tools: frozenset[str] = frozenset()  # of the programs that a proposal may choose among, those that are there

    def __contains__(self, path: str) -> bool:
        return path in self.paths

    def text(self, path: str) -> str:
        """The content of a file; empty where it is none, or was not read."""
        return self.texts.get(path, "")

    def first(self, *names: str) -> str:
        """The first of the files that is there; empty: none is."""
        return next((name for name in names if name in self.paths), "")

    def below(self, folder: str) -> Tree:
        """The same of a folder in it."""
        start = f"{folder}/"
        texts = {path.removeprefix(start): text for path, text in self.texts.items() if path.startswith(start)}
        return Tree(frozenset(path.removeprefix(start) for path in self.paths if path.startswith(start)), texts, self.tools)
