"""Begins a `sparki ci`: sets git and the first runner to work, and loads the rest of the program meanwhile."""

# ruff: noqa: PLC0415  # the order in which this is loaded is the point

from __future__ import annotations

import os

from sparki_daemon.ci.folders import Folders, sweep
from sparki_daemon.ci.nursery import Nursery
from sparki_daemon.source.early import EarlySource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sparki_daemon.ci.run import Bench


def begin(directory: str, *, cache: str = "", at_commit: bool = False) -> Bench:
    """A bench for one run of `directory`. `cache`: see `Bench`. `at_commit`: the run is not of the working tree. Raises OSError."""
    sweep()
    begun = Begun(directory)
    try:
        import sparki_daemon.engine.ledger  # noqa: F401  # while git finds the repository; and what runners need too is loaded once

        begun.nursery.begin()
        if not at_commit:
            begun.source.compare()
        from sparki_daemon.ci.run import Bench  # while git compares the working tree with its commit, and the runner loads the rest

        return Bench(begun, cache=cache)
    except BaseException:
        begun.close()
        raise


class Begun:
    """What is under way: folders, the source, the first runner."""

    def __init__(self, directory: str) -> None:
        self.folders = Folders()
        try:
            self.nursery = Nursery(self.folders.home)
        except BaseException:
            self.folders.remove()
            raise
        self.source = EarlySource(directory, os.path.join(self.folders.home, "snapshots", os.urandom(8).hex()))

    def close(self) -> list[str]:
        """End what was born, and remove the folders; gives what could not be removed, as messages."""
        self.folders.clear()  # most of it while the runners end
        self.nursery.close()
        return self.folders.remove()
