"""`dataclass`, `field` and `replace` of the standard library, to a type checker; the same made quickly, at run time.

The library's own writes, compiles and runs the source of six methods for each class, and imports `inspect` for it: for the
hundred classes that a run of one step imports, that took longer than the run. See docs/decisions/quick-imports.md.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    from sparki_daemon.model.class_maker import dataclass, field, replace

__all__ = ["dataclass", "field", "replace"]
