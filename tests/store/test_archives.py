"""Archives of releases: whole or not at all, once a content, gone when nobody needs them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from sparki_daemon.store.archives import Archives


def writes(data: bytes):
    def write(out: BinaryIO) -> None:
        out.write(data)

    return write


def test_an_archive_is_named_by_its_content_and_can_not_be_written(tmp_path: Path) -> None:
    kept = Archives(str(tmp_path / "releases")).keep(writes(b"hello"))

    assert kept.digest == hashlib.sha256(b"hello").hexdigest()
    assert kept.size_bytes == 5
    assert Path(kept.path).read_bytes() == b"hello"
    assert os.stat(kept.path).st_mode & 0o222 == 0


def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    archives = Archives(str(tmp_path))

    assert archives.keep(writes(b"hello")) == archives.keep(writes(b"hello"))
    assert len(os.listdir(tmp_path)) == 1


def test_one_that_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    def fails(out: BinaryIO) -> None:
        out.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Archives(str(tmp_path)).keep(fails)
    assert os.listdir(tmp_path) == []


def test_what_nobody_needs_goes_and_so_does_what_a_dead_writer_left(tmp_path: Path) -> None:
    archives = Archives(str(tmp_path))
    kept, other = archives.keep(writes(b"kept")), archives.keep(writes(b"other"))
    (tmp_path / ".begun-0123").write_bytes(b"half")

    assert archives.drop_unused({kept.digest}) == [other.digest]
    assert os.listdir(tmp_path) == [os.path.basename(kept.path)]


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    archives = Archives(str(tmp_path))

    def write(out: BinaryIO) -> None:
        assert archives.drop_unused(set()) == []
        out.write(b"hello")

    assert os.path.exists(archives.keep(write).path)
