"""What a look at something found: that it is well, or what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]
OK: Level = "ok"
WARNING: Level = "warning"
ERROR: Level = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is a stable name; `message` says what was seen, `hint` what to do about it."""

    check: str
    level: Level
    message: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        return {"check": self.check, "level": self.level, "message": self.message, "hint": self.hint}
