"""The folders of a job: made before its first step, gone after its last."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable

from sparki_daemon.system.files import remove_tree

IN_WORK = ("workspace", "home", "tmp")
FILLED = ".source"  # in a work folder: a workspace that an earlier job left, as git had filled it
ENV_FILES = ("output", "env", "path", "state", "step_summary")


class Folders:
    """Makes and removes the folders of one job after the other.

    Folders that a job left as it got them are moved on to the next one: on ext4 that takes 0.03 ms, making and removing them 0.45.
    """

    def __init__(self, name: str) -> None:
        self._spare_name = f".spare-{name}"
        self._spares: set[str] = set()

    def make(self, work: str, temp: str, *, again: bool = False) -> None:
        """Make `work` with workspace, home and tmp in it, and `temp`, for the owner only, with the files that steps write to.

        What lies there from a former attempt goes first, but for what `work` has where the job goes on in it `again`. Raises OSError.
        """
        if again:  # people may have worked in it, and may still
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{work}/{FILLED}.index")
        elif not self._take(work, _beside_run(work), 0o755):
            for name in IN_WORK:
                os.mkdir(f"{work}/{name}", 0o755)
        if not self._take(temp, os.path.dirname(temp), 0o700):
            for name in ENV_FILES:
                os.close(os.open(f"{temp}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def put_away_temp(self, temp: str) -> None:
        """Remove a job's temp folder, or keep it for the next job where it is as it was made; before the job's end is told."""
        with contextlib.suppress(OSError):  # the one file that each job gets anew
            os.unlink(f"{temp}/npmrc")
        if not self._keep(temp, os.path.dirname(temp), 0o700, ENV_FILES, _is_empty_file):
            _remove(temp)

    def put_away_work(self, work: str) -> None:
        """The same for its work folder; it may be large, so after the job's end was told.

        What git had put into its workspace is kept for the next job too, as far as the job has not touched it.
        """
        if os.path.lexists(f"{work}/{FILLED}.index"):
            kept = self._keep_filled(work)
        else:
            kept = self._keep(work, _beside_run(work), 0o755, IN_WORK, _is_empty_folder)
        if not kept:
            _remove(work)

    def close(self) -> None:
        """Remove the spare ones."""
        for spare in self._spares:
            remove_tree(spare)
        self._spares.clear()

    def _take(self, path: str, beside: str, mode: int) -> bool:
        """Put the spare folder at `path`; False: there is none, and an empty folder was made."""
        spare = os.path.join(beside, self._spare_name)
        if spare in self._spares:
            self._spares.discard(spare)
            with contextlib.suppress(OSError):  # somebody swept it, or an older attempt's folder is in the way
                os.rename(spare, path)
                return True
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            _remove(path)
            os.mkdir(path, mode)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.mkdir(path, mode)
        return False

    def _keep_filled(self, work: str) -> bool:
        """Keep a work folder that was filled from the source; False: it is to be removed.

        It is moved first: at the end of its run the engine removes what lies in the run's folder.
        """
        spare = os.path.join(_beside_run(work), self._spare_name)
        try:
            if spare in self._spares or os.lstat(work).st_mode != stat.S_IFDIR | 0o755:
                return False
            os.rename(work, spare)
        except OSError:
            return False
        try:
            _leave_filled(spare)
        except OSError:  # what can't be removed must not be met by another job
            _remove(spare)
        else:
            self._spares.add(spare)
        return True

    def _keep(self, path: str, beside: str, mode: int, names: tuple[str, ...], is_clean: Callable[[os.DirEntry[str]], bool]) -> bool:
        spare = os.path.join(beside, self._spare_name)
        try:
            if stat.S_IMODE(os.stat(path).st_mode) != mode or spare in self._spares:
                return False
            with os.scandir(path) as entries:
                found = list(entries)
            if len(found) != len(names) or not all(entry.name in names and is_clean(entry) for entry in found):
                return False
            os.rename(path, spare)
        except OSError:
            return False
        self._spares.add(spare)
        return True


def _remove(path: str) -> None:
    """Remove a job's folder; what a step has put in its place goes alone, and not what a link leads to."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    else:
        remove_tree(path)


def _beside_run(work: str) -> str:
    """The folder that holds those of the runs: one spare serves all runs, and outlives them."""
    return os.path.dirname(os.path.dirname(work))


def _leave_filled(work: str) -> None:
    """Leave nothing of a job in its work folder but what git had put into its workspace, aside. Raises OSError.

    What lies aside already, since the job took no source, stays: it is looked at when it is taken.
    """
    from sparki_daemon.source import filled  # noqa: PLC0415  # many runners never see one

    kept, workspace = f"{work}/{FILLED}", f"{work}/workspace"
    keeps = os.path.lexists(kept)
    if not keeps and filled.tidy(workspace, kept):
        os.rename(workspace, kept)
        keeps = True
    staying = (FILLED, filled.index_of(FILLED)) if keeps else ()
    with os.scandir(work) as entries:
        found = list(entries)
    for entry in found:
        if entry.name not in staying and not (entry.name in IN_WORK and _is_empty_folder(entry)):
            _remove(entry.path)
    for name in IN_WORK:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{work}/{name}", 0o755)
    with os.scandir(work) as entries:
        for entry in entries:
            if entry.name not in staying and not _is_empty_folder(entry):
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), entry.path)


def _is_empty_file(entry: os.DirEntry[str]) -> bool:
    found = entry.stat(follow_symlinks=False)
    return found.st_size == 0 and found.st_mode == stat.S_IFREG | 0o600 and found.st_nlink == 1


def _is_empty_folder(entry: os.DirEntry[str]) -> bool:
    return entry.stat(follow_symlinks=False).st_mode == stat.S_IFDIR | 0o755 and not os.listdir(entry.path)
