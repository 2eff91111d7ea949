"""`sparki doctor`: what is wrong on this machine, and what to do."""

from __future__ import annotations

from sparki_cli.connect import own_paths
from sparki_cli.render import Output, printable
from sparki_daemon.doctor.examine import examine
from sparki_daemon.doctor.finding import ERROR, OK

_GLYPHS = {"ok": "success", "warning": "lost", "error": "failure"}
_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}


def doctor(output: Output) -> int:
    """Each finding with what to do about it; 1 where an error is among them."""
    findings = examine(own_paths())
    if output.as_json:
        output.document({"findings": [finding.to_json() for finding in findings]})
    for finding in () if output.as_json else findings:
        if output.quiet and finding.level == OK:
            continue
        word = "" if finding.level == OK else output.styled(f"{finding.level}: ", _STYLES[finding.level])
        output.line(f"{output.glyph(_GLYPHS[finding.level])} {finding.check:<11} {word}{printable(finding.message)}")
        if finding.hint and finding.level != OK:
            output.line(f"  {'':<11} {printable(finding.hint)}")
    return 1 if any(finding.level == ERROR for finding in findings) else 0
