"""Digests, without OpenSSL where a program never asks for one: `hashlib` loads it at once, 3 ms and a megabyte."""

# ruff: noqa: PLC0415  # that is what this module is for

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash


def sha256(data: bytes = b"") -> _Hash:
    """As `hashlib.sha256`."""
    import hashlib

    return hashlib.sha256(data)


def new(name: str, data: bytes = b"") -> _Hash:
    """As `hashlib.new`. Raises ValueError for a name that nobody knows."""
    import hashlib

    return hashlib.new(name, data)


def blake2b(data: bytes, size_bytes: int) -> str:
    """The BLAKE2b of `data` in `size_bytes` bytes, hexadecimal."""
    try:
        from _blake2 import blake2b as made  # `hashlib.blake2b` itself
    except ImportError:
        from hashlib import blake2b as made
    return made(data, digest_size=size_bytes).hexdigest()
