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
    at = index.rfind(signature, 0, end)
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


def cached_tree(index: bytes, id_bytes: int) -> str | None:
    """The tree id that the index stands for, where git has noted it; None after any staged change since (or with unmerged entries)."""
    tree = extension(index, b"TREE", id_bytes)
    if not tree or tree[0] != 0:  # the first record is the root: its path is empty
        return None
    line_end = tree.find(b"\n")
    count = tree[1:line_end].split(b" ")[0]
    if line_end < 0 or count.startswith(b"-"):
        return None
    return tree[line_end + 1 : line_end + 1 + id_bytes].hex()


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


def may_need_objects(index: bytes, id_bytes: int) -> bool:
    """Whether git must read objects to compare files with this index: attributes that convert line ends, or a sparse index."""
    # Version 4 cuts prefixes that names share, never the end of a name.
    return b"attributes\0" in index or extension(index, b"sdir", id_bytes) is not None
