"""Remembers the pipeline files that were read last: most runs are of a file that has not changed since the one before."""

from __future__ import annotations

from functools import lru_cache

from sparki_daemon.pipeline import reader
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.schema import Dialect

MOST_BYTES = 64 * 1024  # of a file that is remembered: what is made of it takes some twenty times as much memory
_read = lru_cache(maxsize=16)(reader.read)


def read(data: bytes, file: str, dialect: Dialect | None = None) -> Document:
    """What `pipeline.reader.read` gives; a file whose very content was read before is not read again. Raises what that raises."""
    return (_read if len(data) <= MOST_BYTES else reader.read)(data, file, dialect)
