"""Finds the git repository that a path is in, and what is checked out there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source import git

_SEPARATOR = "--sparki-next"  # rev-parse echoes flags that it does not know: keeps answers apart that hold a line end
_QUESTIONS = (
    ("--is-bare-repository",),
    ("--absolute-git-dir",),
    ("--path-format=absolute", "--git-common-dir"),
    ("--show-object-format",),
    ("--show-toplevel",),
    ("HEAD",),
    ("HEAD^{tree}",),
    ("--symbolic-full-name", "HEAD"),
)
_REV_PARSE = ["rev-parse", *(word for question in _QUESTIONS for word in (*question, _SEPARATOR))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository with a working tree, as it stood when it was found. Paths are absolute."""

    root: str  # of the working tree
    git_dir: str  # differs from common_dir in a linked worktree
    common_dir: str
    object_format: str = "sha1"
    head: str | None = None  # commit id; None: no commit yet
    tree: str | None = None  # of head
    branch: str | None = None  # full ref name; None: detached
    # Every setting that counts here (system, user, repository), keys as git prints them, the last value. May hold credentials in URLs.
    config: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    # Set: this is the bare repository that `sparki bind` made for that one; `root` is its folder then, so that git finds it there.
    bound_to: Repository | None = field(default=None, repr=False, compare=False)

    @property
    def project_dir(self) -> str:
        """The common folder that a project is kept for."""
        return (self.bound_to or self).common_dir

    @property
    def folder_name(self) -> str:
        """What the user calls the folder of the working tree."""
        return os.path.basename((self.bound_to or self).root)

    @property
    def objects(self) -> str:
        """The repository's own object folder."""
        return os.path.join(self.common_dir, "objects")

    @property
    def is_partial(self) -> bool:
        """Whether objects may be missing here that a remote has promised."""
        return "extensions.partialclone" in self.config or any(
            key.startswith("remote.") and key.endswith(".promisor") and value.lower() in ("true", "1", "yes", "on", "")
            for key, value in self.config.items()
        )


def find(path: str) -> Repository:
    """The repository that the folder `path` is in.

    Raises SparkiError: `no_repository`, `bare_repository`, `unsafe_repository` (it is somebody else's), `git_missing`, `no_such_folder`.
    """
    return Finding(path).finish()


class Finding:
    """`find` under way: git answers while its caller does something else. Raises as that does, `finish` too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._asked = git.start(_REV_PARSE, cwd=path)
        self._settings = git.start(["config", "--list", "-z", "--includes"], cwd=path)

    def finish(self) -> Repository:
        """Wait for git's answers."""
        return _repository(self._path, self._asked.finish(), self._settings.finish())


def _repository(path: str, answer: git.Result, listed: git.Result) -> Repository:
    parts = _answers(answer.out)
    _refuse_what_has_no_worktree(path, answer, parts)
    git_dir, common_dir, object_format, root = parts[1:5]
    known = [part for part in parts[5:] if part]
    born = answer.code == 0 and len(known) == 3
    if not born and known != ["HEAD"]:  # git echoes the name where there is no commit yet; anything else is damage
        raise SparkiError(git.problem_of(answer))
    branch = known[2] if born and known[2] != "HEAD" else None
    return Repository(
        root=root,
        git_dir=git_dir,
        common_dir=common_dir,
        object_format=object_format,
        head=known[0] if born else None,
        tree=known[1] if born else None,
        branch=branch if born else _unborn_branch(git_dir),
        config=_settings(listed.out),
    )


def _answers(out: bytes) -> list[str]:
    text = os.fsdecode(out)
    return [part.removesuffix("\n") for part in text.split(_SEPARATOR + "\n")]


def _refuse_what_has_no_worktree(path: str, answer: git.Result, parts: list[str]) -> None:
    if parts[0] == "true":
        message = f"{path} is a bare repository: it has no working tree"
        raise SparkiError(Problem(code="bare_repository", message=message, hint="run it in a clone or a worktree of this repository"))
    if len(parts) < 6:
        if "dubious ownership" in answer.err:
            raise SparkiError(git.problem_of(answer))
        if "not a git repository" in answer.err or "must be run in a work tree" in answer.err:
            hint = "run it inside a git repository, or start one with `git init`"
            raise SparkiError(Problem(code="no_repository", message=f"{path} is not in the working tree of a git repository", hint=hint))
        raise SparkiError(git.problem_of(answer))


def _unborn_branch(git_dir: str) -> str | None:
    """The branch that the first commit will be on: rev-parse cannot say it, the file can."""
    try:
        with open(os.path.join(git_dir, "HEAD"), encoding="utf-8", errors="surrogateescape") as file:
            head = file.read().strip()
    except OSError:
        return None
    return head.removeprefix("ref: ") if head.startswith("ref: ") else None


def _settings(listed: bytes) -> dict[str, str]:
    """`git config --list -z`: key, line end, value, NUL; a key alone means true."""
    settings: dict[str, str] = {}
    for entry in os.fsdecode(listed).split("\0"):
        if entry:
            key, sign, value = entry.partition("\n")
            settings[key] = value if sign else "true"
    return settings
