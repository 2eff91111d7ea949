"""`--jq EXPR`: JSON documents through a jq program; strings come out raw, anything else as JSON, a line each."""

from __future__ import annotations

import json

import jq

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError


class JqFilter:
    """One compiled expression. Raises SparkiError `bad_jq` (exit code 2) for one that is no jq."""

    def __init__(self, expression: str) -> None:
        try:
            self._program = jq.compile(expression)
        except ValueError as error:
            raise _wrong(f"--jq: {_in_short(error)}") from None

    def lines(self, document: bytes) -> bytes:
        """What the expression gives for one document. Raises SparkiError `bad_jq` where it can't be applied to it."""
        try:
            found = list(self._program.input_text(document.decode("utf-8", "replace")))
        except ValueError as error:
            raise _wrong(f"--jq: {error}, in {_shortened(document)}") from None
        return "".join(f"{_raw(value)}\n" for value in found).encode("utf-8", "replace")


def _raw(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _in_short(error: ValueError) -> str:
    """The first line of jq's message, which ends in places that only jq knows."""
    return str(error).partition("\n")[0].removeprefix("jq: error: ").replace(" at <top-level>,", ",").removesuffix(":")


def _shortened(document: bytes) -> str:
    text = document.decode("utf-8", "replace").strip()
    return text if len(text) <= 60 else text[:59] + "…"


def _wrong(message: str) -> SparkiError:
    problem = Problem(code="bad_jq", message=message, hint="the expression is jq's language, as in --jq '.jobs[].name'")
    return SparkiError(problem, exit_code=ExitCode.USAGE)
