"""Makes and removes what `sparki bind` leaves: a bare repository of our own, a remote in the user's, hooks in both.

Each change can be made twice: a bind that was killed half way is finished by the next one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.source import git, hooks
from sparki_daemon.source.bound import OURS, Bind, bind_bytes, bind_file, git_dir_of, read_bind
from sparki_daemon.source.refs import read_refs
from sparki_daemon.source.remote import BOUND
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.system import files

_HOOK_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """How a hook starts sparki: `command`, its program an absolute path, with `variables`, of which None unsets one."""

    command: Sequence[str]
    variables: Mapping[str, str | None]


def make(home: str, project: str, own: Repository, remote: str, pre_push: Sequence[str], starting: Starting) -> Bind:
    """Bind the user's repository `own`: a remote named `remote` that leads to a bare repository in the state folder `home`.

    Raises SparkiError: `bad_remote_name`, `remote_exists`, `already_bound` (under another name), `no_such_remote`, `hooks_elsewhere`.
    """
    git_dir = git_dir_of(home, project)
    _refuse(own, remote, git_dir, pre_push)
    known = read_bind(git_dir)
    before = known.config_before if known and not known.unbound else _digest(own)
    bind = Bind(
        git_dir=git_dir,
        project=project,
        common_dir=own.common_dir,
        directory=own.root,
        remote=remote,
        pre_push=tuple(pre_push) or (known.pre_push if known and not known.unbound else ()),
        config_before=before,
    )
    try:
        if not os.path.isdir(git_dir):
            _make_bare(git_dir, own.object_format)
        os.makedirs(bind.pending, mode=0o700, exist_ok=True)
        text = hooks.post_receive(pending=bind.pending, project=project, command=starting.command, variables=starting.variables)
        _write_hook(os.path.join(git_dir, "hooks", "post-receive"), text)
        files.write_atomic(bind_file(git_dir), bind_bytes(bind))
        _add_remote(own, remote, git_dir, project)
        if bind.pre_push:
            _install_pre_push(own, bind.pre_push, starting)
    except OSError as error:
        raise git.os_problem(error, "the repository can't be bound") from error
    return bind


def unmake(bind: Bind) -> None:
    """Take the remote and the hook out of the user's repository, and mark the bare one: `remove` ends it."""
    files.write_atomic(bind_file(bind.git_dir), bind_bytes(replace(bind, unbound=True)))
    try:
        own = find(bind.directory)
    except SparkiError:
        return  # the user's repository is gone, and all that was in it
    if own.common_dir != bind.common_dir:
        return
    for name in _bound_remotes(own, bind.project):
        _forget_refs(own, name)
        git.run(["remote", "remove", name], cwd=own.root).checked()
    _mend_config(own, bind.config_before)
    for folder in ("refs/remotes", "logs/refs/remotes"):  # git leaves them behind; with another remote in them they stay
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(own.common_dir, folder))
    _restore_pre_push(own)


def _forget_refs(own: Repository, remote: str) -> None:
    """Delete what git noted of the remote's branches: `git remote remove` would leave an empty packed-refs where there was none."""
    noted = read_refs(own.common_dir, (f"refs/remotes/{remote}",))
    asked = b"".join(b"delete " + os.fsencode(ref) + b"\0\0" for ref in noted)
    git.run(["update-ref", "--no-deref", "-z", "--stdin"], cwd=own.root, stdin=asked).checked()


def remove(bind: Bind) -> list[str]:
    """Remove the bare repository; what could not be."""
    return files.remove_tree(bind.git_dir)


def _refuse(own: Repository, remote: str, git_dir: str, pre_push: Sequence[str]) -> None:
    if git.run(["check-ref-format", f"refs/remotes/{remote}/HEAD"], cwd=own.root).code or remote.startswith("-"):
        raise SparkiError(Problem(code="bad_remote_name", message=f"'{remote}' is no name for a remote", hint="letters and digits will do"))
    there = own.config.get(f"remote.{remote}.url")
    if there is not None and there != git_dir:
        message = f"there is a remote '{remote}' already, of another address"
        raise SparkiError(Problem(code="remote_exists", message=message, hint="choose another name: sparki bind --name NAME"))
    others = [name for name, value in _remotes(own).items() if value == git_dir and name != remote]
    if others:
        message = f"this repository is bound already: its remote is '{others[0]}'"
        raise SparkiError(Problem(code="already_bound", message=message, hint="sparki unbind first, for another name"))
    _refuse_pre_push(own, pre_push)


def _refuse_pre_push(own: Repository, pre_push: Sequence[str]) -> None:
    known = _remotes(own)
    for name in pre_push:
        if name not in known:
            hint = f"there are: {', '.join(known)}" if known else "git remote add first"
            problem = Problem(code="no_such_remote", message=f"there is no remote '{name}' here", hint=hint)
            raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    if pre_push and (elsewhere := _hooks_path(own)):
        message = f"the hooks of this repository lie in {elsewhere} (core.hooksPath), which Sparki leaves alone"
        raise SparkiError(Problem(code="hooks_elsewhere", message=message, hint="call `sparki run` from the pre-push hook there"))
    path, kept = _hooks(own)
    if pre_push and os.path.lexists(kept) and os.path.lexists(path) and not _is_ours(path) and not os.path.samefile(path, kept):
        message = f"there is a new pre-push hook, and {hooks.KEPT} still holds the one that was here before"
        raise SparkiError(Problem(code="hook_in_the_way", message=message, hint=f"decide which one stays, and remove {kept}"))


def _hooks_path(own: Repository) -> str:
    """What the user's settings have as core.hooksPath, and not what keeps our own git from running hooks."""
    told = git.run(["config", "--show-scope", "--get-all", "core.hooksPath"], cwd=own.root).out
    lines = [line.split("\t", 1) for line in os.fsdecode(told).splitlines()]
    return next((value for scope, value in reversed(lines) if scope != "command"), "")


def _remotes(own: Repository) -> dict[str, str]:
    return {
        key.removeprefix("remote.").removesuffix(".url"): value
        for key, value in own.config.items()
        if key.startswith("remote.") and key.endswith(".url")
    }


def _bound_remotes(own: Repository, project: str) -> list[str]:
    """The remotes of the repository that a bind made, whatever they are called now."""
    suffix = f".{BOUND}"
    found = (key for key, value in own.config.items() if key.startswith("remote.") and key.endswith(suffix) and value == project)
    return [key.removeprefix("remote.").removesuffix(suffix) for key in found]


def _make_bare(git_dir: str, object_format: str) -> None:
    """A bare repository, whole or not at all. The user's settings say nothing about it: no template, no hooks of everybody."""
    os.makedirs(os.path.dirname(git_dir), mode=0o700, exist_ok=True)
    making = f"{git_dir}.{os.urandom(6).hex()}.tmp"
    init = ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", making]
    git.run(init, cwd=os.path.dirname(git_dir), env=git.ISOLATED).checked()
    settings = {
        "receive.advertisePushOptions": "true",
        "core.hooksPath": os.path.join(git_dir, "hooks"),  # one of the user's, for all repositories, would hide ours
        "core.logAllRefUpdates": "true",  # what a force push leaves behind is kept as long as a run may want it
    }
    for name, value in settings.items():
        git.run(["config", "--file", os.path.join(making, "config"), name, value], cwd=making, env=git.ISOLATED).checked()
    os.makedirs(os.path.join(making, "hooks"), exist_ok=True)
    os.makedirs(os.path.join(making, OURS, "pending"), mode=0o700)
    os.rename(making, git_dir)


def _write_hook(path: str, text: str) -> None:
    files.write_atomic(path, text.encode("utf-8", "surrogateescape"), mode=_HOOK_MODE)


def _add_remote(own: Repository, remote: str, git_dir: str, project: str) -> None:
    if f"remote.{remote}.url" not in own.config:
        git.run(["remote", "add", remote, git_dir], cwd=own.root).checked()
    if own.config.get(f"remote.{remote}.{BOUND}") != project:
        git.run(["config", "--local", f"remote.{remote}.{BOUND}", project], cwd=own.root).checked()


# -- the user's config, as it was ------------------------------------------------------------------------------------------


def _config(own: Repository) -> bytes:
    with open(os.path.join(own.common_dir, "config"), "rb") as file:
        return file.read()


def _digest(own: Repository) -> str:
    """Of the config as it is now: its text may hold credentials, so it is not kept."""
    return hashlib.sha256(_config(own)).hexdigest()


def _mend_config(own: Repository, before: str) -> None:
    """Git ends the last line of a config that it writes to: where there was no line end before, it goes again."""
    now = _config(own)
    short = now.removesuffix(b"\n")
    if short != now and hashlib.sha256(short).hexdigest() == before:
        path = os.path.join(own.common_dir, "config")
        files.write_atomic(path, short, mode=os.stat(path).st_mode & 0o777)


# -- the pre-push hook -----------------------------------------------------------------------------------------------------


def _install_pre_push(own: Repository, remotes: Sequence[str], starting: Starting) -> None:
    path, kept = _hooks(own)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path) and not _is_ours(path) and not os.path.lexists(kept):
        os.link(path, kept, follow_symlinks=False)  # both names, so that a kill here leaves the user's hook in force
    _write_hook(path, hooks.pre_push(remotes=remotes, command=starting.command, variables=starting.variables))


def _restore_pre_push(own: Repository) -> None:
    path, kept = _hooks(own)
    if os.path.lexists(kept) and (_is_ours(path) or not os.path.lexists(path)):
        os.rename(kept, path)
    elif _is_ours(path):
        os.unlink(path)


def _hooks(own: Repository) -> tuple[str, str]:
    """The pre-push hook, and where one of the user's is kept meanwhile."""
    folder = os.path.join(own.common_dir, "hooks")
    return os.path.join(folder, "pre-push"), os.path.join(folder, hooks.KEPT)


def _is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return hooks.MARK.encode() in file.read(4096)
    except OSError:
        return False
