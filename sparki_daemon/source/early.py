"""The source of one run, asked of git before anybody needs it: git works while its caller loads the rest of the program."""

from __future__ import annotations

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.repository import Finding, Repository
from sparki_daemon.source.snapshot import Snapshot, Taking


class EarlySource:
    """The repository of a folder, then the snapshot of its working tree. What goes wrong is told to whoever asks for the result."""

    def __init__(self, directory: str, objects: str) -> None:
        """`objects`: a folder for the snapshot's new objects, made if there are any."""
        self._objects = objects
        self._taking: Taking | None = None
        self._failed: SparkiError | None = None
        try:
            self._finding = Finding(directory)
        except SparkiError as error:
            self._failed = error
        self._repository: Repository | None = None

    def compare(self) -> None:
        """Have git compare the working tree with its commit, once it has found the repository."""
        try:
            self._taking = Taking(self.repository(), self._objects)
        except SparkiError as error:
            self._failed = error

    def repository(self) -> Repository:
        """What `repository.find` gives, and raises."""
        if self._failed:
            raise self._failed
        if self._repository is None:
            self._repository = self._finding.finish()
        return self._repository

    def snapshot(self) -> Snapshot:
        """What `snapshot.take` gives, and raises."""
        if self._failed:
            raise self._failed
        return (self._taking or Taking(self.repository(), self._objects)).finish()
