"""The names of secrets: what may be one, and how it is written.

Source: GitHub's docs, "Using secrets in GitHub Actions", "Naming your secrets"; names don't differ by case there.
"""

from __future__ import annotations

import re

from sparki_daemon.model.problem import Problem, SparkiError

TOKEN = "GITHUB_TOKEN"  # noqa: S105  a name: the one of GitHub's own that may be given here
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)
_MOST_CHARACTERS = 200


def checked(word: str) -> str:
    """The name that `word` is, in upper case.

    Raises SparkiError: `secret_on_command_line` for NAME=VALUE (its text is not told), `bad_secret_name`.
    """
    if "=" in word:
        message = "a secret's value can't be given on the command line: every process on this machine could read it there"
        hint = "put it into a variable or a file: NAME in the environment and --secret NAME, --secret-file FILE, or sparki secret set NAME"
        raise SparkiError(Problem(code="secret_on_command_line", message=message, hint=hint))
    name = word.upper()
    if not _NAME.fullmatch(name) or len(name) > _MOST_CHARACTERS:
        hint = f"letters, digits and '_', no digit first, at most {_MOST_CHARACTERS} characters"
        raise SparkiError(Problem(code="bad_secret_name", message=f"{_shown(word)} can't be the name of a secret", hint=hint))
    if name.startswith("GITHUB_") and name != TOKEN:
        hint = f"only {TOKEN} may be given: it is what github.token is then"
        raise SparkiError(Problem(code="bad_secret_name", message=f"'{name}': names that begin with GITHUB_ are GitHub's own", hint=hint))
    return name


def _shown(word: str) -> str:
    """The word, or nothing of it where somebody may have typed a value in a name's place."""
    return f"'{word}'" if word.isascii() and word.replace("_", "").replace("-", "").isalnum() and len(word) <= 40 else "that"
