"""Reads out of the bytes of a git index what would otherwise cost a process, and notes there what was seen of files.

Source of the format: git's Documentation/gitformat-index.txt.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator

from sparki_daemon.system import digest as digests

_GITLINK_MODE = b"\x00\x00\xe0\x00"  # 0160000, big-endian, as an entry holds it


def extension(index: bytes, signature: bytes, id_bytes: int) -> bytes | None:
    """The content of one extension, or None. `id_bytes`: 20 for SHA-1, 32 for SHA-256.

    Entries have no end mark, so a candidate counts only if the extensions that follow it reach exactly to the checksum.
    """
    end = len(index) - id_bytes
    at = index.rfind(signature, 0, max(end, 0))
    while at >= 0:
        if _chain_reaches(index, at, end):
            (size,) = struct.unpack_from(">I", index, at + 4)
            return index[at + 8 : at + 8 + size]
        at = index.rfind(signature, 0, at)
    return None


def _chain_reaches(index: bytes, at: int, end: int) -> bool:
    while at + 8 <= end:
        (size,) = struct.unpack_from(">I", index, at + 4)
        at += 8 + size
    return at == end


def shared_index(index: bytes, id_bytes: int) -> str | None:
    """The id of the shared index that a split index rests on, or None."""
    link = extension(index, b"link", id_bytes)
    return link[:id_bytes].hex() if link and any(link[:id_bytes]) else None


def may_hold_gitlinks(index: bytes) -> bool:
    """Whether a submodule may be among the entries: never a wrong no, a wrong yes costs a process."""
    if index[4:8] not in (b"\x00\x00\x00\x02", b"\x00\x00\x00\x03"):
        return _GITLINK_MODE in index
    at = index.find(_GITLINK_MODE, 12)
    while at >= 0:
        if at % 8 == 4:  # entries begin at 12 + 8n, their mode stands 24 bytes in
            return True
        at = index.find(_GITLINK_MODE, at + 1)
    return False


def may_hold_attributes(index: bytes) -> bool:
    """Whether a .gitattributes may be among the entries."""
    return b"attributes\0" in index  # version 4 cuts prefixes that names share, never the end of a name


# -- what it notes of each file --------------------------------------------------------------------------------------------

_SEEN = struct.Struct(">10I")  # times of state and of content, device, inode, mode, owner, group, size: the beginning of an entry
_BITS = 0xFFFFFFFF  # of each, that much is held
_SIZE_AT, _FLAGS_AT, _PATH_AT = 36, 60, 62
_NAME_MASK = 0x0FFF
_SECOND_NS = 1_000_000_000


def places(index: bytes | bytearray) -> Iterator[tuple[str, int]]:
    """(path, where its entry begins) for each; none for an index that is not of version 2 or is not plain.

    Raises struct.error, ValueError, IndexError for what is no index.
    """
    signature, version, count = struct.unpack_from(">4sII", index)
    if signature != b"DIRC" or version != 2:  # git writes the others where it is asked to
        return
    at = 12
    for _ in range(count):
        (flags,) = struct.unpack_from(">H", index, at + _FLAGS_AT)
        begin, length = at + _PATH_AT, flags & _NAME_MASK
        end = index.index(b"\0", begin) if length == _NAME_MASK else begin + length
        yield os.fsdecode(bytes(index[begin:end])), at
        at += (end - at + 8) // 8 * 8


def size_at(index: bytes | bytearray, place: int) -> int:
    """The size that an entry notes, which is less than it was for files of 4 GiB and more."""
    return int.from_bytes(index[place + _SIZE_AT : place + _SIZE_AT + 4], "big")


def is_seen_at(index: bytes | bytearray, place: int, about: os.stat_result) -> bool:
    """Whether a file is, by all that git notes of one, what it was when the entry was written."""
    return index[place : place + _SEEN.size] == _seen(about)


def see_at(index: bytearray, place: int, about: os.stat_result) -> None:
    """Note of a file that it is so now."""
    index[place : place + _SEEN.size] = _seen(about)


def sealed(index: bytearray) -> bytes:
    """An index of SHA-1 that was changed, with the checksum that it has now."""
    return bytes(index[:-20]) + digests.new("sha1", bytes(index[:-20])).digest()


def _seen(about: os.stat_result) -> bytes:
    mode = stat.S_IFMT(about.st_mode)
    if mode == stat.S_IFREG:
        mode |= 0o755 if about.st_mode & 0o100 else 0o644
    times = (*divmod(about.st_ctime_ns, _SECOND_NS), *divmod(about.st_mtime_ns, _SECOND_NS))
    others = (about.st_dev, about.st_ino, mode, about.st_uid, about.st_gid, about.st_size)
    return _SEEN.pack(*(value & _BITS for value in (*times, *others)))
