"""`sparki explain`: what the code of a difference means."""

from __future__ import annotations

import textwrap

from sparki_cli.render import Output
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline.codes import CODES
from sparki_daemon.pipeline.spelling import did_you_mean


def explain(output: Output, *, code: str | None) -> int:
    """Print the text of `code`, or every code with its title. Raises SparkiError `no_such_code`, exit code 5."""
    if code is None:
        if output.as_json:
            output.document({"codes": [{"code": name, "title": about.title} for name, about in CODES.items()]})
        else:
            output.table([(name, about.title) for name, about in CODES.items()], ("CODE", "WHAT"))
        return 0
    about = CODES.get(code.upper())
    if about is None:
        hint = did_you_mean(code.upper(), CODES) or "sparki explain lists them"
        raise SparkiError(Problem(code="no_such_code", message=f"there is no code '{code}'", hint=hint), exit_code=ExitCode.NOT_FOUND)
    if output.as_json:
        output.document({"code": code.upper(), "title": about.title, "text": about.text})
    else:
        output.raw(f"{output.styled(code.upper(), 'bold')}  {about.title}\n\n{textwrap.fill(about.text, 100)}\n\n")
        output.raw(f"To accept it in this project: `silence: [{code.upper()}]` in sparki.yml\n")
    return 0
