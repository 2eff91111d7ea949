"""Find in a `run` which programs it calls, and which ports and paths it names: by a look at its words, not by understanding a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
# Words before a command that are none themselves, or take a command as their arguments; then its variables.
_BEFORE = (
    r"(?:(?:if|then|do|else|elif|while|until|time|exec|command(?!\s+-[vV])|env|nohup|nice|xargs|!)\s+(?:-\S+\s+)*"
    r"|[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|(?:[^\s;&|$`\"']|\$(?!\())*)\s+)*"
)
_WORD = r"(?P<word>[A-Za-z_][\w.+-]*)(?=$|[\s;&|)`<>])"
_BEGIN = re.compile(rf"(?:^|&&|\|\|?|[;&({{`]|\$\()\s*{_BEFORE}{_WORD}")
_SUDO = re.compile(rf"(?:^|[\s;&|(`])sudo\s+(?:-\S+\s+)*{_BEFORE}{_WORD}")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_PORT = re.compile(
    r"(?:--(?:[a-z]+-)*port(?:[= ])|--(?:bind|listen|addr|address)[= ]\S*:|http\.server\s+"
    r"|\b(?:0\.0\.0\.0|localhost|127\.0\.0\.1):|\bPORT=)"
    r"(?P<word>[1-9]\d{1,4})\b"
)
_TEMP = re.compile(r"(?:^|(?<=[\s\"'=:>(]))(?P<word>/tmp/[\w.+-][^\s\"';&|)<>`]*)")

Found = tuple[str, int]
"""A word, and the offset in the script where it begins."""


def programs(script: str) -> Iterator[Found]:
    """Every program that the script seems to call, `sudo` and what stands behind it each."""
    for start, line in _lines(script):
        for pattern in (_BEGIN, _SUDO):
            for found in pattern.finditer(line):
                yield found["word"], start + found.start("word")


def ports(script: str) -> Iterator[Found]:
    """Every port above 0 that the script gives to a program, or listens on."""
    for start, line in _lines(script):
        for found in _PORT.finditer(line):
            yield found["word"], start + found.start("word")


def temp_paths(script: str) -> Iterator[Found]:
    """Every path below /tmp whose first part is fixed."""
    for start, line in _lines(script):
        for found in _TEMP.finditer(line):
            if not found["word"].startswith("/tmp/$"):
                yield found["word"], start + found.start("word")


def _lines(script: str) -> Iterator[tuple[int, str]]:
    """The lines that are commands, without comments, each behind its offset; texts between `<<END` and `END` are none."""
    offset, until = 0, ""
    for line in script.split("\n"):
        if until:
            until = "" if line.strip() == until else until
        else:
            yield offset, _COMMENT.sub("", line)
            here = _HEREDOC.search(line)
            until = here[2] if here else ""
        offset += len(line) + 1
