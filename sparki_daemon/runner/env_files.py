"""Reads the files by which a step talks to the steps after it: GITHUB_OUTPUT, GITHUB_ENV, GITHUB_PATH, GITHUB_STATE."""

from __future__ import annotations

NEVER_SET = frozenset({"NODE_OPTIONS"})  # GitHub refuses it: it runs code in every later step
MOST_SUMMARY_BYTES = 1024 * 1024


class EnvFileError(Exception):
    """A line that can't be read. `pairs` are those that stood before it: they count."""

    def __init__(self, message: str, pairs: list[tuple[str, str]]) -> None:
        super().__init__(message)
        self.pairs = pairs


def read_pairs(data: bytes) -> list[tuple[str, str]]:
    """The `name=value` lines and `name<<END` blocks of a file, in order.

    The first of `=` and `<<` in a line rules; blank lines between them are skipped, and nothing is trimmed. Raises EnvFileError.
    Source: actions/runner, FileCommandManager.EnvFileKeyValuePairs.
    """
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.split("\n")
    whole = text.endswith("\n")  # then the last piece of the split is no line
    if whole or not text:
        lines.pop()
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line:
            continue
        equals, block = line.find("="), line.find("<<")
        if equals >= 0 and (block < 0 or equals < block):
            if equals == 0:
                raise EnvFileError(f"'{line}' has no name before its '='", pairs)
            pairs.append((line[:equals], line[equals + 1 :]))
        elif block >= 0:
            name, end = line[:block], line[block + 2 :]
            if not name or not end:
                raise EnvFileError(f"'{line}' needs a name before its '<<' and an end word behind it", pairs)
            try:
                stop = lines.index(end, at)
            except ValueError:
                raise EnvFileError(f"the value of '{name}' has no line '{end}' at its end", pairs) from None
            pairs.append((name, "\n".join(lines[at:stop])))
            at = stop + 1
        else:
            raise EnvFileError(f"'{line}' is neither name=value nor name<<END", pairs)
    return pairs


def read_paths(data: bytes) -> list[str]:
    """The folders of a GITHUB_PATH file, in order; each goes before all that were added earlier."""
    return [line for line in data.decode("utf-8", "surrogateescape").split("\n") if line.strip()]
