"""Reads out of the bytes of a git index what would otherwise cost a process.

Source of the format: git's Documentation/gitformat-index.txt.
"""

from __future__ import annotations

import struct

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
