"""A git folder of our own beside the user's working tree, so that staging it can't touch the user's repository."""

from __future__ import annotations

import contextlib
import itertools
import os
from types import TracebackType
from typing import Self

from sparki_daemon.source import git
from sparki_daemon.source.index_file import extension, may_hold_attributes, shared_index
from sparki_daemon.source.objects import ID_BYTES
from sparki_daemon.source.repository import Repository

# The settings that decide which files count and how they compare. No filter, hook, alias, include or remote is among them.
_COPIED = (
    "core.excludesfile", "core.attributesfile", "core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode",
    "core.protecthfs", "core.protectntfs", "core.trustctime", "core.checkstat", "core.bigfilethreshold", "core.autocrlf", "core.eol",
    "core.checkroundtripencoding", "core.sparsecheckout", "core.sparsecheckoutcone",
)  # fmt: skip
# The last word of all attributes: no clean filter, so no foreign program runs and LFS files are taken with their content.
_NO_FILTERS = b"\n* -filter\n"
_numbers = itertools.count()


class Scratch:
    """A git folder with a copy of the user's index, for one snapshot. A context manager.

    It lies in `objects_dir`, which is made if missing; new objects are written there. Both are gone afterwards, the latter if it is
    empty. Raises SparkiError `disk_full`, `cannot_write`.
    """

    def __init__(self, repository: Repository, objects_dir: str) -> None:
        self._repository = repository
        self._objects_dir = os.path.abspath(objects_dir)
        self.folder = os.path.join(self._objects_dir, f"taking-{os.getpid()}-{next(_numbers)}")
        self.index = os.path.join(self.folder, "index")
        self.original = b""  # the user's index; empty: there is none

    def __enter__(self) -> Self:
        try:
            os.makedirs(self.folder)
            for name in ("refs", "info"):
                os.mkdir(os.path.join(self.folder, name))
            self._write("HEAD", (self._repository.head or "ref: refs/heads/none").encode() + b"\n")
            self._write("config", self._config().encode("utf-8", "surrogateescape"))
            info = os.path.join(self._repository.common_dir, "info")
            self._write("info/attributes", _read(os.path.join(info, "attributes")) + _NO_FILTERS)
            self._write("info/exclude", _read(os.path.join(info, "exclude")) + self._own_folder())
            self._copy(os.path.join(self._repository.git_dir, "info", "sparse-checkout"), "info/sparse-checkout")
            self._copy_index()
        except OSError as error:
            _remove(self.folder)
            raise git.os_problem(error, "the snapshot can't be kept") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _remove(self.folder)
        with contextlib.suppress(OSError):  # with an object in it, it stays
            os.rmdir(self._objects_dir)

    def _copy_index(self) -> None:
        """Bring the user's index as it is now, with its time: git compares it with the files' to find what may have changed unseen."""
        path = os.path.join(self._repository.git_dir, "index")
        try:
            with open(path, "rb") as file:
                self.original, time = file.read(), os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            self.original = b""
            return
        self._write("index", self.original)
        os.utime(self.index, ns=(time, time))
        shared = shared_index(self.original, ID_BYTES[self._repository.object_format])
        if shared:
            self._copy(os.path.join(self._repository.git_dir, f"sharedindex.{shared}"), f"sharedindex.{shared}")

    def env(self, *, with_objects: bool) -> dict[str, str]:
        """What points git here. `with_objects`: the user's objects are in sight. Where git writes they must not be: it would
        freshen the times of those that it is asked to write again.
        """
        env = {
            **git.ISOLATED,
            "GIT_DIR": self.folder,
            "GIT_WORK_TREE": self._repository.root,
            "GIT_INDEX_FILE": self.index,
            "GIT_OBJECT_DIRECTORY": self._objects_dir,
        }
        return {**env, "GIT_ALTERNATE_OBJECT_DIRECTORIES": git.in_list(self._repository.objects)} if with_objects else env

    def is_sparse(self) -> bool:
        """Whether the index holds folders in place of their files: then git must read trees to write one."""
        return extension(self.original, b"sdir", ID_BYTES[self._repository.object_format]) is not None

    def _own_folder(self) -> bytes:
        """A line that leaves out this very folder, where somebody keeps Sparki's state in the working tree."""
        inside = os.path.relpath(self._objects_dir, self._repository.root)
        if inside.startswith("..") or "\n" in inside:
            return b""
        escaped = "".join("\\" + character if character in "\\*?[ " else character for character in inside)
        return os.fsencode(f"\n/{escaped}/\n")

    def attributes_count(self) -> bool:
        """Whether git may convert content between the files and the tree here."""
        config = self._repository.config
        return (
            config.get("core.autocrlf", "false") != "false"
            or "core.attributesfile" in config
            or may_hold_attributes(self.original)
            or os.path.exists(os.path.join(self._repository.root, ".gitattributes"))
            or os.path.exists(os.path.join(self._repository.common_dir, "info", "attributes"))
            or os.path.exists(_user_attributes())
        )

    def _config(self) -> str:
        lines = [
            "[core]",
            "repositoryformatversion = 1",
            "bare = false",
            "[extensions]",
            f"objectFormat = {self._repository.object_format}",
        ]
        for key in _COPIED:
            if key in self._repository.config:
                section, _, name = key.partition(".")
                lines += [f"[{section}]", f"{name} = {git.quoted(self._repository.config[key])}"]
        return "\n".join(lines) + "\n"

    def _write(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def _copy(self, source: str, name: str) -> None:
        data = _read(source)
        if data:
            self._write(name, data)


def _user_attributes() -> str:
    """Where git looks when core.attributesFile isn't set."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME", "/"), ".config")
    return os.path.join(config, "git", "attributes")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _remove(folder: str) -> None:
    """Remove a folder that holds files and folders of ours; what can't be removed is left to the sweep of old snapshots."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(folder)
    except OSError:
        return
