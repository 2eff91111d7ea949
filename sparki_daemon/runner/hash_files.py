"""`hashFiles`: one digest of all files of the workspace that patterns name, the same as GitHub's.

Source: actions/runner, Misc/expressionFunc/hashFiles/src/hashFiles.ts; HashFilesFunction.cs.
"""

from __future__ import annotations

import os

from sparki_daemon.pipeline.expression.error import EVALUATION, ExpressionError
from sparki_daemon.pipeline.expression.values import Value, to_string
from sparki_daemon.runner.file_patterns import BadPattern, find
from sparki_daemon.runner.time_limit import TooSlow, at_most

_FOLLOW = "--follow-symbolic-links"
MOST_S = 120.0
_PIECE_BYTES = 1024 * 1024


def hash_files(workspace: str, home: str, *arguments: Value) -> str:
    """The SHA-256, in hex, of the files' binary SHA-256s in the order in which they are found; empty where none is.

    Files outside of the workspace do not count. Raises ExpressionError for a bad pattern or option, and a file that can't be read.
    """
    import hashlib  # noqa: PLC0415  # it loads OpenSSL, 3 ms and a megabyte that few jobs need

    texts = [to_string(argument) for argument in arguments]
    follow = False
    if texts and texts[0].startswith("--"):
        if texts[0].lower() != _FOLLOW:
            raise ExpressionError(EVALUATION, f"hashFiles has no option '{texts[0]}'", hint=f"it knows {_FOLLOW}")
        follow, texts = True, texts[1:]
    whole = hashlib.sha256()
    found = False
    try:
        with at_most(MOST_S):
            for path in find("\n".join(texts), workspace, follow=follow, folders=False, home=home):
                if path.startswith(f"{workspace}/") and os.path.isfile(path):
                    digest = hashlib.sha256()
                    with open(path, "rb") as file:
                        while piece := file.read(_PIECE_BYTES):
                            digest.update(piece)
                    whole.update(digest.digest())
                    found = True
    except TooSlow:
        raise ExpressionError(EVALUATION, f"hashFiles: it took more than {MOST_S:.0f} seconds") from None
    except BadPattern as error:
        raise ExpressionError(EVALUATION, f"hashFiles: {error}") from None
    except OSError as error:
        name = os.path.relpath(str(error.filename), workspace)
        raise ExpressionError(EVALUATION, f"hashFiles: '{name}' can't be read: {error.strerror}") from None
    return whole.hexdigest() if found else ""
