"""A release's files: unpacked once from the release's own archive, checked, and there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from sparki_daemon.loco.adapters.process.comparing import changed
from sparki_daemon.loco.protocol import StepFailed
from sparki_daemon.system import files
from sparki_daemon.system.links import outward

CHUNK_BYTES = 1 << 20
SHOWN = 5  # files that are named
T = TypeVar("T")


def release_folder(folder: str, release: str) -> str:
    """Where a release's files lie in an environment's folder."""
    return os.path.join(folder, "releases", release)


def ship(
    folder: str,
    release: str,
    artifact: Mapping[str, Any],
    tell: Callable[[str], None] = lambda _: None,
    *,
    deployment: str = "",
    stopped: Callable[[], bool] = lambda: False,
) -> str:
    """Have the release's files in its folder, and say which that is. Raises StepFailed, also when it is `stopped` before they are there.

    Of one that is there already, what was changed or removed since comes back; what its service has added stays.
    """
    whole = release_folder(folder, release)
    if os.path.isdir(whole):
        _restore(whole, release, artifact, tell, stopped)
        return whole
    half = _half(whole)
    files.remove_tree(half)
    try:
        os.makedirs(half, mode=0o700)
        with open(artifact["path"], "rb") as archive:
            _check(archive, str(artifact["digest"]), release, stopped)
            archive.seek(0)
            with tarfile.open(fileobj=archive, mode="r:*") as packed:
                _check_links(packed, release)
                members = _until(stopped, packed)
                packed.extractall(half, members=members, filter=_as_it_is)  # noqa: S202  # tarfile's own, but for links, which were checked
        os.sync()
        if deployment:
            files.write_atomic(_by(whole), deployment.encode())
        os.rename(half, whole)
        files.sync_folder(os.path.dirname(whole))
    except FileNotFoundError:
        files.remove_tree(half)
        raise StepFailed(f"the files of release {release} are gone: it was pruned; deploy the commit anew") from None
    except (OSError, tarfile.TarError) as error:
        files.remove_tree(half)
        raise StepFailed(f"release {release} can't be unpacked: {error}") from error
    except BaseException:
        files.remove_tree(half)
        raise
    return whole


def take_away(folder: str, release: str, deployment: str) -> list[str]:
    """Remove what the deployment has shipped, and nothing that was there before it; what could not be removed, as messages."""
    whole = release_folder(folder, release)
    left = files.remove_tree(_half(whole))
    try:
        with open(_by(whole), "rb") as by:
            its = by.read() == deployment.encode()
        return forget(folder, release) if its else left
    except FileNotFoundError:
        return left
    except OSError as error:
        return [*left, f"{whole}: {error.strerror}"]


def forget(folder: str, release: str) -> list[str]:
    """Remove a release's files; what could not be removed, as messages. Killed in the middle of it, the half that is left is none."""
    whole = release_folder(folder, release)
    half = _half(whole)
    left = files.remove_tree(half)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.rename(whole, half)
            left = files.remove_tree(half)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_by(whole))
    except OSError as error:
        return [*left, f"{whole}: {error.strerror}"]
    return left


def _half(whole: str) -> str:
    """Where the files lie until they are all there."""
    return f"{whole}.new"


def _by(whole: str) -> str:
    """The file that names the deployment which has shipped them."""
    return f"{whole}.by"


def _until(stopped: Callable[[], bool], these: Iterable[T]) -> Iterator[T]:
    """Each of them. Raises StepFailed once it is to stop."""
    for one in these:
        if stopped():
            raise StepFailed("it was stopped")
        yield one


def _restore(whole: str, release: str, artifact: Mapping[str, Any], tell: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    half = _half(whole)
    try:
        with open(artifact["path"], "rb") as archive, tarfile.open(fileobj=archive, mode="r:*") as packed:
            found = [member for member, _ in changed(packed, whole)]
            if not found:
                return
            archive.seek(0)
            _check(archive, str(artifact["digest"]), release, stopped)
            files.remove_tree(half)
            packed.extractall(half, members=found, filter=_as_it_is)  # noqa: S202  # as above
        for member in found:
            _put(half, whole, member.name)
        tell(f"put back as shipped, for it was changed on disk: {', '.join(member.name for member in found[:SHOWN])}{_more(len(found))}")
    except FileNotFoundError:
        tell("its archive is gone, so its files were not compared")
    except (OSError, tarfile.TarError) as error:
        raise StepFailed(f"release {release} can't be put back as it was shipped: {error}") from error
    finally:
        files.remove_tree(half)


def _put(half: str, whole: str, name: str) -> None:
    """Move one file into its place, whole; what has taken the place of a folder on the way to it goes."""
    at = whole
    for part in name.split("/")[:-1]:
        at = os.path.join(at, part)
        if os.path.islink(at) or not os.path.isdir(at):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(at)
            os.mkdir(at)
    place = os.path.join(whole, name)
    if os.path.isdir(place) and not os.path.islink(place):
        files.remove_tree(place)
    os.replace(os.path.join(half, name), place)


def _more(count: int) -> str:
    return f" and {count - SHOWN} more" if count > SHOWN else ""


def _check_links(packed: tarfile.TarFile, release: str) -> None:
    """The engine refuses such a tree before it makes a release of it; an older release may have one."""
    for path, target in outward({member.name: member.linkname for member in packed if member.issym()}).items():
        raise StepFailed(f"the files of release {release} have a symbolic link that leads out of them: '{path}', to '{target}'")


def _as_it_is(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """A link as git has it: tarfile's own filter also writes it anew (`./a` as `a`), and refuses by what is unpacked so far."""
    return member if member.issym() else tarfile.data_filter(member, folder)


def _check(archive: Any, digest: str, release: str, stopped: Callable[[], bool]) -> None:
    found = hashlib.sha256()
    for piece in _until(stopped, iter(lambda: archive.read(CHUNK_BYTES), b"")):
        found.update(piece)
    if found.hexdigest() != digest.removeprefix("sha256:"):
        raise StepFailed(f"the archive of release {release} is damaged: its digest is another than the release's")
