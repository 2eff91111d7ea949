"""The one exception of the expression language: what is wrong, and at which character."""

from __future__ import annotations

LEXING = "lexing"
PARSING = "parsing"
EVALUATION = "evaluation"


class ExpressionError(Exception):
    """An expression that cannot be read or evaluated.

    `kind` is "lexing" (no token), "parsing" (tokens in a wrong order, an unknown name, too long or too deep) or
    "evaluation" (a value that a function refuses); GitHub refuses a workflow for the first two before it runs.
    `offset` counts characters from 0 in the text that was given; None where an evaluation has no place.
    `hint` says what to do next, or is empty.
    """

    def __init__(self, kind: str, message: str, offset: int | None = None, *, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.offset = offset
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.offset is None else f"{self.message} (at character {self.offset + 1})"
