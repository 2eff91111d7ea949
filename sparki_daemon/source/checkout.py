"""What actions/checkout does, natively: its inputs, and the revision that they ask for, to a filled folder.

Source: actions/checkout, action.yml and src/input-helper.ts (v5).
"""

from __future__ import annotations

from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source.bound import repository_of
from sparki_daemon.source.remote import read_remote, remote_name, remote_url
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import Snapshot, at_revision
from sparki_daemon.source.sparse import cone_patterns
from sparki_daemon.source.workspace import Submodules, fill, refuse_outside

_HEADS = "refs/heads/"
_TAGS = "refs/tags/"
_TRUE = "TRUE"
_FLAGS = {"clean": _TRUE, "lfs": "FALSE", "fetch-tags": "FALSE", "sparse-checkout-cone-mode": _TRUE}
_SUBMODULES = {_TRUE: Submodules.TOP, "RECURSIVE": Submodules.ALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The inputs of actions/checkout that count here, read.

    Not among them: filter, token, ssh-key, persist-credentials, set-safe-directory, github-server-url (nothing is fetched).
    `unread`: what has a value that the action does not know.
    """

    repository: str = ""  # "": this one
    ref: str = ""  # "": the run's own
    path: str = ""
    clean: bool = True
    submodules: Submodules = Submodules.NONE
    sparse_patterns: str | None = None
    lfs: bool = False
    fetch_depth: int = 1  # 0: all, with all tags
    fetch_tags: bool = False
    unread: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOut:
    """The outputs of actions/checkout, where the files are, and what a user should know."""

    ref: str
    commit: str
    folder: str
    notes: tuple[Problem, ...] = ()


def read_inputs(inputs: Mapping[str, str]) -> Wanted:
    """The inputs of a step by their names in lower case; what is missing or empty has the action's default."""
    given = {name.lower(): value.strip() for name, value in inputs.items()}
    sparse = [line.strip() for line in given.get("sparse-checkout", "").splitlines() if line.strip()]
    given_depth = given.get("fetch-depth") or "1"
    depth = _depth(given_depth)
    flags = {name: (given.get(name) or default).upper() for name, default in _FLAGS.items()}
    unread = [_unread(name, given[name], "false") for name, value in flags.items() if value not in {_TRUE, "FALSE"}]
    if given.get("submodules", "").upper() not in {"", "FALSE", *_SUBMODULES}:
        unread.append(_unread("submodules", given["submodules"], "false"))
    if depth is None:
        unread.append(_unread("fetch-depth", given_depth, "0, the whole history"))
    cone = flags["sparse-checkout-cone-mode"] == _TRUE
    patterns = (cone_patterns(sparse) if cone else "\n".join(sparse) + "\n") if sparse else None
    return Wanted(
        repository=given.get("repository", ""),
        ref=given.get("ref", ""),
        path=given.get("path", ""),
        clean=flags["clean"] == _TRUE,
        submodules=_SUBMODULES.get(given.get("submodules", "").upper(), Submodules.NONE),
        sparse_patterns=patterns,
        lfs=flags["lfs"] == _TRUE,
        fetch_depth=depth or 0,
        fetch_tags=flags["fetch-tags"] == _TRUE,
        unread=tuple(unread),
    )


def _depth(text: str) -> int | None:
    """A `fetch-depth`, cut to a whole number, less than nothing being 0. None: it is no number."""
    try:
        return max(0, int(float(text)))
    except (ValueError, OverflowError):
        return None


def _unread(name: str, value: str, counts_as: str) -> Problem:
    return Problem(code="bad_value", message=f"checkout's {name} is '{value}', which it does not know, and counts as {counts_as}")


def checkout(
    inputs: Mapping[str, str],
    snapshot: Snapshot,
    *,
    github: Mapping[str, object],
    workspace: str,
    objects_dir: str = "",
    detached: bool = False,
    kept: str = "",
) -> CheckedOut:
    """Fill `workspace`, or the folder below it that the inputs name, as actions/checkout would.

    `inputs`: those of the step. `github`: the context; its ref and repository count. `objects_dir`: unused but for a submodule's
    synthetic commit. `detached`: the snapshot is of no branch, whatever ref the context has.
    `kept`: where a filled workspace may lie, and is to be kept (see `fill`); only for the workspace itself.
    Raises SparkiError: `unmapped_repository`, `no_such_revision`, `path_outside_workspace`, and as `fill` does.
    """
    wanted = read_inputs(inputs)
    _refuse_others(wanted, str(github.get("repository", "")))
    folder = refuse_outside(workspace, wanted.path)
    repository = repository_of(snapshot)
    own, own_branch = str(github.get("ref", "")), None
    if own.startswith(_HEADS) and not detached:
        own_branch = own
    if wanted.ref in {"", own, (own_branch or "").removeprefix(_HEADS)}:
        source, ref, branch = snapshot, own or snapshot.commit, own_branch
        tag = own if own.startswith(_TAGS) else ""
    else:
        source, ref, branch, tag = _choose(wanted.ref, snapshot, repository, objects_dir)
    name = remote_name(repository.config, repository.branch)
    fill(
        source,
        folder,
        branch=branch,
        origin=read_remote(remote_url(repository.config, name), folder_name="").url,
        remote=name or "origin",
        submodules=wanted.submodules,
        clean=wanted.clean,
        sparse_patterns=wanted.sparse_patterns,
        depth=wanted.fetch_depth,
        tags=wanted.fetch_tags or wanted.fetch_depth == 0,
        tag=tag,
        kept="" if wanted.path else kept,
    )
    return CheckedOut(ref=ref, commit=source.commit, folder=folder, notes=(*source.notes, *wanted.unread, *_undone(wanted)))


def _refuse_others(wanted: Wanted, own: str) -> None:
    if wanted.repository and wanted.repository.lower() != own.lower():
        message = f"checkout of {wanted.repository}: only this repository ({own}) can be checked out here"
        hint = "put its content into this repository, or skip the step here with `if:`"
        raise SparkiError(Problem(code="unmapped_repository", message=message, hint=hint))


def _undone(wanted: Wanted) -> list[Problem]:
    if not wanted.lfs:
        return []
    message = "checkout's lfs is not honoured: files under Git LFS that are unchanged here are pointers in the workspace"
    return [Problem(code="lfs_pointers", message=message)]


def _choose(ref: str, snapshot: Snapshot, repository: Repository, objects_dir: str) -> tuple[Snapshot, str, str | None, str]:
    """(what to check out, its name, the branch that HEAD is on, or the tag that it is): a branch before a tag before any other revision."""
    if ref == snapshot.commit:
        return snapshot, ref, None, ""
    short = ref.removeprefix(_HEADS)
    remote = remote_name(repository.config, repository.branch) or "origin"
    for candidate in (_HEADS + short, f"refs/remotes/{remote}/{short}"):
        found = _found(repository, candidate, objects_dir)
        if found:
            return found, ref, _HEADS + short, ""
    tag = _TAGS + ref.removeprefix(_TAGS)
    tagged = _found(repository, tag, objects_dir)
    return tagged or at_revision(repository, ref, objects_dir), ref, None, tag if tagged else ""


def _found(repository: Repository, rev: str, objects_dir: str) -> Snapshot | None:
    try:
        return at_revision(repository, rev, objects_dir)
    except SparkiError as error:
        if error.problems[0].code == "no_such_revision":
            return None
        raise
